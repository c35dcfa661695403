//! Shortens payout addresses in logs. Logs are often shown to strangers, and a payout address reveals what its owner
//! has. So only the first and last characters are kept, enough for the owner to recognize the address.

use std::borrow::Cow;

use serde_json::Value;

/// A word with at least this many letters and digits in a row counts as an address. The shortest Bitcoin addresses have
/// 26.
const SHORTEST_ADDRESS: usize = 26;

/// Longer names keep four characters at each end; for shorter ones that would be nearly everything.
const SHORT_NAME: usize = 12;

/// Shortens a known payout address or account.
pub(crate) fn shorten(wallet: &str) -> String {
    let length = wallet.chars().count();
    let (head, tail) = if length > SHORT_NAME { (4, 4) } else { (2, 0) };
    if length <= head + tail {
        return wallet.to_owned();
    }
    let start: String = wallet.chars().take(head).collect();
    let end: String = wallet.chars().skip(length - tail).collect();
    format!("{start}…{end}")
}

/// Shortens the payout address in the user name of a pool connection, `<wallet>.<worker>`.
pub(super) fn shorten_user(user: &str) -> String {
    match user.split_once('.') {
        Some((wallet, worker)) => format!("{}.{}", shorten(wallet), shorten_addresses(worker)),
        None => shorten(user),
    }
}

/// Shortens everything that looks like an address: a worker's name may be a complete payout address, and pools quote it
/// in their messages.
pub(super) fn shorten_addresses(text: &str) -> Cow<'_, str> {
    shorten_words(text, SHORTEST_ADDRESS)
}

/// Shortens the payout addresses in a setting's value. If the setting is for payout addresses, they may be short names.
pub(super) fn shorten_setting<'a>(path: &str, value: &'a str) -> Cow<'a, str> {
    if path.ends_with(".wallet") {
        shorten_words(value, 5)
    } else if path.ends_with(".backups") {
        Cow::Owned(shorten_before_at(value))
    } else if path == "saved_pools" {
        Cow::Owned(shorten_addresses(&shorten_before_at(value)).into_owned())
    } else {
        shorten_addresses(value)
    }
}

/// Shortens the part between `://` and the last `@` of each URL: a payout address or the name of an account.
fn shorten_before_at(value: &str) -> String {
    let mut parts = value.split("://");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find('"').unwrap_or(part.len());
        let (address, rest) = part.split_at(end);
        out.push_str("://");
        match address.rsplit_once('@') {
            Some((wallet, place)) => {
                out.push_str(&shorten_words(wallet, 5));
                out.push('@');
                out.push_str(place);
            }
            None => out.push_str(address),
        }
        out.push_str(rest);
    }
    out
}

/// Shortens the payout addresses in lines that were already written, perhaps while they were to be shown in full.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// As written in JSON, longest first, each with its replacement.
    known: Vec<(String, String)>,
}

impl Redactor {
    /// Knows these payout addresses, which may be short names of accounts; everything that looks like an address is
    /// found anyway.
    pub fn new<'a>(wallets: impl IntoIterator<Item = &'a str>) -> Self {
        let in_json = |text: &str| {
            let quoted = Value::from(text).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        };
        let mut known: Vec<_> = wallets
            .into_iter()
            .map(|wallet| (in_json(wallet), in_json(&shorten(wallet))))
            .filter(|(wallet, short)| wallet != short)
            .collect();
        known.sort_by_key(|(wallet, _)| std::cmp::Reverse(wallet.len()));
        known.dedup();
        Self { known }
    }

    /// The line with every payout address shortened. Anything that is not text stays as it is.
    pub fn line<'a>(&self, line: &'a [u8]) -> Cow<'a, [u8]> {
        let Ok(text) = std::str::from_utf8(line) else {
            return Cow::Borrowed(line);
        };
        let mut text = Cow::Borrowed(text);
        for (wallet, short) in &self.known {
            if text.contains(wallet.as_str()) {
                text = Cow::Owned(replace_words(&text, wallet, short));
            }
        }
        // A change of a payout address also names the earlier one, which may be a short name.
        if text.contains(".wallet: ") || text.contains(".backups: ") {
            if let Some(redacted) = redact_changes(&text) {
                text = Cow::Owned(redacted);
            }
        }
        match text {
            Cow::Borrowed(text) => match shorten_words_if(text, looks_like_an_address) {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            },
            Cow::Owned(text) => {
                let short = shorten_words_if(&text, looks_like_an_address).into_owned();
                Cow::Owned(short.into_bytes())
            }
        }
    }
}

/// Long hexadecimal numbers are hashes and parts of jobs; no form of address has only these digits.
fn looks_like_an_address(word: &str) -> bool {
    word.len() >= SHORTEST_ADDRESS && !word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Replaces a text where it is a whole word and not part of a longer one.
fn replace_words(text: &str, word: &str, by: &str) -> String {
    let is_of_word = |c: char| c.is_alphanumeric();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(at) = rest.find(word) {
        let (head, after) = (&rest[..at], &rest[at + word.len()..]);
        let before_it = head.chars().next_back().or(before);
        let alone =
            !before_it.is_some_and(is_of_word) && !after.chars().next().is_some_and(is_of_word);
        out.push_str(head);
        out.push_str(if alone { by } else { word });
        before = word.chars().next_back();
        rest = after;
    }
    out.push_str(rest);
    out
}

/// A line of `config_applied` with the values of changed payout addresses shortened.
fn redact_changes(line: &str) -> Option<String> {
    let mut event: Value = serde_json::from_str(line).ok()?;
    for change in event.get_mut("changes")?.as_array_mut()? {
        if let Some((path, values)) = change.as_str().and_then(|text| text.split_once(": ")) {
            *change = format!("{path}: {}", shorten_setting(path, values)).into();
        }
    }
    let end = if line.ends_with('\n') { "\n" } else { "" };
    Some(format!("{event}{end}"))
}

/// Shortens every run of at least `from` ASCII letters and digits.
fn shorten_words(text: &str, from: usize) -> Cow<'_, str> {
    shorten_words_if(text, |word| word.len() >= from)
}

