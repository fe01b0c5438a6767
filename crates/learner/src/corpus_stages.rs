//! Which examples a step of a run on a corpus visits: those of `data.stages` first, and then those that `data.seq_len` and
//! `trainer.batch_size` say. A pure function of the step, so that a resume is exact.

use nystromformer_data::{
    DataConfig, DataStage, ExampleOrder, MaskedLmData, PretrainingExamples, Visit,
};

use crate::experiment::{Experiment, TrainerConfig};

/// The stages of a run, the last of which is the run's own.
#[derive(Debug)]
pub(crate) struct CorpusStages {
    plan: StagePlan,
    /// Of each stage.
    examples: Vec<PretrainingExamples>,
    /// Likewise.
    orders: Vec<ExampleOrder>,
}

/// What a step reads.
#[derive(Debug)]
pub(crate) struct StepVisits<'a> {
    pub(crate) examples: &'a PretrainingExamples,
    pub(crate) visits: Vec<Visit>,
    /// Visits of a micro-batch.
    pub(crate) micro_batch_size: usize,
}

impl CorpusStages {
    pub(crate) fn new(experiment: &Experiment, data: &MaskedLmData) -> Self {
        let Experiment { data: config, trainer, seed, .. } = experiment;
        let own = DataStage { until: 1.0, seq_len: config.seq_len, batch_size: trainer.batch_size };
        let total_steps = trainer.total_steps(data.train.len());
        let examples: Vec<PretrainingExamples> =
            data.train_of_stages.iter().chain([&data.train]).cloned().collect();
        let order = |of: &PretrainingExamples| ExampleOrder::new(of.len(), *seed, config.shuffle);
        Self {
            plan: StagePlan::new(&config.stages, own, total_steps),
            orders: examples.iter().map(order).collect(),
            examples,
        }
    }

    /// What the step after `completed_steps` reads, of a run whose steps have `batch_size` examples in micro-batches of
    /// `micro_batch_size`.
    pub(crate) fn visits(
        &self,
        completed_steps: usize,
        batch_size: usize,
        micro_batch_size: usize,
    ) -> StepVisits<'_> {
        let step = self.plan.step(completed_steps, batch_size, micro_batch_size);
        StepVisits {
            examples: &self.examples[step.stage],
            visits: self.orders[step.stage].visits(step.first_visit, step.rows),
            micro_batch_size: step.micro_batch_size,
        }
    }
}

/// Tokens of the largest micro-batch of an experiment on a corpus.
pub(crate) fn tokens_of_micro_batch(experiment: &Experiment) -> u64 {
    let Experiment { data, trainer, .. } = experiment;
    let micro_batch_size = trainer.micro_batch_size.min(trainer.batch_size);
    let of_run = micro_batch_size.saturating_mul(data.seq_len);
    let micro_batches = trainer.num_micro_batches();
    let of_stage =
        |stage: &DataStage| stage.batch_size.div_ceil(micro_batches).saturating_mul(stage.seq_len);
    data.stages.iter().map(of_stage).fold(of_run, usize::max) as u64
}

/// What is wrong with the stages beside `trainer`, as (key, sentence).
pub(crate) fn stage_problems(data: &DataConfig, trainer: &TrainerConfig) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let mut refuse = |problem: String| problems.push(("data.stages".to_owned(), problem));
    if !data.stages.is_empty() && trainer.max_epochs > 0 {
        refuse(
            "its stages are shares of `trainer.max_steps`, and blocks of several lengths have no common epoch; set \
             `trainer.max_epochs = 0`"
                .to_owned(),
        );
    }
    let micro_batches = trainer.num_micro_batches();
    for DataStage { batch_size, .. } in &data.stages {
        if !batch_size.is_multiple_of(micro_batches) {
            refuse(format!(
                "`batch_size = {batch_size}`: a step has `{micro_batches}` micro-batches (`trainer.batch_size` by \
                 `trainer.micro_batch_size`) in every stage; use a multiple"
            ));
        }
    }
    problems
}

/// When each stage begins, and how much of its examples earlier stages have visited.
#[derive(Debug)]
struct StagePlan {
    stages: Vec<PlannedStage>,
    /// Examples of a step in the last stage.
    batch_size: usize,
}

#[derive(Debug, Clone, Copy)]
struct PlannedStage {
    first_step: usize,
    /// Visits of examples of this length in the stages before.
    first_visit: u64,
    batch_size: usize,
}

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PlannedStep {
    stage: usize,
    first_visit: u64,
    rows: usize,
    micro_batch_size: usize,
}

