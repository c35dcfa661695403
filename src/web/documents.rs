//! The documents that come with the program, shown as pages under their names in `docs/`.
//!
//! - A link to a document leads to its page here. Files outside `docs/` are not in the program, so such a link is only
//!   text.
//! - Headings have the same ids as on code hosts, so links to a heading work in both places.

use std::collections::HashMap;
use std::fmt::Write;
use std::mem;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use rouille::Response;

use crate::web::html;

/// The documents, by file name, in the order of the list.
macro_rules! documents {
    ($($name:literal,)*) => {
        &[$(Document { name: $name, text: include_str!(concat!("../../docs/", $name)) },)*]
    };
}

/// All documents for owners.
pub(super) const DOCUMENTS: &[Document] = documents![
    "miners.md",
    "figures.md",
    "steering.md",
    "balance.md",
    "records.md",
    "insight.md",
    "pools.md",
    "notify.md",
    "troubleshooting.md",
    "troubles.md",
    "security.md",
    "install.md",
    "upgrade.md",
    "container.md",
    "configuration.md",
    "events.md",
    "metrics.md",
    "monitoring.md",
    "scaling.md",
    "compatibility.md",
    "api.md",
];

/// A picture of the documents, by its path.
pub(super) const PICTURES: &[(&str, &[u8])] = &[(
    "/docs/pictures/timetable.png",
    include_bytes!("../../docs/pictures/timetable.png"),
)];

/// Where the list of the documents is.
const LIST: &str = "/docs/";

/// A document in Markdown.
#[derive(Debug)]
pub(super) struct Document {
    name: &'static str,
    text: &'static str,
}

/// The page at a path, if it is a document or the list of documents.
pub(super) fn page(path: &str) -> Option<String> {
    let name = path.strip_prefix(LIST)?;
    if name.is_empty() {
        return Some(list());
    }
    Some(named(name)?.page())
}

/// The answer with a page.
pub(super) fn answer(path: &str) -> Option<Response> {
    let page = Response::html(page(path)?);
    Some(page.with_unique_header("Cache-Control", "no-cache"))
}

fn list() -> String {
    let mut body = "<h1>Documents</h1>\n<ul>\n".to_owned();
    for document in DOCUMENTS {
        let title = html::escaped(document.title());
        // Writing into a string cannot fail.
        let _ = writeln!(
            body,
            "<li><a href=\"{LIST}{}\">{title}</a></li>",
            document.name
        );
    }
    body.push_str("</ul>\n");
    html::page("Documents", &body)
}

impl Document {
    /// Its title, from the first line.
    fn title(&self) -> &'static str {
        let first = self.text.lines().next().unwrap_or_default();
        first.trim_start_matches('#').trim()
    }

    fn page(&self) -> String {
        let mut in_dropped_link = false;
        let parsed = Parser::new_ext(self.text, Options::ENABLE_TABLES);
        let mut events: Vec<_> = parsed
            .filter(|event| {
                if let Event::Start(Tag::Link { dest_url, .. }) = event {
                    in_dropped_link = !is_here(dest_url);
                    return !in_dropped_link;
                }
                let ends = matches!(event, Event::End(TagEnd::Link));
                !(ends && mem::take(&mut in_dropped_link))
            })
            .collect();
        name_headings(&mut events);
        let mut body = String::with_capacity(2 * self.text.len());
        pulldown_cmark::html::push_html(&mut body, events.into_iter().flat_map(in_a_frame));
        html::page(self.title(), &body)
    }
}

/// Whether a browser can follow a link, here or on the web.
fn is_here(link: &str) -> bool {
    let (path, _) = link.split_once('#').unwrap_or((link, ""));
    path.is_empty() || path.starts_with("https://") || named(path).is_some()
}

fn named(name: &str) -> Option<&'static Document> {
    DOCUMENTS.iter().find(|document| document.name == name)
}

