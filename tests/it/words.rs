//! Every text that people read is plain English: short sentences, no worn-out habits, one term for each thing.
//!
//! The test reads the documents, the pages, the program's messages and help, the dashboards and the alerts. It cannot
//! tell good English from bad; it only catches what a pattern can find.

use std::fs;
use std::ops::Range;
use std::path::Path;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// The longest sentence allowed, in words.
const LONGEST: usize = 30;

/// What to avoid, and what to write instead. `|` separates alternatives.
const AVOID: &[(&str, &str)] = &[
    // Habits.
    ("whoever|whosoever", "anyone who, people who, or name them"),
    ("whatever", "anything that, all, or name it"),
    ("who wants|likes", "to …, or: if you want, have …"),
    ("is|are|was|be|being looked at", "DPMP checks …"),
    (
        "is|are|was|be|being|been told",
        "DPMP tells them, reports, or the receiver sees",
    ),
    (
        "is|are|was|be|been taken over",
        "DPMP uses, picks up, imports",
    ),
    (
        "stands|stand for none|nothing",
        "leave empty if you have none",
    ),
    (
        "stands|stand in|on|at|behind|before|below|above|there",
        "is in, appears in",
    ),
    ("anew", "again"),
    ("meanwhile", "in the meantime, while …"),
    ("at once", "immediately, now, at the same time"),
    ("of its|their own", "its own …, separate"),
    ("all the same", "anyway, still, or leave it out"),
    ("without a meaning", "unknown"),
    ("tells what|which|whether|how|why", "shows, reports, lists"),
    ("dpmp tells", "DPMP shows, reports, lists"),
    ("figure|figures", "numbers, metrics, statistics"),
    (
        "reckon|reckoned|reckons|reckoning",
        "estimate, calculate, count",
    ),
    ("waver|wavers", "jumps around, varies"),
    ("in place of", "instead of, replace … with"),
    ("let|lets go", "disconnect"),
    (
        "thereby|therewith|thereof|therein|wherein|whereby",
        "leave it out, or: with it, in it",
    ),
    ("please", "leave it out"),
    ("he|him|his|himself", "they, you, or name them"),
    ("licence|licences", "license"),
    ("colour|colours|coloured", "color"),
    ("behaviour|behaviours", "behavior"),
    ("favour|favours|favourite", "favor"),
    ("grey", "gray"),
    ("centre|centres", "center"),
    ("recognise|recognises|recognised", "recognize"),
    ("optimise|optimises|optimised", "optimize"),
    ("patience", "timeout, waiting time"),
    // Terms.
    ("earnings' place", "payout address"),
    ("ratio|ratios", "split"),
    ("slice|slices", "turn"),
    (
        "refused|lost share|shares",
        "rejected (by the pool), blocked (by DPMP), no answer",
    ),
    (
        "share|shares refused|lost",
        "rejected (by the pool), blocked (by DPMP), no answer",
    ),
    (
        "share|shares is|are|was|were refused|lost",
        "rejected (by the pool), blocked (by DPMP), no answer",
    ),
    ("own|worker's|group's|miner's rule|rules", "own setting"),
];

/// Whole texts of buttons and labels to avoid, and what to write instead.
const LABELS: &[(&str, &str)] = &[
    ("Seen", "Dismiss"),
    ("Go on", "Next"),
    ("To Home", "Finish"),
    ("Go on editing", "Keep editing"),
    ("Patience with silence", "Silence timeout"),
    ("Most miners", "Max. miners"),
    ("Take any certificate", "Accept any certificate"),
];

/// A participle before one of these at the end of a sentence, as in "is not connected to."
const PREPOSITIONS: &[&str] = &["to", "at", "of", "from", "for", "with", "upon", "into"];

const IS: &[&str] = &[
    "is", "are", "was", "were", "be", "been", "being", "not", "it", "never",
];

/// YAML keys whose values are texts.
const TEXT_KEYS: &[&str] = &["summary", "description", "tagline", "releaseNotes", "title"];

