//! The loss of training and of validation over the steps.

use super::{by_step, marks, no_steps};
use crate::html::Html;
use crate::run::Run;
use crate::section::{Outcome, Section};
use crate::svg::{Chart, Curve, Style};

pub(crate) const SECTION: Section<Run> = Section { id: "loss", title: "Loss", write };

fn write(run: &Run, html: &mut Html) -> Outcome {
    if run.metrics.steps.is_empty() && run.metrics.evaluations.is_empty() {
        return Err(no_steps());
    }
    let training = by_step(run, |step| step.loss);
    let mut chart = Chart::of("training", Style::Noisy, training);
    let validation = run.metrics.curve("loss");
    if !validation.is_empty() {
        let name = "validation".to_owned();
        chart.curves.push(Curve { name, points: validation, style: Style::Dotted, colour: 1 });
    }
    "Loss".clone_into(&mut chart.title);
    chart.marks = marks(run);
    html.element("div", &[("class", &"charts")], |html| chart.draw(html));
    Ok(())
}