/// Gives each heading its id: its text in lower case, with hyphens for spaces, without other signs.
fn name_headings(events: &mut [Event<'_>]) {
    let mut taken: HashMap<String, usize> = HashMap::new();
    for at in 0..events.len() {
        let (before, after) = events.split_at_mut(at + 1);
        let Some(Event::Start(Tag::Heading { id, .. })) = before.last_mut() else {
            continue;
        };
        let texts = after
            .iter()
            .take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
        let mut name = String::new();
        for event in texts {
            if let Event::Text(text) | Event::Code(text) = event {
                name.extend(text.chars().filter_map(of_an_id));
            }
        }
        let seen = taken.entry(name.clone()).or_default();
        if *seen > 0 {
            let _ = write!(name, "-{seen}");
        }
        *seen += 1;
        *id = Some(name.into());
    }
}

fn of_an_id(character: char) -> Option<char> {
    match character {
        ' ' => Some('-'),
        '-' | '_' => Some(character),
        other => other
            .is_alphanumeric()
            .then(|| other.to_lowercase().next().unwrap_or(other)),
    }
}

/// Puts a table into a scrolling frame, because many are wider than a phone.
fn in_a_frame(event: Event<'_>) -> impl Iterator<Item = Event<'_>> {
    let begins = matches!(event, Event::Start(Tag::Table(_)));
    let ends = matches!(event, Event::End(TagEnd::Table));
    let before = begins.then(|| Event::Html("<div class=\"scrolls\" tabindex=\"0\">\n".into()));
    let after = ends.then(|| Event::Html("</div>\n".into()));
    before.into_iter().chain([event]).chain(after)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::*;

    /// The values after each `attribute="`.
    fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
        let begin = format!(" {attribute}=\"");
        let pieces = page.split(begin.as_str()).skip(1);
        pieces.filter_map(|piece| piece.split('"').next()).collect()
    }

    #[test]
    fn every_link_of_every_page_leads_to_an_existing_heading() {
        let of = |name: &str| page(&format!("{LIST}{name}")).unwrap();
        for document in DOCUMENTS {
            let html = of(document.name);
            assert_eq!(html.matches("<h1").count(), 1, "{}", document.name);
            let ids: HashSet<_> = values(&html, "id").into_iter().collect();
            assert_eq!(ids.len(), values(&html, "id").len(), "{}", document.name);
            for link in values(&html, "href") {
                let Some((path, id)) = link.split_once('#') else {
                    continue;
                };
                if path.starts_with("https://") {
                    continue;
                }
                let there = of(if path.is_empty() { document.name } else { path });
                assert!(
                    values(&there, "id").contains(&id),
                    "{}: {link}",
                    document.name
                );
            }
        }
    }

    #[test]
    fn every_image_is_embedded_in_the_program() {
        for document in DOCUMENTS {
            for source in values(&document.page(), "src") {
                let known = |(path, _): &(&str, &[u8])| path.ends_with(source);
                let is_known = PICTURES.iter().any(known) || source.starts_with("/js/");
                assert!(is_known, "{}: {source}", document.name);
            }
        }
    }

    #[test]
    fn a_link_outside_the_documents_becomes_plain_text() {
        let document = Document {
            name: "a.md",
            text: "# A & B\n\nSee [the sample](../config.sample.json), [`miners`](miners.md#x) and <https://rustup.rs>.\n",
        };
        let html = document.page();
        assert!(html.contains("<title>A &amp; B · DPMP</title>"));
        assert!(html.contains("See the sample, <a href=\"miners.md#x\"><code>miners</code></a>"));
        assert!(html.contains("<a href=\"https://rustup.rs\">"));
    }

    #[test]
    fn the_list_contains_every_document() {
        let html = page(LIST).unwrap();
        for document in DOCUMENTS {
            assert!(html.contains(document.name));
            assert!(!document.title().is_empty());
        }
        assert_eq!(page("/docs/none.md"), None);
        assert_eq!(page("/docs"), None);
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        assert!(
            DOCUMENTS
                .iter()
                .all(|document| here.join(document.name).is_file())
        );
    }
}
