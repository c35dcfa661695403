//! Why a miner's shares were not accepted, in words: what each reason means, what to do, and what the pool said.

use serde::Serialize;

use crate::core::miner::view::MinerView;
use crate::stratum::reject::RejectReason;

/// About shares that the pool rejected for their difficulty: DPMP forwards none below it.
const BY_POOL: &str = "The pool rejected these, although they met its difficulty. It may have raised the difficulty just \
                       before. If there are many, ask the pool.";

/// One reason.
#[derive(Debug, Serialize)]
pub(super) struct Reject<'a> {
    reason: &'a str,
    count: u64,
    meaning: &'static str,
    said: Option<&'a str>,
}

/// The reasons, most frequent first.
pub(super) fn rejects(miner: &MinerView) -> Vec<Reject<'_>> {
    let mut rejects: Vec<_> = miner
        .rejected_by
        .iter()
        .map(|(reason, count)| {
            let said = miner.said.get(reason.as_str()).map(String::as_str);
            let checked = said.is_some() && reason == RejectReason::LowDifficulty.name();
            Reject {
                reason,
                count: *count,
                meaning: if checked { BY_POOL } else { meaning(reason) },
                said,
            }
        })
        .collect();
    rejects.sort_by_key(|reject| std::cmp::Reverse(reject.count));
    rejects
}

pub(super) fn meaning(reason: &str) -> &'static str {
    let known = RejectReason::ALL.into_iter().find(|it| it.name() == reason);
    known.map_or(
        "The pool gave its own reason. Its web site may explain it.",
        of_known,
    )
}

fn of_known(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::Stale => {
            "These arrived after their job was replaced, mostly just after a new block. Up to 1% is normal. If there are \
             more, check the miner's network connection."
        }
        RejectReason::Duplicate => {
            "The miner sent the same share twice. Restart the miner. If that does not help, update its firmware."
        }
        RejectReason::LowDifficulty => {
            "These are below the difficulty that the miner was given. A few are normal after the difficulty changes. If \
             there are many, restart the miner or update its firmware."
        }
        RejectReason::UnknownJob => {
            "DPMP never sent this job, or it ended long ago. Restart the miner if this continues."
        }
        RejectReason::Unauthorized => {
            "The pool does not know the user name, or the miner used a different one when it connected. Check the payout \
             address in Config and the user name in the miner."
        }
        RejectReason::VersionBits => {
            "The miner changed version bits that the pool does not allow. Update its firmware."
        }
        RejectReason::VersionForm => {
            "This pool rejects shares with changed version bits, so DPMP no longer sends it any. Use another pool for \
             this miner."
        }
        RejectReason::Ntime => {
            "The time in these shares is too far from the job's. Restart the miner or update its firmware."
        }
        RejectReason::ExtranonceSize => {
            "The extranonce in these shares has the wrong size. Restart the miner."
        }
        RejectReason::Malformed | RejectReason::UnknownMethod | RejectReason::NotSubscribed => {
            "DPMP could not use what the miner sent. Restart the miner or update its firmware."
        }
        RejectReason::TooMany => {
            "The miner sends more shares than `listen.submits_per_second` allows. Raise the miner's difficulty at the \
             pool."
        }
        RejectReason::PoolLost | RejectReason::NoAnswer => {
            "The connection to the pool ended before it answered. See Logs for when and why."
        }
        RejectReason::Stopping => "DPMP was stopping.",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::miner::view::sample_miner;

    #[test]
    fn each_reason_has_an_explanation_and_the_pools_own_words() {
        let mut miner = sample_miner(1, "rig");
        let counts = [("other", 2), ("stale", 5)];
        miner.rejected_by = Arc::new(counts.map(|(name, n)| (name.to_owned(), n)).into());
        miner.said = Arc::new([("other", "No thanks".to_owned())].into());
        let found = rejects(&miner);
        let parts: Vec<_> = found
            .iter()
            .map(|it| (it.reason, it.count, it.said))
            .collect();
        assert_eq!(parts, [("stale", 5, None), ("other", 2, Some("No thanks"))]);
        assert!(found[0].meaning.contains("new block"));
        assert!(found[1].meaning.contains("its own reason"));
        // It is not the miner's fault if a pool does not want what DPMP has checked.
        let low = |said: Option<&str>| {
            let mut miner = sample_miner(1, "rig");
            miner.rejected_by = Arc::new([("low_difficulty".to_owned(), 3)].into());
            let said = said.map(|said| ("low_difficulty", said.to_owned()));
            miner.said = Arc::new(said.into_iter().collect());
            rejects(&miner)[0].meaning
        };
        assert!(low(None).contains("firmware"));
        assert_eq!(low(Some("Above target")), BY_POOL);
    }
}
