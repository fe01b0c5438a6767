//! Writes the manual pages of `nystromformer`; see `nystromformer man --help`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;

use crate::output;

/// Write manual pages: one for `nystromformer`, and one for each command.
///
/// For this user: `nystromformer man --output ~/.local/share/man/man1`.
#[derive(clap::Args)]
pub struct Args {
    /// The folder to write to; pages of before are replaced.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

/// Runs the command; `program` is the whole command line.
///
/// # Errors
/// If the folder cannot be written.
pub fn run(args: Args, program: clap::Command) -> anyhow::Result<ExitCode> {
    let folder = args.output.display();
    std::fs::create_dir_all(&args.output).with_context(|| format!("cannot make `{folder}`"))?;
    clap_mangen::generate_to(program, &args.output)
        .with_context(|| format!("cannot write manual pages to `{folder}`"))?;
    output::note(&format!(
        "wrote manual pages to `{folder}`; read one with `man {folder}/nystromformer.1`"
    ));
    Ok(ExitCode::SUCCESS)
}
