//! How DPMP builds the user name that a pool sees. Pools separate account and worker in different ways (compat Q45).

use std::fmt;

use serde_json::{Value, json};

use super::kind::{Form, FormKind, Kind, one_line};

/// How most pools want it.
const USUAL: &str = "{wallet}.{worker}";

/// The longest form, in characters.
const LONGEST: usize = 256;

/// The form of a pool's user names: text with `{wallet}`, `{worker}` and `{user}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserName {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Wallet,
    Worker,
    User,
}

impl UserName {
    /// `None` if a placeholder in braces is unknown.
    fn parse(form: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = form;
        while let Some((text, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}')?;
            pieces.push(Piece::Text(text.to_owned()));
            pieces.push(match name {
                "wallet" => Piece::Wallet,
                "worker" => Piece::Worker,
                "user" => Piece::User,
                _ => return None,
            });
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        let braces =
            |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains(['{', '}']));
        (!pieces.is_empty() && !pieces.iter().any(braces)).then_some(Self { pieces })
    }

    /// The name for a miner: `worker` is its worker, empty if it has none, `user` all that it calls itself. Without
    /// a worker the character that separates it from what is before is left out, too.
    pub fn of(&self, wallet: &str, worker: &str, user: &str) -> String {
        let mut name = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => name.push_str(text),
                Piece::Wallet => name.push_str(wallet),
                Piece::User => name.push_str(user),
                Piece::Worker if !worker.is_empty() => name.push_str(worker),
                Piece::Worker => {
                    let separated = name.ends_with(|last: char| !last.is_alphanumeric());
                    name.truncate(name.len() - usize::from(separated));
                }
            }
        }
        name
    }
}

impl UserName {
    /// The one name for all miners: the form without the worker, or the wallet where the form wants a miner's own name.
    pub fn of_all(&self, wallet: &str) -> String {
        if self.pieces.contains(&Piece::User) {
            return wallet.to_owned();
        }
        let name = self.of(wallet, "", "");
        if name.is_empty() {
            wallet.to_owned()
        } else {
            name
        }
    }
}

impl Default for UserName {
    fn default() -> Self {
        Self {
            pieces: vec![Piece::Wallet, Piece::Text(".".to_owned()), Piece::Worker],
        }
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Wallet => f.write_str("{wallet}"),
            Piece::Worker => f.write_str("{worker}"),
            Piece::User => f.write_str("{user}"),
        })
    }
}

/// The form of a pool's user names.
pub(super) struct UserNameForm;

impl Kind for UserNameForm {
    type Meaning = UserName;

    fn read(&self, value: &Value) -> Result<UserName, String> {
        value
            .as_str()
            .map(str::trim)
            .and_then(|text| one_line(text, LONGEST))
            .filter(|text| !text.contains(char::is_whitespace))
            .and_then(UserName::parse)
            .ok_or_else(|| self.allowed())
    }

    fn allowed(&self) -> String {
        format!(
            "1 to {LONGEST} characters without spaces; DPMP replaces {{wallet}}, {{worker}} and {{user}}"
        )
    }

    fn default(&self) -> UserName {
        UserName::default()
    }

    fn default_json(&self) -> Value {
        json!(USUAL)
    }

    fn form(&self) -> Form {
        Form::text(FormKind::Text, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(form: &str, worker: &str) -> Option<String> {
        let form = UserNameForm.read(&json!(form)).ok()?;
        Some(form.of("bc1q", worker, "mine.rig"))
    }

    #[test]
    fn user_names_are_built_the_way_pools_want_them() {
        for (form, with, without) in [
            (USUAL, "bc1q.rig", "bc1q"),
            ("{wallet}_{worker}", "bc1q_rig", "bc1q"),
            ("solo:{wallet}/{worker}", "solo:bc1q/rig", "solo:bc1q"),
            (
                "sri/solo/{wallet}/{worker}+100",
                "sri/solo/bc1q/rig+100",
                "sri/solo/bc1q+100",
            ),
            ("{worker}{wallet}", "rigbc1q", "bc1q"),
            (" {wallet} ", "bc1q", "bc1q"),
            ("{user}", "mine.rig", "mine.rig"),
            ("account", "account", "account"),
        ] {
            assert_eq!(name(form, "rig").as_deref(), Some(with), "{form}");
            assert_eq!(name(form, "").as_deref(), Some(without), "{form}");
        }
    }

    #[test]
    fn unknown_placeholders_are_refused() {
        for form in [
            "",
            "{wallet",
            "wallet}",
            "{}",
            "{pool}",
            "{wallet} {worker}",
            "{{wallet}}",
        ] {
            assert_eq!(name(form, "rig"), None, "{form}");
        }
        assert!(UserNameForm.read(&json!(7)).is_err());
    }

    #[test]
    fn the_default_is_the_usual_form() {
        assert_eq!(UserName::parse(USUAL), Some(UserName::default()));
        assert_eq!(UserName::default().to_string(), USUAL);
    }
}
