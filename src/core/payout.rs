//! Whether a pool's earnings still go where the owner last confirmed.

use serde::{Deserialize, Serialize};

use crate::config::PoolConfig;

/// Where one pool's earnings go. It is remembered across restarts, so that neither a restart nor a change while the
/// program was stopped hides anything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Payout {
    /// The address, the wallet and the form of the name that the owner has seen, or the first that there were.
    known: Option<String>,
    /// Those that are configured now.
    present: Option<String>,
    /// When they became others than the owner has seen, in milliseconds since 1970.
    changed: Option<u64>,
    /// Whether the pool had to prove who it is when the owner last looked: without, whoever sits between may have the
    /// miners work for another. `None` in a file of an earlier version.
    known_proven: Option<bool>,
}

impl Payout {
    /// Takes in what is configured, at the start and after each change.
    pub fn update(&mut self, pool: Option<&PoolConfig>, unix_ms: u64) {
        let new = pool.map(|pool| {
            let first = format!("{} {} {}", pool.address(), pool.wallet, pool.user_name);
            let backups = pool.backups.iter().map(|backup| format!(" {backup}"));
            backups.fold(first, |all, backup| all + &backup)
        });
        let proven = pool.map(|pool| pool.tls.enabled && !pool.tls.insecure);
        let exposed = self.known_proven == Some(true) && proven == Some(false);
        if proven.is_some() && !exposed {
            self.known_proven = proven;
        }
        let is_news = self.present != new || exposed && self.changed.is_none();
        self.present = new;
        if self.present.is_none() {
            // Nothing goes anywhere; what comes next is measured against what was known.
            self.changed = None;
        } else if self.known.is_none() {
            self.known.clone_from(&self.present);
        } else if (self.known != self.present || exposed) && (is_news || self.changed.is_none()) {
            // Never the same twice: what was seen must not stand for what came after it. What was changed back is news
            // all the same: meanwhile the earnings went elsewhere.
            let after = self.changed.map_or(0, |changed| changed.saturating_add(1));
            self.changed = Some(unix_ms.max(after));
        }
    }

    /// The owner has seen the change of this time. If there was another one since, he has not seen that.
    pub fn seen(&mut self, changed: u64) {
        if self.changed == Some(changed) {
            self.known.clone_from(&self.present);
            self.known_proven = None;
            self.changed = None;
        }
    }

    /// When it became something that the owner has not seen yet, in milliseconds since 1970.
    pub fn changed(&self) -> Option<u64> {
        self.changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::PoolSlot;

    fn pool(wallet: &str) -> PoolConfig {
        let text = format!(r#"{{"pools":{{"A":{{"host":"pool","wallet":"{wallet}"}}}}}}"#);
        let config = crate::config::parse(&text).unwrap().config;
        config.pools[PoolSlot::A].clone().unwrap()
    }

    #[test]
    fn a_pool_that_need_not_prove_who_it_is_any_more_is_news() {
        let mut proven = pool("mine");
        proven.tls.enabled = true;
        let mut insecure = proven.clone();
        insecure.tls.insecure = true;
        let plain = pool("mine");
        for exposed in [&plain, &insecure] {
            let mut payout = Payout::default();
            payout.update(Some(&proven), 1);
            payout.update(Some(exposed), 2);
            assert_eq!(payout.changed(), Some(2));
            payout.update(Some(exposed), 3);
            assert_eq!(payout.changed(), Some(2), "nothing new");
            payout.seen(2);
            payout.update(Some(exposed), 4);
            assert_eq!(payout.changed(), None);
            // To become safer is nothing to be warned of.
            payout.update(Some(&proven), 5);
            assert_eq!(payout.changed(), None);
            payout.update(Some(exposed), 6);
            assert_eq!(payout.changed(), Some(6));
        }
    }

    #[test]
    fn a_change_is_news_until_it_is_seen() {
        let mut payout = Payout::default();
        payout.update(None, 1);
        payout.update(Some(&pool("mine")), 2);
        assert_eq!(payout.changed(), None, "the first one is the owner's");
        payout.update(Some(&pool("other")), 3);
        assert_eq!(payout.changed(), Some(3));
        payout.update(Some(&pool("other")), 4);
        assert_eq!(payout.changed(), Some(3), "nothing new");

        // A second change before the first one was seen.
        payout.update(Some(&pool("third")), 3);
        assert_eq!(payout.changed(), Some(4));
        payout.seen(3);
        assert_eq!(payout.changed(), Some(4));
        payout.seen(4);
        assert_eq!(payout.changed(), None);

        // Neither taking the pool away for a while nor a restart hides a change.
        payout.update(None, 5);
        let text = serde_json::to_string(&payout).unwrap();
        let mut payout: Payout = serde_json::from_str(&text).unwrap();
        payout.update(Some(&pool("mine")), 6);
        assert_eq!(payout.changed(), Some(6));
        payout.update(Some(&pool("third")), 7);
        assert_eq!(
            payout.changed(),
            Some(6),
            "back where it was, but not always"
        );
        payout.seen(6);
        assert_eq!(payout.changed(), None);
    }
}
