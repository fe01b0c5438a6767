//! The commands: one file each, arguments first, then what they do.

pub mod bench;
pub mod compare;
pub mod completions;
pub mod convert;
pub mod evaluate;
pub mod export;
pub mod generate;
pub mod hub;
pub mod import;
pub mod man;
pub mod predict;
pub mod prepare;
pub mod report;
pub mod runs;
pub mod serve;
pub mod table;
pub mod train;

use std::process::ExitCode;

use clap::Subcommand;
use nystromformer_learner::out_of_memory;
use nystromformer_tasks::TaskRegistry;

/// What `nystromformer` is asked to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    Train(train::Args),
    Evaluate(evaluate::Args),
    Predict(predict::Args),
    Serve(serve::Args),
    Export(export::Args),
    Import(import::Args),
    Convert(convert::Args),
    Hub(hub::Args),
    Prepare(prepare::Args),
    Compare(compare::Args),
    Report(report::Args),
    Runs(runs::Args),
    Generate(generate::Args),
    Bench(bench::Args),
    Table(table::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Command {
    /// Whether it counts by what a library logs.
    pub(crate) fn counts_by_log(&self) -> bool {
        matches!(self, Self::Bench(args) if args.counts_by_log())
    }

    /// What to lower where its device has too little memory.
    pub(crate) fn memory_advice(&self) -> &'static str {
        match self {
            Self::Train(_) | Self::Evaluate(_) => out_of_memory::ADVICE,
            Self::Predict(_) => "lower `--batch-size`, or give shorter texts or fewer rows",
            Self::Serve(_) => "lower `--max-batch-tokens`, or serve fewer or smaller models",
            Self::Bench(_) => "choose a smaller workload, or lower `--batch` and `--seq-len`",
            _ => "choose a smaller model or shorter rows, or `--device flex`, the CPU",
        }
    }

    /// Runs the command; `program` gives the whole command line. For exit codes see [`crate::failure`].
    pub(crate) fn run(
        self,
        tasks: &TaskRegistry,
        program: impl FnOnce() -> clap::Command,
    ) -> anyhow::Result<ExitCode> {
        match self {
            Self::Train(args) => train::run(args, tasks),
            Self::Evaluate(args) => evaluate::run(args, tasks),
            Self::Predict(args) => predict::run(args, tasks),
            Self::Serve(args) => serve::run(args),
            Self::Export(args) => export::run(args),
            Self::Import(args) => import::run(args),
            Self::Convert(args) => convert::run(args, tasks),
            Self::Hub(args) => hub::run(args),
            Self::Prepare(args) => prepare::run(args, tasks),
            Self::Compare(args) => compare::run(args),
            Self::Report(args) => report::run(args),
            Self::Runs(args) => runs::run(args),
            Self::Generate(args) => generate::run(args),
            Self::Bench(args) => bench::run(args),
            Self::Table(args) => table::run(args, tasks),
            Self::Completions(args) => completions::run(args, program()),
            Self::Man(args) => man::run(args, program()),
        }
    }
}