/// A text and the line where it begins.
struct Text {
    line: usize,
    text: String,
}

fn line_at(source: &str, offset: usize) -> usize {
    source[..offset].matches('\n').count() + 1
}

fn flush(texts: &mut Vec<Text>, line: usize, text: &mut String) {
    let text = std::mem::take(text);
    if !text.trim().is_empty() {
        texts.push(Text { line, text });
    }
}

/// Paragraphs, headings, list items and table cells. Code and quoted text each count as one word.
fn of_markdown(source: &str) -> Vec<Text> {
    let mut texts = Vec::new();
    let mut text = String::new();
    let mut line = 1;
    let mut in_code = false;
    for (event, Range { start, .. }) in
        Parser::new_ext(source, Options::ENABLE_TABLES).into_offset_iter()
    {
        match event {
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::Text(_) | Event::Code(_) | Event::InlineHtml(_) if in_code => {}
            Event::Text(piece) => {
                if text.is_empty() {
                    line = line_at(source, start);
                }
                text.push_str(&piece);
            }
            Event::Code(_) => {
                if text.is_empty() {
                    line = line_at(source, start);
                }
                text.push_str("`code`");
            }
            Event::SoftBreak => text.push('\n'),
            Event::Start(Tag::Emphasis | Tag::Strong | Tag::Link { .. } | Tag::Image { .. })
            | Event::End(TagEnd::Emphasis | TagEnd::Strong | TagEnd::Link | TagEnd::Image) => {}
            _ => flush(&mut texts, line, &mut text),
        }
    }
    flush(&mut texts, line, &mut text);
    for text in &mut texts {
        text.text = without(&text.text, '"', "quote");
    }
    texts
}

