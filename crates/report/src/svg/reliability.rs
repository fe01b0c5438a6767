//! A reliability diagram (Guo et al. 2017): how often answers are right, beside how sure they are.

use super::axis::Axis;
use super::frame::{Frame, HEIGHT, WIDTH, rounded};
use crate::html::Html;
use crate::number::short;

/// Answers of about the same confidence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bin {
    pub(crate) answers: u64,
    /// Mean probability of the class that was predicted.
    pub(crate) confidence: f64,
    /// Share of right answers.
    pub(crate) accuracy: f64,
}

/// Draws a bar for each of `bins`, which have equal widths between 0 and 1; `None` has no answers.
pub(crate) fn reliability_diagram(html: &mut Html, bins: &[Option<Bin>]) {
    let unit = Axis::from_zero(std::iter::once(1.0));
    let frame = Frame { x: unit, y: unit };
    let view = format!("0 0 {WIDTH} {HEIGHT}");
    let spoken = spoken(bins);
    html.element(
        "svg",
        &[("class", &"reliability"), ("viewBox", &view), ("role", &"img"), ("aria-label", &spoken)],
        |html| {
            frame.draw(html, "confidence of the answer; height: share of right answers");
            let width = 1.0 / bins.len().max(1) as f64;
            for (place, bin) in bins.iter().enumerate() {
                let Some(bin) = bin else { continue };
                let corners = [
                    frame.at((place as f64 * width, bin.accuracy)),
                    frame.at(((place + 1) as f64 * width, 0.0)),
                ];
                let [Some((left, top)), Some((right, bottom))] = corners else { continue };
                html.element(
                    "rect",
                    &[
                        ("class", &"bar"),
                        ("x", &rounded(left + 1.0)),
                        ("y", &rounded(top)),
                        ("width", &rounded(right - left - 2.0)),
                        ("height", &rounded(bottom - top)),
                    ],
                    |html| html.leaf("title", &[], in_words(bin)),
                );
                // Where the bar would end if answers were right as often as they are sure.
                if let Some((_, y)) = frame.at((0.0, bin.confidence)).map(|(x, y)| (x, rounded(y)))
                {
                    html.empty(
                        "line",
                        &[
                            ("class", &"sure"),
                            ("x1", &rounded(left + 1.0)),
                            ("x2", &rounded(right - 1.0)),
                            ("y1", &y),
                            ("y2", &y),
                        ],
                    );
                }
            }
            if let (Some((x1, y1)), Some((x2, y2))) = (frame.at((0.0, 0.0)), frame.at((1.0, 1.0))) {
                html.empty(
                    "line",
                    &[("class", &"diagonal"), ("x1", &x1), ("y1", &y1), ("x2", &x2), ("y2", &y2)],
                );
            }
        },
    );
}

fn in_words(bin: &Bin) -> String {
    format!(
        "{} answers: mean confidence {}, right {}",
        bin.answers,
        short(bin.confidence),
        short(bin.accuracy)
    )
}

fn spoken(bins: &[Option<Bin>]) -> String {
    let bins: Vec<String> = bins.iter().flatten().map(in_words).collect();
    format!("Reliability diagram. {}", bins.join("; "))
}
