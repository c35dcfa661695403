//! The configuration file and the configuration in force. Every change goes through here, whether the owner edits the
//! file (see [`watch`](super::watch)) or saves it on a web page.
//!
//! Writers take turns. A change is saved first and then announced to the scheduler, which applies it. No lock is held
//! while a writer waits for the scheduler.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use parking_lot::Mutex;
use serde_json::Value;

use crate::config::merge::Version;
use crate::config::{self, Change, ConfigErrors};
use crate::core::event::Source;
use crate::core::fact::Fact;
use crate::observe::log::warn_of_unknown_names;
use crate::shell::inbox::{Context, Input};
use crate::system::files::{self, Backup, write_atomic};

/// How long it may take until a saved change is in force. Usually it takes a millisecond.
const PATIENCE: Duration = Duration::from_secs(5);

/// The configuration file, and the receivers of its changes.
pub struct Settings {
    path: PathBuf,
    context: Context,
    /// The last known state of the file. The holder of this lock may write the file.
    seen: Mutex<FileRecord>,
}

/// The last known state of the file.
#[derive(Debug, Default)]
struct FileRecord {
    /// The contents that were last applied or refused. None at first, so that changes since the program read the file
    /// are not missed.
    contents: Option<Vec<u8>>,
    /// Whether they were refused.
    refused: bool,
    /// Whether the file was last reported as unusable.
    in_trouble: bool,
    /// The warnings reported about the current contents.
    warnings: Vec<String>,
}

impl FileRecord {
    /// The warnings that have not been reported yet.
    fn news(&mut self, warnings: &[String]) -> Vec<Fact> {
        let new = warnings.iter().filter(|text| !self.warnings.contains(text));
        let facts = new.map(|text| Fact::ConfigWarning { text: text.clone() });
        let facts = facts.collect();
        self.warnings = warnings.to_vec();
        facts
    }

    /// The file can be used: returns the report if it could not be used before and nothing changes.
    fn recovered(&mut self, changes: bool) -> Option<Fact> {
        self.refused = false;
        let recovered = std::mem::take(&mut self.in_trouble);
        (recovered && !changes).then_some(Fact::ConfigUsable)
    }

    /// The file cannot be used.
    fn trouble(&mut self, problem: String) -> Vec<Fact> {
        self.in_trouble = true;
        vec![Fact::ConfigRefused { problem }]
    }
}

/// The result of a change.
#[derive(Clone, Debug, PartialEq)]
pub struct SaveReport {
    /// The version of the file now.
    pub version: Version,
    /// The differences from the configuration in force before.
    pub changes: Vec<Change>,
    /// Warnings about the configuration, one sentence each.
    pub warnings: Vec<String>,
}

/// Why a change was not made.
#[derive(Debug)]
pub enum SaveError {
    /// The configuration would be invalid; the file is unchanged.
    Invalid(ConfigErrors),
    /// The file could not be read or written; it is unchanged.
    Failed(anyhow::Error),
    /// It is saved, but the scheduler did not apply it in time.
    NotInForce,
}

