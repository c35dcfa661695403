//! What the measured split means, in words. Shares come by chance, so what is measured strays from the target. A figure is
//! only judged if nothing else can explain that.
//!
//! - If a pool was down, or the split was changed in the time that was measured, that is said instead.

use serde::Serialize;

use super::Moment;
use crate::history::Window;
use crate::units::PoolSlot;

/// Two standard deviations hold 95 of 100 cases.
const BAND: f64 = 2.0;

/// A verdict.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Verdict {
    kind: &'static str,
    text: &'static str,
    why: String,
    /// Both in a few words.
    short: String,
}

impl Verdict {
    /// About the last `minutes`.
    pub(super) fn of(window: &Window, minutes: u64, moment: &Moment<'_>) -> Self {
        let target = moment.config.share(PoolSlot::A);
        let target = window.meant_share_a.unwrap_or(target);
        match disturbance(window, minutes, moment) {
            _ if window.known_seconds < 60.0 => {
                let why = "Less than a minute is known.";
                Self::new("quiet", "Not measured yet", why)
            }
            Some((short, why)) => Self {
                short: format!("not judged: {short}"),
                ..Self::new("quiet", "Not judged", why)
            },
            None => judge(window, target),
        }
    }

    fn new(kind: &'static str, text: &'static str, why: impl Into<String>) -> Self {
        Self {
            kind,
            text,
            why: why.into(),
            short: text.to_lowercase(),
        }
    }
}

/// What else than luck there was, in a few words and in a sentence.
fn disturbance(window: &Window, minutes: u64, moment: &Moment<'_>) -> Option<(String, String)> {
    let down = window.down.iter().find(|(_, seconds)| **seconds >= 1.0);
    if let Some((slot, seconds)) = down {
        let config = moment.config.pools[slot].as_ref();
        let name = config.map_or_else(|| format!("Pool {slot}"), |pool| pool.name.clone());
        let why = format!("{name} was down for {} of this time.", span(*seconds));
        return Some((format!("{name} was down"), why));
    }
    let changed = moment.snapshot.courses.first()?.from_ms;
    let age = moment.now.unix_ms.saturating_sub(changed) / 1000;
    (age < minutes * 60).then(|| {
        let age = f64::from(u32::try_from(age).unwrap_or(u32::MAX));
        let why = format!("The split was changed {} ago.", span(age));
        ("the split was changed".to_owned(), why)
    })
}

fn judge(window: &Window, target: f64) -> Verdict {
    let (Some(share), Some(sigma)) = (window.share_a, window.expected_error) else {
        return Verdict::new("quiet", "Not known yet", "Too few shares so far.");
    };
    // What luck scatters about: the time that really went to A.
    let middle = window.time_share_a.unwrap_or(target);
    let off = (share - middle).abs();
    let shares = window.accepted[PoolSlot::A] + window.accepted[PoolSlot::B];
    let band = points(BAND * sigma);
    let size = format!("{} shares, luck: ± {band}%", grouped(shares));
    if off > 3.0 * sigma && off > 0.001 {
        let why = format!("{size}. Rejected shares may be why; see Logs.");
        Verdict::new("bad", "More than luck", why)
    } else if (middle - target).abs() > f64::max(0.02, BAND * sigma) {
        let why = format!("{}:{} by time.", points(middle), points(1.0 - middle));
        Verdict::new("quiet", "Not at the target", why)
    } else if off > BAND * sigma {
        Verdict::new("fair", "Rare, but still luck", size)
    } else {
        Verdict {
            short: format!("within luck (± {band}%)"),
            ..Verdict::new("good", "Within luck", size)
        }
    }
}

/// A part of 1 in percent, with one decimal at most.
fn points(part: f64) -> String {
    let text = format!("{:.1}", 100.0 * part);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// 12,345
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// 40 s, 5 min, 3 h
fn span(seconds: f64) -> String {
    match seconds {
        ..90.0 => format!("{seconds:.0} s"),
        ..5400.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.0} h", seconds / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::past_splits::Course;
    use crate::core::snapshot::Snapshot;
    use crate::units::PerPool;

    fn window(share: f64, time: f64) -> Window {
        Window {
            known_seconds: 600.0,
            share_a: Some(share),
            expected_error: Some(0.005),
            time_share_a: Some(time),
            meant_share_a: Some(0.7),
            accepted: PerPool::new(700.0, 534.0),
            ..Window::default()
        }
    }

    #[test]
    fn luck_is_separated_from_real_differences() {
        let words = |share, time| {
            let verdict = judge(&window(share, time), 0.7);
            (verdict.text, verdict.short)
        };
        assert_eq!(words(0.704, 0.7).1, "within luck (± 1%)");
        assert_eq!(words(0.712, 0.7).0, "Rare, but still luck");
        assert_eq!(words(0.72, 0.7).0, "More than luck");
        assert_eq!(words(0.5, 0.5).0, "Not at the target");
        let size = judge(&window(0.7, 0.7), 0.7).why;
        assert_eq!(size, "1,234 shares, luck: ± 1%");
    }

    #[test]
    fn times_of_outage_and_before_a_change_are_not_judged() {
        let config =
            crate::config::parse(r#"{"pools":{"A":{"host":"p","wallet":"w","name":"One"}}}"#);
        let config = Arc::new(config.unwrap().config);
        let mut snapshot = Snapshot::default();
        let at = crate::system::clock::now();
        let of = |window: &Window, minutes, snapshot: &Snapshot| {
            let snapshot = Arc::new(snapshot.clone());
            let moment = Moment {
                snapshot: &snapshot,
                config: &config,
                now: at,
            };
            Verdict::of(window, minutes, &moment)
        };
        let mut window = window(0.7, 0.7);
        assert_eq!(of(&window, 10, &snapshot).kind, "good");
        snapshot.courses = vec![Course {
            work: crate::config::steering::Work::Pause,
            from_ms: at.unix_ms - 1_200_000,
        }];
        assert_eq!(of(&window, 10, &snapshot).kind, "good", "before this time");
        let verdict = of(&window, 60, &snapshot);
        assert_eq!(
            (verdict.kind, verdict.why.as_str()),
            ("quiet", "The split was changed 20 min ago.")
        );
        window.down[PoolSlot::A] = 30.0;
        window.expected_error = None;
        let verdict = of(&window, 10, &snapshot);
        assert_eq!(verdict.short, "not judged: One was down");
        assert_eq!(verdict.why, "One was down for 30 s of this time.");
    }
}
