//! Trains a model as an experiment file says; see `nystromformer train --help`.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use nystromformer_data::ProgressListener;
use nystromformer_learner::{
    LearnerError,
    memory_estimate::gigabytes,
    progress::{self, Progress, WorkDisplay},
    ranks::Ranks,
    report::Member,
    sweep_report::{SweepReport, TrialReport},
    trainer::{
        DryRun, EndReason, Job, RunRequest, Series, Session, Sweep, SweepPlan, model_folder,
    },
};
use nystromformer_tasks::TaskRegistry;
use serde_json::json;

use crate::{
    commands::compare,
    failure::or_out_of_memory,
    output,
    ranks::{Order, end_all},
    run_report,
    scratch::scratch_folder,
    signals::StopSignals,
    training_report,
};

/// Train a model as an experiment file says; with `[sweep]` in it, one for each trial.
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
    /// Write a trace of N steps, after a warm-up of three, to RUN/trace.json: what every layer and kernel takes. Open it
    /// with Perfetto or Chrome.
    #[arg(long, value_name = "N", conflicts_with = "dry_run", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    profile: Option<usize>,
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
    let ranks = Ranks::join()?;
    // Here, and not only in the frame: where there are other ranks, a panic that unwinds beyond them ends the process.
    let ended = or_out_of_memory(|| run_on(&ranks, &args, tasks));
    if let Err(error) = &ended {
        end_all(&ranks, error);
    }
    ended
}

/// Runs the command as one of several processes, or alone.
fn run_on(ranks: &Ranks, args: &Args, tasks: &TaskRegistry) -> anyhow::Result<ExitCode> {
    let work = WorkDisplay::stderr();
    let request = RunRequest {
        config: args.config.clone(),
        overrides: args.overrides.clone(),
        run_dir: args.run_dir.clone(),
        resume: args.resume,
        tasks: tasks.clone(),
    };
    if args.dry_run {
        return if ranks.is_leader() { dry_run(&request, &work) } else { Ok(ExitCode::SUCCESS) };
    }
    let signals = StopSignals::listen()?;
    let training = Training { args, work: &work, signals: &signals, ranks };
    if !ranks.is_leader() {
        return training.follow(&request);
    }
    if !ranks.is_alone() {
        output::note(&format!("training on {} ranks", ranks.world_size()));
    }
    let exit_code = match Sweep::open(&request)? {
        Some(sweep) => training.sweep(sweep)?,
        None => training.experiment(&request, None, true, &mut |_| Ok(()))?.exit_code(),
    };
    Order::End(exit_code).announce(ranks)?;
    Ok(ExitCode::from(exit_code))
}

/// Trains a run, or a series, to its end, for another command that reports on it, and may refuse it when it can begin.
///
/// # Errors
/// As [`run`].
pub(super) fn train_quietly(
    request: &RunRequest,
    signals: &StopSignals,
    begins: Begins<'_>,
) -> anyhow::Result<EndReason> {
    let args = Args {
        config: request.config.clone(),
        overrides: request.overrides.clone(),
        run_dir: request.run_dir.clone(),
        resume: request.resume,
        dry_run: false,
        profile: None,
        #[cfg(feature = "tui")]
        tui: false,
    };
    let work = WorkDisplay::stderr();
    let ranks = Ranks::alone();
    let training = Training { args: &args, work: &work, signals, ranks: &ranks };
    training.experiment(request, None, false, begins)
}

/// What all runs of the command have in common.
struct Training<'a> {
    args: &'a Args,
    work: &'a WorkDisplay,
    signals: &'a StopSignals,
    ranks: &'a Ranks,
}

/// What is to be done when a run can begin.
type Begins<'a> = &'a mut dyn FnMut(&Session) -> Result<(), LearnerError>;

