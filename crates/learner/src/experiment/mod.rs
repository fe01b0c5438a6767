//! An experiment: everything that defines a run, as one TOML file.
//!
//! `configs/mlm512.toml` → [`Experiment::load`] (follow `extends`, merge tables, apply `--set`,
//! give types, validate) → a run directory, whose `config.toml` is the resolved experiment →
//! `--resume` reads that file, never the first one.
//!
//! | file | |
//! |---|---|
//! | `loading` | from a file to an experiment, and what the file states itself |
//! | `checks` | what is wrong with an experiment |
//! | `toml_file` | a file as values, and the line of each |
//! | `merge` | layers of files and overrides, and where each value came from |
//! | `explain`, `wrong_value` | errors that name file, line, key, value and what was probably meant |
//! | `known_keys`, `synonyms` | the keys there are, and what other programs call them |
//! | `former_keys` | keys of before, read as those of today |
//! | `classes` | whether the classes that a model names are those of the data |
//! | `differences` | what a resumed run must not change, and what it may |
//! | `paths` | where the files of an experiment lie |
//! | `spans` | counts of steps beside the length of the run |
//! | `task_table` | `[task]`, whose keys are those of the task that it names |
//! | `unread` | keys that nothing reads |
//! | [`trainer`] | `[trainer]`: how long, how much at once, how often |

mod checks;
mod classes;
mod differences;
mod explain;
mod former_keys;
mod known_keys;
mod loading;
mod merge;
mod paths;
mod spans;
mod synonyms;
mod task_table;
mod toml_file;
pub mod trainer;
mod unread;
mod wrong_value;

use std::path::{Path, PathBuf};

use nystromformer::{Architecture, NystromformerConfig};
use nystromformer_data::{DataConfig, Objective, TokenizerConfig};
use nystromformer_tasks::{TaskConfig, TaskRegistry};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

pub use classes::{class_difference, class_order};
pub(crate) use differences::differences;
pub(crate) use loading::Draft;
pub use loading::{LoadedExperiment, Vocabulary};
pub(crate) use paths::absolute_assignment;
pub(crate) use spans::beyond_the_end;
pub use trainer::{Precision, TrainerConfig};

use crate::device::DeviceKind;
use crate::error::{LearnerError, Result};
use crate::optimizer::OptimizerConfig;
use crate::parameter_groups::GroupOptions;
use crate::schedule::Schedule;

/// The key under which `init_from` travels between `[model]` and [`Experiment::init_from`]: the
/// model's own section is a struct of the model crate, which knows nothing of files.
const INIT_FROM: &str = "model.init_from";

/// A whole experiment. Sections left out of a file take their defaults: of optimizer, schedule and
/// trainer those of the paper's pretraining, of the model transformers', of the data modest ones.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Experiment {
    /// Name of the experiment. Default: the file's name without extension.
    pub name: String,
    /// Seed of everything random: weights, masking, order, dropout. Default: 0.
    pub seed: u64,
    /// Seeds to run the experiment with, one after the other, in place of `seed`. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seeds: Vec<u64>,
    /// What computes. Default: `flex`, the CPU.
    pub device: DeviceKind,
    /// `[model] init_from`: a Hugging Face folder, a run or a checkpoint to start the weights from.
    /// Default: none.
    #[serde(rename = "model.init_from", skip_serializing_if = "Option::is_none")]
    pub init_from: Option<PathBuf>,
    /// `[model]`: the model's sizes, in Hugging Face's words. What the file does not state is that of the
    /// model in `init_from`; without one, `vocab_size` and the ids of special tokens come from the tokenizer.
    pub model: NystromformerConfig,
    /// `[tokenizer]`: which tokenizer, or how to train one.
    pub tokenizer: TokenizerConfig,
    /// `[data]`: the corpus and how it becomes batches.
    pub data: DataConfig,
    /// `[task]`: a labelled data set to train on, in place of a corpus; of `[data]`, `seq_len` and `shuffle` apply then, and
    /// of `[tokenizer]`, `path` and `lowercase` if it is made of texts. Default: none. What its keys are, the task says
    /// that it names, so it is read by a [`TaskRegistry`].
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub task: Option<TaskConfig>,
    /// `[optimizer]`: `AdamW`.
    pub optimizer: OptimizerConfig,
    /// `[schedule]`: the learning rate over the run.
    pub schedule: Schedule,
    /// `[trainer]`: how long, how much at once, how often.
    pub trainer: TrainerConfig,
}

impl Experiment {
    /// Loads an experiment, whose task, if it has one, is one of `tasks`: follows `extends`, applies `overrides`
    /// (`section.key=value`) in order, checks everything, and settles [`DataConfig::sample_if_missing`], with a warning if the
    /// sample stands in.
    ///
    /// # Errors
    /// [`LearnerError::Config`] with every problem found, each with its file and line;
    /// [`LearnerError::Io`] if the corpus cannot be looked at.
    pub fn load(
        path: &Path,
        overrides: &[String],
        tasks: &TaskRegistry,
    ) -> Result<LoadedExperiment> {
        let draft = Draft::read(path)?.with_overrides(overrides)?;
        let source = draft.source_config()?;
        draft.resolve(source.as_ref(), tasks)
    }

