//! What is wrong with an experiment: of each section, and between them.

use std::collections::BTreeSet;

use nystromformer::ModelError;
use nystromformer_data::DataError;
use nystromformer_tasks::TaskConfig;

use super::{Experiment, class_of, refuse};
use crate::corpus_stages::stage_problems;
use crate::error::Result;

impl Experiment {
    /// Checks every value and every relation between sections.
    ///
    /// # Errors
    /// [`LearnerError::Config`](crate::LearnerError::Config) with everything that is wrong.
    pub fn validate(&self) -> Result<()> {
        let problems: Vec<String> = self
            .problems()
            .into_iter()
            .map(|(key, problem)| format!("`{key}`: {problem}"))
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(refuse(&problems)) }
    }

    /// Everything wrong, as (key, sentence).
    pub(super) fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        if self.name.contains(['/', '\\']) || self.name.starts_with('.') {
            problems.push((
                "name".to_owned(),
                format!("`{}` is not a plain file name, which the run directory takes", self.name),
            ));
        }
        let distinct: BTreeSet<u64> = self.seeds.iter().copied().collect();
        if distinct.len() < self.seeds.len() {
            let problem = format!("`{:?}` names a seed twice", self.seeds);
            problems.push(("seeds".to_owned(), problem));
        }
        problems.extend(self.model.problems().into_iter().map(|error| match error {
            ModelError::Config { key, value, reason } => {
                (format!("model.{key}"), format!("`{value}`: {reason}"))
            }
            other => ("model".to_owned(), other.to_string()),
        }));
        let of_task = self.task.iter().flat_map(TaskConfig::problems);
        let of_data =
            self.tokenizer.problems().into_iter().chain(self.data.problems()).chain(of_task);
        problems.extend(of_data.map(|error| match error {
            DataError::Config { key, value, problem } => {
                (key.to_owned(), format!("`{value}`: {problem}"))
            }
            other => ("data".to_owned(), other.to_string()),
        }));
        if let Some(task) = &self.task
            && class_of(task).is_none()
        {
            let problem = format!(
                "the task `{}` trains a `{}`, which is no class of model here",
                task.name(),
                task.task().model_class()
            );
            problems.push(("task.name".to_owned(), problem));
        }
        let multiple = self.task.as_ref().map_or(1, |task| task.options.pad_to_multiple_of.max(1));
        let padded = self.data.seq_len.checked_next_multiple_of(multiple).unwrap_or(usize::MAX);
        if let Err(error) = self.model.validate_seq_len(padded) {
            let pretrained = match &self.init_from {
                None => ", or start from a pretrained model: `model.init_from`",
                Some(_) => "",
            };
            // Sequences may fit, and not the padding.
            let (key, padding) = match self.model.validate_seq_len(self.data.seq_len) {
                Ok(()) => (
                    "task.pad_to_multiple_of",
                    format!("`{multiple}`, for `data.seq_len = {}`: ", self.data.seq_len),
                ),
                Err(_) => ("data.seq_len", String::new()),
            };
            problems.push((key.to_owned(), format!("{padding}{error}{pretrained}")));
        }
        if self.task.is_none() {
            problems.extend(stage_problems(&self.data, &self.trainer));
        }
        problems.extend(self.objective().map_or_else(Vec::new, |of| of.problems(self)));
        problems.extend(self.optimizer.problems());
        problems.extend(self.schedule.problems());
        problems.extend(self.trainer.problems());
        problems.extend(self.ranks.problems());
        if self.trainer.gradient_checkpointing && !self.device.recomputes() {
            let problem = format!(
                "layers are computed once more on `device = \"flex\"` and on GPUs without `--features fused`, not on `{}`",
                self.device
            );
            problems.push(("trainer.gradient_checkpointing".to_owned(), problem));
        }
        problems.extend(self.sweep.iter().flat_map(|sweep| sweep.problems(&self.trainer)));
        problems
    }
}
