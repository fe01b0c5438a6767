//! Curves over the steps of a run, with what a script needs to name the values under the pointer.

use serde_json::json;

use super::COLOURS;
use super::axis::Axis;
use super::frame::{Frame, HEIGHT, WIDTH, path, rounded};
use super::thin::{means, thinned};
use crate::html::{Html, shortened};
use crate::number::short;

/// Points of a curve that are drawn.
const MOST_POINTS: usize = 1200;
/// Means that a noisy curve is drawn through.
const MEANS: usize = 75;
/// Marks of one kind that are drawn.
const MOST_MARKS: usize = 200;

/// Characters of a name.
const MOST_OF_NAME: usize = 60;

/// Values by step.
pub(crate) type Points = Vec<(f64, f64)>;

/// A drawing of curves.
#[derive(Debug, Default)]
pub(crate) struct Chart {
    /// What is drawn.
    pub(crate) title: String,
    pub(crate) curves: Vec<Curve>,
    pub(crate) bands: Vec<Band>,
    pub(crate) marks: Vec<Mark>,
    /// Whether values are drawn by their logarithms, where they span more than two powers of ten.
    pub(crate) may_be_log: bool,
}

/// A curve.
#[derive(Debug, Clone)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Points,
    pub(crate) style: Style,
    /// Which of the colours.
    pub(crate) colour: usize,
}

/// How a curve is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A line; where it has many points, the mean of each stretch, with all of it faint behind.
    Noisy,
    /// A line.
    Line,
    /// A broken line with a dot at each point.
    Dotted,
}

/// What lies around a curve.
#[derive(Debug, Clone)]
pub(crate) struct Band {
    /// By step, the lower and the upper end.
    pub(crate) ends: Vec<(f64, f64, f64)>,
    pub(crate) colour: usize,
}

/// Something that happened at a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mark {
    pub(crate) step: f64,
    pub(crate) kind: MarkKind,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MarkKind {
    /// The update was skipped: loss or gradient was not finite.
    Skipped,
    /// There was nothing to learn from.
    NoTargets,
    /// A later session went on.
    Resumed,
}

impl MarkKind {
    const ALL: [Self; 3] = [Self::Skipped, Self::NoTargets, Self::Resumed];

    fn words(self) -> &'static str {
        match self {
            Self::Skipped => "skipped: loss or gradient not finite",
            Self::NoTargets => "no targets",
            Self::Resumed => "resumed",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Skipped => "mark skipped",
            Self::NoTargets => "mark no-targets",
            Self::Resumed => "mark resumed",
        }
    }
}

impl Chart {
    /// The drawing of one curve.
    pub(crate) fn of(title: &str, style: Style, points: Points) -> Self {
        let curve = Curve { name: title.to_owned(), points, style, colour: 0 };
        Self { title: title.to_owned(), curves: vec![curve], ..Self::default() }
    }

    /// Draws it; nothing if no curve has a finite value.
    pub(crate) fn draw(&self, html: &mut Html) {
        let curves: Vec<Curve> = self.curves.iter().map(finite).collect();
        let values = || {
            let of_curves = curves.iter().flat_map(|curve| &curve.points).map(|(_, value)| *value);
            let of_bands = self
                .bands
                .iter()
                .flat_map(|band| &band.ends)
                .flat_map(|(_, low, high)| [*low, *high]);
            of_curves.chain(of_bands)
        };
        let is_log = self.may_be_log && spans_powers(values());
        let Some(y) = Axis::over(values(), is_log) else { return };
        let steps = curves.iter().flat_map(|curve| &curve.points).map(|(step, _)| *step);
        let frame = Frame { x: Axis::from_zero(steps), y };
        html.element("figure", &[("class", &"chart")], |html| {
            self.draw_caption(html, &curves, is_log);
            let view = format!("0 0 {WIDTH} {HEIGHT}");
            let spoken = self.spoken(&curves);
            html.element(
                "svg",
                &[
                    ("viewBox", &view),
                    ("role", &"img"),
                    ("aria-label", &spoken),
                    ("tabindex", &"0"),
                ],
                |html| {
                    frame.draw(html, "step");
                    for band in &self.bands {
                        draw_band(html, frame, band);
                    }
                    self.draw_marks(html, frame);
                    for curve in &curves {
                        draw_curve(html, frame, curve);
                    }
                },
            );
            html.data(&Self::for_script(&curves, frame));
        });
    }

