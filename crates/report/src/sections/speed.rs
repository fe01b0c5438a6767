//! Tokens per second over the steps.

use super::{by_step, marks, no_steps};
use crate::html::Html;
use crate::run::Run;
use crate::section::{Outcome, Section};
use crate::svg::{Chart, Style};

pub(crate) const SECTION: Section<Run> = Section { id: "speed", title: "Speed", write };

fn write(run: &Run, html: &mut Html) -> Outcome {
    if run.metrics.steps.is_empty() {
        return Err(no_steps());
    }
    html.element("div", &[("class", &"charts")], |html| {
        let speed = Chart::of(
            "Tokens per second",
            Style::Noisy,
            by_step(run, |step| step.tokens_per_second),
        );
        Chart { marks: marks(run), ..speed }.draw(html);
    });
    html.leaf("p", &[], "Padding is not counted, nor the time of evaluations and checkpoints.");
    Ok(())
}
