//! Addresses of pools: host names and addresses as people paste them, and placeholders.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde_json::{Value, json};

use super::kind::number::parse_port;
use super::kind::{Form, FormKind, Kind};

/// A pool's host, with or without port. In the file it is text.
pub(super) struct PoolHost {
    /// A placeholder.
    pub(super) default: &'static str,
}

/// A host as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPort {
    /// In lower case; an IPv6 address without brackets.
    pub(super) host: String,
    /// The port, if there was one.
    pub(super) port: Option<u16>,
    /// Whether its scheme means an encrypted port.
    pub(super) tls: bool,
}

impl Kind for PoolHost {
    /// `None`: not entered yet.
    type Meaning = Option<HostPort>;

    fn read(&self, value: &Value) -> Result<Self::Meaning, String> {
        let text = value.as_str().ok_or_else(|| self.allowed())?.trim();
        if is_host_placeholder(text) {
            return Ok(None);
        }
        let (tls, rest) = strip_scheme(text)?;
        let rest = rest.trim_end_matches('/');
        let (host, port) = split_port(rest).ok_or_else(|| {
            let number = |c: char| c.is_ascii_digit() || c == '.';
            if rest.contains(|c: char| c.is_ascii_digit()) && rest.chars().all(number) {
                "a host name or an IP address of four numbers from 0 to 255, such as 192.168.1.20"
                    .to_owned()
            } else {
                self.allowed()
            }
        })?;
        let found = HostPort { host, port, tls };
        Ok((!is_host_placeholder(&found.host)).then_some(found))
    }

    fn allowed(&self) -> String {
        "a host name or an IP address, with or without :port".to_owned()
    }

    fn default(&self) -> Self::Meaning {
        None
    }

    fn default_json(&self) -> Value {
        json!(self.default)
    }

    fn form(&self) -> Form {
        Form::text(FormKind::Text, 300)
    }
}

/// The account that the pool pays: the first part of the user name.
pub(super) struct Wallet {
    /// A placeholder.
    pub(super) default: &'static str,
    /// In characters.
    pub(super) longest: usize,
}

impl Wallet {
    /// The longest one for any pool, in characters.
    pub(super) const LONGEST: usize = 256;
}

impl Kind for Wallet {
    /// `None`: not entered yet.
    type Meaning = Option<String>;

    fn read(&self, value: &Value) -> Result<Self::Meaning, String> {
        let text = value.as_str().ok_or_else(|| self.allowed())?.trim();
        if is_wallet_placeholder(text) {
            return Ok(None);
        }
        let odd = |c: char| c.is_control() || c.is_whitespace();
        if text.chars().any(odd) || text.chars().count() > self.longest {
            return Err(self.allowed());
        }
        Ok(Some(text.to_owned()))
    }

    fn allowed(&self) -> String {
        format!(
            "a wallet address or account name of at most {} characters, without spaces",
            self.longest
        )
    }

    fn default(&self) -> Self::Meaning {
        None
    }

    fn default_json(&self) -> Value {
        json!(self.default)
    }

    fn form(&self) -> Form {
        Form::text(FormKind::Text, self.longest)
    }
}

/// Placeholder text: ours, the Python version's, and common examples.
fn is_placeholder(text: &str) -> bool {
    text.is_empty() || text.starts_with("YOUR_") || text.starts_with('<')
}

fn is_wallet_placeholder(text: &str) -> bool {
    is_placeholder(text) || ["POOL_A_WALLET", "POOL_B_WALLET"].contains(&text)
}

/// Including names reserved for examples (RFC 2606), which no pool can have.
fn is_host_placeholder(text: &str) -> bool {
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let example = ["example", "example.com", "example.org", "example.net"]
        .iter()
        .any(|end| {
            name.strip_suffix(end)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
    is_placeholder(text) || example || ["pool_a_host", "pool_b_host"].contains(&name.as_str())
}

/// Removes the scheme before a pool's address (compat Q51). Returns whether it means an encrypted port.
fn strip_scheme(text: &str) -> Result<(bool, &str), String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok((false, text));
    };
    match scheme.to_ascii_lowercase().as_str() {
        "stratum+tcp" | "stratum" | "tcp" => Ok((false, rest)),
        "stratum+ssl" | "stratum+tls" | "stratum+tcps" | "stratums" | "ssl" | "tls" => Ok((true, rest)),
        scheme if scheme.starts_with("stratum2") => {
            Err("a Stratum v1 address (stratum+tcp://); Stratum v2 is not supported".to_owned())
        }
        _ => Err(
            "a Stratum v1 address: host:port, stratum+tcp://host:port or, encrypted, stratum+ssl://host:port"
                .to_owned(),
        ),
    }
}

