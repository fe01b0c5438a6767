//! [`Draft`]: the text of an experiment, before its values have types.

use std::path::Path;

use nystromformer::NystromformerConfig;
use nystromformer_data::DataConfig;
use nystromformer_interop::read_config;
use nystromformer_tasks::TaskRegistry;
use toml::{Table, Value};

use super::merge::{Layers, Origin};
use super::{
    Experiment, INIT_FROM, LoadedExperiment, config_version, explain, former_keys, no_effect,
    paths, refuse, sweep, task_table, unread,
};
use crate::error::{LearnerError, Result};
use crate::trainer::model_folder;

/// The text of an experiment, read and merged, before its values have types.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    layers: Layers,
    /// The experiment's name where none is stated.
    file_stem: String,
    /// The [form](config_version) that its file says it has.
    form: i64,
    unread: UnreadKeys,
}

/// What becomes of keys that are stated and that nothing reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UnreadKeys {
    /// They are refused, or told where they change nothing.
    Refused,
    /// So are those of the command line. A run's own file may list others: earlier versions listed every key.
    RefusedIfSet,
    /// They are passed over: what is asked for is compared with a run, which may be of a version that knew no such rule.
    PassedOver,
}

impl UnreadKeys {
    /// Whether a key of this origin is passed over.
    fn passes_over(self, origin: Option<&Origin>) -> bool {
        match self {
            Self::Refused => false,
            Self::RefusedIfSet => origin != Some(&Origin::Override),
            Self::PassedOver => true,
        }
    }
}

