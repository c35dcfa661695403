//! `connect`: what to enter in a miner.

use rouille::Response;
use serde_json::{Value, json};

use crate::system::net::own_addresses;
use crate::web::error::Answer;
use crate::web::json;
use crate::web::pages::{Call, Pages};

/// Miners by their firmware: the names of their fields, and other steps. The fields are for the pool (host and port in
/// separate fields, or in one), the user and the password.
const MINERS: [(&str, &[&str], &str); 8] = [
    ("Any miner", &["Pool or URL", "User", "Password"], ""),
    (
        "Bitaxe (AxeOS)",
        &["Stratum Host", "Stratum Port", "User", "Password"],
        "Save, then restart the miner.",
    ),
    (
        "NerdQAxe, NerdAxe",
        &["Stratum Host", "Stratum Port", "Username", "Password"],
        "Choose failover, not dual, and turn Coinbase Verification off.",
    ),
    (
        "NerdMiner",
        &["Pool url", "Pool port", "Your BTC address", "Pool password"],
        "Here the field for the address takes any name.",
    ),
    (
        "Avalon",
        &["Pool 1", "Worker", "Password"],
        "It restarts automatically.",
    ),
    (
        "Antminer, Whatsminer, Vnish, LuxOS",
        &["URL", "Worker", "Password"],
        "",
    ),
    ("Braiins OS", &["url", "user", "password"], ""),
    ("cgminer, cpuminer", &["-o", "-u", "-p"], ""),
];

/// `GET /api/v1/connect`
pub(in crate::web) fn show(pages: &Pages, _: &Call<'_>) -> Answer {
    Ok(answer(pages.miners.port()))
}

fn answer(port: u16) -> Response {
    let miner = |(name, fields, note)| json!({"name": name, "fields": fields, "note": note});
    json::respond(&json!({
        "port": port,
        "addresses": own_addresses(),
        "miners": MINERS.into_iter().map(miner).collect::<Vec<Value>>(),
    }))
}
