//! [`TaskConfig`]: the `[task]` table of a config file, read.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nystromformer_data::{DataError, Windows};
use nystromformer_files::say_once;
use nystromformer_files::table::Column;
use serde::{Serialize, Serializer};
use toml::Table;
use toml::de::Error;

use crate::example::ExampleReader;
use crate::labelled::Targets;
use crate::metrics::{AnswerKind, Metric, MetricScorer, Scorer};
use crate::objective::TaskObjective;
use crate::options::TaskOptions;
use crate::registry::TaskRegistry;
use crate::split::Split;
use crate::task::{ColumnUse, Task, TaskContext};
use crate::too_long::TooLong;

/// The `[task]` table: the options that all tasks have, and a task made from its own keys.
#[derive(Debug, Clone)]
pub struct TaskConfig {
    /// What every task reads.
    pub options: TaskOptions,
    /// The task's own keys, all of them.
    keys: Table,
    task: Arc<dyn Task>,
    /// What the model calls the features of vectors.
    feature_names: Vec<String>,
    /// What the model calls its classes.
    class_names: Vec<String>,
    /// Keys, as `task.key`, that are no mistake of whoever asks, although nothing can follow them.
    passed_over: Vec<String>,
    registry: TaskRegistry,
}

impl TaskRegistry {
    /// Reads a `[task]` table, all keys of which must be read by the task that it names.
    ///
    /// # Errors
    ///
    /// An unknown task, an unknown key (`unknown field`), or a value of another type, each with the key as `task.key`.
    pub fn read(&self, table: &Table) -> Result<TaskConfig, Error> {
        let (options, keys, task) = self.parts(table)?;
        Ok(TaskConfig {
            options,
            keys,
            task,
            feature_names: Vec::new(),
            class_names: Vec::new(),
            passed_over: Vec::new(),
            registry: self.clone(),
        })
    }
}

impl TaskConfig {
    /// The same for a model that calls the features of its vectors so (`model.feature_names`); none if it does not know.
    #[must_use]
    pub fn with_feature_names(self, feature_names: &[String]) -> Self {
        Self { feature_names: feature_names.to_vec(), ..self }
    }

    /// The same for a model whose `id2label` has these names: a label that is called so is a class, whatever it looks like.
    #[must_use]
    pub fn with_class_names(self, class_names: &[String]) -> Self {
        Self { class_names: class_names.to_vec(), ..self }
    }

    /// The same, with `keys` (as `task.key`) of a configuration that an earlier version may have written: if nothing can follow one of
    /// them it is told, and not refused.
    #[must_use]
    pub fn passing_over(self, keys: impl Iterator<Item = String>) -> Self {
        Self { passed_over: keys.collect(), ..self }
    }

    /// The value of `task.name`.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// The task.
    pub fn task(&self) -> &dyn Task {
        &*self.task
    }

    /// The tasks among which this one was found.
    pub fn registry(&self) -> &TaskRegistry {
        &self.registry
    }

    /// The share of the inputs that are hidden and to be predicted; `None` if labels are.
    pub fn masked_share(&self) -> Option<f64> {
        match self.options.objective {
            TaskObjective::Labels => None,
            TaskObjective::MaskedInputs => {
                self.options.mlm_probability.or_else(|| self.task.masked_share())
            }
        }
    }

    /// Where the task's files are.
    pub fn path(&self) -> PathBuf {
        self.options.path.clone().unwrap_or_else(|| self.task.default_path())
    }

    /// What is to be predicted; sequences have at most `seq_len` tokens.
    ///
    /// # Errors
    ///
    /// As [`Task::targets`]; [`DataError::Config`] for `task.threshold` where each example has one class, or a number, unless it is
    /// [passed over](Self::passing_over).
    pub fn targets(&self, seq_len: usize) -> Result<Targets, DataError> {
        self.with_threshold_read(self.in_context(seq_len, |context| self.task.targets(context))?)
    }

    /// The same targets, if they leave something to decide by `task.threshold`, where that is set.
    fn with_threshold_read(&self, targets: Targets) -> Result<Targets, DataError> {
        match self.task.threshold() {
            Some(threshold) if !matches!(targets, Targets::Labels(_)) => {
                let problem = "goes with any number of classes an example: set `task.multi_label = true`, or leave it out; of one \
                               class of several the likeliest is taken";
                self.refuse("task.threshold", &threshold, problem)?;
                Ok(targets)
            }
            _ => Ok(targets),
        }
    }

    /// Refuses a key that nothing can follow; says it where the key is [passed over](Self::passing_over).
    fn refuse(
        &self,
        key: &'static str,
        value: &dyn Display,
        problem: &str,
    ) -> Result<(), DataError> {
        if !self.passed_over.iter().any(|passed| passed == key) {
            return Err(DataError::config(key, value, problem));
        }
        say_once(format!("`{key}` = `{value}` of the run's configuration {problem}"));
        Ok(())
    }

