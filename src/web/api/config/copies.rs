//! What pages have read of the settings that commands write. So a page that saves the whole configuration does not undo
//! later commands.

use std::collections::VecDeque;

use parking_lot::Mutex;
use serde_json::{Map, Value};

use crate::config;
use crate::config::merge::{Version, merge, take_commanded};
use crate::web::error::{ApiError, Code};

/// How many versions are remembered. A page with an older one must reload the configuration, if there have been
/// commands since then.
const MOST: usize = 16;

/// The commanded settings of the latest versions that pages have read, newest last.
#[derive(Debug, Default)]
pub(in crate::web) struct Copies(Mutex<VecDeque<(String, Map<String, Value>)>>);

impl Copies {
    /// Remembers what a client knows now.
    pub(super) fn note(&self, version: &Version, config: &Value) {
        let commanded = take_commanded(&mut config.clone());
        let mut known = self.0.lock();
        known.retain(|(of, _)| *of != version.commanded);
        known.push_back((version.commanded.clone(), commanded));
        if known.len() > MOST {
            known.pop_front();
        }
    }

    /// A client's changed configuration, merged with later commands.
    ///
    /// # Errors
    /// If something else has changed since, or both sides have changed the same.
    pub(super) fn bring_up(
        &self,
        etag: &str,
        mut sent: Value,
        contents: &[u8],
    ) -> Result<Value, ApiError> {
        let (read, present) = (Version::of_etag(etag), Version::of(contents));
        if read == present {
            return Ok(sent);
        }
        let conflict = |what: &str| {
            let message = format!("{what} has changed since this page read it. Load it again.");
            ApiError::new(Code::Conflict, message)
        };
        let base = {
            let known = self.0.lock();
            let found = known.iter().find(|(of, _)| *of == read.commanded);
            found.map(|(_, base)| base.clone())
        };
        let file = std::str::from_utf8(contents).ok();
        let file = file.and_then(|text| Some(config::read_file(text).ok()?.0));
        let same_rest = read.others == present.others;
        let Some((base, mut file)) = base.zip(file).filter(|_| same_rest) else {
            return Err(conflict("The configuration"));
        };
        let theirs = take_commanded(&mut file);
        let mine = take_commanded(&mut sent);
        let merged = merge(&base, &mine, &theirs).map_err(|path| ApiError {
            field: Some(path.clone()),
            ..conflict(&path)
        })?;
        for (path, value) in merged {
            config::set(&mut sent, &path, value);
        }
        Ok(sent)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file(weight: i32, slice: i32) -> Value {
        json!({"scheduler": {"poolA_weight": weight, "slice_seconds": slice}, "workers": {"a": {"work": "A"}}})
    }

    fn bring_up(copies: &Copies, etag: &str, sent: Value, now: &Value) -> Result<Value, ApiError> {
        copies.bring_up(etag, sent, now.to_string().as_bytes())
    }

    #[test]
    fn settings_commanded_in_the_meantime_stay() {
        let copies = Copies::default();
        let read = file(70, 10);
        let version = Version::of_json(read.clone());
        copies.note(&version, &read);
        let etag = version.etag();
        assert_eq!(
            bring_up(&copies, &etag, file(60, 5), &read),
            Ok(file(60, 5))
        );
        assert_eq!(
            bring_up(&copies, &etag, file(70, 5), &file(50, 10)),
            Ok(file(50, 5))
        );
        let both = bring_up(&copies, &etag, file(60, 5), &file(50, 10)).unwrap_err();
        assert_eq!(
            (both.code, both.field.as_deref()),
            (Code::Conflict, Some("scheduler.poolA_weight"))
        );
        let other = bring_up(&copies, &etag, file(70, 5), &file(70, 20)).unwrap_err();
        assert_eq!((other.code, other.field), (Code::Conflict, None));
    }

    #[test]
    fn a_forgotten_version_is_accepted_only_if_it_is_the_current_one() {
        let copies = Copies::default();
        let read = file(70, 10);
        let etag = Version::of_json(read.clone()).etag();
        assert!(bring_up(&copies, &etag, file(70, 5), &read).is_ok());
        assert!(bring_up(&copies, &etag, file(70, 5), &file(50, 10)).is_err());
        assert!(bring_up(&copies, "", file(70, 5), &read).is_err());
    }

    #[test]
    fn only_the_latest_versions_are_remembered() {
        let copies = Copies::default();
        for weight in 0..40 {
            let read = file(weight, 10);
            copies.note(&Version::of_json(read.clone()), &read);
        }
        assert_eq!(copies.0.lock().len(), MOST);
    }
}
