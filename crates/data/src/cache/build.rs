//! Tokenises a corpus into the shards of a cache.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::layout::{
    Document, FORMAT_VERSION, FileRecord, MANIFEST, Manifest, ShardRecord, TokenWidth,
    documents_file, record_file, tokens_file,
};
use super::store::file_is_intact;
use crate::corpus::{Chunk, Corpus, for_each_batch};
use crate::durable;
use crate::error::DataError;
use crate::progress::{Progress, ProgressReport, Stage};
use crate::tokenizer::TextTokenizer;

/// A shard is finished with the first batch that brings it to this much text; so much work at most
/// is lost when a build is interrupted.
const SHARD_BYTES: u64 = 32 << 20;

/// Builds the cache at `folder`, taking over finished shards of an interrupted build.
///
/// The caller holds the lock. `key` is the hash of corpus and tokenizer.
pub(crate) fn build(
    folder: &Path,
    key: &str,
    corpus: &Corpus,
    tokenizer: &TextTokenizer,
    progress: &dyn Progress,
) -> Result<(), DataError> {
    build_in_shards(folder, key, corpus, tokenizer, progress, SHARD_BYTES)
}

fn build_in_shards(
    folder: &Path,
    key: &str,
    corpus: &Corpus,
    tokenizer: &TextTokenizer,
    progress: &dyn Progress,
    shard_bytes: u64,
) -> Result<(), DataError> {
    let partial = partial_folder(folder);
    fs::create_dir_all(&partial).map_err(DataError::io("create", &partial))?;
    let total = corpus.bytes();
    let mut builder = Builder {
        folder: partial.clone(),
        tokenizer,
        width: TokenWidth::for_vocabulary(tokenizer.vocab_size()),
        shard_bytes,
        shards: Vec::new(),
        progress,
        done: 0,
        total,
    };
    builder.run(&mut corpus.chunks())?;
    let manifest = Manifest {
        format: FORMAT_VERSION,
        key: key.to_owned(),
        width: builder.width,
        shards: builder.shards,
    };
    let text = serde_json::to_vec_pretty(&manifest).expect("a manifest is plain data");
    let path = partial.join(MANIFEST);
    durable::replace(&path, &text).map_err(DataError::io("write", &path))?;
    if folder.exists() {
        // Only a damaged cache is ever rebuilt.
        fs::remove_dir_all(folder).map_err(DataError::io("remove", folder))?;
    }
    durable::rename(&partial, folder).map_err(DataError::io("rename to", folder))?;
    progress.report(ProgressReport { stage: Stage::Tokenize, done: total, total });
    Ok(())
}

/// Where the cache at `folder` is built.
pub(super) fn partial_folder(folder: &Path) -> PathBuf {
    folder.with_extension("partial")
}

struct Builder<'a> {
    folder: PathBuf,
    tokenizer: &'a TextTokenizer,
    width: TokenWidth,
    shard_bytes: u64,
    /// Finished shards.
    shards: Vec<ShardRecord>,
    progress: &'a dyn Progress,
    done: u64,
    total: u64,
}

