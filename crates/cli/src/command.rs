//! The frame around every command: parse, run, and turn the result into an exit code.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use nystromformer_tasks::TaskRegistry;

use crate::{
    allocator,
    commands::{Command, train},
    failure, hub, logging, output, signals,
};

/// Train, measure and use Nyströmformers.
///
/// Results go to stdout (JSON lines where a command says so), progress and logs to stderr. Exit codes: 0 ok, 2 usage
/// or configuration, 3 data, 4 checkpoint or model file, 5 not a finite number, 6 device or memory, 7 disk, 8 device
/// self-check, 75 stopped by SIGTERM with a checkpoint saved, 130 stopped by Ctrl-C.
#[derive(Parser)]
#[command(name = "nystromformer", version, propagate_version = true, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

/// Train a model as an experiment file says; the same as `nystromformer train`.
#[derive(Parser)]
#[command(name = "train", version)]
struct TrainCommandLine {
    #[command(flatten)]
    args: train::Args,
}

/// The tasks that an experiment may name: GLUE's, `imdb`, `labelled`, and those of the Long Range Arena.
pub fn tasks() -> TaskRegistry {
    nystromformer_lra::with_tasks(nystromformer_tasks::tasks())
}

/// Runs `nystromformer` with the arguments of this process.
pub fn run() -> ExitCode {
    run_with(&tasks())
}

/// Runs `nystromformer` with other tasks: the whole program of somebody else's task is
/// `nystromformer_cli::run_with(&nystromformer_cli::tasks().with::<MyTask>("my_task"))`.
pub fn run_with(tasks: &TaskRegistry) -> ExitCode {
    framed(
        |line: &CommandLine| line.command.counts_by_log(),
        |line| line.command.run(tasks, CommandLine::command),
    )
}

/// Runs `train` with the arguments of this process: the same as `nystromformer train`.
pub fn run_train() -> ExitCode {
    framed(|_| false, |line: TrainCommandLine| train::run(line.args, &tasks()))
}

/// Parses the command line, runs `command`, and turns its result into an exit code. What libraries log is told of unless the command `counts_by_log`.
fn framed<Line: Parser>(
    counts_by_log: impl FnOnce(&Line) -> bool,
    command: impl FnOnce(Line) -> anyhow::Result<ExitCode>,
) -> ExitCode {
    allocator::keep_freed_memory();
    report_panics_in_one_line();
    let line = Line::parse(); // prints usage errors and exits with 2 itself
    let log = logging::init(counts_by_log(&line));
    hub::connect();
    let result = log
        .and_then(|()| Ok(signals::fail_writes_over_the_size_limit()?))
        .and_then(|()| command(line));
    match result {
        Ok(code) => code,
        Err(error) => {
            let code = failure::exit_code(&error);
            if code != 0 {
                output::note(&format!("error: {}", failure::message(&error)));
            }
            ExitCode::from(code)
        }
    }
}

/// A panic is a fault of ours, never of the input: say so, without a backtrace unless one is asked for.
fn report_panics_in_one_line() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::env::var_os("RUST_BACKTRACE").is_some() {
            default(info);
        } else {
            output::note(&format!(
                "error: internal fault, please report it (RUST_BACKTRACE=1 shows where): {info}"
            ));
        }
    }));
}
