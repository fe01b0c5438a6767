//! The runs of each series.

use super::table::score_names;
use crate::html::Html;
use crate::run::Entry;
use crate::section::{Outcome, Section, missing, number_cell, row, table};

pub(crate) const SECTION: Section<[Entry]> =
    Section { id: "members", title: "Runs of each series", write };

fn write(entries: &[Entry], html: &mut Html) -> Outcome {
    if !entries.iter().any(|entry| entry.is_series) {
        return missing("there is no series of seeds or folds");
    }
    for entry in entries.iter().filter(|entry| entry.is_series) {
        html.element("details", &[], |html| {
            html.element("summary", &[], |html| {
                html.quote(&entry.label);
                html.text(format_args!(", {} runs", entry.runs.len()));
            });
            of_series(html, entry);
        });
    }
    Ok(())
}

fn of_series(html: &mut Html, entry: &Entry) {
    let names = score_names(std::slice::from_ref(entry));
    let titles: Vec<String> =
        names.iter().map(|(split, metric)| format!("{split} {metric}")).collect();
    let mut columns = vec!["steps"];
    columns.extend(titles.iter().map(String::as_str));
    table(html, &["run"], &columns, |html| {
        for run in &entry.runs {
            row(html, &run.label, |html| {
                number_cell(html, run.step() as f64);
                let scores = run.scores();
                for (split, metric) in &names {
                    let found = scores.iter().find(|(name, _)| name == split);
                    number_cell(
                        html,
                        found.and_then(|(_, found)| found.value(metric)).unwrap_or(f64::NAN),
                    );
                }
            });
        }
    });
}
