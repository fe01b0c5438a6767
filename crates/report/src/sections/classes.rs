//! Precision, recall and F1 of each class.

use super::no_verdict;
use crate::html::Html;
use crate::run::{ClassScores, Run};
use crate::section::{Outcome, Section, missing, number_cell, row, table};

/// Classes that are listed.
const MOST_CLASSES: usize = 300;

pub(crate) const SECTION: Section<Run> = Section { id: "classes", title: "Classes", write };

fn write(run: &Run, html: &mut Html) -> Outcome {
    let verdict = run.summary.as_ref().and_then(|summary| summary.verdict.as_ref());
    let Some(verdict) = verdict else { return Err(no_verdict(run.summary.as_ref())) };
    if verdict.classes.is_empty() {
        return missing("the task's answers are numbers, choices or spans, which have no classes");
    }
    for (split, report) in &verdict.classes {
        html.element("h3", &[], |html| html.quote(split));
        table(html, &["class"], &["precision", "recall", "F1", "support"], |html| {
            let classes = report.labels.iter().zip(&report.per_class);
            for (label, ClassScores { precision, recall, f1, support }) in
                classes.take(MOST_CLASSES)
            {
                row(html, label, |html| {
                    for value in [*precision, *recall, *f1, *support as f64] {
                        number_cell(html, value);
                    }
                });
            }
        });
        if report.labels.len() > MOST_CLASSES {
            let left = report.labels.len() - MOST_CLASSES;
            html.element("p", &[], |html| {
                html.prose(&format!("{left} more classes are in `summary.json`."));
            });
        }
    }
    Ok(())
}
