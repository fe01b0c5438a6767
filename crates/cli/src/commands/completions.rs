//! Prints shell completions of `nystromformer`; see `nystromformer completions --help`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::command::CommandLine;

/// Print completions for a shell.
///
/// For bash: `nystromformer completions bash > ~/.local/share/bash-completion/completions/nystromformer`.
#[derive(clap::Args)]
pub struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the command.
///
/// # Errors
/// If stdout is gone.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut command = CommandLine::command();
    let name = command.get_name().to_owned();
    // Into memory first: the generator panics where a write fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