/// `host`, `host:port`, `::1`, `[::1]` or `[::1]:port`.
fn split_port(text: &str) -> Option<(String, Option<u16>)> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((host, port)) => (ipv6(host)?, Some(port).filter(|port| !port.is_empty())),
        None => match ipv6(text) {
            Some(host) => (host, None),
            None => {
                let end = text.find(':').unwrap_or(text.len());
                let (host, port) = text.split_at(end);
                (
                    name_or_ipv4(host)?,
                    Some(port).filter(|port| !port.is_empty()),
                )
            }
        },
    };
    let port = match port {
        Some(port) => Some(parse_port(port.strip_prefix(':')?).filter(|port| *port > 0)?),
        None => None,
    };
    Some((host, port))
}

/// An IPv6 address, perhaps with a zone (compat Q50).
fn ipv6(text: &str) -> Option<String> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    let address: Ipv6Addr = address.parse().ok()?;
    match zone {
        None => Some(address.to_string()),
        Some(zone) => is_label(zone).then(|| format!("{address}%{zone}")),
    }
}

fn name_or_ipv4(text: &str) -> Option<String> {
    /// The longest host name, in bytes (RFC 1035).
    const LONGEST: usize = 253;
    let name = text.strip_suffix('.').unwrap_or(text);
    let last = name.rsplit('.').next()?;
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        // No top-level domain is a number, so it must be a complete, valid address.
        return name
            .parse::<Ipv4Addr>()
            .ok()
            .map(|address| address.to_string());
    }
    let good = name.len() <= LONGEST && name.split('.').all(is_label);
    good.then(|| name.to_ascii_lowercase())
}

/// A part of a host name. Underscores are against the rules, but in use.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Whether no pool can have this address. Dialing the unspecified address reaches this machine, where another pool may
/// listen (compat Q80). A link-local address without its interface leads nowhere.
pub fn leads_nowhere(address: &SocketAddr) -> bool {
    match address {
        SocketAddr::V4(address) => is_unspecified(*address.ip()),
        SocketAddr::V6(address) => {
            let ip = address.ip();
            let [a, b, c, d, e, f, g, _] = ip.segments();
            // 0.0.0.0 as it looks behind NAT64 (RFC 6052).
            let translated = [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0] && g < 0x100;
            ip.is_unspecified()
                || ip.to_ipv4_mapped().is_some_and(is_unspecified)
                || translated
                || ip.is_unicast_link_local() && address.scope_id() == 0
        }
    }
}

/// 0.0.0.0/8, "this network" (RFC 791).
fn is_unspecified(address: Ipv4Addr) -> bool {
    address.octets()[0] == 0
}

/// Why no pool can be at an address for which [`leads_nowhere`] holds, as text for the owner.
pub fn why_nowhere(address: IpAddr) -> String {
    if is_link_local(address) {
        format!(
            "{address} is a link-local address, which needs the network interface, as in {address}%eth0"
        )
    } else {
        format!("{address} is not a pool's address. For a pool on this computer, use 127.0.0.1")
    }
}

