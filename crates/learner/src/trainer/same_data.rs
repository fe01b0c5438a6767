//! Whether runs that are compared, the seeds and folds of a series and the trials of a sweep, read the same data.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::session::Session;
use crate::error::{LearnerError, Result};
use crate::experiment::{Experiment, differences};
use crate::run_dir::{RunDir, RunSummary};

/// Tables of keys by which data is read.
const OF_DATA: [&str; 3] = ["data.", "task.", "tokenizer."];

/// What the hash of all that was read is called among the fingerprints of a summary.
pub(super) const SOURCE: &str = "source";

/// Keys that choose among examples that are read all the same, or say what is done with them.
const CHOICES: [&str; 4] = ["task.class_weights", "task.fold", "task.metrics", "task.sampling"];

/// Refuses to train beside runs in the directories `others`, which differ by the keys `varied`, that read something else under the same keys: what a file holds has
/// changed since. A run that has not ended yet is not looked at; it is compared when it goes on.
///
/// # Errors
/// [`LearnerError::Config`], and [`LearnerError::Io`] and [`LearnerError::Data`] if a run's files cannot be read.
pub(super) fn require_same_data(
    session: &Session,
    others: &[PathBuf],
    varied: &[String],
) -> Result<()> {
    let experiment = session.experiment();
    let keys = keys_of_data(experiment, varied);
    let mut now = session.fingerprints();
    now.extend(session.source_fingerprint().map(|hash| (SOURCE.to_owned(), hash)));
    for folder in others.iter().filter(|folder| *folder != session.run().path()) {
        let Some(summary) = RunSummary::read(folder)? else { continue };
        let other = experiment_of(folder, experiment)?;
        let other_keys = keys_of_data(&other, varied);
        if without_choices(&other_keys) != without_choices(&keys) {
            continue;
        }
        // A corpus is cut and split by the seed, a task's data by `task.split_seed`.
        let is_of_seed = experiment.task.is_none() && other.seed != experiment.seed;
        let is_same_part = other_keys == keys && !is_of_seed;
        let before = summary.fingerprints;
        // Runs of earlier versions do not tell their source.
        let comparable = |fingerprints: &BTreeMap<String, String>| -> BTreeMap<String, String> {
            let is_compared = |name: &str| match name {
                "data" => is_same_part,
                SOURCE => before.contains_key(SOURCE),
                name => name == "tokenizer",
            };
            let compared = fingerprints.iter().filter(|(name, _)| is_compared(name));
            compared.map(|(name, hash)| (name.clone(), hash.clone())).collect()
        };
        let changes = differences(&comparable(&before), &comparable(&now));
        if !changes.is_empty() {
            return Err(LearnerError::Config(format!(
                "`{}` was trained on something else, and a run that is compared with it cannot be trained beside it: {}; undo the \
                 change of the data, or start anew in another directory",
                folder.display(),
                changes.join("; ")
            )));
        }
    }
    Ok(())
}

fn experiment_of(folder: &Path, like: &Experiment) -> Result<Experiment> {
    let tasks = like.task.as_ref().map(|task| task.registry().clone()).unwrap_or_default();
    Experiment::load_resolved(&RunDir::config_path(folder), &tasks)
}

/// The keys by which all of the data is read.
fn without_choices(keys: &BTreeMap<String, String>) -> BTreeMap<&String, &String> {
    let is_choice = |key: &str| {
        CHOICES.iter().any(|choice| {
            key.strip_prefix(choice).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    keys.iter().filter(|(key, _)| !is_choice(key)).collect()
}

/// The keys by which data is read, with the places of files, for trials may read different ones. What the data answered itself is
/// none of them, unless it is `varied`.
fn keys_of_data(experiment: &Experiment, varied: &[String]) -> BTreeMap<String, String> {
    let task = experiment.task.as_ref();
    // The last batch of an evaluation, and rows that are sorted by their length, are part of the fingerprint.
    let drops_last = task.is_some_and(|task| task.options.drop_last);
    let answered: Vec<String> = task
        .into_iter()
        .flat_map(|task| task.task().keys_from_data())
        .map(|key| format!("task.{}", key.trim_start_matches("task.")))
        .filter(|key| !varied.contains(key))
        .collect();
    let mut keys = experiment.fields();
    keys.retain(|key, _| {
        let is_of_data = OF_DATA.iter().any(|table| key.starts_with(table))
            || ["model.init_from", "model.semantics"].contains(&key.as_str())
            || key == "trainer.batch_size" && drops_last;
        is_of_data && !answered.contains(key)
    });
    keys
}
