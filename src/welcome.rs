//! What a person at a terminal sees at the start: where the pages are, and what to enter in a miner.
//!
//! It is only shown on a terminal; services and containers have the log.

use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::net::{IpAddr, SocketAddr};

use crate::system::net::{local, own_addresses};

/// What a person needs to get started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Where miners connect.
    pub miners: SocketAddr,
    /// Where the pages are, unless they are switched off.
    pub pages: Option<SocketAddr>,
    /// Whether the pools in use have all that they need.
    pub is_set_up: bool,
    /// The configuration file.
    pub config: String,
}

/// Says where everything is, if a person is there to read it.
pub fn greet(greeting: &Greeting) {
    if io::stdout().is_terminal() && io::stderr().is_terminal() {
        // If this cannot be written, there is no way to report it.
        let _ = io::Write::write_all(
            &mut io::stderr(),
            words(greeting, &own_addresses()).as_bytes(),
        );
    }
}

/// The text. `own`: the addresses by which others know this machine, the best one first.
fn words(greeting: &Greeting, own: &[IpAddr]) -> String {
    let seen = |address: SocketAddr| {
        // "::" serves IPv4, too.
        let serves = |ip: &&IpAddr| address.is_ipv6() || ip.is_ipv4();
        match own.iter().find(serves) {
            Some(ip) if address.ip().is_unspecified() => SocketAddr::new(*ip, address.port()),
            Some(_) | None => local(address),
        }
    };
    let is_known = !seen(greeting.miners).ip().is_loopback() || greeting.miners.ip().is_loopback();
    let mut text = format!(
        "\nDPMP {} is running. Press Ctrl-C to stop it.\n\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut line = |label: &str, value: &str| {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "  {label:<10}{value}");
    };
    if let Some(pages) = greeting.pages {
        line("Pages", &format!("http://{}", seen(pages)));
    }
    if is_known {
        line(
            "Miners",
            &format!("stratum+tcp://{}", seen(greeting.miners)),
        );
    } else {
        let port = greeting.miners.port();
        line("Miners", &format!("stratum+tcp://ADDRESS:{port}"));
        line(
            "",
            "ADDRESS: this computer's address on your network, such as 192.168.1.10.",
        );
        line("", "Your router lists it.");
    }
    line("", "User: any name, such as garage.bitaxe1. Password: x");
    line("Settings", &greeting.config);
    let next = match (greeting.is_set_up, greeting.pages) {
        (true, _) => "Both pools are set up: connect a miner.",
        (false, Some(_)) => "No pool is set up yet: open the pages in a browser.",
        (false, None) => "No pool is set up yet: enter your pools in the settings file.",
    };
    let _ = write!(text, "\n{next}\n\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(host: &str, pages: bool, is_set_up: bool) -> Greeting {
        let at = |port| SocketAddr::new(host.parse().unwrap(), port);
        Greeting {
            miners: at(3351),
            pages: pages.then(|| at(8855)),
            is_set_up,
            config: "/data/config.json".into(),
        }
    }

    #[test]
    fn the_welcome_says_where_to_go_and_what_to_type() {
        let own = [
            "192.168.1.20".parse().unwrap(),
            "2001:db8::5".parse().unwrap(),
        ];
        for host in ["0.0.0.0", "::"] {
            let text = words(&greeting(host, true, false), &own);
            assert!(text.contains("http://192.168.1.20:8855\n"), "{text}");
            assert!(text.contains("stratum+tcp://192.168.1.20:3351\n"), "{text}");
            assert!(text.contains("open the pages in a browser"), "{text}");
        }
        let text = words(&greeting("::", false, true), &own[1..]);
        assert!(
            text.contains("stratum+tcp://[2001:db8::5]:3351\n"),
            "{text}"
        );
        assert!(text.contains("connect a miner"), "{text}");
        assert!(!text.contains("Pages"), "{text}");
    }

    #[test]
    fn a_configured_address_is_not_replaced() {
        let own = ["192.168.1.20".parse().unwrap()];
        let text = words(&greeting("127.0.0.1", true, true), &own);
        assert!(text.contains("http://127.0.0.1:8855\n"), "{text}");
    }

    #[test]
    fn miners_are_not_sent_to_a_loopback_address() {
        let text = words(&greeting("0.0.0.0", true, true), &[]);
        assert!(text.contains("http://127.0.0.1:8855\n"), "{text}");
        assert!(text.contains("stratum+tcp://ADDRESS:3351\n"), "{text}");
        assert!(text.contains("address on your network"), "{text}");
        // The owner has set it.
        let text = words(&greeting("127.0.0.1", true, true), &[]);
        assert!(text.contains("stratum+tcp://127.0.0.1:3351\n"), "{text}");
    }
}
