//! What evaluations measured beside the loss, over the steps.

use crate::html::Html;
use crate::run::Run;
use crate::section::{Outcome, Section, missing};
use crate::svg::{Chart, Style};

/// Metrics that are drawn.
const MOST_METRICS: usize = 24;

pub(crate) const SECTION: Section<Run> =
    Section { id: "metrics", title: "Validation metrics", write };

fn write(run: &Run, html: &mut Html) -> Outcome {
    let names = run.metrics.names();
    if run.metrics.evaluations.is_empty() {
        return missing("nothing was evaluated (`trainer.eval_every`, or no validation split)");
    }
    if names.is_empty() {
        return missing("evaluations measured nothing but the loss");
    }
    html.element("div", &[("class", &"charts")], |html| {
        for name in names.iter().take(MOST_METRICS) {
            Chart::of(name, Style::Dotted, run.metrics.curve(name)).draw(html);
        }
    });
    if names.len() > MOST_METRICS {
        let left = names.len() - MOST_METRICS;
        html.element("p", &[], |html| {
            html.prose(&format!("{left} more metrics are in `metrics.jsonl`."));
        });
    }
    Ok(())
}
