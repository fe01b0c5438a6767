//! Runs as a page to look at; see `nystromformer report --help`.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use crate::output;

/// Make a page of one run, or of several side by side: curves, scores, mistakes, configuration.
///
/// The page is one file that loads nothing. A directory of seeds, folds or trials stands for all of its runs: seeds and folds
/// are shown as their mean in a band of one standard deviation. Runs need not be finished. Prints the page's path.
#[derive(clap::Args)]
pub struct Args {
    /// Run directories.
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// The page to write. Default: `report.html`, in the directory of the run if there is one alone.
    #[arg(long, value_name = "F.html")]
    output: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    args.output.as_ref().map(|page| output::make_room("--output", page)).transpose()?;
    let path = nystromformer_report::write(&args.runs, args.output.as_deref())?;
    writeln!(io::stdout().lock(), "{}", path.display())?;
    Ok(ExitCode::SUCCESS)
}
