//! The configuration: the input is the file. It is read, saved, read again, compared with another one, and imported as
//! a `config_v2.json`.

use std::fs;

use dpmp::config::{self, Config, changes, load_or_create, may_replace, parse};
use dpmp::units::PoolSlot;

/// The longest message about a single wrong value, in bytes.
const LONGEST_FAULT: usize = 16 * 1024;

pub fn run(data: &[u8]) {
    let read = std::str::from_utf8(data).ok().map(parse);
    match &read {
        Some(Ok(loaded)) => good(&loaded.config, &config::text(&loaded.raw)),
        Some(Err(errors)) => {
            assert!(!errors.faults.is_empty());
            for fault in &errors.faults {
                assert!(fault.to_string().len() < LONGEST_FAULT, "{fault}");
            }
        }
        None => (),
    }
    imported(data);
}

/// What is true for every valid configuration.
fn good(config: &Config, text: &str) {
    let again = parse(text).expect("what was read can be saved and read");
    assert_eq!(again.config, *config);
    assert_eq!(changes(config, config), []);
    let default = Config::default();
    assert_eq!(changes(&default, config).is_empty(), default == *config);
    may_replace(config, config).expect("a configuration may follow itself");
    let sum = config.share(PoolSlot::A) + config.share(PoolSlot::B);
    assert!((sum - 1.0).abs() < 1e-9, "shares of {sum}");
    assert!(config.scheduler.min_switch <= config.scheduler.slice);
    for slot in PoolSlot::ALL {
        let Some(pool) = &config.pools[slot] else {
            continue;
        };
        assert!(!pool.wallet.is_empty() && !pool.host.is_empty() && pool.port > 0);
        let user = pool.user_name.of(&pool.wallet, "rig", "user.rig");
        assert!(!user.contains(['\n', '\r']), "{user:?}");
    }
}

/// DPMP starts if it finds only the Python version's file, whatever it contains.
fn imported(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let (old, new) = (
        folder.path().join("config_v2.json"),
        folder.path().join("config.json"),
    );
    fs::write(&old, data).expect("the old file");
    let found = load_or_create(&new).expect("an import never prevents a start");
    assert_eq!(fs::read(&old).expect("it stays"), data);
    good(&found.config, &config::text(&found.raw));
    let again = load_or_create(&new).expect("what was imported is valid");
    assert_eq!(again.config, found.config);
}
