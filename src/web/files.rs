//! The files of the pages: everything in `html/`, embedded in the program. So nothing has to be installed, and the
//! versions always match.

use rouille::{Request, Response};
use sha2::{Digest, Sha256};

use crate::web::documents::PICTURES;

/// At these paths, the browser gets the single page, which shows what the path names.
const PAGES: &[&str] = &[
    "/",
    "/miners",
    "/timetable",
    "/records",
    "/connect",
    "/config",
    "/notifications",
    "/logs",
    "/about",
    "/setup",
];

/// The file that they get.
const INDEX: &str = "/index.html";

/// The path and the contents of each file; a test compares the list with the folder.
macro_rules! embedded {
    ($($path:literal,)*) => {
        [$(($path, include_bytes!(concat!("../../html", $path)).as_slice()),)*]
    };
}

/// All files.
const FILES: &[(&str, &[u8])] = &embedded![
    "/app.css",
    "/icon.png",
    "/icon.svg",
    "/index.html",
    "/js/about.js",
    "/js/alerts.js",
    "/js/api.js",
    "/js/backup.js",
    "/js/balance.js",
    "/js/changes.js",
    "/js/chart.js",
    "/js/commands.js",
    "/js/config.js",
    "/js/configform.js",
    "/js/connect.js",
    "/js/draft.js",
    "/js/early.js",
    "/js/fields.js",
    "/js/fleet.js",
    "/js/format.js",
    "/js/groups.js",
    "/js/history.js",
    "/js/home.js",
    "/js/live.js",
    "/js/login.js",
    "/js/logs.js",
    "/js/main.js",
    "/js/measured.js",
    "/js/miner.js",
    "/js/miners.js",
    "/js/minertable.js",
    "/js/notifications.js",
    "/js/now.js",
    "/js/password.js",
    "/js/poolbook.js",
    "/js/pools.js",
    "/js/pooltest.js",
    "/js/records.js",
    "/js/router.js",
    "/js/setup.js",
    "/js/slider.js",
    "/js/split.js",
    "/js/state.js",
    "/js/strip.js",
    "/js/theme.js",
    "/js/timetable.js",
    "/js/tokens.js",
    "/js/ui.js",
    "/js/week.js",
    "/js/work.js",
    "/js/workers.js",
];

/// The manifest for home screens. Without a `start_url`, it opens the page that was added.
const MANIFEST: (&str, &[u8]) = (
    "/app.webmanifest",
    br##"{"name":"DPMP","short_name":"DPMP","display":"standalone","background_color":"#12161d","icons":[{"src":"/icon.png","sizes":"180x180","type":"image/png"},{"src":"/icon.svg","sizes":"any","type":"image/svg+xml"}]}"##,
);

/// The files with their headers.
#[derive(Debug)]
pub(super) struct Files(Vec<File>);

#[derive(Debug)]
struct File {
    path: &'static str,
    content: &'static [u8],
    kind: &'static str,
    /// Its version tag: a browser that has this version does not get it again.
    tag: String,
}

impl Default for Files {
    fn default() -> Self {
        let file = |(path, content): &(&'static str, &'static [u8])| File {
            path,
            content,
            kind: kind(path),
            tag: format!("\"{}\"", hex::encode(&Sha256::digest(content)[..8])),
        };
        Self(
            FILES
                .iter()
                .chain(PICTURES)
                .chain([&MANIFEST])
                .map(file)
                .collect(),
        )
    }
}

impl Files {
    /// The single page in answer to an address that does not exist: it says so in its usual frame.
    pub(super) fn missing(&self) -> Option<Response> {
        let file = self.0.iter().find(|file| file.path == INDEX)?;
        let response = Response::from_data(file.kind, file.content).with_status_code(404);
        Some(response.with_unique_header("Cache-Control", "no-store"))
    }

    /// The answer to a request for a file or a page, if there is one at this path.
    pub(super) fn answer(&self, path: &str, request: &Request) -> Option<Response> {
        let path = if PAGES.contains(&path) { INDEX } else { path };
        let file = self.0.iter().find(|file| file.path == path)?;
        let known = request.header("If-None-Match").unwrap_or_default();
        let is_known = known.split(',').any(|tag| tag.trim() == file.tag);
        let response = if is_known {
            Response::text("").with_status_code(304)
        } else {
            Response::from_data(file.kind, file.content)
        };
        // The browser checks each time whether the file is still the same, so a new version appears immediately.
        let response = response
            .with_unique_header("Cache-Control", "no-cache")
            .with_unique_header("ETag", file.tag.clone());
        Some(response)
    }
}

/// The content type, by the extension.
fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json") => "application/json; charset=utf-8",
        Some("webmanifest") => "application/manifest+json",
        Some(_) | None => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The paths of all files below a folder, as in the browser.
    fn below(folder: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(&path, root, found);
            } else {
                let inside = path.strip_prefix(root).unwrap().to_string_lossy();
                found.push(format!("/{}", inside.replace('\\', "/")));
            }
        }
    }

    #[test]
    fn every_file_is_embedded_and_all_are_small() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("html");
        let mut found = Vec::new();
        below(&root, &root, &mut found);
        found.sort();
        let mut embedded: Vec<_> = FILES.iter().map(|(path, _)| *path).collect();
        embedded.sort_unstable();
        assert_eq!(found, embedded);
        assert!(FILES.iter().all(|(path, _)| kind(path) != kind("")));
        let bytes: usize = FILES.iter().map(|(_, content)| content.len()).sum();
        assert!(bytes < 300 * 1024, "{bytes} bytes");
    }

    #[test]
    fn a_cached_file_is_not_sent_again() {
        let files = Files::default();
        let ask = |tag: Option<&str>| {
            let tag = tag.map(|tag| ("If-None-Match".to_owned(), tag.to_owned()));
            let request = Request::fake_http("GET", "/", tag.into_iter().collect(), vec![]);
            files.answer("/miners", &request).unwrap()
        };
        let first = ask(None);
        assert_eq!(first.status_code, 200);
        let header = |name| first.headers.iter().find(|(known, _)| known == name);
        let tag = header("ETag").unwrap().1.to_string();
        assert_eq!(
            header("Content-Type").unwrap().1,
            "text/html; charset=utf-8"
        );
        assert_eq!(ask(Some(&tag)).status_code, 304);
        assert_eq!(ask(Some(&format!("\"other\", {tag}"))).status_code, 304);
        assert_eq!(ask(Some("\"other\"")).status_code, 200);
    }
}