impl Draft {
    /// Reads a file and what it extends.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let file_stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut layers = Layers::read(path)?;
        let form = config_version::take(&mut layers)?;
        Ok(Self { layers, file_stem, form, unread: UnreadKeys::Refused })
    }

    /// The same with `--set` assignments, in order; and then, if they or the file name one trial of a sweep, as that trial.
    pub(crate) fn with_overrides(&self, overrides: &[String]) -> Result<Self> {
        let mut draft = self.clone();
        for assignment in overrides {
            draft.layers.set(assignment)?;
        }
        sweep::settle_trial(&mut draft.layers, self.is_resolved())?;
        Ok(draft)
    }

    /// The same as a run keeps it: an earlier version may have written it.
    pub(crate) fn of_a_run(mut self) -> Self {
        former_keys::settle_form(&mut self.layers, self.form);
        self.unread = UnreadKeys::RefusedIfSet;
        self
    }

    /// The same to be compared with a run that it goes on with.
    pub(crate) fn beside_a_run(mut self) -> Self {
        self.unread = UnreadKeys::PassedOver;
        self
    }

    /// The same as the version meant it that wrote `run`, which it goes on with.
    pub(crate) fn meant_as_by(mut self, run: &Self) -> Self {
        former_keys::settle_form(&mut self.layers, run.form);
        self
    }

    fn is_resolved(&self) -> bool {
        self.unread != UnreadKeys::Refused
    }

    /// The same as a run keeps it, without its task, whose name is given.
    pub(crate) fn without_task(mut self) -> (Self, Option<String>) {
        let name = self.layers.get("task.name").and_then(Value::as_str).map(str::to_owned);
        self.layers.remove("task");
        (self.of_a_run(), name)
    }

    /// The experiment's name; not checked yet.
    pub(crate) fn name(&self) -> &str {
        let stated = self.layers.get("name").and_then(Value::as_str).unwrap_or_default();
        if stated.is_empty() { &self.file_stem } else { stated }
    }

    /// Whether it has several values of some keys; not checked yet.
    pub(crate) fn is_sweep(&self) -> bool {
        sweep::is_sweep(&self.layers)
    }

    /// Whether it names seeds to run the experiment with, or folds of its data and none of them; not checked yet.
    pub(crate) fn is_series(&self) -> bool {
        let seeds = self.layers.get("seeds").and_then(Value::as_array);
        let above_zero =
            |key| self.layers.get(key).and_then(Value::as_integer).is_some_and(|count| count > 0);
        seeds.is_some_and(|seeds| !seeds.is_empty())
            || above_zero("task.folds") && !above_zero("task.fold")
    }

    /// The configuration of the model in `[model] init_from`, if there is one to start from.
    pub(crate) fn source_config(&self) -> Result<Option<NystromformerConfig>> {
        let Some(path) = self.layers.get(INIT_FROM).and_then(Value::as_str) else {
            return Ok(None);
        };
        let path = paths::absolute(path).unwrap_or_else(|| path.to_owned());
        Ok(Some(read_config(&model_folder(Path::new(&path))?)?))
    }

    /// Gives the values their types, checks them, and settles [`DataConfig::sample_if_missing`]. What no file
    /// says of the model is that of `inherited`, or else the default. Relative paths count from the folder of the process,
    /// and become absolute; names on the Hub become folders, but those of a run, which stay as they are.
    pub(crate) fn resolve(
        self,
        inherited: Option<&NystromformerConfig>,
        tasks: &TaskRegistry,
    ) -> Result<LoadedExperiment> {
        let name = self.name().to_owned();
        let resolved = self.is_resolved();
        let Self { mut layers, unread, .. } = self;
        former_keys::settle(&mut layers, resolved)?;
        let mut plain = layers.clone();
        plain.remove("task");
        if let Some(value) = plain.remove(INIT_FROM) {
            plain.table.insert(INIT_FROM.to_owned(), value);
        }
        let task = task_table::read(&layers, tasks, |key| unread.passes_over(layers.origin(key)));
        let of_tasks = tasks.all_keys().into_iter().map(|key| format!("task.{key}"));
        let elsewhere: Vec<String> =
            of_tasks.chain([INIT_FROM.to_owned(), "task".to_owned()]).collect();
        let mut experiment: Experiment = match (explain::typed(&plain, &elsewhere), task) {
            (Ok(experiment), Ok(task)) => Experiment { task, ..experiment },
            (experiment, task) => {
                let problems = [experiment.err(), task.err()].into_iter().flatten().flatten();
                return Err(refuse(&problems.collect::<Vec<_>>()));
            }
        };
        experiment.name = name;
        if let Some(inherited) = inherited {
            inherit(&mut experiment.model, inherited, &layers)?;
        }
        if let Some(objective) = experiment.objective() {
            objective.settle(&mut experiment);
        }
        let vectors = &mut experiment.model.vectors;
        if experiment.task.as_ref().is_some_and(|task| task.task().reads_vectors())
            && !vectors.is_used()
        {
            // How many, the data will say.
            vectors.num_features = 1;
        }
        let stated = match unread {
            UnreadKeys::Refused => layers.clone(),
            UnreadKeys::RefusedIfSet => layers.of_command_line(),
            UnreadKeys::PassedOver => Layers::default(),
        };
        let mut not_read = unread::problems(&stated, &experiment);
        if !resolved {
            not_read.extend(no_effect::problems(&layers, &experiment));
        }
        let problems: Vec<String> = experiment
            .problems()
            .into_iter()
            .map(|(key, problem)| match layers.origin(&key) {
                Some(origin) => format!("{origin}: `{key}`: {problem}"),
                None => format!("`{key}`: {problem}"),
            })
            .chain(not_read)
            .collect();
        if !problems.is_empty() {
            return Err(refuse(&problems));
        }
        settle_corpus(&mut experiment.data, &layers)?;
        // A run that goes on takes the folders that it has.
        if !stated.table.is_empty() {
            experiment = experiment.with_local_models(None)?;
        }
        no_effect::tell(&stated, &experiment);
        let experiment = experiment.with_absolute_paths();
        Ok(LoadedExperiment { experiment, layers, inherits: inherited.is_some() })
    }
}

/// Takes every key of the model that no file states from another model.
fn inherit(
    model: &mut NystromformerConfig,
    source: &NystromformerConfig,
    layers: &Layers,
) -> Result<()> {
    let unusable = |error: &dyn std::fmt::Display| {
        LearnerError::Config(format!(
            "`model.init_from`: its configuration cannot be used: {error}"
        ))
    };
    let mut own = Table::try_from(&*model).map_err(|error| unusable(&error))?;
    for (key, value) in Table::try_from(source).map_err(|error| unusable(&error))? {
        if layers.get(&format!("model.{key}")).is_none() {
            own.insert(key, value);
        }
    }
    *model = own.try_into().map_err(|error| unusable(&error))?;
    Ok(())
}

/// Turns to the sample where the experiment allows it and there is no text yet.
fn settle_corpus(data: &mut DataConfig, layers: &Layers) -> Result<()> {
    let overridden = |key| layers.origin(key) == Some(&Origin::Override);
    // A corpus named on the command line is meant: misspelt, it must not become the sample.
    if overridden("data.corpus") && !overridden("data.sample_if_missing") {
        data.sample_if_missing = false;
    }
    if let Some(named) = nystromformer_data::settle_corpus(data)? {
        tracing::warn!(
            "there is no text in `{named}` yet, so this trains on the built-in sample; put .txt, \
             .jsonl or .parquet files there, or name another place with `--set data.corpus=PATH`"
        );
    }
    Ok(())
}
