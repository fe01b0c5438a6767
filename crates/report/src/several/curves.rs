//! The curves of all runs in one drawing each; of a series its mean, with a band around it.

use std::collections::BTreeMap;

use super::statistics::Statistics;
use crate::html::Html;
use crate::run::{Entry, Run, Step};
use crate::section::{Outcome, Section, missing};
use crate::svg::{Band, Chart, Curve, Points, Style};

/// Metrics that are drawn.
const MOST_METRICS: usize = 24;

pub(crate) const SECTION: Section<[Entry]> = Section { id: "curves", title: "Curves", write };

fn write(entries: &[Entry], html: &mut Html) -> Outcome {
    let runs = || entries.iter().flat_map(|entry| &entry.runs);
    if runs().all(|run| run.metrics.steps.is_empty() && run.metrics.evaluations.is_empty()) {
        return missing("no run has a line of `metrics.jsonl` yet");
    }
    if entries.iter().any(|entry| entry.runs.len() > 1) {
        html.leaf(
            "p",
            &[],
            "Of a series the mean over its runs at each step, in a band of one standard deviation to either side.",
        );
    }
    let mut names: Vec<String> = Vec::new();
    for name in runs().flat_map(|run| run.metrics.names()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    html.element("div", &[("class", &"charts")], |html| {
        of_steps(html, entries, "Training loss", |step| step.loss);
        of_evaluations(html, entries, "Validation loss", "loss");
        for name in names.iter().take(MOST_METRICS) {
            of_evaluations(html, entries, &format!("Validation {name}"), name);
        }
        draw(html, entries, "Learning rate", Style::Line, &|run| {
            run.metrics.steps.iter().map(|step| (step.number as f64, step.learning_rate)).collect()
        });
        of_steps(html, entries, "Gradient norm", |step| step.grad_norm);
        of_steps(html, entries, "Tokens per second", |step| step.tokens_per_second);
        draw(html, entries, "Resident memory, GB", Style::Line, &|run| {
            run.resources.memory.iter().map(|(step, bytes)| (*step, bytes / 1e9)).collect()
        });
    });
    if names.len() > MOST_METRICS {
        let left = names.len() - MOST_METRICS;
        html.element("p", &[], |html| {
            html.prose(&format!("{left} more metrics are in the runs' `metrics.jsonl`."));
        });
    }
    Ok(())
}

fn of_steps(html: &mut Html, entries: &[Entry], title: &str, value: fn(&Step) -> f64) {
    draw(html, entries, title, Style::Noisy, &|run| {
        run.metrics.steps.iter().map(|step| (step.number as f64, value(step))).collect()
    });
}

fn of_evaluations(html: &mut Html, entries: &[Entry], title: &str, name: &str) {
    draw(html, entries, title, Style::Line, &|run| run.metrics.curve(name));
}

fn draw(
    html: &mut Html,
    entries: &[Entry],
    title: &str,
    style: Style,
    points: &dyn Fn(&Run) -> Points,
) {
    let mut chart =
        Chart { title: title.to_owned(), may_be_log: title == "Gradient norm", ..Chart::default() };
    for (colour, entry) in entries.iter().enumerate() {
        let curves: Vec<Points> = entry.runs.iter().map(points).collect();
        let (mean, ends) = mean_and_band(&curves, style);
        if mean.is_empty() {
            continue;
        }
        let name = entry.label.clone();
        chart.curves.push(Curve { name, points: mean, style, colour });
        if ends.len() > 1 {
            chart.bands.push(Band { ends, colour });
        }
    }
    chart.draw(html);
}

/// The mean at each step that a curve has a finite value for, and one deviation to either side where several have.
///
/// Noisy curves are smoothed first: the band says how runs differ, and not how steps do.
fn mean_and_band(curves: &[Points], style: Style) -> (Points, Vec<(f64, f64, f64)>) {
    if let [curve] = curves {
        return (curve.clone(), Vec::new());
    }
    let mut at: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for curve in curves {
        let finite = curve.iter().filter(|(_, value)| value.is_finite());
        let finite: Points = finite.copied().collect();
        let smoothed = if style == Style::Noisy { smoothed(&finite) } else { finite };
        for (step, value) in smoothed {
            at.entry(step as u64).or_default().push(value);
        }
    }
    let (mut mean, mut ends) = (Points::new(), Vec::new());
    for (step, values) in at {
        let Some(found) = Statistics::of(&values) else { continue };
        mean.push((step as f64, found.mean));
        if let Some(deviation) = found.deviation {
            ends.push((step as f64, found.mean - deviation, found.mean + deviation));
        }
    }
    (mean, ends)
}

/// Means over stretches of steps that are the same for all runs: powers of two, so that there are at most 128 of them.
fn smoothed(points: &[(f64, f64)]) -> Points {
    let last = points.last().map_or(0.0, |(step, _)| *step) as u64;
    let stretch = (last / 64).next_power_of_two().max(1);
    let mut sums: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for (step, value) in points {
        let sum = sums.entry((*step as u64).div_ceil(stretch)).or_default();
        *sum = (sum.0 + value, sum.1 + 1.0);
    }
    let last = last as f64;
    sums.into_iter()
        .map(|(place, (sum, count))| (((place * stretch) as f64).min(last), sum / count))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_has_the_mean_in_its_middle_and_one_run_has_none() {
        let runs = [vec![(1.0, 1.0), (2.0, 2.0)], vec![(1.0, 3.0), (2.0, f64::NAN)]];
        let (mean, ends) = mean_and_band(&runs, Style::Line);
        assert_eq!(mean, [(1.0, 2.0), (2.0, 2.0)]);
        let deviation = 2_f64.sqrt();
        assert_eq!(ends, [(1.0, 2.0 - deviation, 2.0 + deviation)]);
        assert_eq!(mean_and_band(&runs[..1], Style::Line), (runs[0].clone(), Vec::new()));
    }

    #[test]
    fn smoothed_curves_have_the_same_steps() {
        let curve =
            |last: u32| -> Points { (1..=last).map(|step| (f64::from(step), 1.0)).collect() };
        let steps =
            |curve: &Points| smoothed(curve).iter().map(|(step, _)| *step).collect::<Vec<_>>();
        let (short, long) = (steps(&curve(1000)), steps(&curve(1010)));
        assert_eq!(short[..short.len() - 1], long[..short.len() - 1]);
        assert!(short.len() <= 128 && short.last() == Some(&1000.0));
        assert_eq!(smoothed(&curve(3)), curve(3));
    }
}
