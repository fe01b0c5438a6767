//! `completions`; see [`nystromformer_cli::commands::completions`].

use std::process::ExitCode;

fn main() -> ExitCode {
    nystromformer_cli::run(nystromformer_cli::commands::completions::run)
}
