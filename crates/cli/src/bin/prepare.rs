//! `prepare`; see [`nystromformer_cli::commands::prepare`].

use std::process::ExitCode;

fn main() -> ExitCode {
    nystromformer_cli::run(nystromformer_cli::commands::prepare::run)
}
