//! What newcomers see first: the same version everywhere, and links in the documents that work.
//!
//! `.ci/scripts` checks the workflows; it needs Node.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::tidy::{files_below, name, root, text, with_extension};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version numbers that follow a mark in a text.
fn versions_after<'a>(text: &'a str, mark: &str) -> Vec<&'a str> {
    let rests = text.split(mark).skip(1);
    let versions = rests.map(|rest| {
        let end = rest.find(|next: char| next != '.' && !next.is_ascii_digit());
        rest[..end.unwrap_or(rest.len())].trim_end_matches('.')
    });
    versions.filter(|version| version.contains('.')).collect()
}

#[test]
fn the_version_is_the_same_everywhere() {
    for (file, mark) in [
        ("Cargo.lock", "name = \"dpmp\"\nversion = \""),
        ("fuzz/Cargo.lock", "name = \"dpmp\"\nversion = \""),
        ("umbrel/dpmp-proxy/umbrel-app.yml", "\nversion: \""),
        ("umbrel/dpmp-proxy/docker-compose.yml", "dpmp:"),
        ("README.md", "/dpmp:"),
        ("README.md", "dpmp_"),
        ("README.md", "dpmp-"),
        ("docs/install.md", "dpmp_"),
        ("docs/install.md", "DPMP "),
        ("docs/container.md", "dpmp:"),
        ("docs/container.md", "VERSION="),
        (".github/ISSUE_TEMPLATE/bug.yml", "dpmp "),
    ] {
        let text = text(&root().join(file));
        let found = versions_after(&text, mark);
        assert!(!found.is_empty(), "{file}: no version after {mark:?}");
        for version in found {
            assert_eq!(version, VERSION, "{file}, after {mark:?}");
        }
    }
    let changelog = text(&root().join("CHANGELOG.md"));
    let newest = versions_after(&changelog, "\n## [");
    assert_eq!(newest.first(), Some(&VERSION), "CHANGELOG.md");
}

/// The ids that code hosts give to a document's headings.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match (event, &mut heading) {
            (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
            (Event::Text(text) | Event::Code(text), Some(heading)) => {
                let kept = text.chars().filter_map(|letter| match letter {
                    ' ' => Some('-'),
                    '-' | '_' => Some(letter),
                    _ => letter.is_alphanumeric().then_some(letter),
                });
                heading.extend(kept.flat_map(char::to_lowercase));
            }
            (Event::End(TagEnd::Heading(_)), Some(name)) => {
                let seen = found.entry(name.clone()).or_default();
                let suffix = if *seen > 0 {
                    format!("-{seen}")
                } else {
                    String::new()
                };
                *seen += 1;
                anchors.insert(format!("{name}{suffix}"));
                heading = None;
            }
            _ => {}
        }
    }
    anchors
}

/// The targets of a document's links and pictures.
fn links(markdown: &str) -> Vec<String> {
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES);
    events
        .filter_map(|event| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                Some(dest_url.into_string())
            }
            _ => None,
        })
        .collect()
}

fn documents() -> Vec<PathBuf> {
    with_extension(files_below(""), "md")
}

#[test]
fn every_link_between_files_leads_somewhere() {
    let mut count = 0;
    let mut lost = Vec::new();
    for path in documents() {
        let markdown = text(&path);
        for link in links(&markdown) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            count += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            let is_document = target.extension().is_some_and(|found| found == "md");
            let leads = target.exists()
                && (anchor.is_empty() || !is_document || anchors(&text(&target)).contains(anchor));
            if !leads {
                lost.push(format!("{}: {link}", name(&path)));
            }
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
    assert!(count > 100, "only {count} links were found");
}

/// Nobody finds a document that no other one links.
#[test]
fn every_document_is_linked() {
    let mut linked = BTreeSet::new();
    for path in documents() {
        let folder = path.parent().unwrap();
        let targets = links(&text(&path));
        let files = targets.iter().map(|link| link.split('#').next().unwrap());
        linked.extend(files.filter_map(|file| folder.join(file).canonicalize().ok()));
    }
    for path in with_extension(files_below("docs"), "md") {
        assert!(
            linked.contains(&path.canonicalize().unwrap()),
            "{}",
            name(&path)
        );
    }
    assert!(
        linked.contains(
            &Path::new(&root().join("SECURITY.md"))
                .canonicalize()
                .unwrap()
        )
    );
}
