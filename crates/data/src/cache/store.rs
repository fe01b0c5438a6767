//! Opens, checks and reads a finished cache.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::Mmap;
use rayon::prelude::*;

use super::layout::{
    Document, FORMAT_VERSION, FileRecord, MANIFEST, Manifest, TokenWidth, documents_file,
    tokens_file,
};
use super::map::map_file;
use super::segments::SegmentTable;
use crate::corpus::hash_file;
use crate::error::DataError;
use crate::progress::{ProgressListener, ProgressReport, Stage};

/// A finished cache, memory-mapped.
#[derive(Debug)]
pub(crate) struct TokenStore {
    folder: PathBuf,
    width: TokenWidth,
    shards: Vec<Shard>,
    documents: Vec<Document>,
    segments: SegmentTable,
    len: u64,
    unknown_tokens: u64,
}

#[derive(Debug)]
struct Shard {
    /// Tokens of all shards before this one.
    start: u64,
    /// `None` for a shard without tokens, which cannot be mapped.
    map: Option<Mmap>,
}

impl TokenStore {
    /// Opens the cache at `folder` and checks every file's length and hash.
    ///
    /// # Errors
    ///
    /// [`DataError::Cache`] if there is no cache with this key or it is damaged.
    pub(crate) fn open(
        folder: &Path,
        key: &str,
        progress: &dyn ProgressListener,
    ) -> Result<Self, DataError> {
        let path = folder.join(MANIFEST);
        let text = fs::read(&path).map_err(|error| DataError::cache(&path, error.to_string()))?;
        let manifest: Manifest = serde_json::from_slice(&text)
            .map_err(|error| DataError::cache(&path, error.to_string()))?;
        if manifest.format != FORMAT_VERSION || manifest.key != key {
            return Err(DataError::cache(&path, "it belongs to other data or another version"));
        }
        verify(folder, &manifest, progress)?;

        let mut documents: Vec<Document> = Vec::new();
        let mut shards = Vec::new();
        let mut segments = SegmentTable::default();
        let mut len = 0;
        let mut continues = false;
        for (index, record) in manifest.shards.iter().enumerate() {
            let path = folder.join(documents_file(index));
            let table = fs::read(&path).map_err(DataError::io("read", &path))?;
            for entry in table.as_chunks().0 {
                let entry = Document::decode(*entry);
                match documents.last_mut() {
                    Some(last) if continues => {
                        last.tokens += entry.tokens;
                        last.continues = entry.continues;
                    }
                    _ => documents.push(entry),
                }
                continues = entry.continues;
            }
            let path = folder.join(tokens_file(index));
            let map = if record.tokens.bytes == 0 { None } else { Some(map_file(&path)?) };
            shards.push(Shard { start: len, map });
            let tokens = record.tokens.bytes / manifest.width.bytes() as u64;
            if let Some(record) = &record.segments {
                segments.push_shard(folder, index, record, len, tokens)?;
            }
            len += tokens;
        }
        if documents.iter().map(|document| document.tokens).sum::<u64>() != len {
            return Err(DataError::cache(
                folder,
                "the document table does not add up to its tokens",
            ));
        }
        let folder = folder.to_owned();
        let unknown_tokens = manifest.shards.iter().map(|shard| shard.unknown_tokens).sum();
        Ok(Self { folder, width: manifest.width, shards, documents, segments, len, unknown_tokens })
    }

    /// Where the cache lies.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Tokens in all, separators included.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Tokens in all, without separators.
    pub(crate) fn text_len(&self) -> u64 {
        let separators = if self.num_segments() == 0 { self.documents.len() } else { 0 };
        self.len() - separators as u64
    }

    /// Tokens that the vocabulary cannot spell.
    pub(crate) fn unknown_len(&self) -> u64 {
        self.unknown_tokens
    }

    /// The documents in the order of their tokens.
    pub(crate) fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// Number of segments; 0 for a cache of documents.
    pub(crate) fn num_segments(&self) -> u64 {
        self.segments.len()
    }

    /// Where a segment's tokens lie; it begins where the one before it ends.
    ///
    /// # Panics
    ///
    /// If there is no such segment.
    pub(crate) fn segment(&self, segment: u64) -> Range<u64> {
        let start = if segment == 0 { 0 } else { self.segments.end(segment - 1) };
        start..self.segments.end(segment)
    }

    /// Number of segments that lie in the first `tokens` tokens.
    pub(crate) fn segments_until(&self, tokens: u64) -> u64 {
        self.segments.count_until(tokens)
    }

