//! What to do about a value of the wrong type.

use toml::Value;

/// What to do about a value of the wrong type; `expected` is serde's name of the right one.
pub(super) fn advice_on_value(value: &Value, expected: &str) -> String {
    let words = in_words(expected);
    match (value, whole_limit(expected)) {
        // More digits than TOML's whole numbers have, which are then read as text.
        (Value::String(text), Some(limit)) if is_number_beyond_toml(text) => {
            format!("out of range; the largest is `{limit}`")
        }
        (Value::String(text), None) if is_number_beyond_floats(text, expected) => {
            format!("out of range; the largest is `{:e}`", f64::MAX)
        }
        (Value::Integer(number), Some(limit))
            if u64::try_from(*number).is_ok_and(|n| n > limit) =>
        {
            format!("out of range; the largest is `{limit}`")
        }
        (Value::Float(number), Some(_)) if number.fract() == 0.0 && *number >= 0.0 => {
            format!("expected {words}; write it without point and exponent, as `{number:.0}`")
        }
        (Value::String(text), _) if is_of_type(text, expected) => {
            format!("expected {words}; write it without quotes")
        }
        (Value::Boolean(_) | Value::Integer(_) | Value::Float(_), _) if is_text(expected) => {
            format!("expected {words}; write it in quotes")
        }
        _ => format!("expected {words}"),
    }
}

/// The largest value of serde's whole number of this name; `None` for other types.
fn whole_limit(expected: &str) -> Option<u64> {
    match expected {
        "u8" => Some(u8::MAX.into()),
        "u16" => Some(u16::MAX.into()),
        "u32" => Some(u32::MAX.into()),
        // TOML's whole numbers have a sign.
        "usize" | "u64" => Some(i64::MAX as u64),
        _ => None,
    }
}

fn is_number_beyond_toml(text: &str) -> bool {
    let digits = text.trim().replace('_', "");
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && digits.parse::<i64>().is_err()
}

/// Whether a text is a number whose exponent is beyond those of a floating-point number, which TOML then reads as text.
fn is_number_beyond_floats(text: &str, expected: &str) -> bool {
    matches!(expected, "f64" | "f32")
        && text.contains(|character: char| character.is_ascii_digit())
        && text.parse::<f64>().is_ok_and(f64::is_infinite)
}

/// Whether a text is a value of serde's type of this name.
fn is_of_type(text: &str, expected: &str) -> bool {
    match expected {
        "usize" | "u64" | "u32" | "u16" | "u8" => text.parse::<u64>().is_ok(),
        "f64" | "f32" => text.parse::<f64>().is_ok_and(f64::is_finite),
        "a boolean" => text.parse::<bool>().is_ok(),
        _ => false,
    }
}

fn is_text(expected: &str) -> bool {
    matches!(expected, "a string" | "path string" | "string only")
}

/// serde's names of Rust types, in words.
pub(super) fn in_words(expected: &str) -> &str {
    match expected {
        "usize" | "u64" | "u32" | "u16" | "u8" => "a whole number, zero or more",
        "f64" | "f32" => "a number",
        "a boolean" => "`true` or `false`",
        "a string" | "path string" | "string only" => "a text in quotes",
        "a sequence" => "a list in brackets, as in `[1, 2]`",
        other => other,
    }
}