/// Shortens every run of ASCII letters and digits for which `is_long` is true.
fn shorten_words_if(text: &str, is_long: impl Fn(&str) -> bool) -> Cow<'_, str> {
    let is_word = |c: char| c.is_ascii_alphanumeric();
    if !text.split(|c| !is_word(c)).any(&is_long) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if is_long(word) {
            out.push_str(&shorten(word));
        } else {
            out.push_str(word);
        }
        let next = after.find(is_word).unwrap_or(after.len());
        let (between, next) = after.split_at(next);
        out.push_str(between);
        rest = next;
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";

    #[test]
    fn a_shortened_wallet_keeps_its_first_and_last_characters() {
        assert_eq!(shorten(ADDRESS), "bc1q…5mdq");
        assert_eq!(shorten("satoshi"), "sa…");
        assert_eq!(shorten("ab"), "ab");
        assert_eq!(shorten("äöüäöüäöüäöüäöü"), "äöüä…üäöü");
        assert_eq!(shorten_user(&format!("{ADDRESS}.rig1")), "bc1q…5mdq.rig1");
        assert_eq!(
            shorten_user(&format!("nakamoto.{ADDRESS}")),
            "na….bc1q…5mdq"
        );
        assert_eq!(shorten_user(ADDRESS), "bc1q…5mdq");
    }

    #[test]
    fn addresses_are_found_inside_text() {
        let text = |text: &str| shorten_addresses(text).into_owned();
        assert_eq!(text("rig1"), "rig1");
        assert_eq!(text(ADDRESS), "bc1q…5mdq");
        assert_eq!(
            text(&format!("no such user: \"{ADDRESS}_x\"")),
            "no such user: \"bc1q…5mdq_x\""
        );
        assert_eq!(text("1A1zP1eP5QGefi2DMPTfTL5SLm"), "1A1z…5SLm");
        assert_eq!(text(""), "");
        assert_eq!(
            text("über bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a ü"),
            "über bitcoincash:qpm2…dx6a ü"
        );
    }

    #[test]
    fn wallets_of_backups_are_shortened() {
        assert_eq!(
            shorten_setting(
                "pools.A.backups",
                r#"["stratum+tcp://satoshi@pool.com:3333","stratum+ssl://nakamoto@mail.org@pool.com:443","stratum+tcp://longername.com:1"]"#
            ),
            r#"["stratum+tcp://sa…@pool.com:3333","stratum+ssl://na…@mail.org@pool.com:443","stratum+tcp://longername.com:1"]"#
        );
    }

    fn redacted(wallets: &[&str], line: &str) -> String {
        let redactor = Redactor::new(wallets.iter().copied());
        String::from_utf8(redactor.line(line.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn wallets_in_stored_lines_are_shortened() {
        let hash = "00ff".repeat(16);
        let line = format!("{{\"user\":\"{ADDRESS}.rig\",\"hash\":\"{hash}\"}}\n");
        assert_eq!(redacted(&[], &line), line.replace(ADDRESS, "bc1q…5mdq"));
        // Short names only as whole words.
        let line =
            r#"{"user":"satoshi.rig1","worker":"satoshis","text":"satoshi satoshi, xsatoshi"}"#;
        assert_eq!(
            redacted(&["satoshi"], line),
            r#"{"user":"sa….rig1","worker":"satoshis","text":"sa… sa…, xsatoshi"}"#
        );
        // As JSON writes them, and the longer one first.
        let line = r#"{"user":"a\"bcdef.x","other":"a\"bcdef-ghi"}"#;
        assert_eq!(
            redacted(&["a\"bcdef", "a\"bcdef-ghi"], line),
            r#"{"user":"a\"….x","other":"a\"…"}"#
        );
        assert_eq!(redacted(&["x"], line), line);
        let redactor = Redactor::new(["abcd"]);
        assert_eq!(&*redactor.line(b"abcd \xff"), b"abcd \xff");
    }

    #[test]
    fn old_wallets_in_logged_changes_are_shortened() {
        let line = "{\"event\":\"config_applied\",\"changes\":[\"pools.A.wallet: satoshi -> nakamoto\"]}\n";
        let short = "{\"event\":\"config_applied\",\"changes\":[\"pools.A.wallet: sa… -> na…\"]}\n";
        assert_eq!(redacted(&["nakamoto"], line), short);
        assert_eq!(redacted(&[], line), short);
    }

    #[test]
    fn a_setting_shows_no_wallet() {
        assert_eq!(shorten_setting("pools.A.wallet", "satoshi"), "sa…");
        assert_eq!(shorten_setting("pools.A.name", "satoshi"), "satoshi");
        assert_eq!(shorten_setting("pools.A.user_name", ADDRESS), "bc1q…5mdq");
    }
}