    fn draw_caption(&self, html: &mut Html, curves: &[Curve], is_log: bool) {
        html.element("figcaption", &[], |html| {
            html.element("strong", &[], |html| html.quote_most(&self.title, MOST_OF_NAME));
            if is_log {
                html.text(" (logarithmic)");
            }
            if curves.len() > 1 {
                for curve in curves {
                    html.text(" ");
                    let class = format!("key c{}{}", curve.colour % COLOURS, dash(curve));
                    html.element("span", &[("class", &class)], |html| html.quote(&curve.name));
                }
            }
            for kind in MarkKind::ALL {
                let count = self.marks.iter().filter(|mark| mark.kind == kind).count();
                if count > 0 {
                    html.text(" ");
                    let words = format!("{count} × {}", kind.words());
                    html.leaf("span", &[("class", &kind.class().replace("mark", "key"))], words);
                }
            }
            let below = if is_log {
                curves.iter().flat_map(|curve| &curve.points).filter(|(_, y)| *y <= 0.0).count()
            } else {
                0
            };
            if below > 0 {
                html.text(format_args!(" ({below} values that are 0 or less are not drawn)"));
            }
        });
    }

    /// The drawing in words.
    fn spoken(&self, curves: &[Curve]) -> String {
        let of_curve = |curve: &Curve| {
            let (first, last) = (curve.points.first()?, curve.points.last()?);
            let values = || curve.points.iter().map(|(_, value)| *value);
            Some(format!(
                "{}: {} at step {}, {} at step {}, lowest {}, highest {}",
                curve.name,
                short(first.1),
                first.0,
                short(last.1),
                last.0,
                short(values().fold(f64::INFINITY, f64::min)),
                short(values().fold(f64::NEG_INFINITY, f64::max)),
            ))
        };
        let curves: Vec<String> = curves.iter().filter_map(of_curve).take(12).collect();
        format!("{}. {}", shortened(&self.title, MOST_OF_NAME), curves.join("; "))
    }

    fn draw_marks(&self, html: &mut Html, frame: Frame) {
        let (top, bottom) = Frame::heights();
        for kind in MarkKind::ALL {
            let marks: Vec<&Mark> = self.marks.iter().filter(|mark| mark.kind == kind).collect();
            for mark in marks.iter().step_by(marks.len().div_ceil(MOST_MARKS).max(1)) {
                let Some(x) = frame.across(mark.step).map(rounded) else { continue };
                let from = if kind == MarkKind::Resumed { top } else { bottom - 10.0 };
                let class = kind.class();
                html.element(
                    "line",
                    &[("class", &class), ("x1", &x), ("x2", &x), ("y1", &from), ("y2", &bottom)],
                    |html| {
                        html.leaf(
                            "title",
                            &[],
                            format_args!("step {}: {}", mark.step, kind.words()),
                        );
                    },
                );
            }
        }
    }

    /// What a script needs to name the values under the pointer.
    fn for_script(curves: &[Curve], frame: Frame) -> serde_json::Value {
        let curves: Vec<serde_json::Value> = curves
            .iter()
            .map(|curve| {
                let points = drawn_points(curve);
                let steps: Vec<f64> = points.iter().map(|(step, _)| *step).collect();
                let values: Vec<f64> = points.iter().map(|(_, value)| digits(*value)).collect();
                json!({"name": curve.name, "colour": curve.colour % COLOURS, "x": steps, "y": values})
            })
            .collect();
        json!({
            "frame": Frame::rectangle(),
            "x": frame.x.ends(),
            "y": frame.y.ends(),
            "log": frame.y.is_log(),
            "curves": curves,
        })
    }
}

/// Its finite points, under a name of bounded length.
fn finite(curve: &Curve) -> Curve {
    let points = curve.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
    let name = shortened(&curve.name, MOST_OF_NAME).into_owned();
    Curve { name, points: points.copied().collect(), ..*curve }
}

/// Whether values above 0 span more than two powers of ten.
fn spans_powers(values: impl Iterator<Item = f64>) -> bool {
    let above = values.filter(|value| value.is_finite() && *value > 0.0);
    let (low, high) = above
        .fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    high > 100.0 * low
}

fn is_smoothed(curve: &Curve) -> bool {
    curve.style == Style::Noisy && curve.points.len() > 2 * MEANS
}

fn drawn_points(curve: &Curve) -> Points {
    if is_smoothed(curve) {
        means(&curve.points, MEANS)
    } else {
        thinned(&curve.points, MOST_POINTS)
    }
}

