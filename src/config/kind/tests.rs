//! What each kind accepts and refuses.

use super::choice::LogLevel;
use super::number::*;
use super::text::*;
use super::*;
use crate::config::Level;

/// What a kind makes of some JSON, as its `Debug` text; `-` if it refuses it.
fn check<K: Kind<Meaning: std::fmt::Debug>>(kind: &K, json: &str) -> String {
    let value: Value = serde_json::from_str(json).unwrap();
    kind.read(&value)
        .map_or("-".to_owned(), |meaning| format!("{meaning:?}"))
}

fn table<K: Kind<Meaning: std::fmt::Debug>>(kind: &K, rows: &[(&str, &str)]) {
    for (json, expected) in rows {
        assert_eq!(check(kind, json), *expected, "{json}");
    }
}

#[test]
fn whole_numbers_are_checked() {
    let kind = Whole {
        default: 5,
        min: 1,
        max: 100,
    };
    table(
        &kind,
        &[
            ("1", "1"),
            ("100", "100"),
            ("7.0", "7"),
            ("7e1", "70"),
            ("0", "-"),
            ("101", "-"),
            ("7.5", "-"),
            ("-1", "-"),
            ("-7.0", "-"),
            ("1e300", "-"),
            ("18446744073709551616", "-"),
            ("\"7\"", "-"),
            ("true", "-"),
            ("[7]", "-"),
        ],
    );
    assert_eq!(kind.allowed(), "a whole number from 1 to 100");
    let from_zero = Whole { min: 0, ..kind };
    table(&from_zero, &[("0", "0"), ("-0.0", "0"), ("0.0", "0")]);
}

#[test]
fn ports_are_checked() {
    table(
        &Port(3333),
        &[
            ("1", "1"),
            ("65535", "65535"),
            ("\"3333\"", "3333"),
            ("\" 3333 \"", "3333"),
            ("3333.0", "3333"),
            ("0", "-"),
            ("65536", "-"),
            ("\"0\"", "-"),
            ("\"+1\"", "-"),
            ("\"\"", "-"),
            ("\"1e3\"", "-"),
            ("-1", "-"),
            ("{}", "-"),
        ],
    );
}

#[test]
fn durations_are_checked() {
    let kind = || Seconds {
        default: 10,
        min: 0.1,
        max: 3600,
    };
    table(
        &kind(),
        &[
            ("0.1", "100ms"),
            ("3600", "3600s"),
            ("1.5", "1.5s"),
            ("0", "-"),
            ("0.09", "-"),
            ("3600.001", "-"),
            ("1e308", "-"),
            ("-5", "-"),
            ("\"10\"", "-"),
        ],
    );
    table(
        &SecondsOrNever(kind()),
        &[
            ("0", "None"),
            ("-0.0", "None"),
            ("1", "Some(1s)"),
            ("0.01", "-"),
            ("false", "-"),
        ],
    );
    assert_eq!(
        SecondsOrNever(kind()).allowed(),
        "0, or a number from 0.1 to 3600"
    );
}

#[test]
fn weights_and_bounds_are_checked() {
    table(
        &Weight(50),
        &[
            ("0", "0.0"),
            ("-0.0", "0.0"),
            ("70", "70.0"),
            ("0.7", "0.7"),
            ("0.000001", "1e-6"),
            ("1000000", "1000000.0"),
            ("1e-7", "-"),
            ("5e-324", "-"),
            ("1000001", "-"),
            ("-1", "-"),
            ("null", "-"),
        ],
    );
    table(
        &Bound,
        &[
            ("0", "None"),
            ("1024", "Some(Difficulty(1024.0))"),
            ("0.5", "Some(Difficulty(0.5))"),
            ("1e60", "Some(Difficulty(1e60))"),
            ("1e300", "-"),
            ("-1", "-"),
            ("\"1\"", "-"),
        ],
    );
}

#[test]
fn texts_are_checked() {
    let kind = Text {
        choices: &[],
        default: "x",
        longest: 5,
    };
    table(
        &kind,
        &[
            ("\" a b \"", "\"a b\""),
            ("\"\"", "\"\""),
            ("\"ééééé\"", "\"ééééé\""),
            ("\"123456\"", "-"),
            ("\"a\\nb\"", "-"),
            ("\"a\\u0000\"", "-"),
            ("5", "-"),
        ],
    );
    table(
        &Secret { longest: 5 },
        &[
            ("\"\"", "None"),
            ("\" x \"", "Some(\" x \")"),
            ("\"123456\"", "-"),
            ("5", "-"),
        ],
    );
    table(
        &Names {
            most: 2,
            longest: 3,
        },
        &[
            ("[]", "[]"),
            ("[\" a \",\"b\"]", "[\"a\", \"b\"]"),
            ("[\"a\",\"b\",\"c\"]", "-"),
            ("[\"abcd\"]", "-"),
            ("[\" \"]", "-"),
            ("[1]", "-"),
            ("\"a\"", "-"),
        ],
    );
}

#[test]
fn levels_are_checked() {
    table(
        &LogLevel(Level::Info),
        &[
            ("\"INFO\"", "Info"),
            ("\"Warning\"", "Warn"),
            ("\"CRITICAL\"", "Error"),
            ("\" trace\"", "Trace"),
            ("\"off\"", "Off"),
            ("\"loud\"", "-"),
            ("20", "-"),
        ],
    );
}
