//! The frame around every command: parse, run, and turn the result into an exit code.

use std::{
    panic::{set_hook, take_hook},
    process::ExitCode,
};

use clap::{CommandFactory, Parser};
use nystromformer_learner::out_of_memory::{self, Shortage};
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
        |line: &CommandLine| Nature {
            counts_by_log: line.command.counts_by_log(),
            memory_advice: line.command.memory_advice(),
        },
        |line| line.command.run(tasks, CommandLine::command),
    )
}

/// Runs `train` with the arguments of this process: the same as `nystromformer train`.
pub fn run_train() -> ExitCode {
    framed(
        |_| Nature { counts_by_log: false, memory_advice: out_of_memory::ADVICE },
        |line: TrainCommandLine| train::run(line.args, &tasks()),
    )
}

/// What the frame has to know of a command.
struct Nature {
    /// Whether it counts by what libraries log, so that nobody is told of that.
    counts_by_log: bool,
    /// What to lower where a device is too small.
    memory_advice: &'static str,
}

/// Parses the command line, runs `command`, and turns its result into an exit code.
fn framed<Line: Parser>(
    nature: impl FnOnce(&Line) -> Nature,
    command: impl FnOnce(Line) -> anyhow::Result<ExitCode>,
) -> ExitCode {
    allocator::keep_freed_memory();
    report_panics_in_one_line();
    let line = Line::parse(); // prints usage errors and exits with 2 itself
    let Nature { counts_by_log, memory_advice } = nature(&line);
    let log = logging::init(counts_by_log);
    hub::connect();
    let result = log
        .and_then(|()| Ok(signals::fail_writes_over_the_size_limit()?))
        .and_then(|()| failure::or_out_of_memory(|| command(line)));
    match result {
        Ok(code) => code,
        Err(error) => {
            let code = failure::exit_code(&error);
            if code != 0 {
                output::note(&format!("error: {}", failure::told(&error, memory_advice)));
            }
            ExitCode::from(code)
        }
    }
}

/// A panic is a fault of ours, never of the input: say so, without a backtrace unless one is asked for. Of a device without room it is Burn's way to say
/// so, and the command ends with a line about that.
fn report_panics_in_one_line() {
    let default = take_hook();
    set_hook(Box::new(move |info| {
        let shortage =
            info.payload_as_str().filter(|text| Shortage::note(text)).and_then(Shortage::in_text);
        if std::env::var_os("RUST_BACKTRACE").is_some() {
            default(info);
        } else if let Some(shortage) = shortage {
            // The command may go on, as a server does.
            output::note(&format!("the device is {shortage}"));
        } else {
            output::note(&format!(
                "error: internal fault, please report it (RUST_BACKTRACE=1 shows where): {info}"
            ));
        }
    }));
}
