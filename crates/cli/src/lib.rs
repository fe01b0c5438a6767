//! The command line: `nystromformer` with a subcommand for everything, and `train` by itself.
//!
//! [`run`] is the whole program, [`run_with`] the same for tasks of one's own. Each file in [`commands`] is one command: its arguments, the calls into the
//! libraries, the printing of results. Results go to stdout, everything else to stderr.

pub mod allocator;
mod assignment;
pub mod bench;
mod command;
pub mod commands;
pub mod device_arg;
pub mod failure;
mod hub;
pub mod logging;
pub mod output;
pub mod ranks;
pub mod run_report;
pub mod scratch;
pub mod signals;
pub mod training_report;

pub use command::{run, run_train, run_with, tasks};
