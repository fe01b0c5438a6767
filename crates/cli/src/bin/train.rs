//! `train`: the same as `nystromformer train`.

use std::process::ExitCode;

fn main() -> ExitCode {
    nystromformer_cli::run_train()
}
