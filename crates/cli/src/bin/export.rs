//! `export`; see [`nystromformer_cli::commands::export`].

use std::process::ExitCode;

fn main() -> ExitCode {
    nystromformer_cli::run(nystromformer_cli::commands::export::run)
}
