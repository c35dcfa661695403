//! Hints about the names of miners, and how to improve them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::core::miner::view::MinerView;

/// The maximum number of names in a hint.
const MOST_NAMES: usize = 5;

/// A hint, for people.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Hint {
    kind: &'static str,
    title: String,
    text: String,
}

/// The hints for these connected miners. A miner that never sent a share may be left from a broken connection.
pub(super) fn hints(miners: &[MinerView]) -> Vec<Hint> {
    let mut by_name = BTreeMap::<&str, usize>::new();
    let mut undotted = Vec::new();
    for miner in miners.iter().filter(|miner| miner.last_share.is_some()) {
        *by_name.entry(&miner.worker).or_default() += 1;
        if !miner.names_worker && !undotted.contains(&miner.worker.as_str()) {
            undotted.push(&miner.worker);
        }
    }
    let shared: Vec<_> = by_name
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(name, count)| format!("{name} ({count} miners)"))
        .collect();
    let mut hints = Vec::new();
    if !shared.is_empty() {
        let text = "They share settings, totals and charts, and pools see one worker. To tell them apart, open each miner's \
                    own page and give it a different name after the dot, such as me.rig1 and me.rig2.";
        hints.push(Hint {
            kind: "shared_name",
            title: format!("Several miners have the same name: {}", list(&shared)),
            text: text.to_owned(),
        });
    }
    if !undotted.is_empty() {
        let text = "DPMP uses all of it as the miner's name, and pools see it after your payout address. Open the miner's \
                    own page and enter a user name with a dot, such as me.rig1.";
        hints.push(Hint {
            kind: "no_dot",
            title: format!("A user name without a dot: {}", list(&undotted)),
            text: text.to_owned(),
        });
    }
    hints
}

fn list(names: &[impl AsRef<str>]) -> String {
    let first = names.iter().take(MOST_NAMES).map(AsRef::as_ref);
    let mut text = first.collect::<Vec<_>>().join(", ");
    if names.len() > MOST_NAMES {
        text.push_str(&format!(" and {} more", names.len() - MOST_NAMES));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::miner::view::sample_miner;

    fn titles(miners: &[MinerView]) -> Vec<String> {
        hints(miners).into_iter().map(|hint| hint.title).collect()
    }

    fn works(id: u64, worker: &str) -> MinerView {
        let mut miner = sample_miner(id, worker);
        miner.last_share = Some(5.into());
        miner
    }

    #[test]
    fn two_miners_with_one_name_are_pointed_out_once_both_work() {
        let mut miners = vec![works(1, "rig"), works(2, "other"), sample_miner(3, "rig")];
        assert!(hints(&miners).is_empty());
        miners.push(works(4, "rig"));
        let expected = "Several miners have the same name: rig (2 miners)";
        assert_eq!(titles(&miners), [expected]);
    }

    #[test]
    fn a_user_name_without_a_dot_is_pointed_out() {
        let miners: Vec<_> = (0..7)
            .map(|number| {
                let mut miner = works(number, &format!("rig{number}"));
                miner.names_worker = false;
                miner
            })
            .collect();
        let expected = "A user name without a dot: rig0, rig1, rig2, rig3, rig4 and 2 more";
        assert_eq!(titles(&miners), [expected]);
    }
}
