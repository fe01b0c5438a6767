//! The wrong answers that the model was surest of.

use super::no_verdict;
use crate::html::Html;
use crate::run::Run;
use crate::section::{Outcome, Section, missing, number_cell, row, table, text_cell};

pub(crate) const SECTION: Section<Run> =
    Section { id: "mistakes", title: "Most confident mistakes", write };

fn write(run: &Run, html: &mut Html) -> Outcome {
    let verdict = run.summary.as_ref().and_then(|summary| summary.verdict.as_ref());
    let Some(verdict) = verdict else { return Err(no_verdict(run.summary.as_ref())) };
    if verdict.errors.is_empty() {
        return missing("an answer of this task is not one class of several, with a probability");
    }
    for (split, errors) in &verdict.errors {
        html.element("h3", &[], |html| html.quote(split));
        html.element("p", &[], |html| {
            html.number(errors.mistakes as f64);
            html.text(" of ");
            html.number(errors.answers as f64);
            html.text(" answers are wrong.");
        });
        if errors.most_confident_mistakes.is_empty() {
            continue;
        }
        table(html, &["example", "text", "right", "predicted"], &["probability"], |html| {
            for mistake in &errors.most_confident_mistakes {
                let place = match (&mistake.id, mistake.word) {
                    (Some(id), None) => id.clone(),
                    (Some(id), Some(word)) => format!("{id}, word {word}"),
                    (None, None) => mistake.example.to_string(),
                    (None, Some(word)) => format!("{}, word {word}", mistake.example),
                };
                row(html, &place, |html| {
                    text_cell(html, &mistake.text);
                    text_cell(html, &mistake.label);
                    text_cell(html, &mistake.prediction);
                    number_cell(html, mistake.score);
                });
            }
        });
    }
    Ok(())
}
