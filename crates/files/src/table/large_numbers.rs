//! Whole numbers of JSON that 64 bits do not hold: a parser makes floats of them, which lose digits, and they may be ids.

use std::borrow::Cow;

/// Digits of the smallest such number.
const DIGITS: usize = 19;

/// A text of JSON in which each such number is a string of its digits.
pub(super) fn as_strings(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut quoted = String::new();
    let (mut at, mut copied) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = end_of_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let length = bytes[at..].iter().take_while(|byte| is_of_number(**byte)).count();
                let number = &text[at..at + length];
                if is_large(number) && !is_key(&bytes[at + length..]) {
                    quoted.push_str(&text[copied..at]);
                    quoted.extend(["\"", number, "\""]);
                    copied = at + length;
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    quoted.push_str(&text[copied..]);
    Cow::Owned(quoted)
}

/// Whether what stands before these bytes is a key; with a number for a key a text is no JSON, and is to be none.
fn is_key(behind: &[u8]) -> bool {
    behind.trim_ascii_start().starts_with(b":")
}

/// The place behind a string that begins at a quote.
fn end_of_string(bytes: &[u8], begin: usize) -> usize {
    let mut at = begin + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E')
}

fn is_large(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    digits.len() >= DIGITS
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0')
        && number.parse::<i64>().is_err()
        && number.parse::<u64>().is_err()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn only_whole_numbers_beyond_64_bits_become_strings() {
        let text = r#"{"id": 18446744073709551616, "all": [-9223372036854775809,3], "b": "x\"18446744073709551616\\"}"#;
        let strings = r#"{"id": "18446744073709551616", "all": ["-9223372036854775809",3], "b": "x\"18446744073709551616\\"}"#;
        assert_eq!(as_strings(text), strings);
        for same in [
            "18446744073709551615",
            "-9223372036854775808",
            "18446744073709551616.5",
            "18446744073709551616e3",
            "018446744073709551616",
            r#""18446744073709551616"#,
            "{\"a\": \"\\",
            "{18446744073709551616 : 1}",
            "",
        ] {
            assert!(matches!(as_strings(same), Cow::Borrowed(_)), "{same}");
        }
    }

    proptest! {
        #[test]
        fn what_is_json_stays_json_and_the_rest_does_not_become_it(text in r#"[\[\]{}",:\\ 1e.-]{0,30}|[\[{]-?[1-9][0-9]{17,24}[:1]?[\]}]"#) {
            let parse = |text: &str| serde_json::from_str::<Value>(text);
            prop_assert_eq!(parse(&text).is_ok(), parse(&as_strings(&text)).is_ok());
        }
    }
}
