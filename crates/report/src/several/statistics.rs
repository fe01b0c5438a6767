//! Mean and deviation over the runs of a series.

use crate::html::Html;
use crate::number::short;

/// Of some values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Statistics {
    pub(super) mean: f64,
    /// The standard deviation of the sample (divided by one less than their number); `None` of one value.
    pub(super) deviation: Option<f64>,
}

impl Statistics {
    /// `None` without values.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let first = *values.first()?;
        let count = values.len() as f64;
        // From the first value on, so that equal values have themselves as their mean.
        let mean = first + values.iter().map(|value| value - first).sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
        Some(Self { mean, deviation })
    }
}

/// A cell of a table with mean ± deviation.
pub(super) fn cell(html: &mut Html, statistics: Option<Statistics>) {
    html.element("td", &[("class", &"number")], |html| match statistics {
        None => html.text("–"),
        Some(Statistics { mean, deviation }) => {
            html.number(mean);
            if let Some(deviation) = deviation {
                html.text(format_args!(" ± {}", short(deviation)));
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let of = Statistics::of(&[0.5, 0.75, 1.0]).unwrap();
        assert_eq!(of, Statistics { mean: 0.75, deviation: Some(0.25) });
        assert_eq!(Statistics::of(&[0.1; 3]), Some(Statistics { mean: 0.1, deviation: Some(0.0) }));
        assert_eq!(Statistics::of(&[2.0]), Some(Statistics { mean: 2.0, deviation: None }));
        assert_eq!(Statistics::of(&[]), None);
    }
}
