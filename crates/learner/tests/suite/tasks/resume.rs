//! The same bits after an interruption, of one run and of a series of seeds.

use std::fs;
use std::path::Path;

use nystromformer_learner::metrics_log::{EvaluationRecord, StepRecord};
use nystromformer_learner::progress::{Progress, Silent};
use nystromformer_learner::run_dir::RunSummary;
use nystromformer_learner::stop::{StopFlag, StopReason};
use nystromformer_learner::trainer::{EndReason, Series, Session, model_folder};
use serde_json::Value;

use super::fixture::{Fixture, StopAfter, checkpoint, train};

fn bytes(run: &Path, step: usize, file: &str) -> Vec<u8> {
    fs::read(checkpoint(run, step).join(file)).unwrap()
}

/// With dropout, and batches of examples of like length that are chosen among those of fifty steps.
#[test]
fn a_resumed_run_is_bit_for_bit_the_unbroken_one() {
    let fixture = Fixture::of_reviews();
    let overrides = [
        "task.group_by_length=true",
        "model.hidden_dropout_prob=0.2",
        "model.attention_probs_dropout_prob=0.1",
        "model.activation_dropout=0.3",
        "trainer.max_steps=8",
    ];
    let unbroken = fixture.train("unbroken", &overrides).unwrap();
    let expected = fixture.metrics("unbroken");
    assert_eq!((expected.0.len(), expected.1.len()), (8, 3));
    // After a step without a checkpoint, at an evaluation, and after the last but one.
    for step in [1, 3, 7] {
        let run = format!("interrupted-{step}");
        let mut stop = StopAfter { step, taken: 0 };
        let outcome = train(&fixture.request(&run, &overrides, false), &mut stop).unwrap();
        assert_eq!((outcome.ended_by.exit_code(), outcome.summary.steps), (130, step));
        assert!(outcome.summary.best_model.is_none() && !outcome.summary.is_complete());
        let resumed = train(&fixture.request(&run, &[], true), &mut Silent).unwrap();
        assert_eq!(resumed.ended_by, EndReason::Finished);
        assert_eq!(fixture.metrics(&run), expected, "stopped after step {step}");
        assert_eq!(resumed.summary.best_model, unbroken.summary.best_model);
        for file in ["model.safetensors", "optimizer.safetensors", "config.json"] {
            let [left, right] = ["unbroken", &run].map(|run| bytes(&fixture.path(run), 8, file));
            assert!(left == right, "{file} after {step}");
        }
    }
    // Dropout is at work: without it the losses are others.
    let mut still = overrides.to_vec();
    still.extend([
        "model.hidden_dropout_prob=0",
        "model.attention_probs_dropout_prob=0",
        "model.activation_dropout=0",
    ]);
    fixture.train("still", &still).unwrap();
    assert_ne!(fixture.metrics("still").0, expected.0);
}

/// Asks a run to stop with its last evaluation, as a signal does that comes while the best model is measured.
struct StopBeforeVerdict(StopFlag);

impl Progress for StopBeforeVerdict {
    fn start(&mut self, _: &str, _: usize, _: usize) {}

    fn step(&mut self, _: &StepRecord) {}

    fn evaluation(&mut self, record: &EvaluationRecord) {
        if record.step == 8 {
            self.0.request(StopReason::Terminate);
        }
    }

    fn note(&mut self, _: &str) {}

    fn finish(&mut self) {}
}

