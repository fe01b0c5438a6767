//! Which classes were taken for which.

use super::no_verdict;
use crate::html::{Html, shortened};
use crate::run::Run;
use crate::section::{Outcome, Section, missing, number_cell, row, table, text_cell};
use crate::svg::Matrix;

/// Classes of a matrix whose counts are written, and of one that is drawn.
const MOST_WRITTEN: usize = 20;
const MOST_DRAWN: usize = 120;

pub(crate) const SECTION: Section<Run> =
    Section { id: "confusion", title: "Confusion matrix", write };

fn write(run: &Run, html: &mut Html) -> Outcome {
    let verdict = run.summary.as_ref().and_then(|summary| summary.verdict.as_ref());
    let Some(verdict) = verdict else { return Err(no_verdict(run.summary.as_ref())) };
    let of_splits = verdict.classes.iter();
    let matrices: Vec<_> = of_splits
        .filter_map(|(split, report)| {
            Some((split, &report.labels, report.confusion_matrix.as_ref()?))
        })
        .collect();
    if matrices.is_empty() && verdict.errors.is_empty() {
        return missing("an answer of this task is not one class of several");
    }
    html.leaf(
        "p",
        &[],
        "Rows are the right classes, columns what was predicted; colour is the share of the row.",
    );
    for (split, labels, counts) in matrices {
        html.element("h3", &[], |html| html.quote(split));
        if labels.len() <= MOST_WRITTEN {
            written(html, labels, counts);
        } else if labels.len() <= MOST_DRAWN {
            drawn(html, labels, counts);
        } else {
            html.element("p", &[], |html| {
                html.prose(&format!(
                    "{} classes are too many to draw; `summary.json` has the matrix.",
                    labels.len()
                ));
            });
        }
    }
    for (split, errors) in &verdict.errors {
        if errors.confusion_pairs.is_empty() {
            continue;
        }
        html.element("h3", &[], |html| {
            html.text("Most frequent, ");
            html.quote(split);
        });
        table(html, &["right", "predicted"], &["how often"], |html| {
            for pair in &errors.confusion_pairs {
                row(html, &pair.label, |html| {
                    text_cell(html, &pair.prediction);
                    number_cell(html, pair.count as f64);
                });
            }
        });
    }
    Ok(())
}

fn written(html: &mut Html, labels: &[String], counts: &[Vec<u64>]) {
    let columns: Vec<&str> = labels.iter().map(String::as_str).collect();
    table(html, &["right \\ predicted"], &columns, |html| {
        for (label, counts) in labels.iter().zip(counts) {
            let all = counts.iter().sum::<u64>().max(1) as f64;
            row(html, label, |html| {
                for count in counts {
                    let share = format!("--w:{:.3}", *count as f64 / all);
                    html.element("td", &[("class", &"number shade"), ("style", &share)], |html| {
                        html.number(*count as f64);
                    });
                }
            });
        }
    });
}

fn drawn(html: &mut Html, labels: &[String], counts: &[Vec<u64>]) {
    let values: Vec<Vec<f64>> = counts
        .iter()
        .map(|counts| {
            let all = counts.iter().sum::<u64>().max(1) as f64;
            counts.iter().map(|count| *count as f64 / all).collect()
        })
        .collect();
    let matrix = Matrix {
        spoken: format!("Confusion matrix of {} classes", labels.len()),
        rows: labels,
        columns: labels,
        values: &values,
        words: &|row, column, _| {
            let count = counts[row].get(column).copied().unwrap_or_default();
            let [right, predicted] = [row, column].map(|class| shortened(&labels[class], 60));
            format!("{right} taken for {predicted}: {count}")
        },
        row_height: (560.0 / labels.len() as f64).clamp(8.0, 24.0),
    };
    html.element("div", &[("class", &"wide")], |html| matrix.draw(html));
}
