//! `evaluate`; see [`nystromformer_cli::commands::evaluate`].

use std::process::ExitCode;

fn main() -> ExitCode {
    nystromformer_cli::run(nystromformer_cli::commands::evaluate::run)
}