impl Training<'_> {
    /// Does its share of whatever rank 0 trains.
    fn follow(&self, request: &RunRequest) -> anyhow::Result<ExitCode> {
        loop {
            let (request, pause_after) = match Order::next(self.ranks)? {
                Order::End(exit_code) => return Ok(ExitCode::from(exit_code)),
                Order::Run { overrides, run_dir, resume, pause_after } => {
                    (RunRequest { overrides, run_dir, resume, ..request.clone() }, pause_after)
                }
            };
            if let Err(error) = self.run(&request, pause_after, false, &mut |_| Ok(())) {
                match error.downcast_ref() {
                    // Rank 0 finds the same, and says what becomes of it.
                    Some(LearnerError::NonFinite { .. }) => {}
                    _ => return Err(error),
                }
            }
        }
    }

    /// Trains the trials of a sweep, one after the other, and prints them side by side. Returns the exit code.
    fn sweep(&self, mut sweep: Sweep) -> anyhow::Result<u8> {
        while let Some(Job { trial, request, pause_after }) = sweep.next_job()? {
            let trials = &sweep.report().trials;
            let until = pause_after.map_or_else(String::new, |step| format!(", up to step {step}"));
            output::note(&format!(
                "trial {trial} of {}{until}: {}",
                trials.len(),
                trials[trial - 1].describe()
            ));
            let trained =
                self.experiment(&request, pause_after, false, &mut |session| sweep.begin(session));
            match trained {
                Ok(EndReason::Stopped(reason)) => return Ok(reason.exit_code()),
                Ok(_) => {}
                Err(error) => match error.downcast_ref() {
                    // The values are no good, which is a result.
                    Some(LearnerError::NonFinite { .. }) => {
                        output::note(&format!(
                            "trial {trial} diverged: {error}; the sweep goes on"
                        ));
                        sweep.diverged(trial)?;
                    }
                    _ => return Err(error),
                },
            }
        }
        let path = sweep.path();
        run_report::of_directory(path);
        compare::print_runs(&[path.to_owned()])?;
        let SweepReport { metric, best, trials, .. } = sweep.report();
        let value = best.and_then(|best| trials[best - 1].value);
        let line = match (sweep.report().best_folder(path), metric, value) {
            (Some(folder), Some(metric), Some(value)) => {
                format!("best trial: {} (validation {metric} {value:.4})", folder.display())
            }
            _ => "best trial: none, for none has a number to compare".to_owned(),
        };
        writeln!(io::stdout().lock(), "{line}")?;
        Ok(0)
    }

    /// Trains an experiment, to its end or up to a step: one run, or one for each of its seeds and folds.
    fn experiment(
        &self,
        request: &RunRequest,
        pause_after: Option<usize>,
        reports: bool,
        begins: Begins<'_>,
    ) -> anyhow::Result<EndReason> {
        let Some(series) = Series::open(request)? else {
            return self.run(request, pause_after, reports, begins);
        };
        let mut ended_by = EndReason::Finished;
        for request in series.remaining_until(pause_after)? {
            ended_by = self.run(&request, pause_after, reports, &mut |session| {
                begins(session)?;
                series.begin(session)?;
                output::note(&Member::of(session.experiment()).to_string());
                Ok(())
            })?;
            if ended_by.exit_code() != 0 {
                return Ok(ended_by);
            }
        }
        if series.remaining()?.is_empty() {
            let summary = series.finish()?;
            run_report::of_directory(series.path());
            if reports {
                training_report::print_series(&summary)?;
            }
        }
        Ok(ended_by)
    }

    /// Trains one run, and reports on it if that is asked for and it came to its end.
    fn run(
        &self,
        request: &RunRequest,
        pause_after: Option<usize>,
        reports: bool,
        begins: Begins<'_>,
    ) -> anyhow::Result<EndReason> {
        let is_leader = self.ranks.is_leader();
        if let Some(reason) = self.signals.preparation_begins() {
            if !is_leader {
                // Rank 0 prepares already.
                self.ranks.abort(reason.exit_code());
            }
            return Ok(EndReason::Stopped(reason));
        }
        if is_leader {
            Order::to_run(request, pause_after).announce(self.ranks)?;
        }
        let preparation: &dyn ProgressListener = if is_leader { self.work } else { &|_| {} };
        let session = Session::open_on(self.ranks, request, preparation)?
            .pausing_after(pause_after)
            .profiling(self.args.profile.unwrap_or_default());
        self.work.finish();
        begins(&session)?;
        if let Some(checkpoint) = session.checkpoint().filter(|_| is_leader) {
            output::note(&format!("resuming from {}", checkpoint.path.display()));
        }
        let mut display = if is_leader {
            display(self.args, session.experiment().trainer.log_every)
        } else {
            Box::new(progress::Silent)
        };
        let outcome = session.train(self.signals.training_begins(), display.as_mut())?;
        drop(display);
        match outcome.ended_by {
            _ if !is_leader => {}
            EndReason::Finished | EndReason::EarlyStopping => {
                run_report::of_run(&session);
                if reports {
                    let model = model_folder(session.run().path())?;
                    training_report::print(&session, &outcome, &model)?;
                }
            }
            EndReason::Stopped(_) => output::note(&format!(
                "stopped after step {}; `--resume` goes on from there",
                outcome.summary.steps
            )),
            EndReason::Paused => {}
        }
        Ok(outcome.ended_by)
    }
}

