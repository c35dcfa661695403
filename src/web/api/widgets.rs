//! `GET /widgets/stats`: four values for umbrelOS's home screen.

use serde_json::{Value, json};

use super::Moment;
use super::status::{hashrate, time_share_a, working};
use crate::core::outage::Health;
use crate::core::snapshot::Snapshot;
use crate::units::PoolSlot;

/// What is shown for unknown values.
const UNKNOWN: &str = "–";

/// The units of hashrates, each a thousand times the previous one.
const UNITS: &[&str] = &["H/s", "kH/s", "MH/s", "GH/s", "TH/s", "PH/s", "EH/s"];

/// The answer.
pub fn stats(moment: &Moment<'_>) -> Value {
    let snapshot = &**moment.snapshot;
    let (rate, unit) =
        hashrate(snapshot).map_or((UNKNOWN.to_owned(), ""), |rate| scaled(rate, UNITS));
    let share_a = time_share_a(snapshot).map_or(UNKNOWN.to_owned(), percent);
    let target = percent(moment.config.share(PoolSlot::A));
    let item = |title: &str, text: String, subtext: String| json!({"title": title, "text": text, "subtext": subtext});
    json!({
        "type": "four-stats",
        "refresh": "5s",
        "link": "",
        "items": [
            item("Hashrate", rate, unit.to_owned()),
            item("Time for A", share_a, format!("target {target}")),
            item("Miners", working(snapshot).to_string(), format!("of {}", snapshot.miners.len())),
            pools(snapshot),
        ],
    })
}

fn pools(snapshot: &Snapshot) -> Value {
    let in_use = || {
        let pools = snapshot.pools.iter();
        pools.filter(|(_, pool)| pool.in_use)
    };
    let up = in_use()
        .filter(|(_, pool)| pool.health == Health::Up)
        .count();
    let subtext = format!("of {} up", in_use().count());
    json!({"title": "Pools", "text": up.to_string(), "subtext": subtext})
}

fn percent(part: f64) -> String {
    format!("{:.1}%", 100.0 * part)
}

/// A number with three digits, and its unit. Each of the `units` is a thousand times the previous one.
pub(super) fn scaled(number: f64, units: &[&'static str]) -> (String, &'static str) {
    let (mut value, mut index) = (number, 0);
    while value >= 999.5 && index + 1 < units.len() {
        value /= 1000.0;
        index += 1;
    }
    let text = if value >= 99.95 {
        format!("{value:.0}")
    } else if value >= 9.995 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    };
    (text, units[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashrates_have_three_digits() {
        for (rate, text, unit) in [
            (0.0, "0.00", "H/s"),
            (999.4, "999", "H/s"),
            (999.6, "1.00", "kH/s"),
            (1.234e12, "1.23", "TH/s"),
            (56.78e12, "56.8", "TH/s"),
            (9.996e12, "10.0", "TH/s"),
            (123.4e18, "123", "EH/s"),
            (123.4e21, "123400", "EH/s"),
        ] {
            assert_eq!(scaled(rate, UNITS), (text.to_owned(), unit), "{rate}");
        }
    }
}
