//! The learner's integration tests, in one binary: linking Burn once is dear enough.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod custom_model;
#[cfg(feature = "wgpu")]
mod devices;
mod distill;
mod first_steps;
mod golden_heads;
mod golden_optimizer;
mod golden_schedules;
mod sessions;
mod tasks;

use std::{env, process::Command};

use nystromformer_learner::trainer::{Learner, RunRequest, Session};
use nystromformer_tasks::TaskRegistry;

/// What a program of ours knows.
fn known_tasks() -> TaskRegistry {
    nystromformer_lra::with_tasks(nystromformer_tasks::tasks())
}

/// The losses of a run's first steps.
fn first_losses(request: &RunRequest, steps: usize) -> Vec<f64> {
    let session = Session::open(request, &|_| {}).unwrap();
    let mut learner =
        Learner::new(session.experiment(), session.data().source(), session.device()).unwrap();
    (0..steps).map(|_| learner.step().unwrap().loss).collect()
}

/// Runs the test of this name in a process of its own, and says whether this is that process: for what all tests of a process share.
#[expect(clippy::print_stdout, reason = "what that process says, shown by --nocapture")]
fn is_alone(test: &str) -> bool {
    const ALONE: &str = "NYSTROMFORMER_TEST_ALONE";
    if env::var_os(ALONE).is_some() {
        return true;
    }
    let mut alone = Command::new(env::current_exe().unwrap());
    let found = alone.args([test, "--exact", "--nocapture"]).env(ALONE, "1").output().unwrap();
    let [stdout, stderr] = [found.stdout, found.stderr].map(String::from_utf8).map(Result::unwrap);
    println!("{stdout}");
    assert!(found.status.success() && stdout.contains("1 passed"), "{stderr}");
    false
}
