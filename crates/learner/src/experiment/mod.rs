//! An experiment: everything that defines a run, as one TOML file.
//!
//! `configs/mlm512.toml` → [`Experiment::load`] (follow `extends`, merge tables, apply `--set`,
//! give types, validate) → a run directory, whose `config.toml` is the resolved experiment →
//! `--resume` reads that file, never the first one.
//!
//! | file | |
//! |---|---|
//! | `draft` | from a file to an experiment |
//! | `loaded` | an experiment, what its file states itself, and what the data adds |
//! | `vocabulary` | what the data says of the model's vocabulary |
//! | `checks` | what is wrong with an experiment |
//! | `toml_file` | a file as values, and the line of each |
//! | `merge` | layers of files and overrides, and where each value came from |
//! | `config_version` | the form in which a run wrote its configuration |
//! | `explain`, `wrong_value` | errors that name file, line, key, value and what was probably meant |
//! | `known_keys`, `synonyms` | the keys there are, and what other programs call them |
//! | `former_keys` | keys of before, read as those of today |
//! | `classes` | whether the classes that a model names are those of the data |
//! | `differences` | what a resumed run must not change, and what it may |
//! | `paths` | where the files of an experiment lie |
//! | `spans` | counts of steps beside the length of the run |
//! | [`sweep`] | `[sweep]`: several values of some keys, and what a trial is |
//! | `task_table` | `[task]`, whose keys are those of the task that it names |
//! | `unread` | keys that nothing reads |
//! | `no_effect` | keys that are read elsewhere, and have no effect here |
//! | [`trainer`] | `[trainer]`: how long, how much at once, how often |

mod checks;
mod classes;
mod config_version;
mod differences;
mod draft;
mod explain;
mod former_keys;
mod known_keys;
mod loaded;
mod merge;
mod no_effect;
mod paths;
mod spans;
pub mod sweep;
mod synonyms;
mod task_table;
mod toml_file;
pub mod trainer;
mod unread;
mod vocabulary;
mod wrong_value;

use std::path::{Path, PathBuf};

use nystromformer::{Architecture, NystromformerConfig};
use nystromformer_data::{DataConfig, TokenizerConfig};
use nystromformer_tasks::{TaskConfig, TaskRegistry};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

pub use classes::{class_difference, class_order};
pub(crate) use differences::differences;
pub(crate) use draft::Draft;
pub use loaded::LoadedExperiment;
pub use merge::ConfigLayer;
pub(crate) use paths::{absolute_assignment, absolute_path};
pub(crate) use spans::beyond_the_end;
pub use sweep::SweepConfig;
pub use trainer::{Precision, TrainerConfig};
pub use vocabulary::Vocabulary;

use crate::device::DeviceKind;
use crate::error::{LearnerError, Result};
use crate::objectives::{self, CorpusObjective, distill::config::DistillConfig};
use crate::optimizer::OptimizerConfig;
use crate::parameter_groups::{GroupOptions, TrainedNames};
use crate::ranks::RanksConfig;
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
    /// `[sweep]`: several values of some keys, a trial for each choice of them. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep: Option<SweepConfig>,
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
    /// `[distill]`: the teacher, and what is learned of it; of `data.objective = "distill"`.
    pub distill: DistillConfig,
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
    /// `[ranks]`: how processes that train together wait for each other.
    #[serde(skip_serializing_if = "RanksConfig::is_default")]
    pub ranks: RanksConfig,
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

    /// Loads the experiment of a run, whose `config.toml` this is, with `overrides`, for a model of the run. Keys that nothing reads
    /// are passed over in the file, which a version may have written that listed them all; of the overrides they are refused.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_run(
        path: &Path,
        overrides: &[String],
        tasks: &TaskRegistry,
        model: &NystromformerConfig,
    ) -> Result<LoadedExperiment> {
        let draft = Draft::read(path)?.of_a_run().with_overrides(overrides)?;
        draft.resolve(Some(model), tasks)
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
            trainable: self.objective().map_or(TrainedNames::All, |of| of.trainable(self)),
            reached: self.objective().map_or(Vec::new(), |of| of.reached(self)),
        }
    }

    /// The class of model that it trains.
    pub fn architecture(&self) -> Architecture {
        match (&self.task, self.objective()) {
            (None, Some(objective)) => objective.architecture(self),
            (Some(task), _) if task.masked_share().is_some() => Architecture::MaskedLm,
            (task, _) => {
                task.as_ref().and_then(class_of).unwrap_or(Architecture::SequenceClassification)
            }
        }
    }

    /// What is learned from the corpus; `None` where there is a task.
    pub(crate) fn objective(&self) -> Option<&'static dyn CorpusObjective> {
        self.task.is_none().then(|| objectives::of(self.data.objective))
    }

    /// The resolved experiment as TOML; reading it gives the identical experiment. Paths are as seen from the root of the
    /// file system, if it was loaded from a file.
    pub fn to_toml(&self) -> String {
        resolved_text(self.to_table())
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

    /// BLAKE3 of [`Self::to_toml`], less the number of its form, in hexadecimal.
    pub fn fingerprint(&self) -> String {
        let text = toml::to_string(&self.to_table()).expect("a table of plain values is TOML");
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }
}

/// A resolved configuration as a run keeps it.
fn resolved_text(mut table: Table) -> String {
    config_version::write(&mut table);
    toml::to_string(&table).expect("a table of plain values is TOML")
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
mod tests;
