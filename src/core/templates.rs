//! Which work was handed out lately, so that none is handed out twice.
//!
//! Some pools give an extranonce1 out again, to the same miner after a reconnect or to another one, and go on with the
//! job that they had (QUIRKS Q54). With the same time in the header that would be the same work.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::stratum::job::TemplateKey;

/// For how long work is surely remembered. No pool keeps a job so long.
const SURELY: Duration = Duration::from_secs(3600);

/// How much of it at the most, twice.
const MOST: usize = 65_536;

/// The work that was handed out, and up to which time in the header. In bounded memory.
#[derive(Clone, Debug, Default)]
pub struct Templates {
    newer: HashMap<TemplateKey, u32>,
    older: HashMap<TemplateKey, u32>,
    since: Option<Instant>,
}

impl Templates {
    /// The latest time in the header with which this was handed out.
    pub fn last_ntime(&self, key: TemplateKey) -> Option<u32> {
        let [newer, older] = [&self.newer, &self.older].map(|known| known.get(&key).copied());
        newer.max(older)
    }

    /// Notes that this was handed out with a time in the header.
    pub fn note(&mut self, key: TemplateKey, ntime: u32, now: Instant) {
        let since = *self.since.get_or_insert(now);
        if self.newer.len() >= MOST || now.saturating_duration_since(since) >= SURELY {
            self.older = std::mem::take(&mut self.newer);
            self.since = Some(now);
        }
        let last = self.newer.entry(key).or_insert(ntime);
        *last = (*last).max(ntime);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_remembered_for_an_hour_and_not_for_ever() {
        let mut templates = Templates::default();
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let start = Instant::now();
        let [one, other] = [TemplateKey::of(1), TemplateKey::of(2)];
        templates.note(one, 7, start);
        templates.note(one, 5, start);
        assert_eq!(templates.last_ntime(one), Some(7));
        assert_eq!(templates.last_ntime(other), None);
        templates.note(other, 1, start + SURELY);
        assert_eq!(templates.last_ntime(one), Some(7));
        templates.note(other, 2, start + 2 * SURELY);
        assert_eq!(templates.last_ntime(one), None);
        assert_eq!(templates.last_ntime(other), Some(2));
    }
}
