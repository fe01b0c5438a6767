//! From a model's outputs for the units of a split to predictions, metrics and files.

use std::collections::HashMap;

use nystromformer_tasks::metrics::{LabelledPrediction, Thresholds};
use nystromformer_tasks::{Label, Predicted, Prediction, PredictionFile, Split, Targets};

use super::TaskBatches;
use super::forms::{UnitOutput, decode};
use super::splits::Evaluated;
use crate::batch::{Analysis, Outputs, Scores};
use crate::error::Result;

impl Evaluated {
    /// What the model said of each example, with the example's place; `outputs` are in the order of the units.
    fn predictions(&self, outputs: &Outputs, targets: &Targets) -> Vec<(usize, Prediction)> {
        let found: HashMap<usize, &[f32]> =
            self.units.iter().copied().zip(outputs.iter().map(Vec::as_slice)).collect();
        // An example is measured if all of it was read (`trainer.eval_examples`).
        let of_example = |place: &usize| {
            let units: Vec<UnitOutput<'_>> = self
                .examples
                .units_of(*place)
                .map(|unit| {
                    let scores = found.get(&unit).copied()?;
                    Some(UnitOutput { anchors: self.examples.anchors(unit), scores })
                })
                .collect::<Option<_>>()?;
            Some((*place, decode(&units, targets)))
        };
        self.places.iter().filter_map(of_example).collect()
    }

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
    /// The metrics of a split, with thresholds that were chosen before, or else are chosen by it.
    pub(super) fn scores_of(
        &self,
        evaluated: &Evaluated,
        outputs: &Outputs,
        thresholds: Option<&Thresholds>,
    ) -> Scores {
        let predictions = evaluated.predictions(outputs, &self.targets);
        let answered = evaluated.answered(&predictions);
        // What a key sets holds, whatever an earlier validation chose.
        let set = self.scorer.fixed_thresholds();
        let given = set.or_else(|| thresholds.cloned());
        let thresholds = given.unwrap_or_else(|| self.scorer.thresholds(&answered));
        Scores {
            examples: answered.len(),
            metrics: self.scorer.score(&answered, &thresholds),
            thresholds,
        }
    }

    /// More about the answers than metrics say.
    ///
    /// # Errors
    /// If the examples cannot be read once more.
    pub(super) fn analysis_of(
        &self,
        split: Split,
        evaluated: &Evaluated,
        outputs: &Outputs,
        thresholds: &Thresholds,
    ) -> Result<Analysis> {
        let predictions = evaluated.predictions(outputs, &self.targets);
        let answered = evaluated.answered(&predictions);
        Ok(Analysis {
            report: self.scorer.report(&answered, thresholds),
            errors: self.errors_of(split, evaluated, &answered)?,
            constant_predictor: self
                .scorer
                .constant_predictor(&mut self.training_labels(), &answered),
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
    /// If the examples cannot be read once more.
    pub(super) fn files_of(
        &self,
        split: Split,
        evaluated: &Evaluated,
        outputs: &Outputs,
        thresholds: &Thresholds,
    ) -> Result<Vec<PredictionFile>> {
        let predictions = evaluated.predictions(outputs, &self.targets);
        let examples = self.examples_of(split, evaluated)?;
        // Examples are read again: their texts are not kept in memory.
        let predicted =
            predictions.into_iter().zip(examples).map(|((place, prediction), example)| {
                example.map(|example| Predicted { place, example, prediction })
            });
        let task = self.task.task();
        let set = self.scorer.fixed_thresholds();
        let thresholds = set.as_ref().unwrap_or(thresholds);
        Ok(task.prediction_files(Box::new(predicted), &self.targets, thresholds)?)
    }
}