fn dash(curve: &Curve) -> &'static str {
    // More curves than colours, and curves of evaluations, have another stroke.
    if curve.style == Style::Dotted || curve.colour >= COLOURS { " dashed" } else { "" }
}

fn draw_curve(html: &mut Html, frame: Frame, curve: &Curve) {
    let colour = curve.colour % COLOURS;
    if is_smoothed(curve) {
        let all = thinned(&curve.points, MOST_POINTS);
        let way = path(all.into_iter().map(|point| frame.at(point)));
        html.empty("path", &[("class", &format_args!("curve faint c{colour}")), ("d", &way)]);
    }
    let points = drawn_points(curve);
    let way = path(points.iter().map(|point| frame.at(*point)));
    let class = format!("curve c{colour}{}", dash(curve));
    html.empty("path", &[("class", &class), ("d", &way)]);
    // A line through one point shows nothing.
    if points.len() == 1 || curve.style == Style::Dotted && points.len() <= 60 {
        for (x, y) in points.iter().filter_map(|point| frame.at(*point)) {
            let class = format!("dot c{colour}");
            html.empty(
                "circle",
                &[("class", &class), ("cx", &rounded(x)), ("cy", &rounded(y)), ("r", &2.5)],
            );
        }
    }
}

fn draw_band(html: &mut Html, frame: Frame, band: &Band) {
    let upper = band.ends.iter().map(|(step, _, high)| frame.at((*step, *high)));
    let lower = band.ends.iter().rev().map(|(step, low, _)| frame.at((*step, *low)));
    let places: Vec<(f64, f64)> = upper.chain(lower).flatten().collect();
    if places.len() < 3 {
        return;
    }
    let way = format!("{}Z", path(places.into_iter().map(Some)));
    let class = format!("band c{}", band.colour % COLOURS);
    html.empty("path", &[("class", &class), ("d", &way)]);
}

/// To six digits, which is more than is shown.
fn digits(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(chart: &Chart) -> String {
        let mut html = Html::default();
        chart.draw(&mut html);
        html.into_string()
    }

    #[test]
    fn a_long_noisy_curve_is_drawn_by_its_means_with_its_spikes_behind() {
        let mut points: Points = (1..=50_000).map(|step| (f64::from(step), 1.0)).collect();
        points[20_000].1 = 500.0;
        let chart = Chart::of("loss", Style::Noisy, points);
        let page = drawn(&chart);
        assert!(page.len() < 60_000, "{}", page.len());
        assert!(page.contains("curve faint c0") && page.contains("highest 500"), "{page}");
        // The spike reaches up to the room above it.
        assert!(page.contains("L207.2 17.2"), "{page}");
    }

    #[test]
    fn nothing_finite_draws_nothing_and_one_value_is_a_dot() {
        assert_eq!(drawn(&Chart::of("loss", Style::Line, vec![(1.0, f64::NAN)])), "");
        let page = drawn(&Chart::of("loss", Style::Line, vec![(1.0, 2.0), (2.0, f64::INFINITY)]));
        assert_eq!(page.matches("<circle").count(), 1, "{page}");
    }

    #[test]
    fn a_gap_breaks_no_curve_and_zero_has_no_logarithm() {
        let points = vec![(1.0, 0.01), (2.0, 0.0), (3.0, 100.0)];
        let chart = Chart { may_be_log: true, ..Chart::of("norm", Style::Line, points) };
        let page = drawn(&chart);
        assert!(
            page.contains("(logarithmic)") && page.contains("1 values that are 0 or less"),
            "{page}"
        );
    }

    #[test]
    fn marks_are_counted_and_named() {
        let mark = |step, kind| Mark { step, kind };
        let marks = vec![
            mark(2.0, MarkKind::Skipped),
            mark(3.0, MarkKind::Skipped),
            mark(4.0, MarkKind::Resumed),
        ];
        let chart = Chart { marks, ..Chart::of("loss", Style::Line, vec![(1.0, 1.0), (5.0, 2.0)]) };
        let page = drawn(&chart);
        for part in ["2 × skipped", "1 × resumed", "step 4: resumed", "class=\"mark resumed\""] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }

    #[test]
    fn names_are_text_in_the_drawing_and_in_its_data() {
        let mut chart = Chart::of("<i>", Style::Line, vec![(1.0, 1.0)]);
        chart.curves.push(Curve { name: "</script>".to_owned(), ..chart.curves[0].clone() });
        let page = drawn(&chart);
        assert_eq!(page.matches("</script>").count(), 1, "{page}");
        assert!(!page.contains("<i>"), "{page}");
    }
}
