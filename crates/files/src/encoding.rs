//! [`TextEncoding`]: how the bytes of a text stand for characters.

use serde::{Deserialize, Serialize};

/// How the bytes of a text stand for characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub enum TextEncoding {
    /// UTF-8.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// A byte a character: ISO 8859-1, with the marks that Windows-1252 has where it has control characters, as browsers read it.
    #[serde(rename = "latin-1")]
    Latin1,
}

/// What Windows-1252 has from `0x80` on; a byte without a character there is the control character of ISO 8859-1.
const MARKS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Bytes of [`TextEncoding::Latin1`] as text.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    let character = |byte: &u8| match byte {
        0x80..=0x9f => MARKS[usize::from(byte - 0x80)],
        _ => char::from(*byte),
    };
    bytes.iter().map(character).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_characters() {
        assert_eq!(latin1(b"caf\xe9 \x80 \x93a\x94 \x9f"), "café € “a” Ÿ");
        assert_eq!(latin1(b"\x81\xff"), "\u{81}ÿ");
    }
}
