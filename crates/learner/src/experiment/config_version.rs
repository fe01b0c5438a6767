//! `config_version`: the form in which a run wrote its configuration.
//!
//! The number goes up when a key comes to mean something else, so that a file of before is read as it was meant.

use toml::{Table, Value};

use super::merge::Layers;
use crate::error::{LearnerError, Result};

const KEY: &str = "config_version";

/// The form before there was a number. `task.truncation = "head"` was the default then: it was written where nobody had stated it, and
/// left to the tokenizer which end of a text is kept.
pub(super) const WITHOUT_NUMBER: i64 = 1;

/// The form of today.
const CURRENT: i64 = 2;

/// Says in a resolved configuration which form it has.
pub(super) fn write(resolved: &mut Table) {
    resolved.insert(KEY.to_owned(), Value::Integer(CURRENT));
}

/// Takes the number out of a configuration.
///
/// # Errors
/// [`LearnerError::Config`] if it is none that is known here.
pub(super) fn take(layers: &mut Layers) -> Result<i64> {
    let Some(value) = layers.remove(KEY) else { return Ok(WITHOUT_NUMBER) };
    let known = value.as_integer().filter(|form| (WITHOUT_NUMBER..=CURRENT).contains(form));
    known.ok_or_else(|| {
        let origin = layers.origin(KEY).map_or_else(String::new, |origin| format!("{origin}: "));
        LearnerError::Config(format!(
            "{origin}`{KEY}` is `{value}`, and this version reads the forms {WITHOUT_NUMBER} to {CURRENT}: use the version that wrote \
             the file, or leave the line out if it was written by hand"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Experiment;
    use super::*;

    #[test]
    fn a_resolved_file_names_its_form_and_one_of_a_later_version_is_refused() {
        let experiment = Experiment { name: "tiny".to_owned(), ..Experiment::default() };
        let written = experiment.to_toml();
        assert!(written.starts_with(&format!("{KEY} = {CURRENT}\n")), "{written}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.toml");
        let tasks = nystromformer_tasks::TaskRegistry::default();
        std::fs::write(&path, &written).unwrap();
        let read = Experiment::load_resolved(&path, &tasks).unwrap();
        assert_eq!(read.to_toml().parse::<Table>(), read.to_toml().parse::<Table>());
        // A run's file may begin another run.
        assert!(Experiment::load(&path, &[], &tasks).is_ok());
        for other in ["3", "0", "\"2\""] {
            let text = written.replace(&format!("{KEY} = {CURRENT}"), &format!("{KEY} = {other}"));
            std::fs::write(&path, text).unwrap();
            let error = Experiment::load_resolved(&path, &tasks).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let message = error.to_string();
            assert!(message.contains("tiny.toml:1: `config_version` is `"), "{message}");
            assert!(message.contains("the version that wrote the file"), "{message}");
        }
    }
}
