//! Generates data sets that can be generated; see `generate --help`.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args as ClapArgs, Parser, Subcommand};
use nystromformer_tasks::lra::{
    SplitSizes,
    listops::{self, GeneratorConfig},
};

use crate::output;

/// Generate a data set of the Long Range Arena, reproducibly from a seed, in the layout of its official files. Prints what
/// was made as one line of JSON.
#[derive(Parser)]
#[command(name = "generate", version)]
pub struct Args {
    #[command(subcommand)]
    dataset: Dataset,
}

#[derive(Subcommand)]
enum Dataset {
    /// Nested expressions of digits, as `basic_{train,val,test}.tsv`.
    Listops {
        #[command(flatten)]
        place: Place,
        /// Training examples.
        #[arg(long, default_value_t = listops::LRA_SIZES.train)]
        train: usize,
        /// Validation examples.
        #[arg(long, default_value_t = listops::LRA_SIZES.validation)]
        validation: usize,
        /// Test examples.
        #[arg(long, default_value_t = listops::LRA_SIZES.test)]
        test: usize,
    },
}

#[derive(ClapArgs)]
struct Place {
    /// The folder to write to.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Seed of everything random.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.dataset {
        Dataset::Listops { place, train, validation, test } => {
            let sizes = SplitSizes { train, validation, test };
            let config = GeneratorConfig::default();
            output::json_line(&listops::generate_files(&place.output, config, sizes, place.seed)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
