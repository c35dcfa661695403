//! Which program uses a port that DPMP needs, for a message that helps the owner.
//!
//! On Linux, `/proc` shows this: to root for all programs, to others for their own. In all other cases it stays
//! unknown.

use std::fs;
use std::path::Path;

/// The state of a listening socket in `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// A running program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name in the system (at most 15 bytes).
    pub name: String,
    /// Its process.
    pub process: u32,
}

/// The program that listens on a TCP port of this machine, if known.
pub fn owner_of(port: u16) -> Option<Program> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let sockets: Vec<_> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if sockets.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|entry| {
            let process = entry.file_name().to_str()?.parse().ok()?;
            has_one_of(&entry.path(), &sockets).then_some(process)
        })
        .map(|process| Program {
            name: name_of(process),
            process,
        })
        .next()
}

/// The inodes of the sockets that listen on a port, from a table like `/proc/net/tcp`.
fn listening(table: &str, port: u16) -> Vec<String> {
    let inode = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (_, found) = fields.nth(1)?.rsplit_once(':')?;
        let state = fields.nth(1)?;
        let is_it = state == LISTENS && u16::from_str_radix(found, 16) == Ok(port);
        // The user and the counters are not needed.
        let inode = fields.nth(5)?;
        is_it.then(|| inode.to_owned())
    };
    table.lines().skip(1).filter_map(inode).collect()
}

/// Whether one of a process's descriptors is one of the sockets.
fn has_one_of(process: &Path, sockets: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    descriptors
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|target| {
            sockets
                .iter()
                .any(|socket| target.as_os_str() == socket.as_str())
        })
}

fn name_of(process: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    let name: String = name.trim().chars().filter(|it| !it.is_control()).collect();
    if name.is_empty() {
        "a program without a name".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_socket_table_can_be_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:0D17 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100\n   \
                     1: 0100007F:0D17 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100\n   \
                     2: 00000000:0D18 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100\nrubbish\n";
        assert_eq!(listening(table, 3351), ["4711"]);
        assert_eq!(listening(table, 3352), ["4713"]);
        assert!(listening(table, 22).is_empty());
        assert!(listening("", 22).is_empty());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_the_owner_of_its_own_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let owner = owner_of(port).unwrap();
        assert_eq!(owner.process, std::process::id());
        assert!(!owner.name.is_empty());
        drop(listener);
        assert_eq!(owner_of(port), None);
    }
}
