//! `distill`: to compute what a teacher computes, as when a BERT's exact attention is swapped for the Nyström method.
//!
//! | file | |
//! |---|---|
//! | [`config`] | `[distill]` |
//! | `teacher` | the teacher, read and compared with the student |
//! | `layer_states` | what a model computes of a batch, layer by layer |
//! | `losses` | how far one is from the other, token by token |
//! | `distillation` | the criterion made of them |
//!
//! A run has one stage, and so one optimizer and one learning rate: the second stage is a run that begins with the first one's
//! model. The teacher of both is the same, and is read once a batch.

pub mod config;
mod distillation;
mod layer_states;
mod losses;
mod teacher;
#[cfg(test)]
mod tests;

use nystromformer::Architecture;
use nystromformer_data::TextTokenizer;
use nystromformer_interop::read_architecture;

use self::distillation::Distillation;
use self::teacher::Teacher;
use super::CorpusObjective;
use super::criterion::BatchCriterion;
use crate::error::{LearnerError, Result};
use crate::experiment::{Experiment, absolute_path};
use crate::parameter_groups::TrainedNames;
use crate::trainer::model_folder;

const OF_SENTENCE_ORDER: &str = "it goes with `data.objective = \"mlm_sop\"` only";

const NOTHING_IS_MASKED: &str =
    "nothing is masked with `data.objective = \"distill\"`; leave it out";

pub(super) struct Distill;

impl CorpusObjective for Distill {
    fn architecture(&self, experiment: &Experiment) -> Architecture {
        let stated = experiment.distill.model_class.as_deref();
        stated.and_then(|name| name.parse().ok()).unwrap_or(Architecture::Base)
    }

    fn unread(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("data.segment", OF_SENTENCE_ORDER),
            ("data.max_predictions", OF_SENTENCE_ORDER),
            ("data.short_seq_prob", OF_SENTENCE_ORDER),
            ("data.whole_word_masking", NOTHING_IS_MASKED),
            ("data.mlm_probability_end", NOTHING_IS_MASKED),
        ]
    }

    fn problems(&self, experiment: &Experiment) -> Vec<(String, String)> {
        let distill = &experiment.distill;
        let mut problems = distill.problems();
        if distill.teacher.is_none() {
            let problem = "nothing is named: name a teacher, or a model to start from (`model.init_from`), whose exact \
                           attention is then the teacher";
            problems.push(("distill.teacher".to_owned(), problem.to_owned()));
        }
        if let Some(class) =
            distill.model_class.as_deref().filter(|name| name.parse::<Architecture>().is_err())
        {
            let known = Architecture::ALL.map(Architecture::name).join("`, `");
            let problem = format!("`{class}` is no class of model here; one of `{known}`");
            problems.push(("distill.model_class".to_owned(), problem));
        }
        if experiment.trainer.gradient_checkpointing {
            let problem = "what a layer computes is compared with the teacher's, and is kept for it; leave it out";
            problems.push(("trainer.gradient_checkpointing".to_owned(), problem.to_owned()));
        }
        if experiment.model.vectors.is_used() {
            let problem = "a corpus is text, and this model reads feature vectors; leave it out";
            problems.push(("model.num_features".to_owned(), problem.to_owned()));
        }
        problems
    }

    /// The teacher is the model to start from, the class is that model's, and the tokenizer the teacher's, where nothing else is
    /// said. A folder that cannot be read is told of when it is.
    fn settle(&self, experiment: &mut Experiment) {
        let Experiment { init_from, distill, tokenizer, .. } = experiment;
        if distill.teacher.is_none() {
            distill.teacher.clone_from(init_from);
        }
        let folder = |path: &std::path::Path| model_folder(&absolute_path(path)).ok();
        if distill.model_class.is_none()
            && let Some(source) = init_from.as_ref().or(distill.teacher.as_ref())
            && let Some(class) = folder(source).and_then(|folder| read_architecture(&folder).ok())
        {
            distill.model_class = Some(class.name().to_owned());
        }
        if tokenizer.path.is_none()
            && let Some(teacher) = &distill.teacher
            && let Some(folder) = folder(teacher).filter(|folder| TextTokenizer::is_in(folder))
        {
            tokenizer.path = Some(folder);
        }
    }

    fn trainable(&self, experiment: &Experiment) -> TrainedNames {
        experiment.distill.trainable()
    }

    fn reached(&self, experiment: &Experiment) -> Vec<&'static str> {
        experiment.distill.reached()
    }

    fn criterion(
        &self,
        experiment: &Experiment,
        tokenizer: &TextTokenizer,
    ) -> Result<Option<BatchCriterion>> {
        let Some(path) = &experiment.distill.teacher else {
            return Err(LearnerError::Config(
                "`distill.teacher` is not named, and there is no `model.init_from`".to_owned(),
            ));
        };
        let teacher = Teacher::load(path, experiment, tokenizer)?;
        Ok(Some(BatchCriterion::new(Distillation::new(teacher, experiment))))
    }

    /// The teacher, and what it computes of each layer.
    fn further_floats(&self, experiment: &Experiment, parameters: u64, tokens: u64) -> u64 {
        let (shared, encoder) = (&experiment.model.shared, &experiment.model.encoder);
        let of_layers = 3 * encoder.num_hidden_layers as u64 + 1;
        let states = (shared.hidden_size as u64).saturating_mul(of_layers);
        parameters.saturating_add(tokens.saturating_mul(states))
    }
}
