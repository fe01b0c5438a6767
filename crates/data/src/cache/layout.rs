//! File names and formats of a token cache.

use serde::{Deserialize, Serialize};

use crate::config::SegmentUnit;

/// Raised whenever the files change their meaning, or the code cuts the same text into other tokens: it reads
/// files, finds documents or segments, or calls the tokenizer in another way. It is part of a cache's key, and
/// of the record of every finished shard; what other versions made is made anew.
pub(crate) const FORMAT_VERSION: u32 = 2;
/// Written last; a folder without it is no cache.
pub(super) const MANIFEST: &str = "manifest.json";

/// How wide a token id is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum TokenWidth {
    U16,
    U32,
}

impl TokenWidth {
    /// The narrowest that holds all ids below `vocab_size`.
    pub(super) fn for_vocabulary(vocab_size: usize) -> Self {
        if vocab_size <= 1 << 16 { Self::U16 } else { Self::U32 }
    }

    /// Bytes of one token.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::U16 => 2,
            Self::U32 => 4,
        }
    }

    /// Appends `tokens`, little-endian.
    pub(super) fn encode(self, tokens: &[u32], bytes: &mut Vec<u8>) {
        match self {
            Self::U16 => {
                for &token in tokens {
                    bytes.extend((token as u16).to_le_bytes());
                }
            }
            Self::U32 => {
                for token in tokens {
                    bytes.extend(token.to_le_bytes());
                }
            }
        }
    }

    /// Appends the tokens in `bytes`.
    pub(super) fn decode(self, bytes: &[u8], tokens: &mut Vec<u32>) {
        match self {
            Self::U16 => tokens.extend(
                bytes.as_chunks().0.iter().map(|pair| u32::from(u16::from_le_bytes(*pair))),
            ),
            Self::U32 => {
                tokens.extend(bytes.as_chunks().0.iter().map(|four| u32::from_le_bytes(*four)));
            }
        }
    }
}

/// What a cache keeps of the shape of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    /// Documents, each closed by the separator token.
    Documents,
    /// Documents made of segments, each tokenised by itself; there are no separators.
    Segments(SegmentUnit),
}

/// A document, or the part of one that lies in a shard: an entry of a shard's document table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Document {
    /// Tokens, the closing separator (if the cache has any) included.
    pub(crate) tokens: u64,
    /// Only to be used for validation.
    pub(crate) held_out: bool,
    /// Whether the document goes on in the next shard.
    pub(crate) continues: bool,
}

impl Document {
    const HELD_OUT: u64 = 1 << 62;
    const CONTINUES: u64 = 1 << 63;
    /// Bytes of an entry.
    pub(super) const BYTES: usize = 8;

    pub(super) fn encode(self) -> [u8; Self::BYTES] {
        let flag = |set: bool, bit: u64| if set { bit } else { 0 };
        let entry = self.tokens
            | flag(self.held_out, Self::HELD_OUT)
            | flag(self.continues, Self::CONTINUES);
        entry.to_le_bytes()
    }

    pub(super) fn decode(bytes: [u8; Self::BYTES]) -> Self {
        let entry = u64::from_le_bytes(bytes);
        Self {
            tokens: entry & (Self::HELD_OUT - 1),
            held_out: entry & Self::HELD_OUT != 0,
            continues: entry & Self::CONTINUES != 0,
        }
    }
}

/// A file of the cache: how long it must be, and its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileRecord {
    pub(super) bytes: u64,
    pub(super) blake3: String,
}

/// A finished shard; `shard-00000.json`, written after the shard's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShardRecord {
    /// [`FORMAT_VERSION`] of the code that wrote it.
    pub(super) format: u32,
    /// Chunks of the corpus that went into it.
    pub(super) chunks: u64,
    /// Bytes of the corpus that these chunks stand for.
    pub(super) source_bytes: u64,
    pub(super) tokens: FileRecord,
    pub(super) documents: FileRecord,
    /// Only in a cache of segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) segments: Option<FileRecord>,
    /// Whether a document goes on in the next shard.
    pub(super) continues: bool,
    /// Tokens of text that the vocabulary cannot spell.
    pub(super) unknown_tokens: u64,
}

impl ShardRecord {
    /// The files of the shard with this number, by name.
    pub(super) fn files(&self, shard: usize) -> impl Iterator<Item = (String, &FileRecord)> {
        let segments = self.segments.as_ref().map(|record| (segments_file(shard), record));
        [(tokens_file(shard), &self.tokens), (documents_file(shard), &self.documents)]
            .into_iter()
            .chain(segments)
    }
}

/// What a finished cache holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    pub(super) key: String,
    pub(super) width: TokenWidth,
    pub(super) shards: Vec<ShardRecord>,
}

/// Name of a shard's token file.
pub(super) fn tokens_file(shard: usize) -> String {
    format!("tokens-{shard:05}.bin")
}

/// Name of a shard's document table.
pub(super) fn documents_file(shard: usize) -> String {
    format!("documents-{shard:05}.bin")
}

/// Name of a shard's segment table: for each segment the number of tokens in the shard up to its end,
/// as a little-endian `u32`.
pub(super) fn segments_file(shard: usize) -> String {
    format!("segments-{shard:05}.bin")
}

/// Name of a shard's record.
pub(super) fn record_file(shard: usize) -> String {
    format!("shard-{shard:05}.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_survive_their_encoding(tokens in prop::collection::vec(0u32..65_536, 0..50)) {
            for width in [TokenWidth::U16, TokenWidth::U32] {
                let mut bytes = Vec::new();
                width.encode(&tokens, &mut bytes);
                prop_assert_eq!(bytes.len(), tokens.len() * width.bytes());
                let mut decoded = Vec::new();
                width.decode(&bytes, &mut decoded);
                prop_assert_eq!(&decoded, &tokens);
            }
        }

        #[test]
        fn documents_survive_their_encoding(tokens in 0u64..1 << 62, held_out: bool, continues: bool) {
            let document = Document { tokens, held_out, continues };
            prop_assert_eq!(Document::decode(document.encode()), document);
        }
    }

    #[test]
    fn a_vocabulary_of_65536_still_fits_16_bits() {
        assert_eq!(TokenWidth::for_vocabulary(65_536), TokenWidth::U16);
        assert_eq!(TokenWidth::for_vocabulary(65_537), TokenWidth::U32);
    }
}
