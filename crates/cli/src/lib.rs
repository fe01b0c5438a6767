//! What the binaries share: arguments that recur, exit codes, logging, signals, the allocator.
//!
//! Each file in [`commands`] is one command: its arguments, the calls into the libraries, the printing of results;
//! the files in `src/bin` only name them. Results go to stdout, everything else to stderr.

pub mod allocator;
pub mod bench;
pub mod command;
pub mod commands;
pub mod device_arg;
pub mod failure;
pub mod logging;
pub mod output;
pub mod preparation;
pub mod signals;
pub mod training_report;

pub use command::run;
