//! The training loop.
//!
//! | file | |
//! |---|---|
//! | [`learner`] | model, optimizer and state: one step, one evaluation; knows no disk |
//! | [`checkpointing`] | the learner's state in a checkpoint's files, and back |
//! | [`run`] | the loop: metrics, evaluations, checkpoints, early stopping, signals |
//! | [`session`] | from an experiment's file to a finished run: what the command line calls |
//! | [`dry_run`] | the same without writing anything: sizes, memory, one batch |

mod checkpointing;
pub mod learner;
pub mod run;
#[cfg(test)]
mod tests;

pub use checkpointing::model_folder;
pub use learner::{Learner, StepOutcome};
pub use run::{EndedBy, Outcome, Trainer};
