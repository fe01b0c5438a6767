//! A temporary folder with a labelled data set and an experiment that trains on it.

use std::fs;
use std::path::{Path, PathBuf};

use nystromformer_learner::metrics_log::{EvaluationRecord, MetricsLog, MetricsRecord, StepRecord};
use nystromformer_learner::progress::{Progress, Silent};
use nystromformer_learner::stop::StopFlag;
use nystromformer_learner::task_batches::TaskBatches;
use nystromformer_learner::trainer::{RunRequest, Session, TrainOutput};
use nystromformer_learner::{Experiment, LearnerError};
use nystromformer_tasks::Split;

/// Words of the reviews that say nothing about the film.
const FILLERS: [&str; 10] =
    ["the", "film", "was", "long", "and", "slow", "with", "music", "by", "friends"];

/// A tiny model and a short run; `dropout` of the model is on by default.
const BASE: &str = r#"
seed = 5
[model]
hidden_size = 16
num_hidden_layers = 1
num_attention_heads = 2
intermediate_size = 32
max_position_embeddings = 64
num_landmarks = 4
conv_kernel_size = 3
initializer_range = 0.1
pooling = "mean"
[data]
seq_len = 32
[optimizer]
learning_rate = 2e-3
[schedule]
kind = "constant"
[trainer]
max_steps = 6
batch_size = 6
micro_batch_size = 4
eval_every = 3
eval_examples = 0
checkpoint_every = 2
"#;

pub(super) struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    /// With an experiment on the task `name`, whose data is in the folder `data`, and further lines of `[task]`.
    pub(super) fn new(name: &str, further: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().display();
        let task = format!("[task]\nname = \"{name}\"\npath = \"{root}/data\"\n{further}\n");
        let named = format!("name = \"{name}\"").parse().unwrap();
        let has_texts = crate::known_tasks().read(&named).unwrap().task().vocabulary().is_none();
        let tokenizer = if has_texts {
            format!("[tokenizer]\npath = \"{root}/vocab.txt\"\n")
        } else {
            String::new()
        };
        fs::write(directory.path().join("task.toml"), format!("{BASE}{task}{tokenizer}")).unwrap();
        fs::create_dir(directory.path().join("data")).unwrap();
        Self { directory }
    }

    /// With reviews in three CSV files: 60 to train on, of which a third is bad; 20 to validate and 21 to test on.
    pub(super) fn of_reviews() -> Self {
        let fixture = Self::new("labelled", "");
        fixture.write_vocabulary();
        for (part, numbers) in
            [(Split::Train, 0..60), (Split::Validation, 60..80), (Split::Test, 80..101)]
        {
            let rows = numbers.map(|number| format!("{},{}", review(number), label(part, number)));
            fixture.write_csv(part, "sentence,label", rows);
        }
        fixture
    }

    /// The entries of a BERT tokenizer that knows every word of the reviews.
    pub(super) fn write_vocabulary(&self) {
        let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned);
        let words = FILLERS.iter().chain(&["poor", "fine"]).map(|word| (*word).to_owned());
        let names = (0..110).map(|number| format!("n{number}"));
        let entries: Vec<String> = special.into_iter().chain(words).chain(names).collect();
        fs::write(self.path("vocab.txt"), entries.join("\n") + "\n").unwrap();
    }

    pub(super) fn write_csv(
        &self,
        part: Split,
        header: &str,
        rows: impl IntoIterator<Item = String>,
    ) {
        let rows: Vec<String> = std::iter::once(header.to_owned()).chain(rows).collect();
        fs::write(self.data().join(format!("{}.csv", part.name())), rows.join("\n") + "\n")
            .unwrap();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(super) fn request(&self, run: &str, overrides: &[&str], resume: bool) -> RunRequest {
        RunRequest {
            config: self.path("task.toml"),
            overrides: overrides.iter().map(|&text| text.to_owned()).collect(),
            run_dir: Some(self.path(run)),
            resume,
            tasks: crate::known_tasks(),
        }
    }

    /// A new run to its end.
    pub(super) fn train(&self, run: &str, overrides: &[&str]) -> Result<TrainOutput, LearnerError> {
        train(&self.request(run, overrides, false), &mut Silent)
    }

    /// The batches of the experiment, without a run.
    pub(super) fn batches(&self, overrides: &[&str]) -> Result<TaskBatches, LearnerError> {
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        let experiment =
            Experiment::load(&self.path("task.toml"), &overrides, &crate::known_tasks())?
                .experiment;
        TaskBatches::prepare(&experiment, None, &|_| {})
    }

    /// The steps and evaluations of a run, without what depends on the clock.
    pub(super) fn metrics(&self, run: &str) -> (Vec<StepRecord>, Vec<EvaluationRecord>) {
        let (mut steps, mut evaluations) = (Vec::new(), Vec::new());
        for record in MetricsLog::read(&self.path(run).join("metrics.jsonl")).unwrap() {
            match record {
                MetricsRecord::Train(step) => {
                    steps.push(StepRecord { tokens_per_second: 0.0, elapsed_s: 0.0, ..step });
                }
                MetricsRecord::Validation(evaluation) => evaluations.push(evaluation),
            }
        }
        (steps, evaluations)
    }
}

/// Runs a session to its end, or until `progress` asks to stop.
pub(super) fn train(
    request: &RunRequest,
    progress: &mut dyn Progress,
) -> Result<TrainOutput, LearnerError> {
    Session::open(request, &|_| {})?.train(StopFlag::new(), progress)
}

/// Asks a run to stop after a step, as a person at a display does.
pub(super) struct StopAfter {
    pub(super) step: usize,
    pub(super) taken: usize,
}

impl Progress for StopAfter {
    fn start(&mut self, _: &str, completed: usize, _: usize) {
        self.taken = completed;
    }

    fn step(&mut self, record: &StepRecord) {
        self.taken = record.step;
    }

    fn evaluation(&mut self, _: &EvaluationRecord) {}

    fn note(&mut self, _: &str) {}

    fn stop_requested(&self) -> bool {
        self.taken >= self.step
    }

    fn finish(&mut self) {}
}

/// The checkpoint of a step.
pub(super) fn checkpoint(run: &Path, step: usize) -> PathBuf {
    run.join(format!("checkpoints/step-{step:08}"))
}

/// The text of a review, of 4 to 14 words of which none but this one has the first.
pub(super) fn review(number: usize) -> String {
    let mut words: Vec<&str> =
        (0..2 + number * 7 % 11).map(|place| FILLERS[(number * 3 + place * 7) % 10]).collect();
    let verdict = if is_bad(number) { "poor" } else { "fine" };
    words.insert(number % words.len(), verdict);
    format!("n{number} {}", words.join(" "))
}

/// A third of the reviews.
pub(super) fn is_bad(number: usize) -> bool {
    number.is_multiple_of(3)
}

/// The class of a review; among those to test on the other way round, so that bad ones are the most.
fn label(part: Split, number: usize) -> &'static str {
    if is_bad(number) == (part == Split::Test) { "good" } else { "bad" }
}
