//! Prints shell completions for all commands.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser};
use clap_complete::Shell;

use super::{bench, compare, evaluate, export, generate, import, predict, prepare, train};

/// Print completions of all commands for a shell.
#[derive(Parser)]
#[command(name = "completions", version)]
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
    let mut script = Vec::new();
    for mut command in [
        train::Args::command(),
        evaluate::Args::command(),
        predict::Args::command(),
        prepare::Args::command(),
        compare::Args::command(),
        generate::Args::command(),
        export::Args::command(),
        import::Args::command(),
        bench::Args::command(),
        Args::command(),
    ] {
        let name = command.get_name().to_owned();
        clap_complete::generate(args.shell, &mut command, name, &mut script);
    }
    io::stdout().lock().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
