//! `import`; see [`nystromformer_cli::commands::import`].

use std::process::ExitCode;

fn main() -> ExitCode {
    nystromformer_cli::run(nystromformer_cli::commands::import::run)
}
