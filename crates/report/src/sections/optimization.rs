//! How the optimizer went: the learning rate, and the norm of the gradient before it is clipped.

use super::{by_step, marks, no_steps};
use crate::html::Html;
use crate::run::Run;
use crate::section::{Outcome, Section};
use crate::svg::{Chart, Style};

pub(crate) const SECTION: Section<Run> =
    Section { id: "optimization", title: "Optimization", write };

fn write(run: &Run, html: &mut Html) -> Outcome {
    if run.metrics.steps.is_empty() {
        return Err(no_steps());
    }
    html.element("div", &[("class", &"charts")], |html| {
        Chart::of("Learning rate", Style::Line, by_step(run, |step| step.learning_rate)).draw(html);
        let norms = Chart::of("Gradient norm", Style::Noisy, by_step(run, |step| step.grad_norm));
        Chart { marks: marks(run), may_be_log: true, ..norms }.draw(html);
    });
    if let Some(most) = run.config.number("trainer.max_grad_norm").filter(|most| *most > 0.0) {
        let above = run.metrics.steps.iter().filter(|step| step.grad_norm > most).count();
        let all = run.metrics.steps.len();
        html.leaf(
            "p",
            &[],
            format_args!(
                "The norm is that before clipping; {above} of {all} steps were clipped to {most}."
            ),
        );
    }
    Ok(())
}
