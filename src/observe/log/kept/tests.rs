//! Reads kept files by day and in pages, with gaps, foreign lines and compressed files.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;

/// An event of the minute `at`, as it is in the log.
fn event(at: u64, level: &str, name: &str) -> String {
    let ts = rfc3339(at * 60_000);
    format!("{{\"ts\":\"{ts}\",\"level\":\"{level}\",\"event\":\"{name}\",\"n\":{at}}}\n")
}

fn share(at: u64) -> String {
    event(at, "info", "share_result")
}

fn shares(range: std::ops::Range<u64>) -> String {
    range.map(share).collect()
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn packed(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

fn all() -> Search {
    Search {
        from_ms: 0,
        to_ms: 10_000_000_000_000,
        level: Level::Trace,
        event: String::new(),
        without: Vec::new(),
        pool: String::new(),
        text: String::new(),
        limit: 100,
    }
}

fn numbers(found: &Found) -> Vec<u64> {
    let fields = found.events.iter().map(|event| event.get());
    let parsed = fields.map(|text| serde_json::from_str::<serde_json::Value>(text).unwrap());
    parsed.map(|event| event["n"].as_u64().unwrap()).collect()
}

/// Everything that is found, page by page, and how many pages it took.
fn pages(folder: &TempDir, wanted: &Search) -> (Vec<u64>, usize) {
    let (mut all, mut start, mut count) = (Vec::new(), None, 0);
    loop {
        let found = search(folder.path(), wanted, start).unwrap();
        assert!(found.events.len() <= wanted.limit);
        all.extend(numbers(&found));
        count += 1;
        start = found.next;
        if start.is_none() {
            return (all, count);
        }
    }
}

fn down(range: std::ops::Range<u64>) -> Vec<u64> {
    range.rev().collect()
}

#[test]
fn all_files_are_read_back_whether_compressed_or_not() {
    let folder = folder(&[
        ("dpmp_r00000.log.gz", &packed(&shares(0..30))),
        ("dpmp_r00001.log.gz", &packed(&shares(30..40))),
        // Still being compressed.
        ("dpmp_r00002.log.gz", b"\x1f\x8b half a file"),
        ("dpmp_r00002.log", shares(40..45).as_bytes()),
        ("dpmp_r00003.log", b""),
        ("dpmp_rCURRENT.log", shares(45..50).as_bytes()),
        ("other.log", share(99).as_bytes()),
    ]);
    for limit in [1, 3, 7, 100] {
        let wanted = Search { limit, ..all() };
        let (found, count) = pages(&folder, &wanted);
        assert_eq!(found, down(0..50), "{limit} a page");
        assert!(count <= 50 / limit + 6, "{count} pages of {limit}");
    }
    let oldest = search(folder.path(), &all(), None).unwrap().oldest;
    assert_eq!(oldest.as_deref(), Some("1970-01-01T00:00:00.000Z"));
}

/// A problem, its end, and something else.
fn folder_with_ends() -> TempDir {
    let began = event(15, "error", "trouble_began");
    let text = began + &event(16, "info", "trouble_over") + &event(17, "info", "pool_up");
    folder(&[("dpmp_rCURRENT.log", text.as_bytes())])
}

#[test]
fn time_and_the_other_filters_are_obeyed() {
    let text: String = (0..60)
        .map(|at| match at % 6 {
            0 => event(at, "warn", "pool_down"),
            1 => event(at, "error", "panicked"),
            2 => event(at, "debug", "job_received"),
            _ => share(at),
        })
        .collect();
    let (old, new) = text.split_at(text.len() / 2);
    let new = format!(
        "{new}{{\"ts\":\"1970-01-01T01:30:00.000Z\",\"level\":\"info\",\"event\":\"x\",\"from\":\"A\",\"n\":90}}\n"
    );
    let folder = folder(&[
        ("dpmp_r00000.log", old.as_bytes()),
        ("dpmp_rCURRENT.log", new.as_bytes()),
    ]);
    let find = |wanted: Search| pages(&folder, &wanted).0;
    let (from_ms, to_ms) = (10 * 60_000, 20 * 60_000);
    let minutes = Search {
        from_ms,
        to_ms,
        ..all()
    };
    assert_eq!(find(minutes.clone()), down(10..20));
    let troubles = Search {
        level: Level::Warn,
        ..minutes.clone()
    };
    assert_eq!(find(troubles.clone()), [19, 18, 13, 12]);
    let over = folder_with_ends();
    assert_eq!(pages(&over, &troubles.clone()).0, [16, 15]);
    let named = Search {
        event: "job_received".into(),
        ..minutes.clone()
    };
    assert_eq!(find(named), [14]);
    let others = Search {
        without: vec!["share_result".into(), "pool_down".into()],
        ..minutes.clone()
    };
    assert_eq!(find(others), [19, 14, 13]);
    let text = Search {
        text: "\"n\":12".into(),
        ..minutes
    };
    assert_eq!(find(text), [12]);
    let pool = Search {
        pool: "A".into(),
        ..all()
    };
    assert_eq!(find(pool), [90]);
}

#[test]
fn events_are_found_around_any_garbage_in_a_file() {
    let long = format!("{{\"ts\":\"{}\"}}", "x".repeat(3 * LONGEST_LINE));
    for rubbish in [
        "",
        "\n\n\n",
        "half a li",
        "[\"1970-01-01T00:00:00.000Z\",\"info\",\"x\"]",
        "{\"ts\":7,\"level\":\"info\",\"event\":\"x\"}",
        "{\"ts\":\"1970-01-01T00:00:00.000Z\",\"level\":\"loud\",\"event\":\"x\"}",
        "{\"ts\":\"1970-01-01T00:00:00.000Z\",\"ts\":\"\",\"level\":\"info\",\"event\":\"x\"}",
        &"[".repeat(100_000),
        &"x".repeat(LONGEST_LINE),
        &"x".repeat(LONGEST_LINE + PIECE),
        &long,
        "\0\0\0\0",
    ] {
        let text = format!("{}{rubbish}\n{}", shares(0..3), shares(3..5));
        let folder = folder(&[("dpmp_rCURRENT.log", text.as_bytes())]);
        for limit in [1, 100] {
            let wanted = Search { limit, ..all() };
            let start: String = rubbish.chars().take(40).collect();
            assert_eq!(pages(&folder, &wanted).0, down(0..5), "{start:?}");
        }
    }
    let torn = [shares(0..2).as_bytes(), b"{\"ts\":\"\xff\xfe"].concat();
    let folder = folder(&[
        ("dpmp_r00000.log.gz", &packed(&shares(0..9))[..40]),
        ("dpmp_rCURRENT.log", &torn),
    ]);
    assert!(pages(&folder, &all()).0.starts_with(&[1, 0]));
    let wrong_place = Mark {
        file: 1,
        byte: u64::MAX,
    };
    assert!(search(folder.path(), &all(), Some(wrong_place)).is_ok());
}

#[test]
fn a_search_stays_within_its_limits() {
    let filler = format!("{}\n", "x".repeat(999));
    let many = filler.repeat(2 * MOST_READ / filler.len());
    let text = format!("{}{many}", shares(0..3));
    let large = text.replace("\"n\"", &format!("\"t\":\"{}\",\"n\"", "y".repeat(200_000)));
    let folder = folder(&[
        ("dpmp_r00000.log", large.as_bytes()),
        ("dpmp_rCURRENT.log", shares(3..4).as_bytes()),
    ]);
    let first = search(folder.path(), &all(), None).unwrap();
    assert_eq!(numbers(&first), [3]);
    let (found, count) = pages(&folder, &all());
    assert_eq!((found, count), (down(0..4), 3));
}

#[test]
fn a_position_stays_valid_when_the_file_is_rotated() {
    let folder = folder(&[
        ("dpmp_r00004.log", shares(0..5).as_bytes()),
        ("dpmp_rCURRENT.log", shares(5..10).as_bytes()),
    ]);
    let wanted = Search { limit: 2, ..all() };
    let first = search(folder.path(), &wanted, None).unwrap();
    assert_eq!(numbers(&first), [9, 8]);
    let path = |name| folder.path().join(name);
    fs::rename(path("dpmp_rCURRENT.log"), path("dpmp_r00005.log")).unwrap();
    fs::write(path("dpmp_rCURRENT.log"), shares(10..20)).unwrap();
    let next = Mark::parse(&first.next.unwrap().to_string());
    let second = search(folder.path(), &wanted, next).unwrap();
    assert_eq!(numbers(&second), [7, 6]);
}

#[test]
fn a_mark_can_be_read_back_as_written() {
    let mark = Mark { file: 3, byte: 45 };
    assert_eq!(Mark::parse(&mark.to_string()), Some(mark));
    for wrong in ["", "3", "3:", ":4", "-1:4", "3:4:5", "a:b"] {
        assert_eq!(Mark::parse(wrong), None, "{wrong}");
    }
}
