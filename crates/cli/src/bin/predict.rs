//! `predict`; see [`nystromformer_cli::commands::predict`].

use std::process::ExitCode;

fn main() -> ExitCode {
    nystromformer_cli::run(nystromformer_cli::commands::predict::run)
}