#[test]
fn a_run_that_is_stopped_while_its_best_model_is_measured_is_measured_by_the_next_session() {
    let fixture = Fixture::of_reviews();
    let overrides = ["trainer.max_steps=8"];
    let unbroken = fixture.train("unbroken", &overrides).unwrap();
    let stop = StopFlag::new();
    let session = Session::open(&fixture.request("stopped", &overrides, false), &|_| {}).unwrap();
    let stopped = session.train(stop.clone(), &mut StopBeforeVerdict(stop)).unwrap();
    drop(session); // and with it the lock on the run
    assert_eq!((stopped.ended_by.exit_code(), stopped.summary.steps), (75, 8));
    assert!(stopped.summary.best_model.is_none() && !stopped.summary.is_complete());
    let resumed = train(&fixture.request("stopped", &[], true), &mut Silent).unwrap();
    assert_eq!(resumed.ended_by, EndReason::Finished);
    assert_eq!(resumed.summary.best_model, unbroken.summary.best_model);
    assert_eq!(fixture.metrics("stopped"), fixture.metrics("unbroken"));
    // A finished run that is stopped while it is measured again keeps what it had.
    let session = Session::open(&fixture.request("stopped", &[], true), &|_| {}).unwrap();
    let stop = StopFlag::new();
    stop.request(StopReason::Terminate);
    assert_eq!(session.train(stop, &mut Silent).unwrap().ended_by.exit_code(), 75);
    let kept = RunSummary::read(&fixture.path("stopped")).unwrap().unwrap();
    assert_eq!(kept.best_model, unbroken.summary.best_model);
}

/// Trains what is left of a series, at most `runs` of it, as the command line does.
fn train_series(fixture: &Fixture, resume: bool, runs: usize) -> Vec<u64> {
    let overrides: &[&str] = if resume { &[] } else { &["seeds=[1, 2]"] };
    let series = Series::open(&fixture.request("series", overrides, resume)).unwrap().unwrap();
    let mut trained = Vec::new();
    for request in series.remaining().unwrap().into_iter().take(runs) {
        let session = Session::open(&request, &|_| {}).unwrap();
        series.begin(&session).unwrap();
        trained.push(session.experiment().seed);
        session.train(StopFlag::new(), &mut Silent).unwrap();
    }
    if series.remaining().unwrap().is_empty() {
        series.finish().unwrap();
    }
    trained
}

#[test]
fn a_series_is_a_run_for_each_seed_and_their_mean_and_deviation() {
    let fixture = Fixture::of_reviews();
    assert!(Series::open(&fixture.request("one", &[], false)).unwrap().is_none());
    // Interrupted between two seeds, it goes on with what is left.
    assert_eq!(train_series(&fixture, false, 1), [1]);
    assert!(!fixture.path("series/summary.json").exists());
    let first =
        fs::metadata(fixture.path("series/seed-1/metrics.jsonl")).unwrap().modified().unwrap();
    assert_eq!(train_series(&fixture, true, 2), [2]);
    assert!(train_series(&fixture, true, 2).is_empty());
    let still =
        fs::metadata(fixture.path("series/seed-1/metrics.jsonl")).unwrap().modified().unwrap();
    assert_eq!(first, still);

    let runs = [1, 2].map(|seed| {
        let run = fixture.path(&format!("series/seed-{seed}"));
        let summary = RunSummary::read(&run).unwrap().unwrap();
        assert_eq!(summary.seed, seed);
        // Each is the run that its seed alone would have been.
        let alone = format!("alone-{seed}");
        fixture.train(&alone, &[&format!("seed={seed}")]).unwrap();
        let alone = fixture.path(&alone);
        assert!(bytes(&alone, 6, "model.safetensors") == bytes(&run, 6, "model.safetensors"));
        summary
    });
    let text = fs::read_to_string(fixture.path("series/summary.json")).unwrap();
    let series: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(series["seeds"], serde_json::json!([1, 2]));
    for split in ["validation", "test"] {
        for name in ["loss", "accuracy", "f1_macro"] {
            let [left, right] = runs.each_ref().map(|run| {
                let record = &run.best_model.as_ref().unwrap().evaluations[split];
                record.metric(name).unwrap_or(record.loss)
            });
            let found = &series["statistics"][split][name];
            let near = |key: &str, expected: f64| {
                let found = found[key].as_f64().unwrap();
                assert!(
                    (found - expected).abs() <= 1e-12,
                    "{split} {name} {key}: {found} {expected}"
                );
            };
            near("mean", f64::midpoint(left, right));
            // Of two numbers: √((a − m)² + (b − m)²) with m halfway.
            near("std", (left - right).abs() / 2.0_f64.sqrt());
        }
    }
    // As a model the folder is its best seed's best checkpoint.
    let accuracy =
        |run: &RunSummary| run.best_evaluation.as_ref().unwrap().metric("accuracy").unwrap();
    let best = if accuracy(&runs[1]) > accuracy(&runs[0]) { 2 } else { 1 };
    assert_eq!(series["best_seed"], best);
    assert_eq!(
        model_folder(&fixture.path("series")).unwrap(),
        model_folder(&fixture.path(&format!("series/seed-{best}"))).unwrap()
    );
}

