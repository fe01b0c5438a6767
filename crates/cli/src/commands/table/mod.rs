//! The paper's tables, measured on this machine; see `nystromformer table --help`.

mod approximation;
mod efficiency;
mod lra;

use std::process::ExitCode;

use clap::{Subcommand, builder::RangedU64ValueParser};
use nystromformer_tasks::TaskRegistry;

/// Measure the paper's tables on this machine: JSON, Markdown and SVG into a folder.
///
/// A table that was broken off goes on where it was, and one that is asked for more measures what is new. Prints the tables as
/// Markdown.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    table: Table,
}

#[derive(Subcommand)]
enum Table {
    /// Time and memory of attention by its length, each measurement in a process of its own.
    ///
    /// Prints milliseconds of a pass and MiB beyond the inputs, slopes of the logarithm of both, who is fastest at each length, and
    /// from which length on a kind costs less than exact attention.
    Efficiency(efficiency::Args),
    /// How near the Nyström method comes to exact attention, by landmarks, rules for them, and iterations of the inverse.
    ///
    /// On the queries and keys of random tokens and, with `--model`, of a model's layers. Beside the errors stands the least that any
    /// matrix of the same rank has, and what landmarks drawn at random reach.
    Approximation(approximation::Args),
    /// What models of each kind of attention learn on small tasks of the Long Range Arena, over seeds.
    Lra(lra::Args),
}

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args, tasks: &TaskRegistry) -> anyhow::Result<ExitCode> {
    match args.table {
        Table::Efficiency(args) => efficiency::run(&args),
        Table::Approximation(args) => approximation::run(&args),
        Table::Lra(args) => lra::run(&args, tasks),
    }
}

/// A number of things, one at least.
fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

/// Each value once, in its place.
fn distinct<T: PartialEq + Clone>(values: &[T]) -> Vec<T> {
    let mut found: Vec<T> = Vec::new();
    for value in values {
        if !found.contains(value) {
            found.push(value.clone());
        }
    }
    found
}

/// The same by size.
fn ascending(values: &[usize]) -> Vec<usize> {
    let mut values = distinct(values);
    values.sort_unstable();
    values
}
