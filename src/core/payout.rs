//! Whether a pool's earnings still go where the owner last confirmed.

use serde::{Deserialize, Serialize};

use crate::config::PoolConfig;
use crate::core::stats::totals::PoolId;
use crate::units::{PerPool, PoolSlot};

/// Where one pool's earnings go. It is kept across restarts, so that neither a restart nor a change while DPMP was
/// stopped hides anything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Payout {
    /// The address, payout address and user name format that the owner last confirmed, or the first ones.
    known: Option<String>,
    /// The ones that are configured now.
    present: Option<String>,
    /// When they began to differ from what the owner confirmed, in milliseconds since 1970.
    changed: Option<u64>,
    /// Whether the pool's certificate was verified when the owner last confirmed. Without verification, anyone in
    /// between can redirect the work. `None` in a file from an earlier version.
    known_proven: Option<bool>,
    /// The fingerprint of the only certificate that was accepted then, empty if a known authority had to vouch for it.
    /// Anyone with another certificate can redirect the work if its fingerprint is entered.
    known_fingerprint: Option<String>,
}

impl Payout {
    /// Where a pool's earnings go.
    pub fn place(pool: &PoolConfig) -> String {
        let first = PoolId::of(pool).account;
        let backups = pool.backups.iter().map(|backup| format!(" {backup}"));
        backups.fold(first, |all, backup| all + &backup)
    }

    /// Whether both pools only swap places.
    pub fn are_swapped(payouts: &PerPool<Self>, new: &PerPool<Option<String>>) -> bool {
        let is_same = |slot: PoolSlot| payouts[slot].present == new[slot.other()];
        new[PoolSlot::A] != new[PoolSlot::B]
            && new.iter().all(|(slot, new)| new.is_some() && is_same(slot))
    }

    /// Records the configuration, at the start and after each change.
    pub fn update(&mut self, pool: Option<&PoolConfig>, unix_ms: u64) {
        self.update_to(pool.map(Self::place), pool, unix_ms);
    }

    /// The same, if its [place](Self::place) is known.
    pub fn update_to(&mut self, new: Option<String>, pool: Option<&PoolConfig>, unix_ms: u64) {
        let proven = pool.map(|pool| pool.tls.enabled && !pool.tls.insecure);
        let fingerprint = pool.map(|pool| {
            let fingerprint = pool.tls.fingerprint.as_ref();
            fingerprint.map(ToString::to_string).unwrap_or_default()
        });
        let is_other = |known: &String| {
            let new = fingerprint.as_ref().filter(|new| !new.is_empty());
            new.is_some_and(|new| new != known)
        };
        let pins_another = self.known_fingerprint.as_ref().is_some_and(is_other);
        let exposed = self.known_proven == Some(true)
            && (proven == Some(false) || proven.is_some() && pins_another);
        if proven.is_some() && !exposed {
            self.known_proven = proven;
            self.known_fingerprint = fingerprint;
        }
        let is_news = self.present != new || exposed && self.changed.is_none();
        self.present = new;
        if self.present.is_none() {
            // Nothing is paid at the moment; the next configuration is compared with the known one.
            self.changed = None;
        } else if self.known.is_none() {
            self.known.clone_from(&self.present);
        } else if (self.known != self.present || exposed) && (is_news || self.changed.is_none()) {
            // Never the same time twice, so that dismissing one change does not dismiss a later one. A change that was
            // undone is still reported, because in the meantime the earnings went elsewhere.
            let after = self.changed.map_or(0, |changed| changed.saturating_add(1));
            self.changed = Some(unix_ms.max(after));
        }
    }

    /// The owner confirmed the change of this time. A later one is not confirmed.
    pub fn seen(&mut self, changed: u64) {
        if self.changed == Some(changed) {
            self.known.clone_from(&self.present);
            self.known_proven = None;
            self.known_fingerprint = None;
            self.changed = None;
        }
    }

    /// Since when it has differed from what the owner confirmed, in milliseconds since 1970.
    pub fn changed(&self) -> Option<u64> {
        self.changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(wallet: &str) -> PoolConfig {
        let text = format!(r#"{{"pools":{{"A":{{"host":"pool","wallet":"{wallet}"}}}}}}"#);
        let config = crate::config::parse(&text).unwrap().config;
        config.pools[PoolSlot::A].clone().unwrap()
    }

    #[test]
    fn a_pool_that_no_longer_proves_its_identity_is_reported() {
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
            // More security needs no warning.
            payout.update(Some(&proven), 5);
            assert_eq!(payout.changed(), None);
            payout.update(Some(exposed), 6);
            assert_eq!(payout.changed(), Some(6));
        }
    }

    #[test]
    fn another_accepted_certificate_is_reported() {
        let mut by_authority = pool("mine");
        by_authority.tls.enabled = true;
        let pinned = |byte| {
            let mut pool = by_authority.clone();
            pool.tls.fingerprint = Some(crate::config::Fingerprint([byte; 32]));
            pool
        };
        for (before, after, reported) in [
            (&by_authority, &pinned(1), true),
            (&pinned(1), &pinned(2), true),
            (&pinned(1), &pinned(1), false),
            (&pinned(1), &by_authority, false),
            (&pool("mine"), &pinned(1), false),
        ] {
            let mut payout = Payout::default();
            payout.update(Some(before), 1);
            let text = serde_json::to_string(&payout).unwrap();
            let mut payout: Payout = serde_json::from_str(&text).unwrap();
            payout.update(Some(after), 2);
            assert_eq!(payout.changed(), reported.then_some(2), "{after:?}");
            payout.seen(2);
            payout.update(Some(after), 3);
            assert_eq!(payout.changed(), None);
        }
        // A file from an earlier version does not say which certificate it was.
        let mut earlier: Payout = serde_json::from_str(
            r#"{"known": "pool:3333 mine {wallet}.{worker}", "known_proven": true}"#,
        )
        .unwrap();
        earlier.update(Some(&pinned(1)), 1);
        assert_eq!(earlier.changed(), None);
    }

    #[test]
    fn swapping_the_two_pools_is_not_reported() {
        let mut payouts = PerPool::<Payout>::default();
        let set = |payouts: &mut PerPool<Payout>, wallets: [&str; 2], ms| {
            for (slot, wallet) in PoolSlot::ALL.into_iter().zip(wallets) {
                payouts[slot].update(Some(&pool(wallet)), ms);
            }
        };
        let places = |wallets: [&str; 2]| {
            let [a, b] = wallets.map(|wallet| Some(Payout::place(&pool(wallet))));
            PerPool::new(a, b)
        };
        set(&mut payouts, ["mine", "other"], 1);
        assert!(Payout::are_swapped(&payouts, &places(["other", "mine"])));
        for wallets in [["mine", "other"], ["other", "third"], ["third", "mine"]] {
            assert!(
                !Payout::are_swapped(&payouts, &places(wallets)),
                "{wallets:?}"
            );
        }
        set(&mut payouts, ["mine", "mine"], 2);
        assert!(!Payout::are_swapped(&payouts, &places(["mine", "mine"])));
    }

    #[test]
    fn a_change_is_reported_until_it_is_dismissed() {
        let mut payout = Payout::default();
        payout.update(None, 1);
        payout.update(Some(&pool("mine")), 2);
        assert_eq!(payout.changed(), None, "the first one is set by the owner");
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
