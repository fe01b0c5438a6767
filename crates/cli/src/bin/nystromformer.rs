//! `nystromformer`: every command, see [`nystromformer_cli::commands`].

use std::process::ExitCode;

fn main() -> ExitCode {
    nystromformer_cli::run()
}
