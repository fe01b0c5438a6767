//! From a model's outputs for the units of a split to predictions, metrics and files.

use std::collections::HashMap;

use nystromformer_tasks::metrics::{LabelledPrediction, Thresholds};
use nystromformer_tasks::{Label, Predicted, Prediction, PredictionFile};

use super::TaskBatches;
use super::forms::{UnitOutput, decode};
use super::splits::Evaluated;
use crate::batch::{Analysis, Answers, Outputs, Scores};
use crate::error::Result;

impl Evaluated {
    /// The examples that have a label.
    fn answered<'a>(
        &'a self,
        predictions: &'a [(usize, Prediction)],
    ) -> Vec<LabelledPrediction<'a>> {
        let answered = predictions.iter().filter_map(|(place, prediction)| {
            let label = self.examples.labels()[*place].as_ref()?;
            Some(LabelledPrediction { place: *place, prediction, label })
        });
        answered.collect()
    }
}

impl TaskBatches {
    /// What the model said of each example of a split, with the example's place; `outputs` are in the order of its units.
    fn predictions(&self, evaluated: &Evaluated, outputs: &Outputs) -> Vec<(usize, Prediction)> {
        let Evaluated { examples, units, places, .. } = evaluated;
        let found: HashMap<usize, &[f32]> =
            units.iter().copied().zip(outputs.iter().map(Vec::as_slice)).collect();
        let pooling = self.windows.map(|windows| windows.pooling).unwrap_or_default();
        // An example is measured if all of it was read (`trainer.eval_examples`).
        let of_example = |place: &usize| {
            let units: Vec<UnitOutput<'_>> = examples
                .units_of(*place)
                .map(|unit| {
                    let scores = found.get(&unit).copied()?;
                    Some(UnitOutput { anchors: examples.anchors(unit), scores })
                })
                .collect::<Option<_>>()?;
            Some((*place, decode(&units, &self.targets, pooling)))
        };
        places.iter().filter_map(of_example).collect()
    }

    /// The thresholds that decide on answers: those that a key sets hold, whatever was chosen before; else those that were chosen
    /// before; else those by which these score best, but for a test split, which chooses nothing.
    fn settled_thresholds(
        &self,
        answers: Answers<'_>,
        answered: &[LabelledPrediction<'_>],
    ) -> Result<Thresholds> {
        let settled = self.scorer.fixed_thresholds().or_else(|| answers.thresholds.cloned());
        Ok(match settled {
            Some(thresholds) => thresholds,
            None if answers.split.is_test() => Thresholds::new(),
            None => self.scorer.best_thresholds(answered)?,
        })
    }

    /// The key that sets the thresholds by which answers are decided, and the value that decides where none were chosen; `None` if it
    /// is set, or nothing is decided so.
    pub fn open_threshold(&self) -> Option<(&'static str, f64)> {
        let is_set = self.scorer.fixed_thresholds().is_some();
        self.scorer.threshold_key().filter(|_| !is_set)
    }

    /// The metrics of a split.
    ///
    /// # Errors
    /// [`LearnerError::Data`] for answers that are none to its labels.
    pub(super) fn scores_of(&self, evaluated: &Evaluated, answers: Answers<'_>) -> Result<Scores> {
        let predictions = self.predictions(evaluated, answers.outputs);
        let answered = evaluated.answered(&predictions);
        let thresholds = self.settled_thresholds(answers, &answered)?;
        Ok(Scores {
            examples: answered.len(),
            metrics: self.scorer.score(&answered, &thresholds)?,
            thresholds,
        })
    }

    /// More about the answers than metrics say.
    ///
    /// # Errors
    /// As [`Self::scores_of`], and if the examples cannot be read once more.
    pub(super) fn analysis_of(
        &self,
        evaluated: &Evaluated,
        answers: Answers<'_>,
    ) -> Result<Analysis> {
        let predictions = self.predictions(evaluated, answers.outputs);
        let answered = evaluated.answered(&predictions);
        let thresholds = self.settled_thresholds(answers, &answered)?;
        let scorer = &self.scorer;
        Ok(Analysis {
            report: scorer.report(&answered, &thresholds)?,
            errors: self.errors_of(answers.split, evaluated, &answered)?,
            constant_predictor: scorer
                .constant_predictor(&mut self.training_labels(), &answered)?,
        })
    }

    /// The labels of what trains.
    pub(super) fn training_labels(&self) -> impl Iterator<Item = &Label> {
        let train = &self.splits.train;
        self.splits.training_places.iter().filter_map(|place| train.labels()[*place].as_ref())
    }

    /// The predictions for a split, as the files of its task.
    ///
    /// # Errors
    /// As [`Self::analysis_of`].
    pub(super) fn files_of(
        &self,
        evaluated: &Evaluated,
        answers: Answers<'_>,
    ) -> Result<Vec<PredictionFile>> {
        let predictions = self.predictions(evaluated, answers.outputs);
        let thresholds = self.settled_thresholds(answers, &evaluated.answered(&predictions))?;
        let mut predictions = predictions.into_iter().peekable();
        let predicted = self.examples_of(answers.split, evaluated)?.filter_map(|read| {
            let (place, example) = match read {
                Ok(read) => read,
                Err(error) => return Some(Err(error)),
            };
            let (_, prediction) = predictions.next_if(|(next, _)| *next == place)?;
            let row = example.row.unwrap_or(place);
            Some(Ok(Predicted { row, example, prediction }))
        });
        let task = self.task.task();
        Ok(task.prediction_files(Box::new(predicted), &self.targets, &thresholds)?)
    }
}