    /// The same for a model that exists: what the file does not say of `[model]` is that model's.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_for(
        path: &Path,
        overrides: &[String],
        tasks: &TaskRegistry,
        model: &NystromformerConfig,
    ) -> Result<LoadedExperiment> {
        Draft::read(path)?.with_overrides(overrides)?.resolve(Some(model), tasks)
    }

    /// Loads a resolved experiment, as a run and its checkpoints keep it. It says everything itself: the
    /// model that a run started from need not be there any more.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_resolved(path: &Path, tasks: &TaskRegistry) -> Result<Self> {
        Ok(Draft::read(path)?.of_a_run().resolve(None, tasks)?.experiment)
    }

    /// A resolved experiment without its task, of which only the name is told: for what neither trains nor measures, and so
    /// needs no task to be known.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) fn load_without_task(path: &Path) -> Result<(Self, Option<String>)> {
        let (draft, name) = Draft::read(path)?.without_task();
        Ok((draft.resolve(None, &TaskRegistry::default())?.experiment, name))
    }

    /// Which parameters it trains, and at which rates.
    pub fn parameter_groups(&self) -> GroupOptions {
        GroupOptions {
            layer_decay: self.optimizer.layer_decay,
            freeze_layers: self.trainer.freeze_layers,
            freeze_embeddings: self.trainer.freeze_embeddings,
        }
    }

    /// The class of model that it trains.
    pub fn architecture(&self) -> Architecture {
        match (&self.task, self.data.objective) {
            (Some(task), _) => class_of(task).unwrap_or(Architecture::SequenceClassification),
            (None, Objective::Mlm) => Architecture::MaskedLm,
            (None, Objective::MlmSop) => Architecture::PreTraining,
        }
    }

    /// The resolved experiment as TOML; reading it gives the identical experiment. Paths are as seen from the root of the
    /// file system, if it was loaded from a file.
    pub fn to_toml(&self) -> String {
        toml::to_string(&self.to_table()).expect("a table of plain values is TOML")
    }

    fn to_table(&self) -> Table {
        let mut table = Table::try_from(self)
            .expect("an experiment is tables of plain values, and no seed exceeds an i64");
        if let Some(init_from) = table.remove(INIT_FROM)
            && let Some(Value::Table(model)) = table.get_mut("model")
        {
            model.insert("init_from".to_owned(), init_from);
        }
        unread::remove_unread(&mut table, self);
        table
    }

    /// The inverse of [`Self::to_table`], but for the task.
    fn of_table(mut table: Table) -> Self {
        if let Some(Value::Table(model)) = table.get_mut("model")
            && let Some(init_from) = model.remove("init_from")
        {
            table.insert(INIT_FROM.to_owned(), init_from);
        }
        table.try_into().expect("what an experiment was written as reads back")
    }

    /// BLAKE3 of [`Self::to_toml`], in hexadecimal.
    pub fn fingerprint(&self) -> String {
        blake3::hash(self.to_toml().as_bytes()).to_hex().to_string()
    }
}

/// The class of model that a task trains, if there is such a class.
fn class_of(task: &TaskConfig) -> Option<Architecture> {
    let wanted = task.task().model_class();
    Architecture::ALL.into_iter().find(|class| class.name() == wanted)
}

