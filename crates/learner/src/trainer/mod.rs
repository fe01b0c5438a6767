//! The training loop.
//!
//! | file | |
//! |---|---|
//! | [`learner`] | model, optimizer and state: one step, one evaluation; knows no disk |
//! | `checkpointing` | the learner's state in a checkpoint's files, and back |
//! | [`run`] | the loop: metrics, evaluations, checkpoints, early stopping, signals |
//! | [`session`] | from an experiment's file to a finished run: what the command line calls |
//! | [`dry_run`] | the same without writing anything: sizes, memory, one batch |

mod checkpointing;
pub mod dry_run;
pub mod learner;
pub mod run;
pub mod session;
#[cfg(test)]
mod tests;

pub use checkpointing::{model_folder, trained_seq_len};
pub use dry_run::DryRun;
pub use learner::{Learner, StepOutcome};
pub use run::{EndedBy, Outcome, Trainer};
pub use session::{RunRequest, Session};
