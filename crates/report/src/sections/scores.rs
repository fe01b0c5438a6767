//! What the best model scores, beside a predictor that always says the same.

use crate::html::Html;
use crate::run::Run;
use crate::section::{Outcome, Section, missing, number_cell, row, table};

pub(crate) const SECTION: Section<Run> = Section { id: "scores", title: "Scores", write };

fn write(run: &Run, html: &mut Html) -> Outcome {
    let scores = run.scores();
    if scores.is_empty() {
        return missing("nothing was evaluated (`trainer.eval_every`, or no split to evaluate on)");
    }
    let verdict = run.summary.as_ref().and_then(|summary| summary.verdict.as_ref());
    html.element("p", &[], |html| {
        if let Some(verdict) = verdict {
            html.text(format_args!("Of the model after step {}: ", verdict.step));
            html.quote(&verdict.chosen_by);
            html.text(".");
        } else {
            let which = if run.is_finished() { "best" } else { "best or latest" };
            html.text(format_args!("Of the {which} evaluation, after step {}.", scores[0].1.step));
        }
    });
    for (split, found) in scores {
        html.element("h3", &[], |html| html.quote(&split));
        let constant = verdict.and_then(|verdict| verdict.constant_predictor.get(&split));
        let mut columns = vec!["value"];
        columns.extend(constant.map(|_| "constant predictor"));
        table(html, &["metric"], &columns, |html| {
            for (name, value) in found.values() {
                row(html, name, |html| {
                    number_cell(html, value);
                    if let Some(constant) = constant {
                        number_cell(
                            html,
                            constant.get(name).copied().flatten().unwrap_or(f64::NAN),
                        );
                    }
                });
            }
        });
    }
    Ok(())
}
