//! The frame around every command.

use std::process::ExitCode;

use clap::Parser;

use crate::{allocator, failure, logging, output, signals};

/// Parses `Args`, runs `command`, and turns its result into an exit code.
pub fn run<Args: Parser>(command: impl FnOnce(Args) -> anyhow::Result<ExitCode>) -> ExitCode {
    allocator::keep_freed_memory();
    report_panics_in_one_line();
    let args = Args::parse(); // prints usage errors and exits with 2 itself
    logging::init();
    let result = signals::fail_writes_over_the_size_limit()
        .map_err(anyhow::Error::from)
        .and_then(|()| command(args));
    match result {
        Ok(code) => code,
        Err(error) => {
            let code = failure::exit_code(&error);
            if code != 0 {
                output::note(&format!("error: {}", failure::message(&error)));
            }
            ExitCode::from(code)
        }
    }
}

/// A panic is a fault of ours, never of the input: say so, without a backtrace unless one is asked for.
fn report_panics_in_one_line() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::env::var_os("RUST_BACKTRACE").is_some() {
            default(info);
        } else {
            output::note(&format!(
                "error: internal fault, please report it (RUST_BACKTRACE=1 shows where): {info}"
            ));
        }
    }));
}
