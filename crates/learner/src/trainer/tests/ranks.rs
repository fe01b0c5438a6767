//! Several ranks, as threads of one process: the same bits as one alone.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use super::fault::count_dropout_from_own;
use super::*;
use crate::ranks::in_process::InProcess;
use crate::ranks::wire::Wire;
use crate::ranks::{Ranks, RanksConfig};

mod overlap;

const LIMIT: Duration = Duration::from_mins(1);

/// What each of `size` ranks makes of `work`, in their order. Gradients travel in small buckets.
fn on_ranks<T: Send>(size: usize, work: impl Fn(&Ranks) -> T + Sync) -> Vec<T> {
    let work = &work;
    thread::scope(|scope| {
        let ranks: Vec<_> = InProcess::world(size)
            .into_iter()
            .map(|transport| {
                scope.spawn(move || {
                    work(&Ranks::over(transport).with_limit(LIMIT).with_buckets_of(400))
                })
            })
            .collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

/// A session of one of several ranks in `path`: a new run, or the rest of the one that is there.
fn session_on(
    ranks: &Ranks,
    path: &Path,
    experiment: &Experiment,
    data: &Synthetic,
    stop_at: Option<usize>,
) -> Result<TrainOutput> {
    let device = Device::flex();
    let (run, checkpoint) = ranks.leader_first(|| {
        let resumes = RunDir::holds_run(path);
        let run = match (ranks.is_leader(), resumes) {
            (false, _) => RunDir::of_leader(path),
            (true, true) => RunDir::open(path)?,
            (true, false) => RunDir::create(path)?,
        };
        let checkpoint = if resumes { run.checkpoints()?.newest_valid()? } else { None };
        Ok((run, checkpoint))
    })?;
    if run.is_held() {
        run.write_config(&experiment.to_toml(), &[])?;
    }
    let learner = match &checkpoint {
        Some(checkpoint) => Learner::restore(experiment, data, &device, checkpoint)?,
        None => Learner::new(experiment, data, &device)?,
    };
    let flag = StopFlag::new();
    let mut progress = StopAt { step: stop_at, flag: flag.clone() };
    Trainer::new(learner.on_ranks(ranks.clone()), &run, flag, &mut progress)?.fit()
}

/// Eight micro-batches of one row each, with dropout and one to five answers, for twenty steps.
fn eight_micro_batches() -> Experiment {
    let mut experiment = experiment();
    experiment.trainer.max_steps = 20;
    experiment.trainer.batch_size = 8;
    experiment.trainer.micro_batch_size = 1;
    experiment.trainer.eval_every = 7;
    experiment
}

fn trained_on(size: usize, experiment: &Experiment, data: &Synthetic) -> RunResult {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let ended = on_ranks(size, |ranks| {
        let ranks = ranks.clone().configured(experiment.ranks).with_limit(LIMIT);
        session_on(&ranks, &path, experiment, data, None).unwrap()
    });
    for output in &ended {
        assert_eq!(output.ended_by, EndReason::Finished);
        // Every rank finds the same, and rank 0 writes it.
        assert_eq!(output.summary.final_train_loss, ended[0].summary.final_train_loss);
        assert_eq!(output.summary.final_evaluation, ended[0].summary.final_evaluation);
        let computed_with = output.summary.computed_with.last().unwrap();
        assert_eq!(computed_with.ranks, size);
    }
    comparable(result(&path))
}

/// Without a loss that is not a number, which equals nothing.
fn comparable(mut result: RunResult) -> RunResult {
    for record in &mut result.metrics {
        if let MetricsRecord::Train(record) = record
            && record.no_targets
        {
            record.loss = -1.0;
        }
    }
    result
}

fn alone(experiment: &Experiment, data: &Synthetic) -> RunResult {
    let directory = tempfile::tempdir().unwrap();
    session(directory.path(), experiment, data, None).unwrap();
    comparable(result(directory.path()))
}

/// Runs whose result is to be the same however many ranks there are.
fn all_kinds_of_runs() -> Vec<(Experiment, Synthetic)> {
    let experiment = eight_micro_batches();
    let mut with_average = experiment.clone();
    with_average.trainer.ema_decay = 0.7;
    with_average.trainer.freeze_layers = 1;
    let mut of_pairs = experiment.clone();
    of_pairs.data.objective = Objective::MlmSop;
    let mut recomputed = experiment.clone();
    recomputed.trainer.gradient_checkpointing = true;
    // The last micro-batch of a rank has an answer in every other step.
    let mut of_nine = experiment.clone();
    of_nine.trainer.batch_size = 9;
    let sparse = || Synthetic { sparse: true, without_targets: 2..4, ..Synthetic::default() };
    vec![
        (experiment.clone(), Synthetic::default()),
        // Ranks without an answer, and steps without any.
        (experiment, sparse()),
        (of_nine, sparse()),
        (of_pairs.clone(), Synthetic { pairs: true, ..Synthetic::default() }),
        // Micro-batches without a masked token, and steps of such alone: the order of the segments is learned all the same.
        (of_pairs, Synthetic { pairs: true, ..sparse() }),
        (with_average, Synthetic::default()),
        (recomputed, Synthetic::default()),
    ]
}

#[test]
fn two_four_and_eight_ranks_are_one_process_to_the_bit() {
    for (mut experiment, data) in all_kinds_of_runs() {
        let expected = alone(&experiment, &data);
        assert_eq!(expected.metrics.len(), 20 + 3);
        for (size, overlap) in [(1, true), (2, true), (4, true), (8, true), (4, false)] {
            experiment.ranks.overlap = overlap;
            let found = trained_on(size, &experiment, &data);
            assert!(found == expected, "{size} ranks, overlap {overlap}: {data:?}");
        }
    }
}

/// Of five micro-batches two ranks have three and two, the last one smaller than the others.
#[test]
fn shares_may_be_uneven() {
    let mut experiment = eight_micro_batches();
    (experiment.trainer.batch_size, experiment.trainer.micro_batch_size) = (9, 2);
    let data = Synthetic::default();
    let expected = alone(&experiment, &data);
    for size in [2, 4] {
        assert!(trained_on(size, &experiment, &data) == expected, "{size} ranks");
    }
}

fn losses(result: &RunResult) -> Vec<f64> {
    let of_step = |record: &MetricsRecord| match record {
        MetricsRecord::Train(record) => Some(record.loss),
        MetricsRecord::Validation(_) => None,
    };
    result.metrics.iter().filter_map(of_step).collect()
}

#[test]
fn three_ranks_differ_by_rounding_alone() {
    let mut experiment = eight_micro_batches();
    // A rate at which roundings are not blown up from step to step.
    experiment.optimizer.learning_rate = 1e-4;
    let data = Synthetic::default();
    let expected = losses(&alone(&experiment, &data));
    let found = losses(&trained_on(3, &experiment, &data));
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found / expected - 1.0).abs() <= 1e-6, "{found} {expected}");
    }
}