impl Builder<'_> {
    fn run<C>(&mut self, chunks: &mut C) -> Result<(), DataError>
    where
        C: Iterator<Item = Result<Chunk, DataError>> + Send,
    {
        // Shards end with a batch, so skipping whole shards keeps the later batches as they were.
        while let Some(record) = self.finished_shard() {
            for _ in 0..record.chunks {
                if let Some(chunk) = chunks.next() {
                    chunk?;
                }
            }
            self.advance(record.source_bytes);
            self.shards.push(record);
        }
        let mut writer = None;
        for_each_batch(chunks, |batch| {
            let mut shard = match writer.take() {
                Some(shard) => shard,
                None => self.open_shard()?,
            };
            self.tokenise(&batch, &mut shard)?;
            if shard.source_bytes < self.shard_bytes {
                writer = Some(shard);
            } else {
                self.finish_shard(shard)?;
            }
            Ok(true)
        })?;
        if let Some(shard) = writer {
            self.finish_shard(shard)?;
        }
        Ok(())
    }

    /// The next shard's record, if an earlier build has finished it.
    fn finished_shard(&self) -> Option<ShardRecord> {
        let shard = self.shards.len();
        let text = fs::read(self.folder.join(record_file(shard))).ok()?;
        let record: ShardRecord = serde_json::from_slice(&text).ok()?;
        let intact = file_is_intact(&self.folder.join(tokens_file(shard)), &record.tokens).ok()?
            && file_is_intact(&self.folder.join(documents_file(shard)), &record.documents).ok()?;
        intact.then_some(record)
    }

    fn open_shard(&self) -> Result<ShardWriter, DataError> {
        let shard = self.shards.len();
        Ok(ShardWriter {
            tokens: HashedFile::create(self.folder.join(tokens_file(shard)))?,
            documents: HashedFile::create(self.folder.join(documents_file(shard)))?,
            width: self.width,
            separator: self.tokenizer.special_ids().sep,
            chunks: 0,
            source_bytes: 0,
            open_tokens: 0,
            continued: self.shards.last().is_some_and(|record| record.continues),
            held_out: false,
        })
    }

    /// Tokenises the chunks on all cores and appends them in order.
    fn tokenise(&mut self, batch: &[Chunk], shard: &mut ShardWriter) -> Result<(), DataError> {
        let tokens: Vec<Vec<u32>> = batch
            .par_iter()
            .map(|chunk| self.tokenizer.encode(&chunk.text, false))
            .collect::<Result<_, _>>()?;
        let mut bytes = 0;
        for (chunk, tokens) in batch.iter().zip(tokens) {
            shard.append(chunk, &tokens)?;
            bytes += chunk.source_bytes;
        }
        self.advance(bytes);
        Ok(())
    }

    fn advance(&mut self, bytes: u64) {
        self.done = (self.done + bytes).min(self.total);
        self.progress.report(ProgressReport {
            stage: Stage::Tokenize,
            done: self.done,
            total: self.total,
        });
    }

    fn finish_shard(&mut self, writer: ShardWriter) -> Result<(), DataError> {
        let record = writer.finish()?;
        let text = serde_json::to_vec_pretty(&record).expect("a record is plain data");
        let path = self.folder.join(record_file(self.shards.len()));
        durable::replace(&path, &text).map_err(DataError::io("write", &path))?;
        self.shards.push(record);
        Ok(())
    }
}

/// Writes one shard.
struct ShardWriter {
    tokens: HashedFile,
    documents: HashedFile,
    width: TokenWidth,
    separator: u32,
    chunks: u64,
    source_bytes: u64,
    /// Tokens so far of the document that is open.
    open_tokens: u64,
    /// Whether the open document has tokens in an earlier shard.
    continued: bool,
    held_out: bool,
}

