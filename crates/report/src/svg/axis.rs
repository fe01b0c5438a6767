//! Round numbers along an axis.

/// From values to places along an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    is_log: bool,
}

impl Axis {
    /// Over these values, with a little room; none of them if there is none.
    pub(super) fn over(values: impl Iterator<Item = f64>, is_log: bool) -> Option<Self> {
        let usable = values.filter(|value| value.is_finite() && (!is_log || *value > 0.0));
        let scaled = usable.map(|value| if is_log { value.log10() } else { value });
        let (low, high) = scaled.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if low > high {
            return None;
        }
        // One value, or a constant, lies in the middle.
        let room = if low == high { (low.abs() / 2.0).max(0.5) } else { 0.04 * (high - low) };
        Some(Self { low: low - room, high: high + room, is_log })
    }

    /// From 0 to the largest of these values, without room.
    pub(super) fn from_zero(values: impl Iterator<Item = f64>) -> Self {
        let high = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        Self { low: 0.0, high: if high > 0.0 { high } else { 1.0 }, is_log: false }
    }

    /// Where a value lies between the ends, 0 and 1; `None` if it has no place.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        let scaled = if self.is_log { value.log10() } else { value };
        scaled.is_finite().then(|| (scaled - self.low) / (self.high - self.low))
    }

    /// Both ends, as values; for scripts.
    pub(super) fn ends(&self) -> [f64; 2] {
        [self.low, self.high]
    }

    pub(super) fn is_log(&self) -> bool {
        self.is_log
    }

    /// About `count` round values between the ends.
    pub(super) fn ticks(&self, count: usize) -> Vec<f64> {
        if !self.is_log {
            return round_values(self.low, self.high, count);
        }
        let (first, last) = (self.low.ceil() as i32, self.high.floor() as i32);
        let decades = (first..=last).map(|power| 10_f64.powi(power));
        if last - first >= 1 {
            let every = ((last - first) as usize / count.max(1) + 1).max(1);
            return decades.step_by(every).collect();
        }
        // Within a decade or two: round values that are not powers.
        round_values(10_f64.powf(self.low), 10_f64.powf(self.high), count)
            .into_iter()
            .filter(|value| *value > 0.0)
            .collect()
    }
}

/// Multiples of 1, 2 or 5 times a power of ten.
fn round_values(low: f64, high: f64, count: usize) -> Vec<f64> {
    let span = (high - low) / count.max(1) as f64;
    if !(span > 0.0 && span.is_finite()) {
        return Vec::new();
    }
    let power = 10_f64.powf(span.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= 0.75 * span);
    let step = factor.unwrap_or(10.0) * power;
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    // 0.30000000000000004 is 0.3.
    let digits = (2 - step.log10().floor() as i32).clamp(0, 15) as usize;
    let rounded = |value: f64| format!("{value:.digits$}").parse().unwrap_or(value);
    (first..=last).take(4 * count.max(1)).map(|place| rounded(place as f64 * step) + 0.0).collect()
}

/// A tick's value in few characters.
pub(super) fn label(value: f64) -> String {
    let size = value.abs();
    let trimmed = |scaled: f64, unit: &str| {
        let text = format!("{scaled:.2}");
        format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match size {
        0.0 => "0".to_owned(),
        _ if size >= 1e9 => trimmed(value / 1e9, "G"),
        _ if size >= 1e6 => trimmed(value / 1e6, "M"),
        _ if size >= 1e4 => trimmed(value / 1e3, "k"),
        _ if size < 1e-3 => format!("{value:e}"),
        _ => {
            let text = format!("{value:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_lie_between_the_ends() {
        let ticks = |low: f64, high: f64| round_values(low, high, 5);
        assert_eq!(ticks(0.0, 1.0), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        assert_eq!(ticks(-0.3, 0.3), [-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3]);
        assert_eq!(ticks(3.0, 987.0), [200.0, 400.0, 600.0, 800.0]);
        assert_eq!(ticks(1e-5, 4e-5), [1e-5, 1.5e-5, 2e-5, 2.5e-5, 3e-5, 3.5e-5, 4e-5]);
        assert!(ticks(1.0, 1.0).is_empty() && ticks(f64::NAN, 1.0).is_empty());
    }

    #[test]
    fn logarithms_have_powers_of_ten() {
        let axis = Axis::over([0.5, 3000.0, 0.0, f64::NAN].into_iter(), true).unwrap();
        assert_eq!(axis.ticks(5), [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(axis.place(0.0), None);
        let places = [0.5, 3000.0].map(|value| axis.place(value).unwrap());
        assert!(places[0] > 0.0 && places[0] < 0.1 && places[1] > 0.9 && places[1] < 1.0);
        let narrow = Axis::over([2.0, 7.0].into_iter(), true).unwrap();
        assert!(narrow.ticks(5).len() > 2, "{:?}", narrow.ticks(5));
    }

    #[test]
    fn a_constant_lies_in_the_middle_and_nothing_has_no_axis() {
        let axis = Axis::over([3.0, 3.0].into_iter(), false).unwrap();
        assert_eq!(axis.place(3.0), Some(0.5));
        assert_eq!(Axis::over([f64::NAN].into_iter(), false), None);
        assert_eq!(Axis::from_zero([].into_iter()).place(1.0), Some(1.0));
    }

    #[test]
    fn labels_in_few_characters() {
        for (value, text) in
            [(0.25, "0.25"), (2000.0, "2000"), (15_000.0, "15k"), (1.5e6, "1.5M"), (2e-5, "2e-5")]
        {
            assert_eq!(label(value), text);
        }
    }
}
