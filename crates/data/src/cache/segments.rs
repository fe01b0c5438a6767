//! Where the segments of a cache end.

use std::path::Path;

use memmap2::Mmap;

use super::layout::{FileRecord, segments_file};
use super::map::map_file;
use crate::error::DataError;

/// Bytes of an entry.
const ENTRY: usize = 4;

/// The segments of all shards, memory-mapped; empty for a cache of documents.
#[derive(Debug, Default)]
pub(super) struct SegmentTable {
    shards: Vec<ShardSegments>,
    len: u64,
}

#[derive(Debug)]
struct ShardSegments {
    /// Segments of all shards before this one.
    first: u64,
    /// Tokens of all shards before this one.
    start: u64,
    /// For each segment the number of tokens from `start` up to its end.
    ends: Mmap,
}

impl SegmentTable {
    /// Adds the next shard of the cache at `folder`, which has `tokens` tokens from `start` on.
    pub(super) fn push_shard(
        &mut self,
        folder: &Path,
        shard: usize,
        record: &FileRecord,
        start: u64,
        tokens: u64,
    ) -> Result<(), DataError> {
        let first = self.len;
        // A shard of blank documents cannot be mapped and has no segments.
        if record.bytes > 0 {
            let path = folder.join(segments_file(shard));
            self.shards.push(ShardSegments { first, start, ends: map_file(&path)? });
            self.len += record.bytes / ENTRY as u64;
        }
        if tokens > 0 && (self.len == first || self.end(self.len - 1) != start + tokens) {
            return Err(DataError::cache(
                folder,
                "the segment table does not add up to its tokens",
            ));
        }
        Ok(())
    }

    /// Number of segments.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The number of tokens in the store up to the end of `segment`.
    ///
    /// # Panics
    ///
    /// If there is no such segment.
    pub(super) fn end(&self, segment: u64) -> u64 {
        assert!(segment < self.len, "segment {segment} of {}", self.len);
        let shard = self.shards.partition_point(|shard| shard.first <= segment) - 1;
        let shard = &self.shards[shard];
        shard.start + u64::from(u32::from_le_bytes(shard.ends()[(segment - shard.first) as usize]))
    }

    /// Number of segments that lie in the first `tokens` tokens of the store.
    pub(super) fn count_until(&self, tokens: u64) -> u64 {
        let shards = self.shards.partition_point(|shard| shard.start < tokens);
        shards.checked_sub(1).map_or(0, |last| {
            let shard = &self.shards[last];
            let lies_within =
                |end: &[u8; ENTRY]| shard.start + u64::from(u32::from_le_bytes(*end)) <= tokens;
            shard.first + shard.ends().partition_point(lies_within) as u64
        })
    }
}

impl ShardSegments {
    fn ends(&self) -> &[[u8; ENTRY]] {
        self.ends.as_chunks().0
    }
}