impl Settings {
    /// Settings for this file. `warnings`: those reported at the start.
    pub fn new(path: PathBuf, context: Context, warnings: Vec<String>) -> Self {
        let seen = Mutex::new(FileRecord {
            warnings,
            ..FileRecord::default()
        });
        Self {
            path,
            context,
            seen,
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's contents.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        files::read(&self.path, config::LARGEST_FILE)
    }

    /// Replaces the configuration with what `edit` makes of the file's current contents, and waits until it is in
    /// force. It reports the same facts as if the owner had edited the file.
    ///
    /// # Errors
    /// What `edit` says against it, or why it was not done.
    pub fn change<E: From<SaveError>>(
        &self,
        source: Source,
        edit: impl FnOnce(&[u8]) -> Result<Value, E>,
    ) -> Result<SaveReport, E> {
        let (saved, facts) = self.save(source, edit)?;
        if saved.changes.is_empty() {
            self.tell(facts);
        } else {
            let done = self.announce(facts).ok_or(SaveError::NotInForce)?;
            done.recv_timeout(PATIENCE)
                .map_err(|_| SaveError::NotInForce)?;
        }
        Ok(saved)
    }

    /// Applies the owner's changes in the file, if there are any.
    pub fn reload(&self) {
        if let Some(facts) = self.read_again() {
            let _ = self.announce(facts);
        }
    }

    /// Reports that the file is gone; the configuration in force stays.
    pub fn tell_loss(&self) {
        let problem = format!("{} has vanished", self.path.display());
        let facts = self.seen.lock().trouble(problem);
        self.tell(facts);
    }

    fn save<E: From<SaveError>>(
        &self,
        source: Source,
        edit: impl FnOnce(&[u8]) -> Result<Value, E>,
    ) -> Result<(SaveReport, Vec<Fact>), E> {
        let mut seen = self.seen.lock();
        let failed = |error: anyhow::Error| SaveError::Failed(error);
        let present = self.read().map_err(|error| {
            failed(
                anyhow::Error::new(error)
                    .context(format!("failed to read {}", self.path.display())),
            )
        })?;
        let text = config::text(&edit(&present)?);
        // The text is judged, because that is what will be read.
        let loaded = self.judge(&text).map_err(SaveError::Invalid)?;
        write_atomic(&self.path, text.as_bytes(), Backup::KeepOne).map_err(failed)?;
        let version = Version::of(text.as_bytes());
        seen.contents = Some(text.into_bytes());
        let warnings = loaded.warnings.clone();
        let (changes, facts) = self.adopt(loaded, source, &mut seen);
        let saved = SaveReport {
            version,
            changes,
            warnings,
        };
        Ok((saved, facts))
    }

    /// The facts about a file that has changed; `None` if it has not.
    fn read_again(&self) -> Option<Vec<Fact>> {
        let mut seen = self.seen.lock();
        let bytes = match self.read() {
            Ok(bytes) => bytes,
            // A file that has disappeared is not created again, because that would remove the pools.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                let problem = format!("{} cannot be read: {error}", self.path.display());
                return Some(seen.trouble(problem));
            }
        };
        if seen.contents.as_ref() == Some(&bytes) {
            // If the old contents are put back, they are as usable as before.
            let usable = !seen.refused;
            return usable
                .then(|| seen.recovered(false).into_iter().collect())
                .filter(|facts: &Vec<_>| !facts.is_empty());
        }
        let loaded = std::str::from_utf8(&bytes)
            .map_err(|error| error.to_string())
            .and_then(|text| {
                let loaded = config::parse_file(text).and_then(|loaded| self.judged(loaded));
                loaded.map_err(|errors| errors.to_string())
            });
        let facts = match loaded {
            // The mistakes were already reported at the start.
            Err(_) if seen.contents.is_none() && self.started_with(&bytes) => {
                seen.refused = true;
                seen.in_trouble = true;
                Vec::new()
            }
            Err(problem) => {
                seen.refused = true;
                seen.trouble(format!("{}: {problem}", self.path.display()))
            }
            Ok(loaded) => self.adopt(loaded, Source::File, &mut seen).1,
        };
        seen.contents = Some(bytes);
        Some(facts)
    }

