//! `train`; see [`nystromformer_cli::commands::train`].

use std::process::ExitCode;

fn main() -> ExitCode {
    nystromformer_cli::run(nystromformer_cli::commands::train::run)
}
