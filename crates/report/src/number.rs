//! Numbers as people read them; the exact value goes along.

use crate::html::Html;

impl Html {
    /// A number in few digits, whose element has all of them; `–` for what is no number.
    pub(crate) fn number(&mut self, value: f64) {
        if value.is_finite() {
            self.leaf("data", &[("value", &value)], short(value));
        } else {
            self.text("–");
        }
    }
}

/// A number in few digits.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => "–".to_owned(),
        0.0 => "0".to_owned(),
        _ if value.fract() == 0.0 && size < 1e15 => grouped(value),
        _ if !(1e-3..1e7).contains(&size) => format!("{value:.3e}"),
        _ if size >= 10_000.0 => grouped(value.round()),
        _ if size >= 100.0 => format!("{value:.1}"),
        _ => format!("{value:.4}"),
    }
}

/// A whole number with its thousands apart.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = if value < 0.0 { "-".to_owned() } else { String::new() };
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds as people say them.
pub(crate) fn duration(seconds: f64) -> String {
    let (minutes, hours, days) = (seconds / 60.0, seconds / 3600.0, seconds / 86_400.0);
    match seconds {
        _ if days >= 2.0 => format!("{days:.1} days"),
        _ if hours >= 2.0 => format!("{hours:.1} h"),
        _ if minutes >= 2.0 => format!("{minutes:.1} min"),
        _ if seconds >= 10.0 => format!("{seconds:.0} s"),
        _ => format!("{seconds:.2} s"),
    }
}

/// Bytes as people say them.
pub(crate) fn bytes(count: f64) -> String {
    match count {
        _ if count >= 1e9 => format!("{:.2} GB", count / 1e9),
        _ if count >= 1e6 => format!("{:.1} MB", count / 1e6),
        _ if count >= 1e3 => format!("{:.1} kB", count / 1e3),
        _ => format!("{count:.0} bytes"),
    }
}

/// Seconds since 1970 as a date and a time of day in UTC.
pub(crate) fn moment(unix_seconds: u64) -> String {
    let (days, rest) = (unix_seconds / 86_400, unix_seconds % 86_400);
    // From days to a date of the Gregorian calendar: years that begin in March, so that a leap day is the last of its year.
    let from_march = days + 719_468;
    let era = from_march / 146_097;
    let day_of_era = from_march % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    let (hour, minute) = (rest / 3600, rest / 60 % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_digits_that_suit_the_size() {
        for (value, text) in [
            (0.0, "0"),
            (0.123_456, "0.1235"),
            (-1.5, "-1.5000"),
            (250.0, "250"),
            (7_470_224.0, "7,470,224"),
            (-1234.0, "-1,234"),
            (12_345.6, "12,346"),
            (123.45, "123.5"),
            (1e-5, "1.000e-5"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(short(value), text, "{value}");
        }
    }

    #[test]
    fn the_exact_value_goes_along() {
        let mut html = Html::default();
        html.number(0.311_229_807_191_245_43);
        assert_eq!(html.into_string(), "<data value=\"0.31122980719124543\">0.3112</data>");
    }

    /// By `date -u -d @N`.
    #[test]
    fn dates_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (951_868_800, "2000-03-01 00:00 UTC"),
            (1_735_689_599, "2024-12-31 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(moment(seconds), text);
        }
    }

    #[test]
    fn durations_and_sizes_in_the_unit_that_fits() {
        assert_eq!(duration(0.25), "0.25 s");
        assert_eq!(duration(59.6), "60 s");
        assert_eq!(duration(180.0), "3.0 min");
        assert_eq!(duration(864_000.0), "10.0 days");
        assert_eq!(bytes(1.5e9), "1.50 GB");
        assert_eq!(bytes(12.0), "12 bytes");
    }
}