    /// Whether a start with this file results in the configuration in force.
    fn started_with(&self, bytes: &[u8]) -> bool {
        std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| config::parse_for_start(text).ok())
            .is_some_and(|loaded| loaded.config == *self.context.live.wanted())
    }

    /// The configuration in a file, if it may replace the one in force.
    ///
    /// # Errors
    /// With all mistakes.
    pub fn judge(&self, text: &str) -> Result<config::LoadedConfig, ConfigErrors> {
        self.judged(config::parse(text)?)
    }

    fn judged(
        &self,
        mut loaded: config::LoadedConfig,
    ) -> Result<config::LoadedConfig, ConfigErrors> {
        warn_of_unknown_names(&mut loaded);
        config::may_replace(&self.context.live.wanted(), &loaded.config)?;
        Ok(loaded)
    }

    /// Sets the configuration that the scheduler should apply next. Returns its changes, and the facts to report. Only
    /// for the holder of the lock, so that the last one saved applies.
    fn adopt(
        &self,
        loaded: config::LoadedConfig,
        source: Source,
        seen: &mut FileRecord,
    ) -> (Vec<Change>, Vec<Fact>) {
        let changes = config::changes(&self.context.live.wanted(), &loaded.config);
        let mut facts = seen.news(&loaded.warnings);
        facts.extend(seen.recovered(!changes.is_empty()));
        if changes.is_empty() {
            return (changes, facts);
        }
        self.context
            .live
            .want(Arc::new(loaded.config), source.clone());
        facts.push(Fact::ConfigApplied {
            changes: changes.clone(),
            source,
        });
        (changes, facts)
    }

    fn tell(&self, facts: Vec<Fact>) {
        for fact in facts {
            let _ = self.context.inbox.send(Input::Report(fact));
        }
    }

    /// Lets the scheduler apply the wanted configuration; the answer comes when it is in force. `None` if there is no
    /// scheduler any more.
    fn announce(&self, facts: Vec<Fact>) -> Option<Receiver<()>> {
        let (done, answer) = bounded(1);
        let inputs =
            std::iter::once(Input::Config { done }).chain(facts.into_iter().map(Input::Report));
        for input in inputs {
            self.context.inbox.send(input).ok()?;
        }
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::config::Config;

    /// Settings of a file in a separate folder, and the scheduler's inbox.
    struct Rig {
        settings: Settings,
        inputs: Receiver<Input>,
        folder: tempfile::TempDir,
    }

    fn text(weight: i64) -> String {
        let pool = |host| json!({"host": host, "port": 1, "wallet": "w"});
        let config = json!({
            "pools": {"A": pool("a.test"), "B": pool("b.test")}, "scheduler": {"poolA_weight": weight},
        });
        config.to_string()
    }

    fn parsed(text: &str) -> Arc<Config> {
        Arc::new(config::parse(text).unwrap().config)
    }

    impl Rig {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("config.json");
            fs::write(&path, text(50)).unwrap();
            let (context, inputs) = Context::for_tests(parsed(&text(50)));
            Self {
                settings: Settings::new(path, context, Vec::new()),
                inputs,
                folder,
            }
        }

        fn write(&self, text: impl AsRef<[u8]>) {
            fs::write(self.settings.path(), text).unwrap();
        }

        /// Saves a configuration while a scheduler is there.
        fn change(&self, to: &str) -> Result<SaveReport, SaveError> {
            std::thread::scope(|scope| {
                let settings = &self.settings;
                let (source, to) = (Source::File, serde_json::from_str(to).unwrap());
                let saving = scope.spawn(move || settings.change(source, |_| Ok(to)));
                while !saving.is_finished() {
                    if let Ok(Input::Config { done }) = self.inputs.try_recv() {
                        settings.context.live.put_into_force().unwrap();
                        done.send(()).unwrap();
                    }
                    std::thread::yield_now();
                }
                saving.join().unwrap()
            })
        }

        /// Reads the owner's changes. Returns the names of the reported facts, or `config` for an announced
        /// configuration.
        fn reload(&self) -> Vec<&'static str> {
            self.settings.reload();
            self.told()
        }

        fn told(&self) -> Vec<&'static str> {
            let name = |input| match input {
                Input::Config { .. } => "config",
                Input::Report(Fact::ConfigApplied { .. }) => "applied",
                Input::Report(Fact::ConfigRefused { .. }) => "refused",
                Input::Report(Fact::ConfigUsable) => "usable",
                Input::Report(Fact::ConfigWarning { .. }) => "warning",
                other => panic!("{other:?}"),
            };
            self.inputs.try_iter().map(name).collect()
        }
    }

    #[test]
    fn a_finished_change_is_saved_and_in_force() {
        let rig = Rig::new();
        let saved = rig.change(&text(70)).unwrap();
        assert_eq!(saved.changes.len(), 1, "{:?}", saved.changes);
        assert_eq!(*rig.settings.context.live.get(), *parsed(&text(70)));
        let contents = rig.settings.read().unwrap();
        assert_eq!(saved.version, Version::of(&contents));
        let again = config::parse(std::str::from_utf8(&contents).unwrap());
        assert_eq!(again.unwrap().config, *parsed(&text(70)));
        // Its own writing is not a change, and neither are the same contents again.
        rig.told();
        assert_eq!(rig.reload(), [""; 0]);
        let same = rig.change(&text(70)).unwrap();
        assert_eq!((same.changes, same.version), (Vec::new(), saved.version));
    }

    #[test]
    fn an_invalid_change_leaves_the_file_as_it_was() {
        let rig = Rig::new();
        let error = rig.change(&text(-1));
        assert!(matches!(error, Err(SaveError::Invalid(_))), "{error:?}");
        assert_eq!(rig.settings.read().unwrap(), text(50).into_bytes());
        assert_eq!(rig.told(), [""; 0]);
        // Neither does an edit that is given up, or a missing file.
        let given_up = |_: &[u8]| Err(SaveError::NotInForce);
        let error = rig.settings.change(Source::File, given_up);
        assert!(matches!(error, Err(SaveError::NotInForce)), "{error:?}");
        fs::remove_file(rig.settings.path()).unwrap();
        let error = rig.change(&text(60));
        assert!(matches!(error, Err(SaveError::Failed(_))), "{error:?}");
        assert!(!rig.settings.path().exists(), "it is not created again");
    }

    #[test]
    fn a_change_the_scheduler_does_not_apply_is_saved_but_not_in_force() {
        let Rig {
            settings,
            inputs,
            folder,
        } = Rig::new();
        drop(inputs);
        let to = serde_json::from_str(&text(70)).unwrap();
        let error = settings.change(Source::File, |_| Ok::<_, SaveError>(to));
        assert!(matches!(error, Err(SaveError::NotInForce)), "{error:?}");
        assert_eq!(*settings.context.live.get(), *parsed(&text(50)));
        let saved = fs::read_to_string(folder.path().join("config.json")).unwrap();
        assert_eq!(parsed(&saved), parsed(&text(70)));
    }

    #[test]
    fn each_edit_of_the_file_is_reported_once() {
        let rig = Rig::new();
        assert_eq!(rig.reload(), ["config"], "nothing to report at the start");
        rig.write(text(60));
        assert_eq!(rig.reload(), ["config", "applied"]);
        assert_eq!(rig.reload(), [""; 0]);
        for bad in ["{".as_bytes(), b"\xff", text(-1).as_bytes()] {
            rig.write(bad);
            assert_eq!(rig.reload(), ["config", "refused"]);
            assert_eq!(rig.reload(), [""; 0]);
        }
        assert_eq!(*rig.settings.context.live.wanted(), *parsed(&text(60)));
        // With the previous contents, everything is fine again and nothing changes.
        rig.write(text(60));
        assert_eq!(rig.reload(), ["config", "usable"]);
        let unknown = text(60).replacen('{', r#"{"unknown": 1, "#, 1);
        rig.write(&unknown);
        assert_eq!(rig.reload(), ["config", "warning"]);
        rig.write(unknown.replace("60", "80"));
        assert_eq!(rig.reload(), ["config", "applied"], "the warning is known");
        fs::remove_file(rig.settings.path()).unwrap();
        assert_eq!(rig.reload(), [""; 0], "it may be on its way back");
        rig.settings.tell_loss();
        assert_eq!(rig.told(), ["refused"]);
        rig.write(unknown.replace("60", "80"));
        assert_eq!(rig.reload(), ["config", "usable"]);
    }
}