/// A document without the parts that another test compares with the program.
fn own_words(name: &str, source: &str) -> String {
    let mut quotes = false;
    let lines = source.lines().map(|line| {
        quotes |= name == "docs/troubles.md" && line == "## All problems";
        let quoted = quotes || name == "docs/configuration.md" && line.contains("` (default `");
        if quoted { "" } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Replaces the text between two marks with a word.
fn without(text: &str, mark: char, word: &str) -> String {
    let mut kept = String::new();
    for (at, piece) in text.split(mark).enumerate() {
        if at % 2 == 0 {
            kept.push_str(piece);
            continue;
        }
        kept.push_str(word);
        kept.extend(piece.chars().filter(|letter| *letter == '\n'));
        // A sentence may end in its quotation mark.
        kept.extend(piece.chars().last().filter(|last| ".!?".contains(*last)));
    }
    kept
}

/// The literals of Rust, JavaScript and JSON. A value inserted into a literal counts as one word.
struct Literals<'a> {
    source: &'a str,
    letters: Vec<(usize, char)>,
    at: usize,
    texts: Vec<Text>,
    rust: bool,
}

fn of_code(source: &str, rust: bool) -> Vec<Text> {
    let mut literals = Literals {
        source,
        letters: source.char_indices().collect(),
        at: 0,
        texts: Vec::new(),
        rust,
    };
    literals.code(false);
    // A single word is a name, unless it is a label.
    let is_text = |text: &Text| {
        text.text.contains(' ') || LABELS.iter().any(|(label, _)| *label == text.text)
    };
    let mut found = Vec::new();
    for Text { line, text } in literals.texts.into_iter().filter(is_text) {
        if text.starts_with('<') {
            let inside = of_html(&text).into_iter().map(|inside| Text {
                line: line + inside.line - 1,
                text: inside.text,
            });
            found.extend(inside);
        } else {
            let text = without(&text, '`', "`code");
            found.push(Text { line, text });
        }
    }
    found
}

impl Literals<'_> {
    fn peek(&self, ahead: usize) -> char {
        let letter = self.letters.get(self.at + ahead);
        letter.map_or('\0', |(_, letter)| *letter)
    }

    fn skip_past(&mut self, end: &str) {
        let offset = self.letters[self.at].0;
        let length = self.source[offset..]
            .find(end)
            .map(|found| found + end.len());
        let to = length.map_or(self.source.len(), |length| offset + length);
        while self
            .letters
            .get(self.at)
            .is_some_and(|(offset, _)| *offset < to)
        {
            self.at += 1;
        }
    }

    /// Reads code up to the end, or to the brace that closes a template's placeholder.
    fn code(&mut self, in_template: bool) {
        let mut depth = 0;
        let mut before = ';';
        while self.at < self.letters.len() {
            let letter = self.peek(0);
            match letter {
                '/' if self.peek(1) == '/' => self.skip_past("\n"),
                '/' if self.peek(1) == '*' => self.skip_past("*/"),
                '/' if !self.rust && "(,=:[!&|?{};+>".contains(before) => self.regex(),
                'r' if self.rust
                    && !is_of_name(before)
                    && self.peek(1) == '#'
                    && self.peek(2) == '"' =>
                {
                    self.at += 3;
                    let (begin, from) = (self.at, self.letters[self.at].0);
                    self.skip_past("\"#");
                    let line = line_at(self.source, self.letters[begin].0);
                    let to = self
                        .letters
                        .get(self.at)
                        .map_or(self.source.len(), |it| it.0);
                    let text = self.source[from..to].trim_end_matches("\"#").to_owned();
                    self.texts.push(Text { line, text });
                }
                '\'' if self.rust => {
                    if self.peek(1) == '\\' {
                        self.at += 3;
                        self.skip_past("'");
                    } else {
                        self.at += if self.peek(2) == '\'' { 3 } else { 1 };
                    }
                }
                '"' | '\'' => self.literal(letter),
                '`' if !self.rust => self.literal(letter),
                '}' if in_template && depth == 0 => {
                    self.at += 1;
                    return;
                }
                _ => {
                    depth += usize::from(letter == '{');
                    depth -= usize::from(letter == '}' && depth > 0);
                    self.at += 1;
                }
            }
            if !letter.is_whitespace() {
                before = letter;
            }
        }
    }

    fn regex(&mut self) {
        let mut in_class = false;
        self.at += 1;
        while self.at < self.letters.len() {
            match self.peek(0) {
                '\\' => self.at += 1,
                '[' => in_class = true,
                ']' => in_class = false,
                '/' if !in_class => break,
                _ => {}
            }
            self.at += 1;
        }
        self.at += 1;
    }

    fn literal(&mut self, quote: char) {
        let line = line_at(self.source, self.letters[self.at].0);
        let mut text = String::new();
        self.at += 1;
        while self.at < self.letters.len() && self.peek(0) != quote {
            match self.peek(0) {
                '\\' => {
                    let escaped = self.peek(1);
                    text.push(if escaped == 'n' { '\n' } else { escaped });
                    self.at += 2;
                }
                '$' if quote == '`' && self.peek(1) == '{' => {
                    self.at += 2;
                    self.code(true);
                    text.push('0');
                }
                letter => {
                    text.push(letter);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        self.texts.push(Text { line, text });
    }
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The text between tags, and the text of attributes.
fn of_html(source: &str) -> Vec<Text> {
    let mut texts = Vec::new();
    let mut offset = 0;
    for piece in source.split_inclusive(['<', '>']) {
        let line = line_at(source, offset);
        if let Some(tag) = piece.strip_suffix('>') {
            texts.extend(tag.split('"').skip(1).step_by(2).map(|text| Text {
                line,
                text: text.to_owned(),
            }));
        } else {
            flush(
                &mut texts,
                line,
                &mut piece.trim_end_matches('<').to_owned(),
            );
        }
        offset += piece.len();
    }
    texts
}

/// Comments, and the values of the keys that hold texts.
fn of_yaml(source: &str) -> Vec<Text> {
    let mut texts = Vec::new();
    let (mut text, mut begin, mut reads) = (String::new(), 1, false);
    for (number, line) in (1..).zip(source.lines()) {
        let (line, comment) = match line.trim().strip_prefix('#') {
            Some(comment) => (comment.trim(), true),
            None => (line.trim().trim_start_matches("- "), false),
        };
        let key = line
            .split_once(": ")
            .or_else(|| Some((line.strip_suffix(':')?, "")));
        let key = key.filter(|(key, _)| !comment && key.chars().all(is_of_name));
        let is_new = key.is_some() || line.is_empty() || (comment && !reads);
        if is_new {
            flush(&mut texts, begin, &mut text);
            begin = number;
            reads = comment || key.is_some_and(|(key, _)| TEXT_KEYS.contains(&key));
        }
        if reads {
            text.push_str(key.map_or(line, |(_, value)| value.trim_matches(['>', '-', '|', '"'])));
            text.push('\n');
        }
    }
    flush(&mut texts, begin, &mut text);
    texts
}

/// The command line's help, from its documentation comments.
fn of_help(source: &str) -> Vec<Text> {
    let mut texts = Vec::new();
    let (mut text, mut begin) = (String::new(), 1);
    for (number, line) in (1..).zip(source.lines()) {
        match line.trim().strip_prefix("///") {
            Some(line) if !line.trim().is_empty() => {
                if text.is_empty() {
                    begin = number;
                }
                text.push_str(line);
                text.push('\n');
            }
            _ => flush(&mut texts, begin, &mut text),
        }
    }
    texts
}

fn texts(name: &str, source: &str) -> Vec<Text> {
    match Path::new(name).extension().and_then(|it| it.to_str()) {
        Some("md") => of_markdown(&own_words(name, source)),
        Some("js" | "json") => of_code(source, false),
        Some("html") => of_html(source),
        Some("yml") => of_yaml(source),
        Some("rs") => {
            let source = source.split("\n#[cfg(test)]").next().unwrap();
            let mut texts = of_code(source, true);
            if name == "src/cli.rs" {
                texts.extend(of_help(source));
            }
            texts
        }
        _ => Vec::new(),
    }
}

/// The sentences of a text, each with its line.
fn sentences(text: &Text) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut begin = 0;
    let letters: Vec<(usize, char)> = text.text.char_indices().collect();
    for (place, (offset, letter)) in letters.iter().enumerate() {
        let mut rest = letters[place + 1..].iter().map(|(_, letter)| *letter);
        let mut rest = rest.by_ref().skip_while(|next| ")\"'*`”".contains(*next));
        let ends = ".!?".contains(*letter)
            && rest.next().is_some_and(char::is_whitespace)
            && !rest
                .find(|next| !next.is_whitespace())
                .is_some_and(char::is_lowercase);
        // An empty line ends a sentence, too.
        let breaks = *letter == '\n' && text.text[*offset..].starts_with("\n\n");
        if ends || breaks {
            let end = offset + letter.len_utf8();
            found.push((begin, end));
            begin = end;
        }
    }
    found.push((begin, text.text.len()));
    let of = |(begin, end): (usize, usize)| {
        let sentence = &text.text[begin..end];
        let skipped = begin + sentence.len() - sentence.trim_start().len();
        let line = text.line + text.text[..skipped].matches('\n').count();
        let words: Vec<&str> = sentence.split_whitespace().collect();
        (line, words.join(" "))
    };
    found.into_iter().map(of).collect()
}

fn words(sentence: &str) -> Vec<String> {
    let words = sentence.split([' ', '—', '–', '/', '…', '·']);
    let words = words.map(|word| word.trim_matches(|it: char| !it.is_alphanumeric() && it != '\''));
    words
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .map(str::to_lowercase)
        .collect()
}

fn has(words: &[String], pattern: &str) -> bool {
    let pattern: Vec<&str> = pattern.split(' ').collect();
    let fits = |word: &String, wanted: &&str| {
        *wanted == "*" || wanted.split('|').any(|wanted| word == wanted)
    };
    words.windows(pattern.len()).any(|window| {
        window
            .iter()
            .zip(&pattern)
            .all(|(word, wanted)| fits(word, wanted))
    })
}

/// Whether it ends like "is not connected to".
fn ends_in_a_passive(words: &[String]) -> bool {
    let [.., is, participle, preposition] = words else {
        return false;
    };
    IS.contains(&is.as_str())
        && participle.ends_with("ed")
        && PREPOSITIONS.contains(&preposition.as_str())
}

/// What is wrong with a sentence, and what to write instead.
fn faults(sentence: &str) -> Vec<String> {
    let words = words(sentence);
    let mut faults = Vec::new();
    if words.len() > LONGEST {
        faults.push(format!("{} words: make it two sentences", words.len()));
    }
    let chain = words
        .windows(2)
        .filter(|two| two[0] == "so" && two[1] == "that");
    if chain.count() > 1 {
        faults.push("a chain of \"so that\": make it two sentences".to_owned());
    }
    for (pattern, instead) in AVOID {
        if has(&words, pattern) {
            faults.push(format!("not \"{pattern}\", but: {instead}"));
        }
    }
    if ends_in_a_passive(&words) {
        faults.push("ends in a preposition: say who does it".to_owned());
    }
    for (label, instead) in LABELS {
        if sentence == *label {
            faults.push(format!("not {label:?}, but: {instead}"));
        }
    }
    faults
}

fn findings(name: &str, source: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for text in texts(name, source) {
        for (line, sentence) in sentences(&text) {
            let faults = faults(&sentence);
            findings.extend(
                faults
                    .iter()
                    .map(|fault| format!("{name}:{line}: {fault}\n    {sentence}\n")),
            );
        }
    }
    findings
}

/// The files with texts that people read.
fn files() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let inside = path
                .strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .replace('\\', "/");
            let left_out = ["target", "fuzz", "benches", "tests", "src/sim"]
                .contains(&inside.as_str())
                || inside.ends_with("tests.rs")
                || inside
                    .split('/')
                    .any(|part| part.starts_with('.') || part == "node_modules");
            if left_out {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if !inside.ends_with("config.sample.json") {
                found.push(inside);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_text_is_plain_english() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for name in files() {
        if let Ok(source) = fs::read_to_string(root.join(&name)) {
            found.extend(findings(&name, &source));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_bad_sentence_is_found_with_its_line() {
    let long = "word ".repeat(LONGEST + 1);
    let page = format!(
        "# Title\n\nFine.\nWhoever reads\nthis. Not `at once` though, nor \"at once\".\n\n- {long}\n\n| a | b |\n| --- | --- |\n| The ratio. | x |\n\n```\nat once\n```\n"
    );
    let found = findings("a.md", &page);
    let begins: Vec<_> = found
        .iter()
        .map(|it| it.split(": ").next().unwrap())
        .collect();
    assert_eq!(begins, ["a.md:4", "a.md:7", "a.md:11"]);
    let script =
        "const a = /\"/.test(b); // at once\n\tnotice(`${f(\"Seen\")} is not connected to.`);\n";
    let found = findings("a.js", script);
    assert!(
        found[0].starts_with("a.js:2: not \"Seen\", but: Dismiss"),
        "{found:?}"
    );
    assert!(found[1].starts_with("a.js:2: ends in"), "{found:?}");
    let rust = "fn a<'a>() { b('\"', \"Done \\\n    at once.\") }\n";
    assert!(findings("a.rs", rust)[0].starts_with("a.rs:1: not \"at once\""));
    let yaml = "# Fine.\na:\n  summary: >-\n    It does so\n    anew.\n  expr: at once\n";
    assert!(
        findings("a.yml", yaml)[0].starts_with("a.yml:4: not \"anew\""),
        "{:?}",
        findings("a.yml", yaml)
    );
}
