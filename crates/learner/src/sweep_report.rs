//! `sweep.json`: the trials of a sweep, what each has for values, how far it is and what it scored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nystromformer_files::durable;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{LearnerError, Result};
use crate::experiment::sweep::{Direction, SweepMethod};

/// The file's name.
const SWEEP: &str = "sweep.json";

/// `sweep.json`. It is a function of the trials: a sweep that was broken off and went on has the same bytes as an unbroken one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepReport {
    /// Name of the experiment.
    pub name: String,
    /// How values were chosen.
    pub method: SweepMethod,
    /// What trials are compared by; `None` until the data of the first one has said it.
    pub metric: Option<String>,
    /// Which way is better.
    pub direction: Option<Direction>,
    /// The keys that have several values.
    pub parameters: Vec<String>,
    /// The trials in their order, the first one 1.
    pub trials: Vec<TrialReport>,
    /// The best of the trials that are finished, the first of equals.
    pub best: Option<usize>,
}

/// One trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialReport {
    /// Its number.
    pub trial: usize,
    /// Its directory in the sweep's.
    pub folder: String,
    /// Its values, by key.
    pub values: BTreeMap<String, Value>,
    /// How far it is.
    pub state: TrialState,
    /// Steps that it has taken and that are kept; of several runs the fewest.
    pub steps: usize,
    /// The metric on the validation split, of its best model; of several seeds and folds the mean. `None` if there is none yet,
    /// or if it was no number.
    pub value: Option<f64>,
}

/// How far a trial is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialState {
    /// Nothing of it can be compared yet.
    Pending,
    /// Under successive halving: it has come to its rung, and others have not.
    Paused,
    /// Under successive halving: others were better, and it takes no more steps. A trial that diverges later is left out of the
    /// ranking of every rung, of those too that it had come to: the best of those that were stopped there then goes on.
    Stopped,
    /// It has all of its steps.
    Finished,
    /// Its loss or gradient was not finite any more. It is not tried again, and is left out of the ranking of every rung.
    Diverged,
}

impl TrialState {
    /// Whether it takes no more steps, as far as is known.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Stopped | Self::Finished | Self::Diverged)
    }

    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
            Self::Diverged => "diverged",
        }
    }
}

impl SweepReport {
    /// The report of the sweep in `path`; `None` if there is none.
    ///
    /// # Errors
    /// [`LearnerError::Io`] if it cannot be read, [`LearnerError::Data`] if it does not parse.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let path = path.join(SWEEP);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LearnerError::io("read", &path)(error)),
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            LearnerError::Data(format!(
                "`{}` is not the report of a sweep ({error})",
                path.display()
            ))
        })
    }

    /// Writes it into `path`, in the place of an older one.
    ///
    /// # Errors
    /// [`LearnerError::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self)
            .expect("a report is numbers, texts, and maps whose keys are texts");
        Ok(durable::replace(&path.join(SWEEP), json.as_bytes())?)
    }

    /// The directory of the best trial of the sweep in `path`, if one is finished.
    pub fn best_folder(&self, path: &Path) -> Option<PathBuf> {
        let best = self.trials.iter().find(|trial| Some(trial.trial) == self.best)?;
        Some(path.join(&best.folder))
    }
}

impl TrialReport {
    /// Its values in a line: `learning_rate = 0.001, batch_size = 8`, by the last part of each key.
    pub fn describe(&self) -> String {
        let value = |(key, value): (&String, &Value)| {
            let name = key.rsplit('.').next().unwrap_or(key);
            format!("{name} = {}", shown(value))
        };
        self.values.iter().map(value).collect::<Vec<_>>().join(", ")
    }
}

/// A value in a table: a text without its quotes.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
