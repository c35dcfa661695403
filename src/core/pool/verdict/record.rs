//! How many of a pool's shares it answers, in the order in which they were sent.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::SELDOM;

/// Shares sent within this time are counted together.
const PIECE: Duration = Duration::from_secs(10);

/// A pool is judged by at least this many shares.
const SHARES: u32 = 20;

/// And by the shares of at least this many periods, so that a short outage does not count.
const PIECES: usize = 6;

/// How many periods are kept. Enough for the longest `answer_seconds`.
const MOST_PIECES: usize = 256;

/// How many answers show that a pool answers again.
const ENOUGH_ANSWERED: u32 = 10;

/// The results of the shares sent to a pool. They are in the order of sending, because an answer arrives long before
/// another share is given up.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// When the first period began.
    origin: Option<Instant>,
    pieces: BTreeMap<u64, Piece>,
}

/// The shares of one period.
#[derive(Clone, Copy, Debug, Default)]
struct Piece {
    answered: u32,
    lost: u32,
}

impl Record {
    /// Starts over: only later shares count.
    pub(super) fn restart(&mut self, now: Instant) {
        self.origin = Some(now);
        self.pieces.clear();
    }

    /// A share that was sent then was answered in time.
    pub(super) fn answered(&mut self, sent: Instant) {
        if let Some(piece) = self.piece(sent) {
            piece.answered = piece.answered.saturating_add(1);
        }
    }

    /// A share that was sent then was answered after it was given up.
    pub(super) fn answered_late(&mut self, sent: Instant) {
        if let Some(piece) = self.piece(sent) {
            piece.lost = piece.lost.saturating_sub(1);
            piece.answered = piece.answered.saturating_add(1);
        }
    }

    /// A share that was sent then was given up.
    pub(super) fn lost(&mut self, sent: Instant) {
        if let Some(piece) = self.piece(sent) {
            piece.lost = piece.lost.saturating_add(1);
        }
    }

    /// Whether at least 70% of the last shares with a known result were not answered. A pool that loses every fifth
    /// share never gets there by chance. `patience`: how long a share may wait for its answer.
    pub(super) fn is_bad(&self, patience: Duration, now: Instant) -> bool {
        let Some(origin) = self.origin else {
            return false;
        };
        let since = |time: Duration| now.saturating_duration_since(origin).checked_sub(time);
        // Newer shares may still be answered.
        let Some(known) = since(patience).map(number) else {
            return false;
        };
        let oldest = since(SELDOM * SHARES).map_or(0, number);
        let twice = usize::try_from(number(patience * 2)).unwrap_or(MOST_PIECES);
        let needed = PIECES.max(twice);
        let (mut answered, mut lost) = (0u32, 0u32);
        for (count, (_, piece)) in self
            .pieces
            .range(oldest..known.max(oldest))
            .rev()
            .enumerate()
        {
            answered = answered.saturating_add(piece.answered);
            lost = lost.saturating_add(piece.lost);
            if count + 1 >= needed && answered.saturating_add(lost) >= SHARES {
                let all = u64::from(answered) + u64::from(lost);
                return u64::from(lost) * 10 >= all * 7;
            }
        }
        false
    }

    /// Whether enough shares were answered and few lost since it started over.
    pub(super) fn is_good(&self) -> bool {
        let sum = |of: fn(&Piece) -> u32| self.pieces.values().map(of).fold(0, u32::saturating_add);
        let (answered, lost) = (sum(|piece| piece.answered), sum(|piece| piece.lost));
        answered >= ENOUGH_ANSWERED && answered / 2 >= lost
    }

    /// Shares that were sent before it started over do not count.
    fn piece(&mut self, sent: Instant) -> Option<&mut Piece> {
        let origin = *self.origin.get_or_insert(sent);
        let number = number(sent.checked_duration_since(origin)?);
        if self.pieces.len() == MOST_PIECES && !self.pieces.contains_key(&number) {
            self.pieces.pop_first();
        }
        Some(self.pieces.entry(number).or_default())
    }
}

fn number(since: Duration) -> u64 {
    since.as_secs() / PIECE.as_secs()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Whether it is bad at any time, with a share every `every` seconds, of which `lost` says which are lost.
    fn is_ever_bad(every: u64, lost: impl Fn(u64) -> bool) -> bool {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut record = Record::default();
        record.restart(start);
        let mut bad = false;
        for second in 0..200 * every {
            if second % every == 0 && !lost(second) {
                record.answered(at(second));
            }
            let before = second.checked_sub(30).filter(|sent| sent % every == 0);
            if let Some(sent) = before.filter(|sent| lost(*sent)) {
                record.lost(at(sent));
            }
            bad |= record.is_bad(PATIENCE, at(second));
        }
        bad
    }

    #[test]
    fn most_shares_must_be_lost_for_a_while() {
        for every in [1, 10, 400] {
            let share = |second: u64| second / every;
            assert!(
                is_ever_bad(every, |second| share(second) % 5 != 0),
                "{every}"
            );
            assert!(
                is_ever_bad(every, |second| share(second) % 20 != 0),
                "{every}"
            );
            assert!(
                !is_ever_bad(every, |second| share(second) % 5 == 0),
                "{every}"
            );
            assert!(
                !is_ever_bad(every, |second| share(second) % 2 == 0),
                "{every}"
            );
        }
        assert!(!is_ever_bad(1, |second| (80..109).contains(&second)));
        assert!(!is_ever_bad(700, |_| true), "too few shares");
    }

    #[test]
    fn late_answers_count_as_answers() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut record = Record::default();
        for second in 0..100 {
            record.lost(at(second));
        }
        assert!(record.is_bad(PATIENCE, at(200)) && !record.is_good());
        for second in 0..100 {
            record.answered_late(at(second));
        }
        assert!(!record.is_bad(PATIENCE, at(200)) && record.is_good());
        record.restart(at(200));
        record.lost(at(199));
        assert!(record.pieces.is_empty());
    }
}
