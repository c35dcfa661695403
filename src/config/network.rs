//! Lists of addresses and networks.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::kind::{Form, FormKind, Kind, list};

/// A list of IP addresses and networks; empty by default.
pub(super) struct Networks {
    /// How many.
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

/// An address alone is a network of one. Of a network, the bits behind the prefix do not count.
fn read_one(value: &Value) -> Option<IpNet> {
    let text = value.as_str()?.trim();
    match text.parse::<IpAddr>() {
        // As addresses are compared: IPv4 that is written as IPv6 is IPv4.
        Ok(address) => Some(address.to_canonical().into()),
        Err(_) => text.parse::<IpNet>().ok().map(|network| network.trunc()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks() {
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
}
