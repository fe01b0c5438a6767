//! The training loop.
//!
//! | file | |
//! |---|---|
//! | [`learner`] | model, optimizer and state: one step, one evaluation; knows no disk |
//! | `backward` | loss and gradient of a step |
//! | `ahead` | the next step's micro-batches, made beside a GPU's work |
//! | `best` | which of two evaluations is the better one |
//! | `checkpointing` | the learner's state in a checkpoint's files, and back |
//! | `best_model`, `best_model_results` | what the best model answers, on which split |
//! | [`run`] | the loop: metrics, evaluations, checkpoints, early stopping, signals |
//! | `profile` | a trace of some steps |
//! | `model_source` | the folders that a model can come from |
//! | [`start`] | how a run begins or goes on, decided by reading alone |
//! | [`session`] | from an experiment's file to a finished run: what the command line calls |
//! | [`fit`](mod@fit) | the same for a model of one's own |
//! | `same_data` | whether runs that are compared read the same data |
//! | [`series`] | one experiment with several seeds or folds |
//! | [`sweep`] | one experiment with several values of some keys |
//! | [`dry_run`] | the same without writing anything: sizes, memory, one batch |

mod ahead;
mod backward;
mod best;
mod best_model;
mod best_model_results;
mod checkpointing;
pub mod diagnosis;
pub mod dry_run;
pub mod fit;
pub mod learner;
mod model_source;
mod profile;
pub mod run;
mod same_data;
pub mod series;
pub mod session;
pub mod start;
pub mod sweep;
#[cfg(test)]
mod tests;

pub use best_model_results::BestModelResults;
pub use diagnosis::Diagnosis;
pub use dry_run::DryRun;
pub use fit::fit;
pub use learner::{Learner, StepOutput, Update};
pub use model_source::{
    chosen_thresholds, model_folder, run_of, trained_facts, trained_fingerprints, trained_seq_len,
};
pub use run::{EndReason, TrainOutput, Trainer};
pub use series::Series;
pub use session::Session;
pub use start::RunRequest;
pub use sweep::{Job, Sweep, SweepPlan};
