//! Short titles for keys, used by the pages.

/// The name of a key. One without a name of its own is called by the last part of its path.
pub(super) fn title(path: &str) -> String {
    let last = path.rsplit('.').next().unwrap_or(path);
    let of_path = TITLES.iter().find(|(known, _)| *known == path);
    let of_last = LAST_PARTS.iter().find(|(known, _)| *known == last);
    if let Some((_, title)) = of_path.or(of_last) {
        return (*title).to_owned();
    }
    let words = last.replace('_', " ");
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// By the whole path.
const TITLES: &[(&str, &str)] = &[
    ("listen.host", "Address for miners"),
    ("listen.port", "Port for miners"),
    ("listen.max_miners", "Max. miners"),
    ("listen.max_miners_per_address", "Max. miners per address"),
    ("listen.authorize_seconds", "Authorize timeout"),
    ("listen.submits_per_second", "Max. shares per second"),
    ("listen.max_line_kib", "Longest line from a miner"),
    ("listen.pool_max_line_kib", "Longest line from a pool"),
    ("listen.extranonce2_size", "Extranonce2 size of miners"),
    ("listen.proxy_protocol_from", "Load balancers in front"),
    ("listen.drain_seconds", "Drain time"),
    ("listen.tls_port", "Encrypted port for miners"),
    ("listen.tls_certificate", "Certificate file"),
    ("listen.tls_key", "Key file"),
    ("metrics.enabled", "Serve metrics"),
    ("metrics.host", "Address for metrics"),
    ("metrics.port", "Port for metrics"),
    ("gui.enabled", "Serve these pages"),
    ("gui.host", "Address for these pages"),
    ("gui.port", "Port for these pages"),
    ("gui.allowed_hosts", "Additional host names"),
    ("scheduler.poolA_weight", "Weight of pool A"),
    ("scheduler.poolB_weight", "Weight of pool B"),
    ("scheduler.slice_seconds", "Length of a turn"),
    (
        "scheduler.min_switch_seconds",
        "Shortest time between switches",
    ),
    ("scheduler.catch_up_seconds", "Catching up after an outage"),
    ("scheduler.clean_on_switch", "Drop old work at every switch"),
    ("scheduler.no_work_seconds", "No-work timeout"),
    ("scheduler.failover", "Use the other pool during an outage"),
    ("scheduler.max_slicers", "Max. miners taking turns (fleet)"),
    (
        "scheduler.assign_seconds",
        "Shortest stay on a pool (fleet)",
    ),
    ("workers", "Own settings"),
    ("groups", "Own settings of groups"),
    ("timetable.enabled", "Use the timetable"),
    ("balance.enabled", "Follow the earnings"),
    ("balance.full_at_percent", "Full shift at a difference of"),
    ("balance.max_deviation", "Max. shift"),
    ("downstream_diff.default_min", "Lowest, any pool"),
    ("downstream_diff.default_max", "Highest, any pool"),
    ("downstream_diff.poolA_min", "Lowest, pool A"),
    ("downstream_diff.poolA_max", "Highest, pool A"),
    ("downstream_diff.poolB_min", "Lowest, pool B"),
    ("downstream_diff.poolB_max", "Highest, pool B"),
    ("logging.allow", "Only these events"),
    ("logging.deny", "Never these events"),
    ("logging.stdout", "Standard output"),
    ("logging.directory", "Folder"),
    ("logging.max_file_mb", "Size of a file"),
    ("logging.keep_files", "Full files to keep"),
    ("logging.show_wallets", "Show full payout addresses"),
];

/// By the last part, for keys that several sections have.
const LAST_PARTS: &[(&str, &str)] = &[
    ("host", "Host"),
    ("port", "Port"),
    ("tls", "Encrypted (TLS)"),
    ("tls_fingerprint", "Certificate fingerprint"),
    ("tls_insecure", "Accept any certificate"),
    ("backups", "Backups"),
    ("wallet", "Wallet or account"),
    ("user_name", "User name at the pool"),
    ("chain", "Coin"),
    ("stall_seconds", "Silence timeout"),
    ("answer_seconds", "Answer timeout"),
    ("job_seconds", "New job timeout"),
    ("fee_percent", "Pool fee"),
    ("connections", "Connections"),
    ("miners_per_connection", "Max. miners per connection"),
    ("payout", "Blocks should pay"),
    ("payout_min_percent", "Smallest share for you"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::key_infos;

    #[test]
    fn every_title_belongs_to_a_key() {
        let paths: Vec<_> = key_infos().map(|key| key.path).collect();
        for (path, title) in TITLES {
            assert!(paths.contains(path), "{title}: no key {path}");
        }
        for (last, title) in LAST_PARTS {
            let ends = |path: &&str| path.rsplit('.').next() == Some(*last);
            assert!(paths.iter().any(ends), "{title}: no key {last}");
        }
    }

    #[test]
    fn titles_go_by_the_full_path_then_its_last_part_then_its_words() {
        assert_eq!(title("listen.host"), "Address for miners");
        assert_eq!(title("pools.A.host"), "Host");
        assert_eq!(title("logging.level"), "Level");
    }
}
