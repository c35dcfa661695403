//! Pages that are created here and need no script: documents and error pages.

/// Escapes text for HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// A whole page with a title, a body, and links to the other pages. `body` is HTML.
pub(super) fn page(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · DPMP</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/app.css">
<script src="/js/early.js"></script>
</head>
<body class="document">
<nav aria-label="Pages"><a href="/">Home</a> · <a href="/miners">Miners</a> · <a href="/timetable">Timetable</a> · 
<a href="/records">Records</a> · <a href="/config">Config</a> · <a href="/connect">Connect</a> · <a href="/logs">Logs</a> · 
<a href="/about">About</a> · <a href="/docs/">Documents</a></nav>
<main>
{body}</main>
</body>
</html>
"#
    )
}