/// Whether an address is only valid within one network, and so may exist in each.
pub fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_address_is_refused_with_what_is_missing() {
        for text in ["0", "0.0", "1.2.3.456"] {
            assert!(host(text).contains("four numbers"), "{}", host(text));
        }
        assert!(!host("a b").contains("four numbers"));
    }

    fn host(text: &str) -> String {
        match (PoolHost { default: "" }).read(&json!(text)) {
            Ok(None) => "not set up".to_owned(),
            Ok(Some(HostPort { host, port, tls })) => {
                let port = port.map_or(String::new(), |port| format!(" {port}"));
                format!("{host}{port}{}", if tls { " encrypted" } else { "" })
            }
            Err(allowed) => format!("! {allowed}"),
        }
    }

    #[test]
    fn pasted_hosts_are_accepted_in_any_usual_form() {
        for (text, expected) in [
            ("solo.ckpool.org", "solo.ckpool.org"),
            ("Solo.CKPool.org.", "solo.ckpool.org"),
            (" pool_1.my-lan ", "pool_1.my-lan"),
            ("umbrel", "umbrel"),
            ("solo.ckpool.org:3333", "solo.ckpool.org 3333"),
            (
                "stratum+tcp://solo.ckpool.org:3333/",
                "solo.ckpool.org 3333",
            ),
            ("STRATUM+TCP://solo.ckpool.org", "solo.ckpool.org"),
            ("tcp://1.2.3.4:5", "1.2.3.4 5"),
            ("stratum://pool.com//", "pool.com"),
            ("192.168.0.25", "192.168.0.25"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("[2001:DB8::1]:3333", "2001:db8::1 3333"),
            ("stratum+tcp://[::1]:3333/", "::1 3333"),
            ("stratum+ssl://Pool.com:443/", "pool.com 443 encrypted"),
            ("Stratum+TLS://pool.com", "pool.com encrypted"),
            ("stratum+tcps://pool.com:443", "pool.com 443 encrypted"),
            ("stratums://pool.com", "pool.com encrypted"),
            ("ssl://1.2.3.4:5", "1.2.3.4 5 encrypted"),
            ("tls://[::1]:443", "::1 443 encrypted"),
            ("fe80::1%eth0", "fe80::1%eth0"),
            ("[fe80::1%eth0]:3333", "fe80::1%eth0 3333"),
        ] {
            assert_eq!(host(text), expected, "{text}");
        }
    }

    #[test]
    fn a_placeholder_is_not_a_host() {
        for text in [
            "",
            "  ",
            "YOUR_POOL",
            "<host>",
            "POOL_A_HOST",
            "pool-a.example.com",
            "example.org",
            "stratum+tcp://Pool.Example.NET:3333",
            "pool.example",
            "example.com.",
        ] {
            assert_eq!(host(text), "not set up", "{text}");
        }
        assert_eq!(host("myexample.com"), "myexample.com");
        assert_eq!(host("example.com.br"), "example.com.br");
    }

    #[test]
    fn text_that_is_not_a_host_is_refused() {
        for text in [
            "a b",
            "host:",
            "host:0",
            "host:65536",
            "host:+1",
            "host:1:2",
            "host/path",
            "user@host",
            "300.1.1.1",
            "1.2.3",
            "12345",
            "a..b",
            ".",
            "bücher.de",
            "[::1",
            "[::1]x",
            "[host]:1",
            "fe80::1%",
            "1::2::3",
            "a\nb",
            &"a".repeat(64),
            &"a.".repeat(200),
        ] {
            assert!(
                host(text).starts_with("! a host name or an IP address"),
                "{text}"
            );
        }
        assert!(PoolHost { default: "" }.read(&json!(5)).is_err());
    }

    #[test]
    fn unsupported_protocols_are_refused_by_name() {
        assert!(host("stratum2+tcp://p.com:3336/key").contains("Stratum v2 is not supported"));
        assert!(host("https://p.com").contains("a Stratum v1 address"));
    }

    #[test]
    fn wallets_are_read_and_placeholders_count_as_empty() {
        let wallet = Wallet {
            default: "",
            longest: 20,
        };
        for text in [
            "",
            " ",
            "YOUR_BTC_WALLET_ADDRESS",
            "<wallet>",
            "POOL_B_WALLET",
        ] {
            assert_eq!(wallet.read(&json!(text)), Ok(None), "{text}");
        }
        for text in [
            "bc1qxyz",
            "bitcoincash:qqlldmm",
            "account.name",
            "Your_Farm",
        ] {
            assert_eq!(
                wallet.read(&json!(format!(" {text} "))),
                Ok(Some(text.to_owned()))
            );
        }
        for value in [
            json!("a b"),
            json!("a\u{0}"),
            json!("a".repeat(21)),
            json!(5),
        ] {
            assert!(wallet.read(&value).is_err(), "{value}");
        }
    }
}