/// Gradients that are rounded to eight bits on their way train as well. A band of 2 % of the loss, over 300 steps.
#[test]
fn gradients_that_travel_in_half_precision_lead_to_the_same_losses() {
    let mut experiment = eight_micro_batches();
    (experiment.trainer.batch_size, experiment.trainer.micro_batch_size) = (4, 2);
    experiment.trainer.max_steps = 300;
    experiment.optimizer.learning_rate = 5e-4;
    let data = Synthetic::default();
    let train = |wire| {
        let learners = on_ranks(2, |ranks| {
            let config = RanksConfig { wire, ..RanksConfig::default() };
            let learner = Learner::new(&experiment, &data, &Device::flex()).unwrap();
            let mut learner = learner.on_ranks(ranks.clone().configured(config));
            let losses: Vec<f64> = (0..300).map(|_| learner.step().unwrap().loss).collect();
            (losses, weights_to_safetensors(learner.model(), &learner.groups).unwrap())
        });
        // Both ranks hold the same weights.
        assert!(learners[0] == learners[1]);
        learners.into_iter().next().unwrap().0
    };
    let (single, half) = (train(Wire::F32), train(Wire::Bf16));
    assert_ne!(single, half);
    assert!(single[290] < single[0] - 0.5, "it learns: {} {}", single[0], single[290]);
    for (step, (single, half)) in single.iter().zip(&half).enumerate() {
        assert!((half / single - 1.0).abs() < 0.02, "step {step}: {single} {half}");
    }
}

/// What would come of dropout that is drawn by the number of a micro-batch among a rank's own.
#[test]
fn with_the_own_number_in_place_of_the_one_among_all_ranks_the_result_would_differ() {
    let experiment = eight_micro_batches();
    let data = Synthetic::default();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    on_ranks(2, |ranks| {
        count_dropout_from_own(true);
        session_on(ranks, &path, &experiment, &data, None).unwrap();
    });
    let (found, expected) = (result(&path), alone(&experiment, &data));
    assert_ne!(found.weights, expected.weights);
    assert_ne!(losses(&found), losses(&expected));
}

