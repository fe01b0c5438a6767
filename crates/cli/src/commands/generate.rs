//! Generates data sets that can be generated; see `nystromformer generate --help`.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args as ClapArgs, Subcommand};
use nystromformer_lra::{
    SplitSizes,
    listops::{self, GeneratorConfig},
    pathfinder::{self, ContourLength, PathfinderConfig},
    retrieval,
};
use serde_json::json;

use crate::output;

/// Generate a data set of the Long Range Arena.
///
/// The same seed makes the same files, in the layout of the official ones. Prints what was made as one line of JSON.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    dataset: Dataset,
}

#[derive(Subcommand)]
enum Dataset {
    /// Nested expressions of digits, as `basic_{train,val,test}.tsv`.
    Listops {
        #[command(flatten)]
        place: OutputArgs,
        /// Training examples.
        #[arg(long, default_value_t = listops::LRA_SIZES.train)]
        train: usize,
        /// Validation examples.
        #[arg(long, default_value_t = listops::LRA_SIZES.validation)]
        validation: usize,
        /// Test examples.
        #[arg(long, default_value_t = listops::LRA_SIZES.test)]
        test: usize,
        #[command(flatten)]
        shape: Shape,
    },
    /// Pictures of dashed curves, two ends of which are marked: are they ends of the same?
    Pathfinder {
        #[command(flatten)]
        place: OutputArgs,
        /// Pictures; four fifths of them will train.
        #[arg(long, default_value_t = 200_000)]
        examples: u64,
        /// Pixels of a side: 32, 64 or 128.
        #[arg(long, default_value_t = 32)]
        side: usize,
        /// Dashes of the long curves: 6, 9 or 14.
        #[arg(long, default_value = "14", value_parser = contour)]
        dashes: ContourLength,
    },
    /// Pairs of made-up documents, on one subject or on two.
    Retrieval {
        #[command(flatten)]
        place: OutputArgs,
        /// Training pairs.
        #[arg(long, default_value_t = 20_000)]
        train: usize,
        /// Validation pairs.
        #[arg(long, default_value_t = 2_000)]
        validation: usize,
        /// Test pairs.
        #[arg(long, default_value_t = 2_000)]
        test: usize,
    },
}

fn contour(dashes: &str) -> Result<ContourLength, String> {
    let found = ContourLength::ALL.into_iter().find(|length| length.dashes().to_string() == dashes);
    found.ok_or_else(|| "use 6, 9 or 14".to_owned())
}

/// Other expressions than the Long Range Arena's: shorter ones to begin with, longer ones to be measured by.
#[derive(ClapArgs)]
struct Shape {
    /// Expressions have more symbols than this, not counting parentheses.
    #[arg(long, value_name = "SYMBOLS", default_value_t = GeneratorConfig::default().above_length)]
    above_length: usize,
    /// Expressions have fewer symbols than this.
    #[arg(long, value_name = "SYMBOLS", default_value_t = GeneratorConfig::default().below_length)]
    below_length: usize,
    /// Depth at which every argument is a digit; the root is at 1.
    #[arg(long, default_value_t = GeneratorConfig::default().max_depth, value_parser = clap::value_parser!(u32).range(2..))]
    max_depth: u32,
}

#[derive(ClapArgs)]
struct OutputArgs {
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
        Dataset::Listops { place, train, validation, test, shape } => {
            let sizes = SplitSizes { train, validation, test };
            let Shape { above_length, below_length, max_depth } = shape;
            let config = GeneratorConfig {
                above_length,
                below_length,
                max_depth,
                ..GeneratorConfig::default()
            };
            output::json_line(&listops::generate_files(&place.output, config, sizes, place.seed)?)?;
        }
        Dataset::Pathfinder { place, examples, side, dashes } => {
            let config = PathfinderConfig { side, contour: dashes, ..PathfinderConfig::default() };
            let folder = pathfinder::generate_files(&place.output, config, examples, place.seed)?;
            output::json_line(
                &json!({ "folder": folder, "examples": examples, "seed": place.seed }),
            )?;
        }
        Dataset::Retrieval { place, train, validation, test } => {
            let sizes = SplitSizes { train, validation, test };
            retrieval::generate_files(&place.output, sizes, place.seed)?;
            output::json_line(
                &json!({ "folder": place.output, "sizes": sizes, "seed": place.seed }),
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