    /// Refuses a column of the input that is a column of the labels too: the model would read what it is to say. To be asked before
    /// examples with labels are read, and not of a file that is to be predicted, where another column may be called so.
    ///
    /// # Errors
    ///
    /// [`DataError::Config`] for the first such column, unless its key is [passed over](Self::passing_over).
    pub fn refuse_labels_as_input(&self) -> Result<(), DataError> {
        let Some(ColumnUse { inputs, labels, label_key }) = self.task.columns() else {
            return Ok(());
        };
        let is_both = |(_, column): &&(&'static str, Column)| labels.contains(column);
        inputs.iter().filter(is_both).try_for_each(|(key, column)| {
            let problem = format!(
                "is the column of the labels too (`{label_key}`), which the model is to predict and not to read"
            );
            let value: &dyn Display = match column {
                Column::Name(name) => name,
                Column::Index(index) => index,
            };
            self.refuse(key, value, &problem)
        })
    }

    /// The same of a model with classes of these names, if the task [names classes](Task::names_classes): its training data need not
    /// be there.
    ///
    /// # Errors
    ///
    /// As [`Self::targets`].
    pub fn targets_of_model(
        &self,
        class_names: &[String],
        seq_len: usize,
    ) -> Result<Targets, DataError> {
        if !self.task.names_classes() {
            return self.targets(seq_len);
        }
        let targets = self.in_context(seq_len, |context| {
            self.task.targets(&TaskContext { class_names: Some(class_names), ..*context })
        })?;
        self.with_threshold_read(targets)
    }

    /// The same task with the keys set that its data answers.
    ///
    /// # Errors
    ///
    /// As [`Task::resolved_keys`].
    pub fn resolved(&self, targets: &Targets, seq_len: usize) -> Result<Self, DataError> {
        let found =
            self.in_context(seq_len, |context| self.task.resolved_keys(targets, context))?;
        if found.is_empty() {
            return Ok(self.clone());
        }
        let unread = |error: &dyn Display| {
            DataError::config(
                "task.name",
                self.name(),
                format!("its data says what it cannot read: {error}"),
            )
        };
        let mut table = Table::try_from(self).map_err(|error| unread(&error))?;
        table.extend(found);
        let resolved = self.registry.read(&table).map_err(|error| unread(&error))?;
        let Self { feature_names, class_names, passed_over, .. } = self.clone();
        Ok(Self { feature_names, class_names, passed_over, ..resolved })
    }

    /// The examples of a split, `None` if the task has none such.
    ///
    /// # Errors
    ///
    /// As [`Task::examples`].
    pub fn examples(
        &self,
        split: Split,
        targets: &Targets,
        seq_len: usize,
    ) -> Result<Option<ExampleReader>, DataError> {
        self.in_context(seq_len, |context| self.task.examples(split, targets, context))
    }

    /// The examples of a file that is no split of the data set.
    ///
    /// # Errors
    ///
    /// As [`Task::file_examples`].
    pub fn file_examples(
        &self,
        file: &Path,
        targets: &Targets,
        seq_len: usize,
    ) -> Result<ExampleReader, DataError> {
        self.in_context(seq_len, |context| self.task.file_examples(file, targets, context))
    }

    /// What is measured: `task.metrics`, or what the task measures; and `chosen_by`, if it is another metric of such answers.
    ///
    /// # Errors
    ///
    /// [`DataError::Config`] (`task.metrics`) for metrics that answers of this kind do not have.
    pub fn scorer(&self, targets: &Targets, chosen_by: &str) -> Result<Box<dyn Scorer>, DataError> {
        let of_task = self.task.scorer(targets);
        let scorer =
            |metrics| MetricScorer::new(metrics, targets).with_threshold(self.task.threshold());
        let mut metrics = self.task.metrics(targets);
        let kind =
            AnswerKind::of(targets).filter(|_| of_task.names() == scorer(metrics.clone()).names());
        let asked = &self.options.metrics;
        let Some(kind) = kind else {
            return match asked.first() {
                None => Ok(of_task),
                Some(metric) => {
                    let known: Vec<String> =
                        of_task.names().into_iter().map(|metric| metric.name).collect();
                    let problem = format!(
                        "the task `{}` measures its own metrics: {}; leave the key out",
                        self.name(),
                        known.join(", ")
                    );
                    Err(DataError::config("task.metrics", metric, problem))
                }
            };
        };
        for metric in asked {
            metric.check("task.metrics", kind)?;
        }
        if !asked.is_empty() {
            metrics.clone_from(asked);
        }
        if let Ok(metric) = chosen_by.parse::<Metric>()
            && metric.applies_to(kind)
            && !metrics.contains(&metric)
        {
            metrics.push(metric);
        }
        Ok(Box::new(scorer(metrics)))
    }

    fn in_context<T>(&self, seq_len: usize, act: impl FnOnce(&TaskContext<'_>) -> T) -> T {
        act(&TaskContext {
            path: &self.path(),
            split_seed: self.options.split_seed,
            seq_len,
            feature_names: &self.feature_names,
            class_names: None,
            known_classes: &self.class_names,
            reads_labels: self.options.objective == TaskObjective::Labels,
        })
    }

    /// How texts longer than a row are read in windows, if they are to be.
    pub fn windows(&self) -> Option<Windows> {
        self.task.windows().filter(|_| self.options.truncation == Some(TooLong::Windows))
    }

    /// A [`DataError::Config`] for every value that is out of range.
    pub fn problems(&self) -> Vec<DataError> {
        let mut problems = self.options.problems();
        problems.extend(self.options.objective.problems(&self.options, &*self.task));
        if self.options.truncation == Some(TooLong::Windows) && self.task.windows().is_none() {
            let problem = format!(
                "the task `{}` does not read long texts so: it is for a label of a whole text, as in `labelled` and `imdb`; leave the \
                 key out (`ner` and `qa` read all of a long text without it)",
                self.name()
            );
            problems.push(DataError::config("task.truncation", "windows", problem));
        }
        problems.extend(self.task.problems(&self.options));
        problems
    }
}

/// Equal if every key is.
impl PartialEq for TaskConfig {
    fn eq(&self, other: &Self) -> bool {
        (&self.options, &self.keys) == (&other.options, &other.keys)
    }
}

/// As the one table that it was read from, with every default filled in.
impl Serialize for TaskConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = Table::try_from(&self.options).map_err(serde::ser::Error::custom)?;
        table.extend(self.keys.clone());
        table.serialize(serializer)
    }
}
