//! What a model learns from a corpus: the values of `data.objective`, a file or folder each.
//!
//! | file | `data.objective` | the model learns |
//! |---|---|---|
//! | `masked_lm` | `mlm` | to predict masked tokens |
//! | `sentence_order` | `mlm_sop` | the same, and whether two passages are in order |
//! | [`distill`] | `distill` | to compute what a teacher computes |
//! | [`criterion`] | | what an objective says of a model's answers where the head's own losses do not |
//!
//! A task's own inputs are learned by `task.objective = "masked_inputs"`, which is of its batches (`task_batches/noise.rs`): the
//! model is that of `mlm`.
//!
//! To add one: a variant of [`Objective`], by which the data tells its rows apart; a file here that implements
//! `CorpusObjective`; a line in the function `of`.

pub mod criterion;
pub mod distill;
mod masked_lm;
mod sentence_order;

use nystromformer::Architecture;
use nystromformer_data::{Objective, TextTokenizer};

use self::criterion::BatchCriterion;
use crate::error::Result;
use crate::experiment::Experiment;
use crate::parameter_groups::TrainedNames;

/// The objective that `data.objective` names.
pub(crate) fn of(objective: Objective) -> &'static dyn CorpusObjective {
    match objective {
        Objective::Mlm => &masked_lm::MaskedLm,
        Objective::MlmSop => &sentence_order::SentenceOrder,
        Objective::Distill => &distill::Distill,
    }
}

/// What a model learns from a corpus. An experiment with a `[task]` has no such objective.
pub(crate) trait CorpusObjective: Sync {
    /// The class of model that is trained.
    fn architecture(&self, experiment: &Experiment) -> Architecture;

    /// Keys that it does not read, and what to do instead of stating them.
    fn unread(&self) -> &'static [(&'static str, &'static str)];

    /// What is wrong with an experiment that has it, as (key, sentence). Default: nothing.
    fn problems(&self, experiment: &Experiment) -> Vec<(String, String)> {
        let _ = experiment;
        Vec::new()
    }

    /// Sets what no file states and follows from other keys. Default: nothing does.
    fn settle(&self, experiment: &mut Experiment) {
        let _ = experiment;
    }

    /// The parameters that are trained. Default: all of them.
    fn trainable(&self, experiment: &Experiment) -> TrainedNames {
        let _ = experiment;
        TrainedNames::All
    }

    /// Patterns of the names of the parameters that the loss depends on. Default: none, it depends on all.
    fn reached(&self, experiment: &Experiment) -> Vec<&'static str> {
        let _ = experiment;
        Vec::new()
    }

    /// What judges the model in place of its head's own losses. Default: nothing does.
    ///
    /// # Errors
    /// Of what it needs.
    fn criterion(
        &self,
        experiment: &Experiment,
        tokenizer: &TextTokenizer,
    ) -> Result<Option<BatchCriterion>> {
        let _ = (experiment, tokenizer);
        Ok(None)
    }

    /// Numbers that training holds in memory beside the model's own, of a model of so many parameters and a micro-batch of so many
    /// tokens. Default: none.
    fn further_floats(&self, experiment: &Experiment, parameters: u64, tokens: u64) -> u64 {
        let _ = (experiment, parameters, tokens);
        0
    }
}
