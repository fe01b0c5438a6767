//! What the best model of a finished run answers: measured on the validation split once more, whole, and once on the test
//! split.

use std::collections::BTreeMap;

use nystromformer_tasks::Split;
use nystromformer_tasks::metrics::{ClassificationReport, Predictions};
use serde::{Deserialize, Serialize};

use super::best::BestBy;
use super::learner::Learner;
use crate::checkpoint::CheckpointStore;
use crate::error::Result;
use crate::metrics_log::EvaluationRecord;
use crate::stop::StopFlag;
use crate::trainable::Trainable;

/// The best model's results, by split (`validation`, `test`, …).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BestModelResults {
    /// The step of the model.
    pub step: usize,
    /// How it was chosen.
    pub chosen_by: String,
    /// What it was chosen by: `loss` or a metric.
    pub best_by: String,
    /// Loss and metrics.
    pub evaluations: BTreeMap<String, EvaluationRecord>,
    /// Confusion matrix and scores of each class; of classifiers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<String, ClassificationReport>,
    /// The metrics of a predictor that always gives the most frequent class of the training examples, or the mean of
    /// their numbers. A metric that is undefined for a constant, as a correlation is, is left out.
    pub constant_predictor: BTreeMap<String, BTreeMap<String, f64>>,
}

impl<M: Trainable> Learner<'_, M> {
    /// Measures the best model of the run; `None` if the data says of no metric that it has it, as in pretraining.
    pub(super) fn best_model_results(
        &self,
        store: &CheckpointStore,
        by: &BestBy,
        stop: StopFlag,
    ) -> Result<Option<BestModelResults>> {
        let metrics = self.data.metrics();
        if metrics.is_empty() {
            return Ok(None);
        }
        let (step, model) = self.best_model(store)?;
        let evaluator = self.evaluator(step, stop);
        let mut results = BestModelResults {
            step,
            chosen_by: match self.state().best_evaluation {
                Some(_) => by.describe(),
                None => "the last step: there was no evaluation to choose by".to_owned(),
            },
            best_by: by.name().to_owned(),
            evaluations: BTreeMap::new(),
            classes: BTreeMap::new(),
            constant_predictor: BTreeMap::new(),
        };
        for split in [Split::Validation, Split::ValidationMismatched, Split::Test] {
            if self.data.evaluation_examples(split) == 0 {
                continue;
            }
            let evaluation = evaluator.evaluate(&model, split)?;
            let name = split.name().to_owned();
            results.evaluations.insert(name.clone(), evaluation.record);
            let Some(answers) = evaluation.answers else { continue };
            if let Some(constant) = self.data.constant_answer() {
                let answers = answers.of_constant(constant);
                let values = metrics
                    .iter()
                    .filter_map(|metric| {
                        let value = metric.compute(&answers).filter(|value| value.is_finite())?;
                        Some((metric.name().to_owned(), value))
                    })
                    .collect();
                results.constant_predictor.insert(name.clone(), values);
            }
            if let Predictions::Classes(matrix) = answers {
                let labels = self.experiment.model.classifier.id2label.names();
                results.classes.insert(name, ClassificationReport::new(matrix, labels));
            }
        }
        Ok(Some(results))
    }

    /// The model of the best evaluation, or as it is if there was none, and its step.
    fn best_model(&self, store: &CheckpointStore) -> Result<(usize, M)> {
        let state = self.state();
        let best = state.best_evaluation.as_ref().map(|best| best.step);
        let mut model = self.model().valid();
        let Some(step) = best.filter(|step| *step != state.step) else {
            return Ok((state.step, model));
        };
        model.load(&store.valid(step)?.path)?;
        Ok((step, model))
    }
}
