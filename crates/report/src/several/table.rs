//! One line for each run or series: what it cost and what it scores.

use super::statistics::{Statistics, cell};
use crate::html::Html;
use crate::number::{bytes, duration};
use crate::run::{Entry, Run, Summary};
use crate::section::{Outcome, Section, row, table};

pub(crate) const SECTION: Section<[Entry]> = Section { id: "table", title: "Runs", write };

#[expect(clippy::unnecessary_wraps, reason = "as every section")]
fn write(entries: &[Entry], html: &mut Html) -> Outcome {
    html.leaf("h3", &[], "Scores");
    html.leaf(
        "p",
        &[],
        "Of the best model of each run; of a run without a task, of its best evaluation. Series show mean ± standard deviation \
         over their runs.",
    );
    let names = score_names(entries);
    let titles: Vec<String> =
        names.iter().map(|(split, metric)| format!("{split} {metric}")).collect();
    let columns: Vec<&str> = titles.iter().map(String::as_str).collect();
    table(html, &["run"], &columns, |html| {
        for entry in entries {
            row(html, &entry.label, |html| {
                for (split, metric) in &names {
                    cell(html, Statistics::of(&scores(entry, split, metric)));
                }
            });
        }
    });
    html.leaf("h3", &[], "Cost");
    let columns = ["steps", "parameters", "tokens/s", "peak memory", "time"];
    table(html, &["run", "state"], &columns, |html| {
        for entry in entries {
            row(html, &entry.label, |html| cost(html, entry));
        }
    });
    Ok(())
}

/// Split and metric of all scores, in the order in which they come.
pub(super) fn score_names(entries: &[Entry]) -> Vec<(String, String)> {
    let mut names: Vec<(String, String)> = Vec::new();
    for (split, found) in entries.iter().flat_map(|entry| &entry.runs).flat_map(Run::scores) {
        for (metric, _) in found.values() {
            if !names.iter().any(|(known, name)| *known == split && name == metric) {
                names.push((split.clone(), metric.to_owned()));
            }
        }
    }
    names
}

/// The finite scores of its runs under a name.
fn scores(entry: &Entry, split: &str, metric: &str) -> Vec<f64> {
    let of_run = |run: &Run| {
        let scores = run.scores();
        scores.into_iter().find(|(found, _)| found == split)?.1.value(metric)
    };
    entry.runs.iter().filter_map(of_run).filter(|score| score.is_finite()).collect()
}

fn cost(html: &mut Html, entry: &Entry) {
    let finished = entry.runs.iter().filter(|run| run.is_finished()).count();
    html.element("td", &[], |html| match (entry.is_series, finished == entry.runs.len()) {
        (true, _) => html.text(format_args!("{finished} of {} runs finished", entry.runs.len())),
        (false, true) => html.text("finished"),
        (false, false) => html.text("not finished"),
    });
    let steps: Vec<f64> = entry.runs.iter().map(|run| run.step() as f64).collect();
    cell(html, Statistics::of(&steps));
    let of_summaries = |value: fn(&Summary) -> f64| {
        let summaries = entry.runs.iter().filter_map(|run| run.summary.as_ref());
        Statistics::of(&summaries.map(value).collect::<Vec<_>>())
    };
    cell(html, of_summaries(|summary| summary.parameters as f64));
    cell(html, of_summaries(|summary| summary.tokens_per_second));
    for (value, words) in [
        (of_summaries(|summary| summary.peak_rss_bytes as f64), bytes as fn(f64) -> String),
        (of_summaries(|summary| summary.wall_seconds), duration),
    ] {
        let text = value.map_or_else(|| "–".to_owned(), |value| words(value.mean));
        html.leaf("td", &[("class", &"number")], text);
    }
}
