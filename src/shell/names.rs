//! Looks up the names of pools. A lookup cannot be interrupted, so each has its own thread and serves all who need the
//! same name at the same time. Each of them waits no longer than it wants to.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Sender, bounded};
use parking_lot::Mutex;

use crate::config::{is_link_local, leads_nowhere, why_nowhere};
use crate::system::clock::clock;
use crate::system::thread::{WRITER_STACK, spawn};

/// How many may wait for one lookup.
const MOST_WAITING: usize = 256;

/// Looks up names. Clones share their lookups.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Mutex<HashMap<String, Vec<Sender<Answer>>>>>);

/// The result of a lookup: addresses, or the error's kind and text, so that several can have it.
type Answer = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

impl Names {
    /// The addresses of a pool: an address itself, or those of a name.
    ///
    /// # Errors
    /// If there are none, or no answer comes before `until`, as text for the owner.
    pub fn look_up(&self, host: &str, port: u16, until: Instant) -> io::Result<Vec<SocketAddr>> {
        let found = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => self.ask(host, until)?,
        };
        let usable = usable(host, found)?;
        let with_port = usable.into_iter().map(|mut address| {
            address.set_port(port);
            address
        });
        Ok(with_port.collect())
    }

    fn ask(&self, host: &str, until: Instant) -> io::Result<Vec<SocketAddr>> {
        let (sender, answer) = bounded(1);
        let mut look_ups = self.0.lock();
        match look_ups.get_mut(host) {
            Some(waiting) if waiting.len() >= MOST_WAITING => return Err(too_slow(host)),
            Some(waiting) => waiting.push(sender),
            None => {
                let (names, name) = (self.clone(), host.to_owned());
                spawn("name", WRITER_STACK, move || names.resolve(name))?;
                look_ups.insert(host.to_owned(), vec![sender]);
            }
        }
        drop(look_ups);
        let patience = until.saturating_duration_since(clock());
        match answer.recv_timeout(patience) {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err((kind, text))) => Err(io::Error::new(kind, text)),
            Err(_) => Err(too_slow(host)),
        }
    }

    fn resolve(&self, name: String) {
        let answer: Answer = match (name.as_str(), 0).to_socket_addrs() {
            Ok(addresses) => Ok(addresses.collect()),
            Err(error) => Err((
                error.kind(),
                format!(
                    "the name {name:?} cannot be resolved: {error}{}",
                    hint(&name)
                ),
            )),
        };
        for waiting in self.0.lock().remove(&name).unwrap_or_default() {
            // Callers that gave up are gone.
            let _ = waiting.send(answer.clone());
        }
    }
}

fn too_slow(host: &str) -> io::Error {
    let text = format!("the name {host:?} could not be resolved in time");
    io::Error::new(io::ErrorKind::TimedOut, text)
}

/// Removes addresses that cannot belong to a pool.
fn usable(host: &str, found: Vec<SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    let unusable = |text| Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
    let (usable, useless): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|address| !leads_nowhere(address));
    let is_name = host.parse::<IpAddr>().is_err();
    match useless.first().map(|address| address.ip().to_canonical()) {
        _ if !usable.is_empty() => Ok(usable),
        None => unusable(format!("the name {host:?} has no address")),
        Some(address) if is_name && !is_link_local(address) => unusable(format!(
            "the name {host:?} resolves to {address}, which is not a pool's address. Ad and DNS blockers give such \
             answers: allow the name there"
        )),
        Some(address) => unusable(why_nowhere(address)),
    }
}

/// Containers and many systems do not support multicast DNS.
fn hint(name: &str) -> &'static str {
    let is_local = name
        .trim_end_matches('.')
        .to_ascii_lowercase()
        .ends_with(".local");
    if is_local {
        ". Names in .local often do not work inside a container; use the IP address instead"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn found(host: &str, addresses: &[&str]) -> Result<Vec<String>, String> {
        let parsed = addresses
            .iter()
            .map(|address| SocketAddr::new(address.parse().unwrap(), 0));
        let usable = usable(host, parsed.collect()).map_err(|error| error.to_string())?;
        Ok(usable.iter().map(|it| it.ip().to_string()).collect())
    }

    #[test]
    fn addresses_that_mean_this_machine_are_left_out() {
        let names = [
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "::ffff:0.0.0.0",
            "::ffff:0.9.9.9",
        ];
        for address in names.into_iter().chain(["64:ff9b::", "64:ff9b::0.1.2.3"]) {
            let error = found("stratum.pool.lab", &[address]).unwrap_err();
            assert!(error.contains("blocker"), "{error}");
            let error = found(address, &[address]).unwrap_err();
            assert!(error.contains("not a pool's address"), "{error}");
            let kept = found("stratum.pool.lab", &[address, "192.0.2.7", "::"]).unwrap();
            assert_eq!(kept, ["192.0.2.7"]);
        }
        for good in [
            "127.0.0.1",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::192.0.2.1",
            "1.0.0.0",
        ] {
            assert_eq!(found("x", &[good]).unwrap().len(), 1, "{good}");
        }
        assert!(found("x", &[]).unwrap_err().contains("no address"));
    }

    #[test]
    fn a_link_local_address_needs_its_interface() {
        let error = found("fe80::1", &["fe80::1"]).unwrap_err();
        assert!(error.contains("fe80::1%eth0"), "{error}");
        let SocketAddr::V6(mut with) = SocketAddr::new("fe80::1".parse().unwrap(), 0) else {
            panic!()
        };
        with.set_scope_id(2);
        assert_eq!(usable("fe80::1%eth0", vec![with.into()]).unwrap().len(), 1);
    }

    #[test]
    fn simultaneous_requests_share_one_lookup() {
        let names = Names::default();
        let until = clock() + Duration::from_secs(30);
        let ask = || names.look_up("localhost", 3333, until).unwrap();
        std::thread::scope(|scope| {
            let asked: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            for asked in asked {
                let addresses = asked.join().unwrap();
                assert!(
                    addresses
                        .iter()
                        .all(|it| it.port() == 3333 && it.ip().is_loopback())
                );
            }
        });
        assert!(names.0.lock().is_empty());
    }

    #[test]
    fn nothing_waits_for_a_name_server_that_hangs() {
        let names = Names::default();
        // As if a lookup were under way that never ends.
        names.0.lock().insert("hangs.example".into(), Vec::new());
        for _ in 0..MOST_WAITING + 10 {
            let error = names.look_up("hangs.example", 1, clock()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
        assert_eq!(names.0.lock()["hangs.example"].len(), MOST_WAITING);
    }
}