impl ShardWriter {
    fn append(&mut self, chunk: &Chunk, tokens: &[u32]) -> Result<(), DataError> {
        self.chunks += 1;
        self.source_bytes += chunk.source_bytes;
        self.held_out = chunk.held_out;
        self.write_tokens(tokens)?;
        if chunk.ends_document {
            // Documents of blanks only leave no trace.
            if self.open_tokens > 0 || self.continued {
                self.write_tokens(&[self.separator])?;
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
        Ok(())
    }

    fn write_document(&mut self, continues: bool) -> Result<(), DataError> {
        let tokens = std::mem::take(&mut self.open_tokens);
        self.documents.write(&Document { tokens, held_out: self.held_out, continues }.encode())
    }

    fn finish(mut self) -> Result<ShardRecord, DataError> {
        let mut continues = self.continued;
        if self.open_tokens > 0 {
            self.write_document(true)?;
            continues = true;
        }
        Ok(ShardRecord {
            chunks: self.chunks,
            source_bytes: self.source_bytes,
            tokens: self.tokens.finish()?,
            documents: self.documents.finish()?,
            continues,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::TokenStore;
    use crate::config::{DataConfig, DocumentUnit, TokenizerKind};
    use crate::tokenizer::tests::sample_tokenizer;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A corpus of a long document among many short ones, about 10 MB: several batches.
    fn long_corpus(folder: &Path) -> Corpus {
        let path = folder.join("corpus");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("a.txt"), "paris is a city in france.\n\n \n".repeat(20)).unwrap();
        fs::write(path.join("b.txt"), "the government of france sits in paris. ".repeat(250_000))
            .unwrap();
        fs::write(path.join("c.txt"), "one plus one is two.\n\n".repeat(20)).unwrap();
        let config = DataConfig {
            corpus: path.to_str().unwrap().to_owned(),
            document: DocumentUnit::Paragraph,
            ..DataConfig::default()
        };
        Corpus::open(&config).unwrap()
    }

    fn all_tokens(store: &TokenStore) -> Vec<u32> {
        let mut tokens = Vec::new();
        store.read(0, store.len(), &mut tokens);
        tokens
    }

    #[test]
    fn shards_hold_the_same_stream_wherever_they_end_and_an_interrupted_build_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = long_corpus(folder.path());
        let tokenizer = sample_tokenizer(TokenizerKind::WordPiece, 700);
        let build = |name: &str, shard_bytes, progress: &dyn Progress| {
            let cache = folder.path().join(name);
            build_in_shards(&cache, name, &corpus, &tokenizer, progress, shard_bytes).unwrap();
            TokenStore::open(&cache, name, &|_| {}).unwrap()
        };
        let whole = build("whole", u64::MAX, &|_| {});
        let sharded = build("sharded", 1, &|_| {});
        assert!(fs::exists(folder.path().join("sharded").join(tokens_file(2))).unwrap());
        assert_eq!(whole.documents(), sharded.documents());
        assert_eq!(whole.documents().len(), 41);
        assert!(all_tokens(&whole) == all_tokens(&sharded));

        // The build of "again" was interrupted: two shards are finished, the third is torn.
        let again = folder.path().join("again.partial");
        fs::create_dir(&again).unwrap();
        for entry in fs::read_dir(folder.path().join("sharded")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name != MANIFEST {
                fs::copy(&path, again.join(name)).unwrap();
            }
        }
        fs::write(again.join(tokens_file(2)), "torn").unwrap();
        let first = AtomicU64::new(0);
        let remember_first = |report: ProgressReport| {
            let _ = first.compare_exchange(0, report.done, Ordering::Relaxed, Ordering::Relaxed);
        };
        let resumed = build("again", 1, &remember_first);
        assert!(first.load(Ordering::Relaxed) > 1_000_000, "a finished shard must be taken over");
        assert_eq!(resumed.documents(), sharded.documents());
        assert!(all_tokens(&resumed) == all_tokens(&sharded));
        assert!(!again.exists());
    }

    #[test]
    fn documents_end_with_the_separator_and_blank_ones_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        fs::write(&path, "{\"text\": \"one two\"}\n{\"text\": \"  \"}\n{\"text\": \"three\"}\n")
            .unwrap();
        let config =
            DataConfig { corpus: path.to_str().unwrap().to_owned(), ..DataConfig::default() };
        let tokenizer = sample_tokenizer(TokenizerKind::WordPiece, 2_000);
        let cache = folder.path().join("cache");
        build(&cache, "key", &Corpus::open(&config).unwrap(), &tokenizer, &|_| {}).unwrap();
        let store = TokenStore::open(&cache, "key", &|_| {}).unwrap();
        let word = |word| tokenizer.token_to_id(word).unwrap();
        let separator = tokenizer.special_ids().sep;
        let expected = [word("one"), word("two"), separator, word("three"), separator];
        assert_eq!(all_tokens(&store), expected);
        assert_eq!(
            store.documents().iter().map(|document| document.tokens).collect::<Vec<_>>(),
            [3, 2]
        );
    }
}
