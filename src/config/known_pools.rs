//! Known pools to choose from. They are only addresses to start with; DPMP favors none of them and gets nothing for it.
//!
//! - Each entry says when and where it was looked up. Pools without a documented user name format are left out.
//! - None of them was tried with real miners. Test a pool, and look at its page after the first few hours.

use serde_json::{Map, Value, json};

/// A pool that is known.
#[derive(Clone, Copy, Debug)]
pub struct KnownPool {
    /// Its common name.
    pub name: &'static str,
    /// Its host name.
    pub host: &'static str,
    /// Its TCP port, unencrypted.
    pub port: u16,
    /// The coin.
    pub chain: &'static str,
    /// Whether it wants an account name instead of a payout address.
    pub is_account: bool,
    /// The format of the user name.
    pub user_name: &'static str,
    /// Its fee in percent, if the source names it.
    pub fee_percent: Option<f64>,
    /// Other useful information.
    pub note: &'static str,
    /// The source.
    pub source: &'static str,
}

/// When they were looked up.
pub const LOOKED_UP: &str = "2026-11-30";

/// Such as `bc1q….rig1`, or `alice.rig1` with an account.
const WITH_WORKER: &str = "{wallet}.{worker}";

/// The pool templates of an open mining firmware.
const DCENT_OS: &str = "https://github.com/DCentralTech/DCENT_OS";

/// An unencrypted pool for Bitcoin that pays an address.
const SOLO: KnownPool = KnownPool {
    name: "",
    host: "",
    port: 3333,
    chain: "BTC",
    is_account: false,
    user_name: WITH_WORKER,
    fee_percent: None,
    note: "",
    source: DCENT_OS,
};

/// All of them.
pub const KNOWN: [KnownPool; 15] = [
    KnownPool {
        name: "CKPool solo",
        host: "solo.ckpool.org",
        fee_percent: Some(2.0),
        note: "Solo. The fee is taken out of any block you find.",
        ..SOLO
    },
    KnownPool {
        name: "CKPool solo, Europe",
        host: "eusolo.ckpool.org",
        fee_percent: Some(2.0),
        note: "Solo. The fee is taken out of any block you find.",
        source: "https://github.com/mweinberg/stratum-speed-test",
        ..SOLO
    },
    KnownPool {
        name: "Public Pool",
        host: "public-pool.io",
        note: "Solo, without a fee. Port 4333 is encrypted.",
        source: "https://tinychiphub.com/blogs/news/is-public-pool-effective-for-btc-solo-miner-mining",
        ..SOLO
    },
    KnownPool {
        name: "Braiins Solo",
        host: "solo.stratum.braiins.com",
        fee_percent: Some(0.5),
        note: "Solo. The lowest difficulty is 512, so tiny miners seldom find a share.",
        source: "https://academy.braiins.com/en/braiins-pool/solo-mining/",
        ..SOLO
    },
    KnownPool {
        name: "AtlasPool",
        host: "solo.atlaspool.io",
        fee_percent: Some(1.5),
        note: "Solo.",
        ..SOLO
    },
    KnownPool {
        name: "OCEAN",
        host: "mine.ocean.xyz",
        port: 3334,
        fee_percent: Some(2.0),
        note: "Shared rewards, paid to your address.",
        source: "https://d-central.tech/ocean-mining-pool-guide",
        ..SOLO
    },
    KnownPool {
        name: "Braiins Pool",
        host: "stratum.braiins.com",
        is_account: true,
        fee_percent: Some(2.5),
        note: "Shared rewards.",
        source: "https://academy.braiins.com/en/braiins-pool/btc-mining-setup/",
        ..SOLO
    },
    KnownPool {
        name: "ViaBTC",
        host: "btc.viabtc.io",
        is_account: true,
        note: "Shared rewards.",
        source: "https://support.viabtc.com/hc/en-us/articles/14367481714191-Mining-Pools-Information",
        ..SOLO
    },
    KnownPool {
        name: "F2Pool",
        host: "btc.f2pool.com",
        is_account: true,
        note: "Shared rewards.",
        ..SOLO
    },
    KnownPool {
        name: "AntPool",
        host: "stratum.antpool.com",
        is_account: true,
        note: "Shared rewards.",
        ..SOLO
    },
    KnownPool {
        name: "Luxor",
        host: "btc.global.luxor.tech",
        port: 700,
        is_account: true,
        note: "Shared rewards.",
        ..SOLO
    },
    KnownPool {
        name: "SoloPool.eu, Bitcoin Cash",
        host: "bch.solopool.eu",
        chain: "BCH",
        note: "Solo. Port 3334 is encrypted.",
        source: "https://solopool.eu/bitaxe-guide",
        ..SOLO
    },
    KnownPool {
        name: "SoloPool.org, Bitcoin Cash",
        host: "eu2.solopool.org",
        port: 8002,
        chain: "BCH",
        user_name: "{wallet}",
        note: "Solo.",
        source: "https://github.com/Harshycn/bch-stratum-inspector",
        ..SOLO
    },
    KnownPool {
        name: "SoloPool.org, DigiByte",
        host: "eu1.solopool.org",
        port: 8004,
        chain: "DGB",
        user_name: "{wallet}",
        note: "Solo.",
        source: "https://github.com/universalbit-dev/CityGenerator",
        ..SOLO
    },
    KnownPool {
        name: "HMPool, eCash",
        host: "xec.hmpool.io",
        port: 3334,
        chain: "XEC",
        note: "Register your addresses on its page first. This port is for 0.3 to 1.5 TH/s.",
        source: "https://xec.hmpool.io/mining-guide.html",
        ..SOLO
    },
];