#[test]
fn a_run_goes_on_with_another_number_of_ranks_as_if_it_had_not_been_stopped() {
    let experiment = eight_micro_batches();
    let data = Synthetic::default();
    let expected = alone(&experiment, &data);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    // One of the stops is at an evaluation, which the next session then begins with.
    for (size, stop_at) in [(2, Some(6)), (1, Some(14)), (4, None)] {
        let ended =
            on_ranks(size, |ranks| session_on(ranks, &path, &experiment, &data, stop_at).unwrap());
        let expected = stop_at.map_or(0, |_| 75);
        assert!(ended.iter().all(|output| output.ended_by.exit_code() == expected));
    }
    assert!(result(&path) == expected);
    let state = RunDir::checkpoints_of(&path).newest_valid().unwrap().unwrap().manifest.state;
    let ranks: Vec<usize> = state.computed_with.iter().map(|with| with.ranks).collect();
    assert_eq!(ranks, [2, 1, 4]);
}

#[test]
fn a_stop_that_one_rank_is_asked_for_stops_all_at_the_same_step() {
    let experiment = eight_micro_batches();
    let data = Synthetic::default();
    for asked in [0, 3] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run");
        let ended = on_ranks(4, |ranks| {
            let stop_at = (ranks.rank() == asked).then_some(5);
            session_on(ranks, &path, &experiment, &data, stop_at).unwrap()
        });
        for output in ended {
            assert_eq!(output.ended_by, EndReason::Stopped(StopReason::Terminate));
            assert_eq!(output.summary.steps, 5);
        }
        assert_eq!(RunDir::checkpoints_of(&path).steps().unwrap(), [5]);
    }
}

#[test]
fn steps_that_are_not_finite_are_passed_over_by_all() {
    let mut experiment = eight_micro_batches();
    experiment.trainer.max_skipped_steps = 2;
    let data = Synthetic::default();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let ended = on_ranks(2, |ranks| {
        // Of one rank alone.
        fault::poison_steps(if ranks.rank() == 1 { 4..6 } else { 0..0 });
        session_on(ranks, &path, &experiment, &data, None).unwrap_err()
    });
    for error in ended {
        assert_eq!(error.exit_code(), 5);
        assert!(error.to_string().contains("the last at step `6`"), "{error}");
    }
}

#[test]
fn a_rank_that_does_not_come_is_named_with_the_step() {
    let experiment = eight_micro_batches();
    let data = Synthetic::default();
    let all_are_done = Barrier::new(2);
    let errors = on_ranks(2, |ranks| {
        let ranks = ranks.clone().with_limit(Duration::from_millis(200));
        let learner = Learner::new(&experiment, &data, &Device::flex()).unwrap();
        let mut learner = learner.on_ranks(ranks.clone().with_limit(Duration::from_mins(1)));
        learner.step().unwrap();
        learner.step().unwrap();
        let mut learner = learner.on_ranks(ranks.clone());
        // Rank 1 stays where it is.
        let error = ranks.is_leader().then(|| learner.step().unwrap_err());
        all_are_done.wait();
        error
    });
    let error = errors[0].as_ref().unwrap();
    assert_eq!(error.exit_code(), 7);
    let message = error.to_string();
    for part in ["rank `0` waits for rank `1`", "step `2`", "`ranks.timeout_seconds`"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn weights_that_drift_apart_are_refused_at_the_next_checkpoint() {
    let experiment = eight_micro_batches();
    let data = Synthetic::default();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let errors = on_ranks(3, |ranks| {
        let mut experiment = experiment.clone();
        // As a CPU that rounds otherwise would, and more.
        experiment.optimizer.weight_decay += if ranks.rank() == 1 { 1e-3 } else { 0.0 };
        experiment.trainer.checkpoint_every = 2;
        session_on(ranks, &path, &experiment, &data, None).unwrap_err()
    });
    for error in errors {
        assert_eq!(error.exit_code(), 2);
        assert!(
            error.to_string().contains("rank `1` and rank 0 differ in their weights"),
            "{error}"
        );
    }
    assert!(RunDir::checkpoints_of(&path).steps().unwrap().is_empty());
}

#[test]
fn ranks_that_would_have_nothing_to_do_are_refused() {
    let trainer = eight_micro_batches().trainer;
    let refused = on_ranks(9, |ranks| ranks.require_work(&trainer).unwrap_err());
    for error in refused {
        assert_eq!(error.exit_code(), 2);
        let message = error.to_string();
        for part in ["`9` ranks", "`8` micro-batches", "`trainer.micro_batch_size`"] {
            assert!(message.contains(part), "{message}");
        }
    }
    assert!(on_ranks(8, |ranks| ranks.require_work(&trainer)).iter().all(Result::is_ok));
}
