//! `connect`: what to enter in a miner.

use std::net::{IpAddr, SocketAddr};

use rouille::Response;
use serde_json::{Value, json};

use crate::config::Gui;

use crate::system::net::own_addresses;
use crate::web::error::Answer;
use crate::web::json;
use crate::web::pages::{Call, Pages};

/// What to enter as a fallback pool.
const FALLBACK: &str = "One of your pools directly, with your payout address as the user, or nothing. Not DPMP: the \
                        miner needs it when DPMP is off.";

/// Miners by their firmware: the names of their fields, where a fallback pool is entered, and other steps. The
/// fields are for the pool (host and port in separate fields, or in one), the user and the password.
const MINERS: [(&str, &[&str], Option<&str>, &str); 8] = [
    (
        "Any miner",
        &["Pool or URL", "User", "Password"],
        Some("Pool 2 or fallback"),
        "",
    ),
    (
        "Bitaxe (AxeOS)",
        &["Stratum Host", "Stratum Port", "User", "Password"],
        Some("Fallback Pool Configuration"),
        "Save, then restart the miner.",
    ),
    (
        "NerdQAxe, NerdAxe",
        &["Stratum Host", "Stratum Port", "Username", "Password"],
        Some("Second tab"),
        "Choose failover, not dual, and turn Coinbase Verification off.",
    ),
    (
        "NerdMiner",
        &["Pool url", "Pool port", "Your BTC address", "Pool password"],
        None,
        "Here the field for the address takes any name.",
    ),
    (
        "Avalon",
        &["Pool 1", "Worker", "Password"],
        Some("Pool 2, Pool 3"),
        "It restarts automatically.",
    ),
    (
        "Antminer, Whatsminer, VNish, LuxOS",
        &["URL", "Worker", "Password"],
        Some("Pool 2, Pool 3"),
        "",
    ),
    (
        "Braiins OS",
        &["url", "user", "password"],
        Some("Second pool of the group"),
        "",
    ),
    ("cgminer, cpuminer", &["-o", "-u", "-p"], None, ""),
];

/// `GET /api/v1/connect`
pub(in crate::web) fn show(pages: &Pages, _: &Call<'_>) -> Answer {
    let public_url = &pages.context.live.get().gui.public_url;
    let own = own_addresses();
    let at = address(&pages.started_with.gui, &own);
    Ok(answer(pages.miners.port(), &own, public_url, at))
}

/// The address by which others reach the pages; `None` if they cannot, or no address is known.
fn address(gui: &Gui, own: &[IpAddr]) -> Option<String> {
    let ip = match gui.host {
        host if host.is_unspecified() => own
            .iter()
            .copied()
            .find(|ip| host.is_ipv6() || ip.is_ipv4())?,
        host => host,
    };
    (!ip.is_loopback()).then(|| format!("http://{}", SocketAddr::new(ip, gui.port)))
}

fn answer(port: u16, own: &[IpAddr], public_url: &str, pages: Option<String>) -> Response {
    let miner = |(name, fields, fallback, note)| json!({"name": name, "fields": fields, "fallback": fallback, "note": note});
    json::respond(&json!({
        "port": port,
        "addresses": own,
        "public_url": Some(public_url).filter(|url| !url.is_empty()),
        "pages": pages,
        "fallback_note": FALLBACK,
        "miners": MINERS.into_iter().map(miner).collect::<Vec<Value>>(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_pages_link_uses_an_address_of_this_machine() {
        let own: [IpAddr; 2] = [
            "192.168.1.20".parse().unwrap(),
            "2001:db8::5".parse().unwrap(),
        ];
        let at = |host: &str, own: &[IpAddr]| {
            let mut gui = Config::default().gui;
            (gui.host, gui.port) = (host.parse().unwrap(), 8855);
            address(&gui, own)
        };
        for (host, own, found) in [
            ("0.0.0.0", &own[..], Some("http://192.168.1.20:8855")),
            ("::", &own[1..], Some("http://[2001:db8::5]:8855")),
            ("10.0.0.1", &own[..], Some("http://10.0.0.1:8855")),
            ("0.0.0.0", &own[1..], None),
            ("0.0.0.0", &[], None),
            ("127.0.0.1", &own[..], None),
        ] {
            assert_eq!(at(host, own).as_deref(), found, "{host}");
        }
    }
}
