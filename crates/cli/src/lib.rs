//! What the binaries share: arguments that recur, exit codes, logging, signals, the allocator.
//!
//! Each file in `src/bin` is one command and fits a screen; it parses arguments, calls the libraries and prints
//! results. Results go to stdout, everything else to stderr.

pub mod allocator;
pub mod bench;
pub mod command;
pub mod device_arg;
pub mod failure;
pub mod logging;
pub mod model_dir;
pub mod output;
pub mod signals;

pub use command::run;
