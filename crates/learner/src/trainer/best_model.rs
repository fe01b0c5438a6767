//! What the best model of a finished run answers: measured on the validation split once more, whole, and once on the test
//! split, whose predictions are written.

use std::collections::BTreeMap;

use nystromformer_data::ProgressListener;
use nystromformer_files::durable;
use nystromformer_tasks::Split;
use nystromformer_tasks::metrics::Thresholds;

use super::best::BestBy;
use super::best_model_results::BestModelResults;
use super::learner::Learner;
use crate::batch::Answers;
use crate::checkpoint::CheckpointStore;
use crate::error::{LearnerError, Result};
use crate::run_dir::RunDir;
use crate::stop::StopFlag;
use crate::trainable::Trainable;

impl<M: Trainable> Learner<'_, M> {
    /// Measures the best model of the run, and writes its predictions for the test splits into `run`; `None` if the data
    /// says of no metric that it has it, as in pretraining.
    pub(super) fn best_model_results(
        &self,
        run: &RunDir,
        store: &CheckpointStore,
        by: &BestBy,
        stop: StopFlag,
        progress: &dyn ProgressListener,
    ) -> Result<Option<BestModelResults>> {
        if self.data.metric_names().is_empty() {
            return Ok(None);
        }
        // It may be in a checkpoint that rank 0 has yet to finish.
        self.ranks.meet("the last checkpoint")?;
        let (step, model) = self.best_model(store)?;
        let evaluator = self.evaluator(step, stop, progress);
        let mut results = BestModelResults {
            step,
            chosen_by: match self.state().best_evaluation {
                Some(_) => by.describe(),
                None => "the last step: there was no evaluation to choose by".to_owned(),
            },
            best_by: by.name().to_owned(),
            greater_is_better: Some(by.greater_is_better()),
            thresholds: Thresholds::new(),
            evaluations: BTreeMap::new(),
            classes: BTreeMap::new(),
            errors: BTreeMap::new(),
            constant_predictor: BTreeMap::new(),
        };
        for split in Split::EVALUATED {
            let name = split.name().to_owned();
            let outputs = if self.data.evaluation_examples(split) > 0 {
                let chosen = (split != Split::Validation).then_some(&results.thresholds);
                let evaluation = evaluator.evaluate(&model, split, chosen)?;
                if split == Split::Validation {
                    results.thresholds = evaluation.thresholds;
                }
                results.evaluations.insert(name.clone(), evaluation.record);
                let answers = Answers {
                    split,
                    outputs: &evaluation.outputs,
                    thresholds: Some(&results.thresholds),
                };
                if run.is_held()
                    && let Some(analysis) = self.data.analyse(answers)?
                {
                    results.constant_predictor.insert(name.clone(), analysis.constant_predictor);
                    if let Some(report) = analysis.report {
                        results.classes.insert(name.clone(), report);
                    }
                    if let Some(errors) = analysis.errors {
                        results.errors.insert(name.clone(), errors);
                    }
                }
                evaluation.outputs
            } else if split.is_test() && self.data.predictable_examples(split) > 0 {
                evaluator.predict(&model, split)?
            } else {
                continue;
            };
            if split.is_test() && run.is_held() {
                let thresholds = Some(&results.thresholds);
                let files =
                    self.data.prediction_files(Answers { split, outputs: &outputs, thresholds })?;
                let folder = run.predictions();
                std::fs::create_dir_all(&folder).map_err(LearnerError::io("create", &folder))?;
                for file in files {
                    let path = folder.join(format!("{name}.{}", file.extension));
                    durable::replace(&path, &file.contents)?;
                }
            }
        }
        Ok(Some(results))
    }

    /// The model of the best evaluation, or as it is if there was none, and its step.
    fn best_model(&self, store: &CheckpointStore) -> Result<(usize, M)> {
        let state = self.state();
        let best = state.best_evaluation.as_ref().map(|best| best.step);
        let mut model = self.result();
        let Some(step) = best.filter(|step| *step != state.step) else {
            return Ok((state.step, model));
        };
        model.load(&store.valid(step)?.path)?;
        Ok((step, model))
    }
}
