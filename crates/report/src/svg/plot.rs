//! Curves of any two quantities, as a drawing of its own: an SVG that needs no page.

use super::COLOURS;
use super::axis::Axis;
use super::frame::{Frame, HEIGHT, WIDTH, path, rounded};
use crate::html::Html;

/// Height of the title above the axes, and of a row of names below them.
const TITLE: f64 = 24.0;
const NAMES: f64 = 18.0;

/// Names in a row.
const IN_A_ROW: usize = 3;

/// Characters of a name.
const MOST_OF_NAME: usize = 34;

/// Curves over two axes, for a file of its own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plot {
    /// What is drawn, the unit included.
    pub title: String,
    /// What runs along the lower axis.
    pub across: String,
    /// Whether the lower axis is logarithmic. Values that have no logarithm are left out.
    pub is_log_across: bool,
    /// Whether the other axis is.
    pub is_log_up: bool,
    /// Names and points.
    pub curves: Vec<(String, Vec<(f64, f64)>)>,
}

impl Plot {
    /// The drawing; without a finite point, its title and names alone.
    pub fn to_svg(&self) -> String {
        let points = || self.curves.iter().flat_map(|(_, points)| points);
        let across = Axis::over(points().map(|(x, _)| *x), self.is_log_across);
        let up = Axis::over(points().map(|(_, y)| *y), self.is_log_up);
        let height = TITLE + HEIGHT + NAMES * self.curves.len().div_ceil(IN_A_ROW) as f64 + 6.0;
        let mut html = Html::default();
        html.element(
            "svg",
            &[
                ("xmlns", &"http://www.w3.org/2000/svg"),
                ("viewBox", &format_args!("0 0 {WIDTH} {height}")),
                ("role", &"img"),
                ("aria-label", &self.title),
            ],
            |html| {
                html.element("style", &[], |html| html.fixed(include_str!("plot.css")));
                html.empty("rect", &[("class", &"paper"), ("width", &WIDTH), ("height", &height)]);
                html.leaf("text", &[("class", &"title"), ("x", &8), ("y", &16)], &self.title);
                if let (Some(x), Some(y)) = (across, up) {
                    let frame = Frame { x, y };
                    let moved = format!("translate(0 {TITLE})");
                    html.element("g", &[("transform", &moved)], |html| {
                        frame.draw(html, &self.across);
                        for (number, (_, points)) in self.curves.iter().enumerate() {
                            draw(html, frame, number, points);
                        }
                    });
                }
                for (number, (name, _)) in self.curves.iter().enumerate() {
                    draw_name(html, number, name);
                }
            },
        );
        html.into_string() + "\n"
    }
}

/// The colour of a curve, and another stroke where there are more curves than colours.
fn class(number: usize) -> String {
    let dashed = if (number / COLOURS).is_multiple_of(2) { "" } else { " dashed" };
    format!("c{}{dashed}", number % COLOURS)
}

fn draw(html: &mut Html, frame: Frame, number: usize, points: &[(f64, f64)]) {
    let places: Vec<(f64, f64)> = points.iter().filter_map(|point| frame.at(*point)).collect();
    let class = class(number);
    let way = path(places.iter().map(|place| Some(*place)));
    html.empty("path", &[("class", &format_args!("curve {class}")), ("d", &way)]);
    for (x, y) in places {
        let dot = format!("dot {class}");
        html.empty(
            "circle",
            &[("class", &dot), ("cx", &rounded(x)), ("cy", &rounded(y)), ("r", &2.2)],
        );
    }
}

fn draw_name(html: &mut Html, number: usize, name: &str) {
    let left = 10.0 + (number % IN_A_ROW) as f64 * (WIDTH - 16.0) / IN_A_ROW as f64;
    let base = TITLE + HEIGHT + NAMES * ((number / IN_A_ROW) as f64 + 0.7);
    let class = class(number);
    let way = path([Some((left, base - 4.0)), Some((left + 16.0, base - 4.0))].into_iter());
    html.empty("path", &[("class", &format_args!("curve {class}")), ("d", &way)]);
    let name: String = name.chars().take(MOST_OF_NAME).collect();
    html.leaf("text", &[("x", &rounded(left + 20.0)), ("y", &rounded(base))], name);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::require_balanced;

    fn plot(curves: Vec<(String, Vec<(f64, f64)>)>) -> Plot {
        Plot {
            title: "Seconds <of> a pass".to_owned(),
            across: "tokens".to_owned(),
            is_log_across: true,
            is_log_up: true,
            curves,
        }
    }

    #[test]
    fn a_power_law_is_a_straight_line_and_names_are_text() {
        let law = [256.0, 1024.0, 4096.0_f64].map(|x| (x, 1e-6 * x.powi(2))).to_vec();
        let svg = plot(vec![("<b>".to_owned(), law)]).to_svg();
        require_balanced(&svg);
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 460 "));
        assert!(!svg.contains("<b>") && svg.contains("&lt;b&gt;") && svg.contains("&lt;of&gt;"));
        let middle = |attribute: &str| -> Vec<f64> {
            let dots = svg.split("<circle").skip(1);
            dots.map(|dot| {
                let value = dot.split(attribute).nth(1).unwrap();
                value.split('"').next().unwrap().parse().unwrap()
            })
            .collect()
        };
        for places in [middle("cx=\""), middle("cy=\"")] {
            assert!((places[0] + places[2] - 2.0 * places[1]).abs() < 0.3, "{places:?}");
        }
    }

    #[test]
    fn more_curves_than_colours_have_another_stroke_and_no_point_draws_no_axes() {
        let curves = |count: usize, points: Vec<(f64, f64)>| {
            (0..count).map(|number| (number.to_string(), points.clone())).collect()
        };
        let svg = plot(curves(9, vec![(1.0, 1.0), (10.0, 2.0)])).to_svg();
        assert!(svg.contains("curve c0 dashed"), "{svg}");
        let svg = plot(curves(1, vec![(0.0, 1.0), (f64::NAN, 2.0)])).to_svg();
        require_balanced(&svg);
        assert!(!svg.contains("<circle") && !svg.contains("tokens"), "{svg}");
    }
}
