//! How far a classifier's probabilities are to be believed.

use super::no_verdict;
use crate::html::Html;
use crate::run::{ErrorAnalysis, Run};
use crate::section::{Outcome, Section, missing};
use crate::svg::{Bin, reliability_diagram};

pub(crate) const SECTION: Section<Run> = Section { id: "calibration", title: "Calibration", write };

fn write(run: &Run, html: &mut Html) -> Outcome {
    let verdict = run.summary.as_ref().and_then(|summary| summary.verdict.as_ref());
    let Some(verdict) = verdict else { return Err(no_verdict(run.summary.as_ref())) };
    if verdict.errors.is_empty() {
        return missing("an answer of this task is not one class of several, with a probability");
    }
    html.leaf(
        "p",
        &[],
        "Answers in bins by their confidence, the probability of the class that was predicted. A bar that ends at its line \
         is right as often as it is sure; below it the model is too sure. The expected calibration error is the mean \
         distance, weighted by answers (15 bins).",
    );
    html.element("div", &[("class", &"charts")], |html| {
        for (split, errors) in &verdict.errors {
            of_split(html, split, errors);
        }
    });
    Ok(())
}

fn of_split(html: &mut Html, split: &str, errors: &ErrorAnalysis) {
    html.element("figure", &[("class", &"chart")], |html| {
        html.element("figcaption", &[], |html| {
            html.element("strong", &[], |html| html.quote(split));
            html.text(": expected calibration error ");
            html.number(errors.expected_calibration_error.unwrap_or(f64::NAN));
            html.text(", ");
            html.number(errors.answers as f64);
            html.text(" answers");
        });
        let bins: Vec<Option<Bin>> = errors
            .reliability
            .iter()
            .map(|bin| {
                let (confidence, accuracy) = (bin.confidence?, bin.accuracy?);
                Some(Bin { answers: bin.answers, confidence, accuracy })
            })
            .collect();
        if bins.iter().any(Option::is_some) {
            reliability_diagram(html, &bins);
        } else {
            html.leaf("p", &[], "The run is of a version that did not record the bins.");
        }
    });
}
