//! A task on several ranks: the same files as one process writes, and the same numbers.

use std::fs;
use std::thread;
use std::time::Duration;

use nystromformer_learner::LearnerError;
use nystromformer_learner::progress::Silent;
use nystromformer_learner::ranks::Ranks;
use nystromformer_learner::ranks::in_process::InProcess;
use nystromformer_learner::run_dir::RunSummary;
use nystromformer_learner::stop::StopFlag;
use nystromformer_learner::trainer::{RunRequest, Session, TrainOutput};

use super::fixture::{Fixture, checkpoint};

/// Trains on so many threads, and gives what each of them found, in their order.
fn train_on(size: usize, request: &RunRequest) -> Vec<Result<TrainOutput, LearnerError>> {
    thread::scope(|scope| {
        let ranks: Vec<_> = InProcess::world(size)
            .into_iter()
            .map(|transport| {
                scope.spawn(move || {
                    let ranks = Ranks::over(transport).with_limit(Duration::from_mins(1));
                    let session = Session::open_on(&ranks, request, &|_| {})?;
                    session.train(StopFlag::new(), &mut Silent)
                })
            })
            .collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

/// Class weights, which are no whole numbers; a test split, so that the best model is measured and its predictions are written.
const OVERRIDES: [&str; 3] =
    ["trainer.batch_size=12", "trainer.micro_batch_size=3", "task.class_weights=balanced"];

#[test]
fn a_task_on_several_ranks_leaves_the_files_that_one_process_leaves() {
    let fixture = Fixture::of_reviews();
    let expected = fixture.train("alone", &OVERRIDES).unwrap().summary;
    let alone = fixture.path("alone");
    for size in [2, 4] {
        let run = format!("on-{size}");
        let ended = train_on(size, &fixture.request(&run, &OVERRIDES, false));
        let folder = fixture.path(&run);
        for output in ended {
            assert_eq!(output.unwrap().summary.final_evaluation, expected.final_evaluation);
        }
        assert_eq!(fixture.metrics(&run), fixture.metrics("alone"));
        for file in ["model.safetensors", "optimizer.safetensors", "experiment.toml"] {
            let read = |run| fs::read(checkpoint(run, 6).join(file)).unwrap();
            assert!(read(&folder) == read(&alone), "{size} ranks: {file}");
        }
        let predictions = "predictions/test.jsonl";
        assert_eq!(
            fs::read(folder.join(predictions)).unwrap(),
            fs::read(alone.join(predictions)).unwrap()
        );
        let summary = RunSummary::read(&folder).unwrap().unwrap();
        assert_eq!(summary.best_model, expected.best_model);
        assert_eq!(summary.fingerprints, expected.fingerprints);
        assert_eq!(summary.computed_with[0].ranks, size);
    }
}

#[test]
fn a_run_of_one_process_goes_on_with_several_and_too_many_are_refused() {
    let fixture = Fixture::of_reviews();
    fixture.train("unbroken", &OVERRIDES).unwrap();
    let session = Session::open(&fixture.request("resumed", &OVERRIDES, false), &|_| {}).unwrap();
    session.pausing_after(Some(4)).train(StopFlag::new(), &mut Silent).unwrap();
    for error in train_on(5, &fixture.request("resumed", &OVERRIDES, true)) {
        let error = error.unwrap_err();
        // The others find that rank 0 is gone.
        assert!([2, 7].contains(&error.exit_code()), "{error}");
    }
    for output in train_on(2, &fixture.request("resumed", &[], true)) {
        assert_eq!(output.unwrap().summary.steps, 6);
    }
    let weights = |run| fs::read(checkpoint(&fixture.path(run), 6).join("model.safetensors"));
    assert_eq!(weights("resumed").unwrap(), weights("unbroken").unwrap());
}
