//! Miners that vanish without a word: each has its own network, and its cable is pulled. This needs root and Debian's
//! iproute2.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use super::guests::{AUTHORIZE, Guest, SUBSCRIBE};

/// Whether this machine can do it.
pub(crate) fn is_possible() -> bool {
    Network::new().is_ok()
}

/// Gets work and then vanishes. The proxy has to notice by itself, which shows when all miners are counted.
pub(crate) fn vanish(guest: &mut Guest) -> io::Result<()> {
    let network = Network::new()?;
    let mut miner = network.connect(guest.miners.port())?;
    let mut lines = BufReader::new(miner.0.stdout.take().unwrap()).lines();
    // The connection may end before there is work, if a pool is down.
    if lines.any(|line| line.is_ok_and(|line| line.contains("mining.notify"))) {
        network.pull_cable()?;
        guest.stay();
    }
    Ok(())
}

/// A network of two hosts: this one and a miner's.
struct Network {
    name: String,
    number: u8,
}

/// The miner's process; dropping this kills it.
struct Miner(Child);

impl Network {
    fn new() -> io::Result<Self> {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("soak{}-{number}", std::process::id() % 100_000);
        ip(&["netns", "add", &name])?;
        // If the rest fails, dropping this removes what exists already.
        let network = Self { name, number };
        let name = &network.name;
        let [here, there] = [network.address(1), network.address(2)].map(|ip| format!("{ip}/30"));
        ip(&[
            "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name,
        ])?;
        ip(&["address", "add", &here, "dev", name])?;
        ip(&["link", "set", name, "up"])?;
        ip(&["-n", name, "address", "add", &there, "dev", "eth0"])?;
        ip(&["-n", name, "link", "set", "eth0", "up"])?;
        Ok(network)
    }

    /// In the address range reserved for benchmarks.
    fn address(&self, host: u8) -> String {
        format!("198.18.{}.{host}", self.number)
    }

    fn connect(&self, port: u16) -> io::Result<Miner> {
        let script = format!(
            "exec 3<>/dev/tcp/{}/{port}; echo '{SUBSCRIBE}' >&3; echo '{AUTHORIZE}' >&3; exec cat <&3",
            self.address(1)
        );
        Command::new("ip")
            .args(["netns", "exec", &self.name, "bash", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map(Miner)
    }

    /// From now on nothing answers there, neither to TCP nor to ARP.
    fn pull_cable(&self) -> io::Result<()> {
        ip(&["-n", &self.name, "address", "flush", "dev", "eth0"])
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = ip(&["netns", "delete", &self.name]);
    }
}

impl Drop for Miner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ip(words: &[&str]) -> io::Result<()> {
    let status = Command::new("ip")
        .args(words)
        .stderr(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("ip {words:?}: {status}")))
    }
}
