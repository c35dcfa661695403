//! Worlds made of models, and a configuration for them.

use dpmp::config::Config;
use dpmp::sim::miner::model::MinerModel;
use dpmp::sim::pool::model::PoolModel;
pub(crate) use dpmp::sim::world::{HOSTS, UNIX_START};
use dpmp::units::PoolSlot;

pub(crate) type World = dpmp::sim::world::World<PoolModel, MinerModel>;
pub(crate) type Rig = dpmp::sim::world::Rig<MinerModel>;

/// A configuration with two usable pools.
pub(crate) fn config(weights: [f64; 2], slice: f64) -> Config {
    let text = serde_json::json!({
        "pools": {
            "A": {"name": "A", "host": HOSTS[PoolSlot::A], "port": 3333, "wallet": "walletA"},
            "B": {"name": "B", "host": HOSTS[PoolSlot::B], "port": 3333, "wallet": "walletB"},
        },
        "scheduler": {"poolA_weight": weights[0], "poolB_weight": weights[1], "slice_seconds": slice},
    });
    dpmp::config::parse(&text.to_string()).unwrap().config
}

/// A configuration in which no miner ever works for B.
pub(crate) fn only_a() -> Config {
    let mut config = config([100.0, 0.0], 10.0);
    config.scheduler.failover = false;
    config
}
