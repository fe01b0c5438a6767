//! The runs of a row: one for each seed, each compared with what is there before it is trained or gone on with.

use std::{collections::BTreeMap, path::Path};

use nystromformer_learner::{
    LearnerError,
    metrics_log::{EvaluationRecord, MetricsLog},
    run_dir::{RunDir, RunSummary},
    trainer::{EndReason, RunRequest, Session},
};
use nystromformer_tables::{
    TableError,
    arena::{Diverged, Scores},
};

use crate::{commands::train::train_quietly, output, signals::StopSignals};

/// Keys that are not compared: where the data lies, which is compared by what it holds, and what a run of a series stated.
const NOT_COMPARED: [&str; 2] = ["task.path", "seeds"];

/// The runs of a row, as they come to their end.
pub(super) struct Row {
    attention: String,
    finished: Vec<(RunSummary, f64, Vec<EvaluationRecord>)>,
    diverged: Vec<Diverged>,
}

impl Row {
    pub(super) fn new(attention: String) -> Self {
        Self { attention, finished: Vec::new(), diverged: Vec::new() }
    }

    /// Trains a run unless it is finished; the exit code if it was stopped.
    pub(super) fn run(
        &mut self,
        request: &RunRequest,
        seed: u64,
        data: &mut Option<String>,
        signals: &StopSignals,
    ) -> anyhow::Result<Option<u8>> {
        let Some(folder) = &request.run_dir else { return Ok(None) };
        require_same_settings(request, folder)?;
        if finished(folder)?.is_none() {
            output::note(&format!("seed {seed}"));
            let mut begins = |session: &Session| same_data(data, &session.fingerprints(), folder);
            match train_quietly(request, signals, &mut begins) {
                Ok(EndReason::Stopped(reason)) => return Ok(Some(reason.exit_code())),
                Ok(_) => {}
                Err(error) => match error.downcast_ref() {
                    // The kind does not learn here, which is a result.
                    Some(LearnerError::NonFinite { .. }) => {
                        let attention = &self.attention;
                        output::note(&format!(
                            "{attention} diverged with seed {seed}: {error}; the others go on"
                        ));
                        self.diverged.push(Diverged { seed, reason: error.to_string() });
                        return Ok(None);
                    }
                    _ => return Err(error),
                },
            }
        }
        let Some(summary) = finished(folder)? else { return Ok(None) };
        same_data(data, &summary.fingerprints, folder)?;
        let record = summary.evaluations().get("test").copied();
        let accuracy = record.and_then(|record| record.metric("accuracy")).ok_or_else(|| {
            LearnerError::Data(format!("`{}` has no test accuracy: remove it", folder.display()))
        })?;
        if !accuracy.is_finite() {
            let reason = "its answers on the test split are not numbers".to_owned();
            self.diverged.push(Diverged { seed, reason });
            return Ok(None);
        }
        let evaluations = MetricsLog::evaluations(&RunDir::metrics_path(folder))?;
        self.finished.push((summary, accuracy, evaluations));
        Ok(None)
    }

    pub(super) fn scores(self) -> Scores {
        let runs = &self.finished;
        let seconds: f64 = runs.iter().map(|(run, ..)| run.wall_seconds).sum();
        Scores {
            seeds: runs.iter().map(|(run, ..)| run.seed).collect(),
            accuracy: runs.iter().map(|(_, accuracy, _)| *accuracy).collect(),
            parameters: runs.first().map(|(run, ..)| run.parameters),
            wall_seconds: (!runs.is_empty()).then(|| seconds / runs.len() as f64),
            curve: self.curve(),
            diverged: self.diverged,
            attention: self.attention,
            mean: None,
            beside_exact: None,
        }
    }

    /// Steps at which every run was evaluated, and the mean accuracy there.
    fn curve(&self) -> Vec<(usize, f64)> {
        let mut of_steps: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for record in self.finished.iter().flat_map(|(.., evaluations)| evaluations) {
            let accuracy = record.metric("accuracy").filter(|accuracy| accuracy.is_finite());
            of_steps.entry(record.step).or_default().extend(accuracy);
        }
        of_steps.retain(|_, found| found.len() == self.finished.len());
        let mean = |found: Vec<f64>| found.iter().sum::<f64>() / found.len() as f64;
        of_steps.into_iter().map(|(step, found)| (step, mean(found))).collect()
    }
}

/// The summary of the run in `folder`, if it came to its end.
fn finished(folder: &Path) -> anyhow::Result<Option<RunSummary>> {
    Ok(RunSummary::read(folder)?.filter(RunSummary::is_complete))
}

/// Refuses to go on with a run that was begun with other settings.
fn require_same_settings(request: &RunRequest, folder: &Path) -> anyhow::Result<()> {
    if !RunDir::holds_run(folder) {
        return Ok(());
    }
    let (stored, asked) = (RunDir::overrides(folder)?, request.kept_overrides());
    let settings = |all: &[String]| -> BTreeMap<String, String> {
        let pairs = all.iter().map(|text| key_and_value(text));
        let compared = pairs.filter(|(key, _)| !NOT_COMPARED.contains(key));
        compared.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let (stored, asked) = (settings(&stored), settings(&asked));
    let Some(key) =
        stored.keys().chain(asked.keys()).find(|key| stored.get(*key) != asked.get(*key))
    else {
        return Ok(());
    };
    let told = |settings: &BTreeMap<String, String>| {
        settings.get(key).map_or_else(|| format!("no {key}"), |value| format!("{key}={value}"))
    };
    let (before, now) = (told(&stored), told(&asked));
    Err(TableError::OtherSettings { path: folder.to_owned(), before, now }.into())
}

/// Refuses a run that read something else than those before it.
fn same_data(
    known: &mut Option<String>,
    fingerprints: &BTreeMap<String, String>,
    folder: &Path,
) -> Result<(), LearnerError> {
    let Some(found) = fingerprints.get("data") else { return Ok(()) };
    if known.get_or_insert_with(|| found.clone()) == found {
        return Ok(());
    }
    Err(LearnerError::Config(format!(
        "`{}` reads other data than the runs that it is to be compared with: name theirs with --data, or choose another --output",
        folder.display()
    )))
}

/// The key of an assignment, and its value.
pub(super) fn key_and_value(assignment: &str) -> (&str, &str) {
    let (key, value) = assignment.split_once('=').unwrap_or((assignment, ""));
    (key.trim(), value.trim())
}
