//! Writes the files of a shard.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::layout::{
    Document, FORMAT_VERSION, FileRecord, ShardRecord, TokenWidth, documents_file, segments_file,
    tokens_file,
};
use crate::corpus::Chunk;
use crate::error::DataError;

/// The tokens of a chunk.
#[derive(Debug, Default)]
pub(super) struct ChunkTokens {
    pub(super) tokens: Vec<u32>,
    /// Where the chunk's segments end in `tokens`; not used in a cache of documents.
    segment_ends: Vec<usize>,
    /// How many of `tokens` are the unknown one.
    pub(super) unknown: u64,
}

impl ChunkTokens {
    /// Adds a segment; one without tokens leaves no trace.
    pub(super) fn push_segment(&mut self, tokens: &[u32]) {
        if !tokens.is_empty() {
            self.tokens.extend_from_slice(tokens);
            self.segment_ends.push(self.tokens.len());
        }
    }
}

/// Writes one shard: of documents if there is a separator, else of segments.
pub(super) struct ShardWriter {
    tokens: HashedFile,
    documents: HashedFile,
    segments: Option<HashedFile>,
    width: TokenWidth,
    separator: Option<u32>,
    chunks: u64,
    pub(super) source_bytes: u64,
    /// Tokens so far.
    written_tokens: u64,
    unknown_tokens: u64,
    /// Tokens so far of the document that is open.
    open_tokens: u64,
    /// Whether the open document has tokens in an earlier shard.
    continued: bool,
    held_out: bool,
}

impl ShardWriter {
    /// Opens the files of the shard with this number. `continued` says whether the last shard left a
    /// document open.
    pub(super) fn create(
        folder: &Path,
        shard: usize,
        width: TokenWidth,
        separator: Option<u32>,
        continued: bool,
    ) -> Result<Self, DataError> {
        let segments = match separator {
            Some(_) => None,
            None => Some(HashedFile::create(folder.join(segments_file(shard)))?),
        };
        Ok(Self {
            tokens: HashedFile::create(folder.join(tokens_file(shard)))?,
            documents: HashedFile::create(folder.join(documents_file(shard)))?,
            segments,
            width,
            separator,
            chunks: 0,
            source_bytes: 0,
            written_tokens: 0,
            unknown_tokens: 0,
            open_tokens: 0,
            continued,
            held_out: false,
        })
    }

    /// Appends a chunk of the corpus.
    pub(super) fn append(&mut self, chunk: &Chunk, content: &ChunkTokens) -> Result<(), DataError> {
        self.chunks += 1;
        self.source_bytes += chunk.source_bytes;
        self.unknown_tokens += content.unknown;
        self.held_out = chunk.held_out;
        self.write_segments(&content.segment_ends)?;
        self.write_tokens(&content.tokens)?;
        if chunk.ends_document {
            // Documents of blanks only leave no trace.
            if self.open_tokens > 0 || self.continued {
                if let Some(separator) = self.separator {
                    self.write_tokens(&[separator])?;
                }
                self.write_document(false)?;
            }
            self.continued = false;
        }
        Ok(())
    }

    fn write_tokens(&mut self, tokens: &[u32]) -> Result<(), DataError> {
        let mut bytes = Vec::with_capacity(tokens.len() * self.width.bytes());
        self.width.encode(tokens, &mut bytes);
        self.tokens.write(&bytes)?;
        self.open_tokens += tokens.len() as u64;
        self.written_tokens += tokens.len() as u64;
        Ok(())
    }

    /// Writes where segments end; `ends` counts from here.
    fn write_segments(&mut self, ends: &[usize]) -> Result<(), DataError> {
        let Some(file) = &mut self.segments else {
            return Ok(());
        };
        let mut bytes = Vec::with_capacity(4 * ends.len());
        for end in ends {
            let end = u32::try_from(self.written_tokens + *end as u64)
                .expect("a shard holds too little text for 2³² tokens");
            bytes.extend(end.to_le_bytes());
        }
        file.write(&bytes)
    }

    fn write_document(&mut self, continues: bool) -> Result<(), DataError> {
        let tokens = std::mem::take(&mut self.open_tokens);
        self.documents.write(&Document { tokens, held_out: self.held_out, continues }.encode())
    }

    /// Syncs the files and says what is in them.
    pub(super) fn finish(mut self) -> Result<ShardRecord, DataError> {
        let mut continues = self.continued;
        if self.open_tokens > 0 {
            self.write_document(true)?;
            continues = true;
        }
        Ok(ShardRecord {
            format: FORMAT_VERSION,
            chunks: self.chunks,
            source_bytes: self.source_bytes,
            tokens: self.tokens.finish()?,
            documents: self.documents.finish()?,
            segments: self.segments.map(HashedFile::finish).transpose()?,
            continues,
            unknown_tokens: self.unknown_tokens,
        })
    }
}

/// A file that is hashed while it is written.
struct HashedFile {
    path: PathBuf,
    writer: BufWriter<File>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl HashedFile {
    fn create(path: PathBuf) -> Result<Self, DataError> {
        let file = File::create(&path).map_err(DataError::io("create", &path))?;
        let writer = BufWriter::with_capacity(1 << 20, file);
        Ok(Self { path, writer, hasher: blake3::Hasher::new(), bytes: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.writer.write_all(bytes).map_err(DataError::io("write", &self.path))
    }

    fn finish(mut self) -> Result<FileRecord, DataError> {
        self.writer.flush().map_err(DataError::io("write", &self.path))?;
        self.writer.get_ref().sync_all().map_err(DataError::io("write", &self.path))?;
        Ok(FileRecord { bytes: self.bytes, blake3: self.hasher.finalize().to_hex().to_string() })
    }
}
