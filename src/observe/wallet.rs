//! Wallets in logs: a log is often shown to strangers who are asked for help, and a wallet shows what its owner has.
//! So only the first and last characters stay, enough for the owner to tell which one it is.

use std::borrow::Cow;

/// From so many letters and digits on, without anything between, a word is taken for an address. The shortest Bitcoin
/// addresses have 26.
const SHORTEST_ADDRESS: usize = 26;

/// Longer names keep four characters at each end; of shorter ones that would be nearly everything.
const SHORT_NAME: usize = 12;

/// Shortens what is known to be a wallet or an account.
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

/// Shortens the wallet in the user name of a pool connection, `<wallet>.<worker>`.
pub(super) fn shorten_user(user: &str) -> String {
    match user.split_once('.') {
        Some((wallet, worker)) => format!("{}.{}", shorten(wallet), shorten_addresses(worker)),
        None => shorten(user),
    }
}

/// Shortens whatever looks like an address in a text: a worker's name may be the miner's whole wallet, and pools
/// quote it in their messages.
pub(super) fn shorten_addresses(text: &str) -> Cow<'_, str> {
    shorten_words(text, SHORTEST_ADDRESS)
}

/// Shortens the values in a sentence about a changed setting if that setting is a wallet, which may be a short name.
pub(super) fn shorten_change(sentence: &str) -> Cow<'_, str> {
    const KEY: &str = ".wallet";
    match sentence.find(KEY) {
        Some(at) => {
            let (key, values) = sentence.split_at(at + KEY.len());
            Cow::Owned(format!("{key}{}", shorten_words(values, 5)))
        }
        None => shorten_addresses(sentence),
    }
}

/// Shortens every run of ASCII letters and digits of at least `from`.
fn shorten_words(text: &str, from: usize) -> Cow<'_, str> {
    let is_word = |c: char| c.is_ascii_alphanumeric();
    let is_long = |word: &str| word.len() >= from;
    if !text.split(|c| !is_word(c)).any(is_long) {
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
    fn a_wallet_keeps_its_ends() {
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
    fn addresses_are_found_in_texts() {
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
    fn a_change_of_a_wallet_shows_neither_value() {
        assert_eq!(
            shorten_change("pools.A.wallet: satoshi -> nakamoto"),
            "pools.A.wallet: sa… -> na…"
        );
        assert_eq!(
            shorten_change("pools.A.port: 3333 -> 3334"),
            "pools.A.port: 3333 -> 3334"
        );
    }
}