/// The mean of a series is over one data set: its next run is refused where the files have changed, and trained once they are back.
#[test]
fn a_series_does_not_go_on_with_other_data() {
    let fixture = Fixture::of_reviews();
    train_series(&fixture, false, 1);
    let table = fixture.data().join("test.csv");
    let before = fs::read_to_string(&table).unwrap();
    let fewer: Vec<&str> = before.lines().take(9).collect();
    fs::write(&table, fewer.join("\n")).unwrap();
    let series = Series::open(&fixture.request("series", &[], true)).unwrap().unwrap();
    let request = series.remaining().unwrap().remove(0);
    let session = Session::open(&request, &|_| {}).unwrap();
    let error = series.begin(&session).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let message = error.to_string();
    assert!(message.contains("seed-1` was trained on something else"), "{message}");
    assert!(message.contains("data: was `") && message.contains("undo the change"), "{message}");
    drop((session, series));
    fs::write(&table, before).unwrap();
    assert_eq!(train_series(&fixture, true, 2), [2]);
}

/// Folds are tested on different parts, of the same data.
#[test]
fn folds_do_not_go_on_with_other_data() {
    let fixture = Fixture::of_reviews();
    let overrides = ["task.folds=2", "trainer.max_steps=2"];
    let open =
        |resume| Series::open(&fixture.request("folds", &overrides, resume)).unwrap().unwrap();
    let series = open(false);
    let session = Session::open(&series.remaining().unwrap()[0], &|_| {}).unwrap();
    series.begin(&session).unwrap();
    session.train(StopFlag::new(), &mut Silent).unwrap();
    drop((session, series));
    let begin = || {
        let series = open(true);
        let session = Session::open(&series.remaining().unwrap()[0], &|_| {}).unwrap();
        series.begin(&session)
    };
    begin().unwrap();
    let table = fixture.data().join("train.csv");
    let before = fs::read_to_string(&table).unwrap();
    let fewer: Vec<&str> = before.lines().take(41).collect();
    fs::write(&table, fewer.join("\n")).unwrap();
    let message = begin().unwrap_err().to_string();
    assert!(message.contains("fold-1` was trained on something else"), "{message}");
    assert!(message.contains("source: was `"), "{message}");
    fs::write(&table, before).unwrap();
    begin().unwrap();
}

#[test]
fn a_series_goes_on_with_its_own_settings_and_is_not_begun_twice() {
    let fixture = Fixture::of_reviews();
    train_series(&fixture, false, 1);
    let open =
        |overrides: &[&str], resume| Series::open(&fixture.request("series", overrides, resume));
    let message = open(&["seeds=[1, 2]"], false).unwrap_err().to_string();
    assert!(message.contains("holds a run already"), "{message}");
    let message = open(&["trainer.batch_size=3"], true).unwrap_err().to_string();
    assert!(message.contains("trainer.batch_size: was `6`, now `3`"), "{message}");
    let message = open(&["seeds=[1, 2, 1]"], false).unwrap_err().to_string();
    assert!(message.contains("twice"), "{message}");
    // A run of the series that was cut off goes on where it was.
    let series = open(&[], true).unwrap().unwrap();
    let request = series.remaining().unwrap().remove(0);
    train(&request, &mut StopAfter { step: 4, taken: 0 }).unwrap();
    assert_eq!(series.remaining().unwrap().len(), 1);
    let session = Session::open(&series.remaining().unwrap().remove(0), &|_| {}).unwrap();
    assert_eq!(session.checkpoint().unwrap().manifest.state.step, 4);
}
