//! Headers of safetensors files that lie.

use std::iter;

use proptest::prelude::*;
use serde_json::json;

use crate::{attempt, load_error, safetensors_bytes, with_weights};

/// A file with this header and `data` bytes of zeros.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(iter::repeat_n(0, data));
    bytes
}

fn error_of(bytes: &[u8]) -> String {
    load_error(with_weights("model.safetensors", "safetensors", bytes).path())
}

#[test]
fn headers_longer_than_the_file_are_refused() {
    for length in [u64::MAX, 1 << 63, 100_000_001, 5_000] {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend_from_slice(b"{}");
        error_of(&bytes);
    }
    for change in [-1, 1] {
        let mut bytes = safetensors_bytes().to_vec();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        bytes[..8].copy_from_slice(&length.wrapping_add_signed(change).to_le_bytes());
        error_of(&bytes);
    }
}

#[test]
fn lying_entries_are_refused() {
    let four = |start: u64, end: u64| json!({ "dtype": "F32", "shape": [1], "data_offsets": [start, end] });
    for (header, data, words) in [
        (json!({ "a": four(0, 4), "b": four(2, 6) }), 6, "byte `4` of `6` is next"),
        (json!({ "a": four(0, 4), "b": four(8, 12) }), 12, "byte `4` of `12` is next"),
        (json!({ "a": four(4, 0) }), 4, "byte `0` of `4` is next"),
        (json!({ "a": four(0, 4) }), 3, "byte `0` of `3` is next"),
        (json!({ "a": four(0, 4) }), 5, "end at byte `4` of `5`"),
        (json!({ "a": four(0, u64::MAX) }), 4, "byte `0` of `4` is next"),
        (json!({ "a": { "dtype": "F32", "shape": [2], "data_offsets": [0, 4] } }), 4, "needs `8`"),
        (json!({ "a": { "dtype": "F64", "shape": [1], "data_offsets": [0, 4] } }), 4, "needs `8`"),
        (
            json!({ "a": { "dtype": "F32", "shape": [1u64 << 62, 1u64 << 62], "data_offsets": [0, 4] } }),
            4,
            "more than there are",
        ),
        (
            json!({ "a": { "dtype": "F32", "shape": [0, 0, 0, 0, 0, 0, 0, 0, 0], "data_offsets": [0, 0] } }),
            0,
            "`9` dimensions",
        ),
        (
            json!({ "a": { "dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4] } }),
            4,
            "F8_E4M3",
        ),
        (json!({ "a": { "dtype": "F32", "shape": [-1], "data_offsets": [0, 4] } }), 4, "`a`"),
        (json!({ "a": { "dtype": "F32", "shape": [1], "data_offsets": [0, 1e300] } }), 4, "`a`"),
        (json!({ "a": { "dtype": "F32", "data_offsets": [0, 4] } }), 4, "missing field `shape`"),
        (json!({ "a\u{1b}[2J": four(0, 4) }), 4, "no name of a parameter"),
        (json!({ "a".repeat(2_000_000): four(0, 4) }), 4, "no name of a parameter"),
        (json!([1, 2]), 0, "a table of tensors"),
    ] {
        let text = error_of(&file(&header.to_string(), data));
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_name_that_stands_twice_is_refused() {
    let entry = r#""a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#;
    assert!(error_of(&file(&format!("{{{entry},{entry}}}"), 0)).contains("`a` twice"));
}

#[test]
fn huge_headers_are_refused_within_bounds() {
    let entry = r#":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#;
    let many = |count: usize| {
        let entries: Vec<String> = (0..count).map(|index| format!("\"{index}\"{entry}")).collect();
        format!("{{{}}}", entries.join(","))
    };
    assert!(error_of(&file(&many(60_000), 0)).contains("60000 unexpected"));
    assert!(error_of(&file(&many(100_000), 0)).contains("more than 65536 tensors"));
    assert!(error_of(&file(&many(300_000), 0)).contains("at most 8388608"));
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{{\"a\":{}{}}}", open.repeat(1_000_000), close.repeat(1_000_000));
        error_of(&file(&deep, 0));
        let metadata =
            format!("{{\"__metadata__\":{}{}}}", open.repeat(500_000), close.repeat(500_000));
        error_of(&file(&metadata, 0));
    }
    let shape = format!(
        "{{\"a\":{{\"dtype\":\"F32\",\"shape\":[{}0],\"data_offsets\":[0,0]}}}}",
        "0,".repeat(4_000_000)
    );
    error_of(&file(&shape, 0));
}

proptest! {
    /// The header alone, where every byte matters.
    #[test]
    fn altered_headers_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = safetensors_bytes().to_vec();
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        for (index, byte) in edits {
            bytes[index.index(header)] = byte;
        }
        let _ = attempt(with_weights("model.safetensors", "safetensors", &bytes).path());
    }

    /// Digits of the header replaced by others: it stays JSON, and says something else.
    #[test]
    fn other_numbers_in_headers_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), b'0'..=b'9'), 1..5),
    ) {
        let mut bytes = safetensors_bytes().to_vec();
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let digits: Vec<usize> = (8..header).filter(|at| bytes[*at].is_ascii_digit()).collect();
        for (index, digit) in edits {
            bytes[digits[index.index(digits.len())]] = digit;
        }
        let _ = attempt(with_weights("model.safetensors", "safetensors", &bytes).path());
    }
}
