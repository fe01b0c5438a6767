//! `compare`; see [`nystromformer_cli::commands::compare`].

use std::process::ExitCode;

fn main() -> ExitCode {
    nystromformer_cli::run(nystromformer_cli::commands::compare::run)
}