fn refuse(problems: &[String]) -> LearnerError {
    LearnerError::Config(match problems {
        [problem] => problem.clone(),
        problems => {
            format!(
                "`{}` problems with the configuration:\n  {}",
                problems.len(),
                problems.join("\n  ")
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::{Anneal, OneCycle, Warmup};

    fn load(text: &str, overrides: &[&str]) -> Result<LoadedExperiment> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tiny.toml");
        std::fs::write(&path, text).unwrap();
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        Experiment::load(&path, &overrides, &nystromformer_tasks::tasks())
    }

    /// As a run keeps it: a model to start from need not be there.
    fn load_resolved(text: &str) -> Experiment {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tiny.toml");
        std::fs::write(&path, text).unwrap();
        Experiment::load_resolved(&path, &nystromformer_tasks::tasks()).unwrap()
    }

    #[test]
    fn an_empty_file_is_the_papers_recipe() {
        let loaded = load("", &[]).unwrap();
        let expected = Experiment { name: "tiny".to_owned(), ..Experiment::default() };
        assert_eq!(loaded.experiment, expected.with_absolute_paths());
        assert_eq!(expected.optimizer.epsilon, 1e-6);
        assert_eq!(expected.trainer.max_steps, 500_000);
        assert!(!loaded.states("model.vocab_size"));
    }

    #[test]
    fn init_from_lives_in_the_model_section() {
        let experiment =
            load_resolved("name = \"a\"\n[model]\ninit_from = \"runs/a\"\nhidden_size = 96");
        let here = std::env::current_dir().unwrap();
        assert_eq!(experiment.init_from, Some(here.join("runs/a")));
        assert_eq!(experiment.model.shared.hidden_size, 96);
        let text = experiment.to_toml();
        assert_eq!(load_resolved(&text), experiment, "{text}");
        let error = load(&text, &[]).unwrap_err();
        assert_eq!(error.exit_code(), 4, "{error}");
    }

    #[test]
    fn problems_of_all_sections_are_told_at_once_with_their_lines() {
        let text = "[optimizer]\nlearning_rate = nan\n[trainer]\nbatch_size = 0\n";
        let error = load(text, &["data.seq_len=4000"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let message = error.to_string();
        for part in [
            "tiny.toml:2: `optimizer.learning_rate`: `NaN` is not a positive number",
            "tiny.toml:4: `trainer.batch_size`: ",
            "--set: `data.seq_len`: ",
            "or start from a pretrained model: `model.init_from`",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }

    /// The model's keys belong to several structs but stand in one table.
    #[test]
    fn mistakes_in_any_part_of_the_model_are_told_with_key_line_and_cure() {
        let text = "[model]\nhidden_sise = 8\nnum_landmarks = \"8\"\nattention = \"softmaks\"\n\
                    classifier_dropout_prob = true\n";
        let message = load(text, &[]).unwrap_err().to_string();
        for part in [
            "tiny.toml:2: unknown key `model.hidden_sise` = `8`; did you mean `model.hidden_size`?",
            "tiny.toml:3: `model.num_landmarks` = `8`: expected a whole number, zero or more",
            "tiny.toml:4: `model.attention` = `softmaks` is not one of its values; did you mean `softmax`?",
            "tiny.toml:5: `model.classifier_dropout_prob` = `true`: expected a number",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn sentence_order_needs_two_token_types() {
        let text = "[model]\ntype_vocab_size = 1\n[data]\nobjective = \"mlm_sop\"\n";
        let message = load(text, &[]).unwrap_err().to_string();
        assert!(message.contains("tiny.toml:2: `model.type_vocab_size`: `1`: "), "{message}");
        assert_eq!(
            load(text, &["model.type_vocab_size=2"]).unwrap().experiment.architecture(),
            Architecture::PreTraining
        );
    }

    #[test]
    fn a_name_cannot_leave_the_directory_of_runs() {
        for name in ["../x", "a/b", ".hidden"] {
            assert!(load(&format!("name = \"{name}\""), &[]).is_err(), "{name}");
        }
    }

    #[test]
    fn the_sample_stands_in_for_text_that_is_yet_to_come_but_not_for_a_misspelt_override() {
        let text = "[data]\ncorpus = \"nowhere/data\"\nsample_if_missing = true\n";
        let data = load(text, &[]).unwrap().experiment.data;
        assert_eq!((data.corpus.as_str(), data.sample_if_missing), ("sample", false));
        let data = load(text, &["data.corpus=nowhere/else"]).unwrap().experiment.data;
        assert!(data.corpus.ends_with("nowhere/else") && !data.sample_if_missing);
    }

    fn schedules() -> impl Strategy<Value = Schedule> {
        let warmup =
            (0_usize..100).prop_map(|warmup_steps| Warmup { warmup_steps, warmup_fraction: 0.0 });
        prop_oneof![
            warmup.clone().prop_map(Schedule::Linear),
            (warmup.clone(), 0.1..3.0)
                .prop_map(|(warmup, num_cycles)| Schedule::Cosine { warmup, num_cycles }),
            warmup.clone().prop_map(Schedule::Constant),
            (warmup, 0.1..4.0, 0.0..1e-3).prop_map(|(warmup, power, end_learning_rate)| {
                Schedule::Polynomial { warmup, power, end_learning_rate }
            }),
            (0.0..1.0, 1.0..100.0, any::<bool>(), any::<bool>()).prop_map(
                |(pct_start, div_factor, cos, cycle_momentum)| {
                    Schedule::OneCycle(OneCycle {
                        pct_start,
                        div_factor,
                        anneal: if cos { Anneal::Cos } else { Anneal::Linear },
                        cycle_momentum,
                        ..OneCycle::default()
                    })
                }
            ),
        ]
    }

    proptest! {
        #[test]
        fn the_resolved_form_reads_back_identical(
            schedule in schedules(),
            seed in 0..i64::MAX as u64,
            learning_rate in 1e-9..1.0,
            batch_size in 1_usize..10_000,
            shuffle: bool,
            name in "[a-z][a-z0-9 \"=#-]{0,12}",
            init_from in proptest::option::of("[a-z/\\\\]{1,12}"),
        ) {
            let mut experiment = Experiment { name, seed, schedule, ..Experiment::default() };
            experiment.optimizer.learning_rate = learning_rate;
            experiment.trainer.batch_size = batch_size;
            experiment.data.shuffle = shuffle;
            experiment.init_from = init_from.map(PathBuf::from);
            prop_assume!(!experiment.name.contains('\\'));
            let text = experiment.to_toml();
            let experiment = experiment.with_absolute_paths();
            prop_assert_eq!(load_resolved(&text), experiment.clone());
            prop_assert_eq!(load_resolved(&experiment.to_toml()), experiment);
        }
    }
}
