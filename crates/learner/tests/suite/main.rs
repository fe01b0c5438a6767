//! The learner's integration tests, in one binary: linking Burn once is dear enough.
//!
//! Dropout draws from the device's generator, which the `flex` backend keeps once per process.
//! Tests that train with dropout must therefore not share a process at the same time: `cargo
//! nextest` gives each its own, and under `cargo test` they take turns at [`training_lock`].

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod custom_model;
mod golden_heads;
mod golden_optimizer;
mod golden_schedules;
mod sessions;
mod tasks;

use std::sync::{Mutex, MutexGuard, PoisonError};

use nystromformer_tasks::TaskRegistry;

/// What a program of ours knows.
fn known_tasks() -> TaskRegistry {
    nystromformer_lra::with_tasks(nystromformer_tasks::tasks())
}

/// Held by every test that draws random numbers on a device.
fn training_lock() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}
