//! Trains a model as an experiment file says; see `nystromformer train --help`.

use std::{path::PathBuf, process::ExitCode};

use nystromformer_learner::{
    progress::{self, Progress, WorkDisplay},
    report::Member,
    trainer::{DryRun, EndReason, RunRequest, Series, Session, model_folder},
};
use nystromformer_tasks::TaskRegistry;

use crate::{output, run_report, scratch::scratch_folder, signals::StopSignals, training_report};

/// Train a model as an experiment file says.
#[derive(clap::Args)]
pub struct Args {
    /// The experiment, a TOML file.
    #[arg(value_name = "CONFIG.toml")]
    config: PathBuf,
    /// Override a key of the experiment, e.g. data.corpus=books/. May be repeated.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    overrides: Vec<String>,
    /// Where checkpoints, metrics and the resolved configuration go. Default: runs/NAME.
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Go on from the newest valid checkpoint in the run directory; start if there is none.
    #[arg(long)]
    resume: bool,
    /// Check everything, print sizes and cost as JSON, run one batch, write nothing. With --resume, also check
    /// that the run can go on, and say from which step. Uses the token cache if there is one; otherwise the
    /// whole corpus is tokenized into a scratch folder.
    #[arg(long)]
    dry_run: bool,
    /// Show Burn's terminal UI instead of a progress bar.
    #[cfg(feature = "tui")]
    #[arg(long)]
    tui: bool,
}

#[cfg(feature = "tui")]
fn display(args: &Args, log_every: usize) -> Box<dyn Progress> {
    if args.tui {
        Box::new(progress::RendererProgress::terminal_ui())
    } else {
        progress::for_stderr(log_every)
    }
}

#[cfg(not(feature = "tui"))]
fn display(_: &Args, log_every: usize) -> Box<dyn Progress> {
    progress::for_stderr(log_every)
}

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args, tasks: &TaskRegistry) -> anyhow::Result<ExitCode> {
    let work = WorkDisplay::stderr();
    let request = RunRequest {
        config: args.config.clone(),
        overrides: args.overrides.clone(),
        run_dir: args.run_dir.clone(),
        resume: args.resume,
        tasks: tasks.clone(),
    };
    if args.dry_run {
        return dry_run(&request, &work);
    }
    let signals = StopSignals::listen()?;
    let Some(series) = Series::open(&request)? else {
        let ended_by = train(&args, &request, None, &work, &signals)?;
        return Ok(ExitCode::from(ended_by.exit_code()));
    };
    for request in series.remaining()? {
        let ended_by = train(&args, &request, Some(&series), &work, &signals)?;
        if ended_by.exit_code() != 0 {
            return Ok(ExitCode::from(ended_by.exit_code()));
        }
    }
    let summary = series.finish()?;
    run_report::of_directory(series.path());
    training_report::print_series(&summary)?;
    Ok(ExitCode::SUCCESS)
}

/// Trains one run, and reports on it if it came to its end.
fn train(
    args: &Args,
    request: &RunRequest,
    series: Option<&Series>,
    work: &WorkDisplay,
    signals: &StopSignals,
) -> anyhow::Result<EndReason> {
    if let Some(reason) = signals.preparation_begins() {
        return Ok(EndReason::Stopped(reason));
    }
    let session = Session::open(request, work)?;
    work.finish();
    if let Some(series) = series {
        series.begin(session.experiment())?;
        output::note(&Member::of(session.experiment()).to_string());
    }
    if let Some(checkpoint) = session.checkpoint() {
        output::note(&format!("resuming from {}", checkpoint.path.display()));
    }
    let mut display = display(args, session.experiment().trainer.log_every);
    let outcome = session.train(signals.training_begins(), display.as_mut())?;
    drop(display);
    if outcome.ended_by.exit_code() == 0 {
        let model = model_folder(session.run().path())?;
        run_report::of_run(&session);
        training_report::print(&session, &outcome, &model)?;
    } else {
        output::note(&format!(
            "stopped after step {}; `--resume` goes on from there",
            outcome.summary.steps
        ));
    }
    Ok(outcome.ended_by)
}

/// Sizes up the experiment, and leaves nothing behind.
fn dry_run(request: &RunRequest, work: &WorkDisplay) -> anyhow::Result<ExitCode> {
    let scratch = scratch_folder()?;
    let sizes = DryRun::perform(request, scratch.path(), work)?;
    work.finish();
    if let Some(step) = sizes.resumes_from_step {
        output::note(&format!("would go on after step {step} of {}", sizes.total_steps));
    }
    let steps = sizes.total_steps.saturating_sub(sizes.resumes_from_step.unwrap_or(0));
    let tokens_per_second = sizes.tokens_per_step as f64 / sizes.seconds_per_step;
    let available = sizes.machine_memory.map_or_else(String::new, |memory| {
        let owner = if memory.is_cgroup_limit { "its control group" } else { "this machine" };
        format!(", of which {owner} has {:.1} GB free", memory.available_bytes as f64 / 1e9)
    });
    let measured = match sizes.measured_micro_batches {
        whole if whole == sizes.micro_batches_per_step => "a whole step".to_owned(),
        part => {
            format!("{part} of its {} micro-batches and the update", sizes.micro_batches_per_step)
        }
    };
    let trained = sizes
        .trained_parameters
        .map_or_else(String::new, |trained| format!(", of which {trained} are trained"));
    output::note(&format!(
        "{} parameters{trained}; a step has {} tokens in about {:.1} s here ({tokens_per_second:.0} tokens/s; measured: {measured}, after a \
         warm-up); {steps} steps \
         take about {}; about {:.1} GB of memory{available}",
        sizes.parameters,
        sizes.tokens_per_step,
        sizes.seconds_per_step,
        training_report::duration(sizes.seconds_per_step * steps as f64),
        sizes.estimated_bytes as f64 / 1e9,
    ));
    output::json_line(&sizes)?;
    Ok(ExitCode::SUCCESS)
}