/// Sizes up the experiment, and leaves nothing behind.
fn dry_run(request: &RunRequest, work: &WorkDisplay) -> anyhow::Result<ExitCode> {
    let scratch = scratch_folder()?;
    let sweep = SweepPlan::of(request)?;
    for TrialReport { trial, values, .. } in sweep.iter().flat_map(|sweep| sweep.report().trials) {
        output::json_line(&json!({"trial": trial, "values": values}))?;
    }
    // Of a sweep, its first trial is sized up.
    let first = sweep.as_ref().and_then(|sweep| sweep.requests().next());
    let request = first.unwrap_or(request);
    let sizes = DryRun::perform(request, scratch.path(), work)?;
    work.finish();
    if let Some(step) = sizes.resumes_from_step {
        output::note(&format!("would go on after step {step} of {}", sizes.total_steps));
    }
    let steps = sizes.total_steps.saturating_sub(sizes.resumes_from_step.unwrap_or(0));
    let tokens_per_second = sizes.tokens_per_step as f64 / sizes.seconds_per_step;
    let memory = match (sizes.gpu_memory, sizes.machine_memory) {
        (Some(memory), _) => {
            let held = gigabytes(memory.held_bytes);
            let total = memory.total_bytes.map_or_else(
                || "how much there is of it, its driver does not say".to_owned(),
                |total| format!("it has {}", gigabytes(total)),
            );
            format!(" of the GPU's memory ({held} were taken here, and {total})")
        }
        (None, Some(memory)) => {
            let owner = if memory.is_cgroup_limit { "its control group" } else { "this machine" };
            format!(" of memory, of which {owner} has {} free", gigabytes(memory.available_bytes))
        }
        (None, None) => " of memory".to_owned(),
    };
    let measured = match sizes.measured_micro_batches {
        whole if whole == sizes.micro_batches_per_step => "a whole step".to_owned(),
        part => {
            format!("{part} of its {} micro-batches and the update", sizes.micro_batches_per_step)
        }
    };
    let trained = sizes
        .trained_parameters
        .map_or_else(String::new, |trained| format!(", of which {trained} are trained"));
    let seconds = sizes.seconds_per_step * steps as f64;
    let runs = match sizes.runs {
        1 => String::new(),
        runs => {
            let all = training_report::duration(seconds * runs as f64);
            format!(", and the {runs} runs of this series, of which the first is sized up, {all}")
        }
    };
    output::note(&format!(
        "{} parameters{trained}; a step has {} tokens in about {:.1} s here ({tokens_per_second:.0} tokens/s; measured: {measured}, after a \
         warm-up); {steps} steps \
         take about {}{runs}; about {}{memory}",
        sizes.parameters,
        sizes.tokens_per_step,
        sizes.seconds_per_step,
        training_report::duration(seconds),
        gigabytes(sizes.estimated_bytes),
    ));
    output::json_line(&sizes)?;
    Ok(ExitCode::SUCCESS)
}
