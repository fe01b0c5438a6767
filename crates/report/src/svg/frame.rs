//! The axes of a drawing, and where values lie between them.

use std::fmt::Write;

use super::axis::{Axis, label};
use crate::html::Html;

/// Size of a drawing, in units of its own; the page gives it its width.
pub(super) const WIDTH: f64 = 460.0;
pub(super) const HEIGHT: f64 = 240.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 36.0;

/// Both axes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) x: Axis,
    pub(super) y: Axis,
}

impl Frame {
    /// The place of a point; `None` if it has none.
    pub(super) fn at(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        Some((self.across(x)?, self.down(y)?))
    }

    pub(super) fn across(&self, x: f64) -> Option<f64> {
        Some(LEFT + (WIDTH - LEFT - RIGHT) * self.x.place(x)?)
    }

    fn down(&self, y: f64) -> Option<f64> {
        Some(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * self.y.place(y)?)
    }

    /// The upper and the lower end of the drawing.
    pub(super) fn heights() -> (f64, f64) {
        (TOP, HEIGHT - BOTTOM)
    }

    /// Left end, upper end, width and height, for scripts.
    pub(super) fn rectangle() -> [f64; 4] {
        [LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM]
    }

    /// Lines and numbers along both axes, and what runs along the lower one.
    pub(super) fn draw(&self, html: &mut Html, across: &str) {
        let (top, bottom) = Self::heights();
        for value in self.y.ticks(5) {
            let Some(y) = self.down(value).filter(|y| (top - 1.0..=bottom + 1.0).contains(y))
            else {
                continue;
            };
            let (right, height) = (WIDTH - RIGHT, rounded(y));
            html.empty(
                "line",
                &[
                    ("class", &"grid"),
                    ("x1", &LEFT),
                    ("x2", &right),
                    ("y1", &height),
                    ("y2", &height),
                ],
            );
            html.leaf(
                "text",
                &[("x", &(LEFT - 6.0)), ("y", &rounded(y + 4.0)), ("text-anchor", &"end")],
                label(value),
            );
        }
        for value in self.x.ticks(5) {
            let Some(x) = self.across(value) else { continue };
            html.leaf(
                "text",
                &[("x", &rounded(x)), ("y", &(bottom + 16.0)), ("text-anchor", &"middle")],
                label(value),
            );
        }
        html.leaf(
            "text",
            &[
                ("class", &"axis"),
                ("x", &((LEFT + WIDTH - RIGHT) / 2.0)),
                ("y", &(HEIGHT - 4.0)),
                ("text-anchor", &"middle"),
            ],
            across,
        );
    }
}

/// To a tenth of a unit, which nobody sees.
pub(super) fn rounded(place: f64) -> f64 {
    (10.0 * place).round() / 10.0
}

/// A path through places, broken where there is none.
pub(super) fn path(places: impl Iterator<Item = Option<(f64, f64)>>) -> String {
    let (mut path, mut is_drawing) = (String::new(), false);
    for place in places {
        if let Some((x, y)) = place {
            let command = if is_drawing { 'L' } else { 'M' };
            // Writing to a string does not fail.
            let _ = write!(path, "{command}{} {}", rounded(x), rounded(y));
        }
        is_drawing = place.is_some();
    }
    path
}
