//! Prints shell completions of `nystromformer`; see `nystromformer completions --help`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap_complete::Shell;

/// Print completions for a shell.
///
/// For bash: `nystromformer completions bash > ~/.local/share/bash-completion/completions/nystromformer`.
#[derive(clap::Args)]
pub struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the command; `program` is the whole command line.
///
/// # Errors
/// If stdout is gone.
pub fn run(args: Args, mut program: clap::Command) -> anyhow::Result<ExitCode> {
    let name = program.get_name().to_owned();
    // Into memory first: the generator panics where a write fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, name, &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
