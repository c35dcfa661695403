//! The log format of a [`Fact`]: its name, level and fields.
//!
//! The names and fields are documented in `docs/events.md`; a test compares both.

mod fields;
mod name;

use ::log::Level;

use crate::core::fact::Fact;

use fields::Fields;
pub use name::{Name, level, name};

/// The line for a fact, without a line end. `unix_ms`: when it happened, in milliseconds since 1970. `count`: how many
/// events it represents, of which it is the newest.
pub fn line(fact: &Fact, unix_ms: u64, count: u64, show_wallets: bool) -> String {
    let mut fields = Fields::new(name(fact), level(fact), unix_ms, show_wallets);
    fields.add_fact(fact);
    if count > 1 {
        fields.put("count", count);
    }
    fields.into_line()
}

/// The line for a library's message. It is not one of our facts, but must still fit the log's format.
pub(super) fn library_line(
    level: Level,
    target: &str,
    text: &str,
    unix_ms: u64,
    count: u64,
) -> String {
    let mut fields = Fields::new(Name::LibraryMessage, level, unix_ms, false);
    fields.put("library", target);
    fields.text("text", text);
    if count > 1 {
        fields.put("count", count);
    }
    fields.into_line()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Map, Value};

    use super::fields::{LONGEST_TEXT, level_text};
    use super::*;
    use crate::observe::samples::{ADDRESS, samples};

    const DOCS: &str = include_str!("../../docs/events.md");

    fn parsed(fact: &Fact, show_wallets: bool) -> Map<String, Value> {
        let line = line(fact, 1_795_428_672_345, 1, show_wallets);
        assert!(!line.contains('\n'), "{line}");
        match serde_json::from_str(&line).unwrap() {
            Value::Object(fields) => fields,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn every_fact_becomes_a_json_object_with_time_level_and_event() {
        for fact in samples() {
            let fields = parsed(&fact, false);
            let first: Vec<_> = fields.keys().take(3).map(String::as_str).collect();
            assert_eq!(first, ["ts", "level", "event"]);
            assert_eq!(fields["ts"], "2026-11-23T10:11:12.345Z");
            assert_eq!(fields["event"], name(&fact).text());
            assert_eq!(fields["level"], level_text(level(&fact)));
        }
    }

    #[test]
    fn there_is_a_sample_of_every_name_and_a_bit_for_each() {
        let seen: BTreeSet<_> = samples().iter().map(name).collect();
        let all: BTreeSet<_> = Name::ALL.iter().copied().collect();
        let missing: Vec<_> = all.difference(&seen).collect();
        assert_eq!(missing, [&Name::LibraryMessage]);
        let bits = Name::ALL.iter().fold(0, |bits, name| bits | name.bit());
        assert_eq!(bits.count_ones(), u32::try_from(Name::ALL.len()).unwrap());
    }

    #[test]
    fn a_line_for_several_events_says_how_many() {
        let fact = Fact::Stopping;
        assert!(!line(&fact, 0, 1, false).contains("count"));
        assert!(line(&fact, 0, 300, false).ends_with(",\"count\":300}"));
    }

    #[test]
    fn no_sample_shows_a_wallet_unless_asked_to() {
        let mut hidden = 0;
        for fact in samples() {
            assert!(!line(&fact, 0, 1, false).contains(ADDRESS), "{fact:?}");
            assert!(!line(&fact, 0, 1, false).contains("nakamoto"), "{fact:?}");
            hidden += usize::from(line(&fact, 0, 1, true).contains(ADDRESS));
        }
        assert!(hidden >= 5, "{hidden}");
        assert!(!library_line(Level::Warn, "x", ADDRESS, 0, 1).contains(ADDRESS));
    }

    #[test]
    fn text_from_a_peer_is_cut() {
        let fact = Fact::ConfigWarning {
            text: "ä ".repeat(100_000),
        };
        assert!(line(&fact, 0, 1, true).len() < 2 * LONGEST_TEXT + 200);
    }

    /// The fields that the docs list for an event: the words in backticks before an item's colon.
    fn documented_fields(name: Name) -> BTreeSet<&'static str> {
        let heading = format!("### `{name}`\n");
        let start = DOCS
            .find(&heading)
            .unwrap_or_else(|| panic!("{name} is not in the docs"));
        let section = &DOCS[start + heading.len()..];
        let section = section.split("\n#").next().unwrap();
        let items = section
            .lines()
            .filter(|line| line.starts_with("- `"))
            .filter_map(|line| line.split(':').next());
        items
            .flat_map(|names| names.split('`').skip(1).step_by(2))
            .collect()
    }

    #[test]
    fn the_docs_list_every_event_and_no_other() {
        let documented: Vec<_> = DOCS
            .lines()
            .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
            .collect();
        let all: Vec<_> = Name::ALL.iter().map(|name| name.text()).collect();
        assert_eq!(documented, all);
    }

    #[test]
    fn the_docs_list_every_field_and_no_other() {
        for fact in samples() {
            let fields = parsed(&fact, false);
            let names: BTreeSet<_> = fields.keys().skip(3).map(String::as_str).collect();
            assert_eq!(documented_fields(name(&fact)), names, "{}", name(&fact));
        }
    }

    #[test]
    fn the_docs_name_every_level() {
        for fact in samples() {
            let heading = format!("### `{}`\n", name(&fact));
            let start = DOCS.find(&heading).unwrap() + heading.len();
            let levels = DOCS[start..].trim_start().lines().next().unwrap();
            let level = level_text(level(&fact));
            assert!(
                levels.starts_with("Level:") && levels.contains(level),
                "{heading}{levels}"
            );
        }
    }

    #[test]
    fn a_share_event_reads_as_documented() {
        let share = samples()
            .into_iter()
            .find(|fact| name(fact) == Name::ShareResult)
            .unwrap();
        let example = line(&share, 1_795_428_672_345, 1, false);
        assert!(DOCS.contains(&example), "{example}");
    }
}