    /// Appends `count` tokens from `start` on to `tokens`.
    ///
    /// # Panics
    ///
    /// If the range does not lie within the store.
    pub(crate) fn read(&self, mut start: u64, count: u64, tokens: &mut Vec<u32>) {
        let end = start + count;
        assert!(end <= self.len, "tokens {start}..{end} of {}", self.len);
        let width = self.width.bytes();
        let mut shard = self.shards.partition_point(|shard| shard.start <= start).saturating_sub(1);
        while start < end {
            let bytes = self.shards[shard].map.as_deref().unwrap_or_default();
            let from = (start - self.shards[shard].start) as usize * width;
            let until = bytes.len().min(from + (end - start) as usize * width);
            self.width.decode(&bytes[from..until], tokens);
            start += ((until - from) / width) as u64;
            shard += 1;
        }
    }
}

/// Checks the files of all shards, several at a time.
fn verify(
    folder: &Path,
    manifest: &Manifest,
    progress: &dyn ProgressListener,
) -> Result<(), DataError> {
    let files: Vec<(PathBuf, &FileRecord)> = manifest
        .shards
        .iter()
        .enumerate()
        .flat_map(|(index, shard)| shard.files(index))
        .map(|(name, record)| (folder.join(name), record))
        .collect();
    let total = files.iter().map(|(_, record)| record.bytes).sum();
    let done = AtomicU64::new(0);
    files.into_par_iter().try_for_each(|(path, record)| {
        if !file_is_intact(&path, record)? {
            return Err(DataError::cache(&path, "its length or hash is not that of the manifest"));
        }
        let done = done.fetch_add(record.bytes, Ordering::Relaxed) + record.bytes;
        progress.report(ProgressReport { stage: Stage::VERIFY_CACHE, done, total });
        Ok(())
    })
}

/// Whether a file has the length and hash of its record.
pub(super) fn file_is_intact(path: &Path, record: &FileRecord) -> Result<bool, DataError> {
    let metadata = fs::metadata(path).map_err(|error| DataError::cache(path, error.to_string()))?;
    Ok(metadata.len() == record.bytes && *hash_file(path, |_| {})?.to_hex() == *record.blake3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::layout::segments_file;
    use crate::cache::{Contents, build};
    use crate::config::{DataConfig, SegmentUnit, TokenizerKind};
    use crate::corpus::Corpus;
    use crate::tokenizer::tests::sample_tokenizer;

    #[test]
    fn any_damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = Corpus::open(&DataConfig::default()).unwrap();
        let tokenizer = sample_tokenizer(TokenizerKind::WordPiece, 700);
        let files = [tokens_file(0), documents_file(0), MANIFEST.to_owned(), segments_file(0)];
        let segments = Contents::Segments(SegmentUnit::Line);
        for (contents, files) in [(Contents::Documents, &files[..3]), (segments, &files[..])] {
            let cache = folder.path().join(format!("of {} files", files.len()));
            build(&cache, "key", contents, &corpus, &tokenizer, &|_| {}).unwrap();
            TokenStore::open(&cache, "key", &|_| {}).unwrap();
            assert!(TokenStore::open(&cache, "another key", &|_| {}).is_err());
            let manifest = fs::read_to_string(cache.join(MANIFEST)).unwrap();
            let of_before =
                manifest.replacen(&format!("\"format\": {FORMAT_VERSION}"), "\"format\": 1", 1);
            assert_ne!(of_before, manifest);
            fs::write(cache.join(MANIFEST), of_before).unwrap();
            let error = TokenStore::open(&cache, "key", &|_| {}).unwrap_err().to_string();
            assert!(error.contains("another version"), "{error}");
            fs::write(cache.join(MANIFEST), manifest).unwrap();
            for name in files {
                let path = cache.join(name);
                let intact = fs::read(&path).unwrap();
                let mut flipped = intact.clone();
                flipped[intact.len() / 2] ^= 1;
                let truncated = intact[..intact.len() - 8].to_vec();
                for damaged in [flipped, truncated, Vec::new()] {
                    fs::write(&path, damaged).unwrap();
                    let error = TokenStore::open(&cache, "key", &|_| {}).unwrap_err();
                    assert!(matches!(error, DataError::Cache { .. }), "{error}");
                }
                fs::remove_file(&path).unwrap();
                assert!(TokenStore::open(&cache, "key", &|_| {}).is_err());
                fs::write(&path, intact).unwrap();
            }
            TokenStore::open(&cache, "key", &|_| {}).unwrap();
        }
    }
}
