//! Finished runs side by side; see `nystromformer compare --help`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::ExitCode,
};

use nystromformer_learner::{report::SummaryFile, run_dir::RunSummary};
use nystromformer_tasks::metrics::SeedStatistics;

use crate::output;

/// Compare finished runs: a table of scores and costs.
///
/// Scores are those of each run's best model. Runs with several seeds show mean ± standard deviation.
#[derive(clap::Args)]
pub struct Args {
    /// Run directories.
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let reports: Vec<(String, SummaryFile)> = args
        .runs
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            Ok((name, SummaryFile::read(path)?))
        })
        .collect::<anyhow::Result<_>>()?;
    let scores: Vec<Scores> = reports.iter().map(|(_, report)| scores(report)).collect();
    let columns: BTreeSet<&(String, String)> = scores.iter().flat_map(BTreeMap::keys).collect();

    let mut header = vec!["run".to_owned(), "steps".to_owned(), "parameters".to_owned()];
    header.extend(["tokens/s".to_owned(), "peak GB".to_owned()]);
    header.extend(columns.iter().map(|(split, metric)| format!("{split} {metric}")));
    let mut table = vec![header];
    for ((name, report), scores) in reports.iter().zip(&scores) {
        let runs = report.runs();
        let mean =
            |value: fn(&RunSummary) -> f64| runs.iter().map(value).sum::<f64>() / runs.len() as f64;
        let mut row = vec![
            name.clone(),
            format!("{:.0}", mean(|run| run.steps as f64)),
            format!("{:.0}", mean(|run| run.parameters as f64)),
            format!("{:.0}", mean(|run| run.tokens_per_second)),
            format!("{:.2}", mean(|run| run.peak_rss_bytes as f64 / 1e9)),
        ];
        row.extend(
            columns.iter().map(|column| {
                scores.get(*column).map_or_else(|| "–".to_owned(), ToString::to_string)
            }),
        );
        table.push(row);
    }
    output::aligned(&table)?;
    Ok(ExitCode::SUCCESS)
}

/// By split and metric.
type Scores = BTreeMap<(String, String), SeedStatistics>;

fn scores(report: &SummaryFile) -> Scores {
    report
        .statistics()
        .into_iter()
        .flat_map(|(split, metrics)| {
            metrics.into_iter().map(move |(name, value)| ((split.clone(), name), value))
        })
        .collect()
}
