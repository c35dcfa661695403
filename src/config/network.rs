//! Addresses of this machine, and lists of addresses and networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde_json::{Value, json};

use super::kind::{Form, FormKind, Kind, list};

/// An address of this machine to listen on.
pub(super) struct ListenAddress(pub(super) Ipv4Addr);

impl Kind for ListenAddress {
    type Meaning = IpAddr;

    fn read(&self, value: &Value) -> Result<IpAddr, String> {
        let text = value.as_str().ok_or_else(|| self.allowed())?.trim();
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        match text {
            "" | "*" => Ok(Ipv4Addr::UNSPECIFIED.into()),
            _ if text.eq_ignore_ascii_case("localhost") => Ok(Ipv4Addr::LOCALHOST.into()),
            _ => match bare {
                Some(bare) => bare.parse::<Ipv6Addr>().map(IpAddr::from),
                None => text.parse(),
            }
            .map_err(|_| self.allowed()),
        }
    }

    fn allowed(&self) -> String {
        "an IP address of this machine, or \"0.0.0.0\" (all of IPv4) or \"::\" (IPv6 and IPv4)"
            .to_owned()
    }

    fn default(&self) -> IpAddr {
        self.0.into()
    }

    fn default_json(&self) -> Value {
        json!(self.0)
    }

    fn form(&self) -> Form {
        Form::new(FormKind::Text)
    }
}

/// A list of IP addresses and networks; empty by default.
pub(super) struct Networks {
    /// The maximum number.
    pub(super) most: usize,
}

impl Kind for Networks {
    type Meaning = Vec<IpNet>;

    fn read(&self, value: &Value) -> Result<Vec<IpNet>, String> {
        list(value, self.most, read_one).ok_or_else(|| self.allowed())
    }

    fn allowed(&self) -> String {
        format!(
            "a list of at most {} IP addresses or networks, such as \"10.0.0.5\" or \"10.0.0.0/24\"",
            self.most
        )
    }

    fn default(&self) -> Vec<IpNet> {
        Vec::new()
    }

    fn default_json(&self) -> Value {
        json!([])
    }

    fn form(&self) -> Form {
        Form::text(FormKind::List, self.most)
    }
}

/// A single address is a network of one. In a network, the bits after the prefix do not count.
fn read_one(value: &Value) -> Option<IpNet> {
    let text = value.as_str()?.trim();
    match text.parse::<IpAddr>() {
        // In the form for comparing: IPv4 written as IPv6 counts as IPv4.
        Ok(address) => Some(address.to_canonical().into()),
        Err(_) => text.parse::<IpNet>().ok().map(|network| network.trunc()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_read() {
        let read = |value: Value| Networks { most: 3 }.read(&value);
        let list = read(json!(["10.0.0.5", " 192.168.1.7/24 ", "fd00::/8"])).unwrap();
        let holds = |address: &str| {
            let address: IpAddr = address.parse().unwrap();
            list.iter().any(|network| network.contains(&address))
        };
        for inside in ["10.0.0.5", "192.168.1.0", "192.168.1.255", "fd12::1"] {
            assert!(holds(inside), "{inside}");
        }
        for outside in ["10.0.0.4", "192.168.2.1", "fe80::1", "::1"] {
            assert!(!holds(outside), "{outside}");
        }
        assert_eq!(read(json!(["::ffff:10.0.0.5"])).unwrap(), list[..1]);
        for wrong in [
            json!("10.0.0.5"),
            json!(["10.0.0.5/33"]),
            json!(["my.host"]),
            json!([""]),
            json!([1]),
            json!(["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"]),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_to_listen_on_are_read() {
        let read = |text: &str| {
            let address = ListenAddress(Ipv4Addr::UNSPECIFIED).read(&json!(text));
            address.map_or("refused".to_owned(), |address| address.to_string())
        };
        for (text, expected) in [
            ("0.0.0.0", "0.0.0.0"),
            ("", "0.0.0.0"),
            ("*", "0.0.0.0"),
            ("localhost", "127.0.0.1"),
            (" 192.168.1.5 ", "192.168.1.5"),
            ("::", "::"),
            ("[::1]", "::1"),
            ("[1.2.3.4]", "refused"),
            ("300.1.1.1", "refused"),
            ("my.host", "refused"),
            ("0.0.0.0:3351", "refused"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        assert!(
            ListenAddress(Ipv4Addr::UNSPECIFIED)
                .read(&json!(0))
                .is_err()
        );
    }
}
