//! What lies in a directory of runs; see `nystromformer runs --help`.

use std::{path::PathBuf, process::ExitCode};

use nystromformer_learner::run_list::{ListedRun, list};

use crate::{output, training_report::duration};

/// List the runs below a directory: state, step, best evaluation, age, size.
///
/// Seeds and folds of one experiment are one line. A run whose process is at work is `running`; one without a summary that no
/// process holds has `failed`, or was killed: `train --resume` goes on with it.
#[derive(clap::Args)]
pub struct Args {
    /// The directory.
    #[arg(value_name = "DIR", default_value = "runs")]
    directory: PathBuf,
    /// Print a JSON object for each run instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let runs = list(&args.directory)?;
    if args.json {
        for run in &runs {
            output::json_line(run)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if runs.is_empty() {
        output::note(&format!("no runs in `{}`", args.directory.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let header = ["run", "state", "step", "best", "age", "size"].map(str::to_owned).to_vec();
    let rows = runs.iter().map(row);
    output::aligned(&std::iter::once(header).chain(rows).collect::<Vec<_>>())?;
    Ok(ExitCode::SUCCESS)
}

fn row(run: &ListedRun) -> Vec<String> {
    let state = match run.runs {
        0 | 1 => run.state.name().to_owned(),
        all => format!("{}, {} of {all} finished", run.state.name(), run.finished),
    };
    let step = match (run.step, run.max_steps) {
        (Some(step), Some(most)) => format!("{step}/{most}"),
        (Some(step), None) => step.to_string(),
        (None, _) => "–".to_owned(),
    };
    let best = run.best.as_ref().map_or_else(
        || "–".to_owned(),
        |best| {
            let value = best.value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
            format!("{} {value}", best.metric)
        },
    );
    let age = run.age_seconds.map_or_else(|| "–".to_owned(), duration);
    vec![run.path.clone(), state, step, best, age, format!("{:.1} MB", run.bytes as f64 / 1e6)]
}
