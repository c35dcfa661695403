//! Texts for people, without what only programmers read.

use std::borrow::Cow;

/// What the system adds to its words, before a number and a parenthesis.
const CODE: &str = " (os error ";

/// A text without the numbers that the system gives its errors.
pub(super) fn without_codes(text: &str) -> Cow<'_, str> {
    if !text.contains(CODE) {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split(CODE);
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|letter: char| letter.is_ascii_digit());
        match rest.strip_prefix(')') {
            Some(rest) => plain.push_str(rest),
            None => {
                plain.push_str(CODE);
                plain.push_str(part);
            }
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_numbers_are_removed() {
        for (text, plain) in [
            (
                "a: Connection refused (os error 111), b: No route to host (os error 113)",
                "a: Connection refused, b: No route to host",
            ),
            ("no code (os error", "no code (os error"),
            ("odd (os error x)", "odd (os error x)"),
            ("plain", "plain"),
        ] {
            assert_eq!(without_codes(text), plain);
        }
    }
}