impl StagePlan {
    /// Of a run that ends with the stage `own`.
    fn new(before: &[DataStage], own: DataStage, total_steps: usize) -> Self {
        let mut planned: Vec<(DataStage, PlannedStage)> = Vec::new();
        let mut first_step = 0;
        for stage in before.iter().chain([&own]) {
            let steps_of = |index: usize, (_, of): &(DataStage, PlannedStage)| {
                let end = planned.get(index + 1).map_or(first_step, |(_, next)| next.first_step);
                (end - of.first_step) as u64
            };
            let visits = planned
                .iter()
                .enumerate()
                .filter(|(_, (earlier, _))| earlier.seq_len == stage.seq_len);
            let first_visit = visits
                .map(|(index, earlier)| steps_of(index, earlier) * earlier.1.batch_size as u64)
                .sum();
            let batch_size = stage.batch_size;
            planned.push((*stage, PlannedStage { first_step, first_visit, batch_size }));
            first_step = (stage.until * total_steps as f64).round() as usize;
        }
        let stages = planned.into_iter().map(|(_, stage)| stage).collect();
        Self { stages, batch_size: own.batch_size }
    }

    /// The step after `completed_steps`, where a step of the last stage has `batch_size` examples: of one that has fewer than the
    /// run's, as in a trial of a part of a step, each stage has as large a part. A step of every stage has as many micro-batches.
    fn step(
        &self,
        completed_steps: usize,
        batch_size: usize,
        micro_batch_size: usize,
    ) -> PlannedStep {
        // Of stages without a step the last one is meant.
        let has_begun = |stage: &PlannedStage| stage.first_step <= completed_steps;
        let stage = self.stages.iter().rposition(has_begun).unwrap_or_default();
        let PlannedStage { first_step, first_visit, batch_size: of_stage } = self.stages[stage];
        let rows = (of_stage * batch_size).div_ceil(self.batch_size.max(1)).max(1);
        let micro_batches = batch_size.div_ceil(micro_batch_size.max(1)).max(1);
        PlannedStep {
            stage,
            first_visit: first_visit + (completed_steps - first_step) as u64 * rows as u64,
            rows,
            micro_batch_size: if rows == batch_size {
                micro_batch_size
            } else {
                rows.div_ceil(micro_batches)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: DataStage = DataStage { until: 1.0, seq_len: 512, batch_size: 8 };

    fn stage(until: f64, seq_len: usize, batch_size: usize) -> DataStage {
        DataStage { until, seq_len, batch_size }
    }

    #[test]
    fn a_run_without_stages_is_what_it_was() {
        let plan = StagePlan::new(&[], OWN, 10);
        for (completed, batch_size, micro_batch_size) in [(0, 8, 3), (7, 8, 8), (3, 5, 2)] {
            let expected = PlannedStep {
                stage: 0,
                first_visit: (completed * batch_size) as u64,
                rows: batch_size,
                micro_batch_size,
            };
            assert_eq!(plan.step(completed, batch_size, micro_batch_size), expected);
        }
    }

    /// Every stage begins where the one before ends, and visits of one length go on through stages of that length.
    #[test]
    fn stages_follow_each_other_and_no_visit_is_left_out() {
        let before = [stage(0.3, 128, 4), stage(0.5, 128, 16), stage(0.8, 512, 6)];
        let plan = StagePlan::new(&before, OWN, 10);
        let steps: Vec<PlannedStep> = (0..10).map(|completed| plan.step(completed, 8, 2)).collect();
        let stages: Vec<usize> = steps.iter().map(|step| step.stage).collect();
        assert_eq!(stages, [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]);
        let rows: Vec<usize> = steps.iter().map(|step| step.rows).collect();
        assert_eq!(rows, [4, 4, 4, 16, 16, 6, 6, 6, 8, 8]);
        // Four micro-batches each.
        let micro: Vec<usize> = steps.iter().map(|step| step.micro_batch_size).collect();
        assert_eq!(micro, [1, 1, 1, 4, 4, 2, 2, 2, 2, 2]);
        for length in [0..5, 5..10] {
            let mut next = 0;
            for step in &steps[length] {
                assert_eq!(step.first_visit, next);
                next += step.rows as u64;
            }
        }
        // A quarter of a step, to try it.
        let quarter = plan.step(3, 2, 2);
        assert_eq!((quarter.rows, quarter.micro_batch_size), (4, 4));
        // Stages that are too short for a step have none.
        let short = StagePlan::new(&[stage(0.01, 64, 1), stage(0.02, 128, 1)], OWN, 10);
        assert_eq!(short.step(0, 8, 8).stage, 2);
    }
}
