//! `generate`; see [`nystromformer_cli::commands::generate`].

use std::process::ExitCode;

fn main() -> ExitCode {
    nystromformer_cli::run(nystromformer_cli::commands::generate::run)
}
