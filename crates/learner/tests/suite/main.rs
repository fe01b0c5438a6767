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

use nystromformer_tasks::TaskRegistry;

/// What a program of ours knows.
fn known_tasks() -> TaskRegistry {
    nystromformer_lra::with_tasks(nystromformer_tasks::tasks())
}
