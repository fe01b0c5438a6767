//! `bench`; see [`nystromformer_cli::commands::bench`].

use std::process::ExitCode;

fn main() -> ExitCode {
    nystromformer_cli::run(nystromformer_cli::commands::bench::run)
}