impl KnownPool {
    /// Its settings, without a payout address.
    pub fn settings(&self) -> Map<String, Value> {
        let Value::Object(mut settings) = json!({
            "name": self.name,
            "host": self.host,
            "port": self.port,
            "chain": self.chain,
            "user_name": self.user_name,
            "wallet": "",
            "password": "",
        }) else {
            return Map::new();
        };
        if let Some(fee) = self.fee_percent {
            settings.insert("fee_percent".to_owned(), json!(fee));
        }
        settings
    }

    /// What a page says about it.
    pub fn about(&self) -> String {
        let who = if self.is_account {
            "account name"
        } else {
            "payout address"
        };
        let user = if self.user_name == WITH_WORKER {
            format!("{who} and worker")
        } else {
            who.to_owned()
        };
        let fee = match self.fee_percent {
            Some(fee) => format!(" Fee {fee}%."),
            None => String::new(),
        };
        format!(
            "{}:{}, {}. User name: {user}.{fee} {} Looked up on {LOOKED_UP}.",
            self.host, self.port, self.chain, self.note
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::coin::Coin;
    use crate::config::parse;
    use crate::units::PoolSlot;

    #[test]
    fn each_known_pool_is_valid_and_has_a_date_and_a_source() {
        let parts: Vec<_> = LOOKED_UP.split('-').map(str::len).collect();
        assert_eq!(parts, [4, 2, 2]);
        for pool in KNOWN {
            let name = pool.name;
            let mut settings = pool.settings();
            settings["wallet"] = json!("alice");
            let file = json!({"pools": {"A": settings}}).to_string();
            let loaded = parse(&file).unwrap_or_else(|errors| panic!("{name}: {errors}"));
            let parsed = loaded.config.pools[PoolSlot::A].clone().unwrap();
            assert_eq!((parsed.host.as_str(), parsed.port), (pool.host, pool.port));
            assert!(pool.user_name.starts_with("{wallet}"), "{name}");
            let about = pool.about();
            assert!(about.contains(LOOKED_UP) && !about.contains("  "), "{name}");
            let host = pool.source.strip_prefix("https://");
            assert!(host.is_some_and(|host| host.contains('.')), "{name}");
            let coins = Coin::ALL.map(Coin::name);
            assert!(coins.contains(&pool.chain), "{name}");
        }
        let page = include_str!("../../docs/pools.md");
        assert!(page.contains(LOOKED_UP));
        for pool in KNOWN {
            let row = page
                .lines()
                .find(|line| line.starts_with(&format!("| {} |", pool.name)));
            let row = row.unwrap_or_else(|| panic!("docs/pools.md lacks {}", pool.name));
            let place = format!("`{}:{}`", pool.host, pool.port);
            for part in [&place, pool.chain, pool.source] {
                assert!(row.contains(part), "docs/pools.md: {row} lacks {part}");
            }
        }
        let names: BTreeSet<_> = KNOWN.map(|pool| pool.name).into();
        let places: BTreeSet<_> = KNOWN.map(|pool| (pool.host, pool.port)).into();
        assert_eq!((names.len(), places.len()), (KNOWN.len(), KNOWN.len()));
    }
}
