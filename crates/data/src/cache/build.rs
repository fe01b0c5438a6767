//! Tokenises a corpus into the shards of a cache.

use std::fs;
use std::path::{Path, PathBuf};

use nystromformer_files::durable;
use rayon::prelude::*;

use super::layout::{
    Contents, FORMAT_VERSION, MANIFEST, Manifest, ShardRecord, TokenWidth, record_file,
};
use super::shard::{ChunkTokens, ShardWriter};
use super::store::file_is_intact;
use crate::corpus::{Chunk, Corpus, SegmentRule, WholeSegments, for_each_batch};
use crate::error::DataError;
use crate::progress::{ProgressListener, ProgressReport, Stage};
use crate::tokenizer::TextTokenizer;

/// A shard is finished with the first batch that brings it to this much text; so much work at most
/// is lost when a build is interrupted.
const SHARD_BYTES: u64 = 32 << 20;

/// Builds the cache at `folder`, taking over finished shards of an interrupted build.
///
/// The caller holds the lock. `key` is the hash of corpus, tokenizer and contents.
pub(crate) fn build(
    folder: &Path,
    key: &str,
    contents: Contents,
    corpus: &Corpus,
    tokenizer: &TextTokenizer,
    progress: &dyn ProgressListener,
) -> Result<(), DataError> {
    build_in_shards(folder, key, contents, corpus, tokenizer, progress, SHARD_BYTES)
}

fn build_in_shards(
    folder: &Path,
    key: &str,
    contents: Contents,
    corpus: &Corpus,
    tokenizer: &TextTokenizer,
    progress: &dyn ProgressListener,
    shard_bytes: u64,
) -> Result<(), DataError> {
    let partial = partial_folder(folder);
    fs::create_dir_all(&partial).map_err(DataError::io("create", &partial))?;
    let total = corpus.bytes();
    let mut builder = Builder {
        folder: partial.clone(),
        contents,
        tokenizer,
        width: TokenWidth::for_vocabulary(tokenizer.vocab_size()),
        shard_bytes,
        shards: Vec::new(),
        progress,
        done: 0,
        total,
    };
    match contents {
        Contents::Documents => builder.run(&mut corpus.chunks())?,
        Contents::Segments(unit) => {
            builder.run(&mut WholeSegments::of(corpus.chunks(), SegmentRule::of(unit)))?;
        }
    }
    let manifest = Manifest {
        format: FORMAT_VERSION,
        key: key.to_owned(),
        width: builder.width,
        shards: builder.shards,
    };
    let text = serde_json::to_vec_pretty(&manifest).expect("a manifest is plain data");
    let path = partial.join(MANIFEST);
    durable::replace(&path, &text)?;
    if folder.exists() {
        // Only a damaged cache is ever rebuilt.
        fs::remove_dir_all(folder).map_err(DataError::io("remove", folder))?;
    }
    durable::rename(&partial, folder)?;
    progress.report(ProgressReport { stage: Stage::TOKENIZE, done: total, total });
    Ok(())
}

/// Where the cache at `folder` is built.
pub(super) fn partial_folder(folder: &Path) -> PathBuf {
    folder.with_extension("partial")
}

struct Builder<'a> {
    folder: PathBuf,
    contents: Contents,
    tokenizer: &'a TextTokenizer,
    width: TokenWidth,
    shard_bytes: u64,
    /// Finished shards.
    shards: Vec<ShardRecord>,
    progress: &'a dyn ProgressListener,
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
        let intact = record.format == FORMAT_VERSION
            && record
                .files(shard)
                .all(|(name, file)| file_is_intact(&self.folder.join(name), file).unwrap_or(false));
        intact.then_some(record)
    }

    fn open_shard(&self) -> Result<ShardWriter, DataError> {
        let separator = match self.contents {
            Contents::Documents => Some(self.tokenizer.special_ids().sep),
            Contents::Segments(_) => None,
        };
        let continued = self.shards.last().is_some_and(|record| record.continues);
        ShardWriter::create(&self.folder, self.shards.len(), self.width, separator, continued)
    }

    /// Tokenises the chunks on all cores and appends them in order.
    fn tokenise(&mut self, batch: &[Chunk], shard: &mut ShardWriter) -> Result<(), DataError> {
        let tokens: Vec<ChunkTokens> = batch
            .par_iter()
            .map(|chunk| self.tokenise_chunk(&chunk.text))
            .collect::<Result<_, _>>()?;
        let mut bytes = 0;
        for (chunk, tokens) in batch.iter().zip(tokens) {
            shard.append(chunk, &tokens)?;
            bytes += chunk.source_bytes;
        }
        self.advance(bytes);
        Ok(())
    }

    fn tokenise_chunk(&self, text: &str) -> Result<ChunkTokens, DataError> {
        let mut chunk = ChunkTokens::default();
        match self.contents {
            Contents::Documents => chunk.tokens = self.tokenizer.encode(text, false)?,
            Contents::Segments(unit) => {
                for segment in SegmentRule::of(unit).segments(text) {
                    chunk.push_segment(&self.tokenizer.encode(segment, false)?);
                }
            }
        }
        let unknown = self.tokenizer.special_ids().unk;
        chunk.unknown = chunk.tokens.iter().filter(|id| **id == unknown).count() as u64;
        Ok(chunk)
    }

    fn advance(&mut self, bytes: u64) {
        self.done = (self.done + bytes).min(self.total);
        self.progress.report(ProgressReport {
            stage: Stage::TOKENIZE,
            done: self.done,
            total: self.total,
        });
    }

    fn finish_shard(&mut self, writer: ShardWriter) -> Result<(), DataError> {
        let record = writer.finish()?;
        let text = serde_json::to_vec_pretty(&record).expect("a record is plain data");
        let path = self.folder.join(record_file(self.shards.len()));
        durable::replace(&path, &text)?;
        self.shards.push(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::TokenStore;
    use crate::cache::layout::{segments_file, tokens_file};
    use crate::config::{DataConfig, DocumentUnit, SegmentUnit, TokenizerKind};
    use crate::tokenizer::tests::sample_tokenizer;
    use std::ops::Range;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A corpus of a long document among many short ones; with 250,000 sentences it has about 10 MB:
    /// several batches.
    fn long_corpus(folder: &Path, sentences: usize) -> Corpus {
        let path = folder.join("corpus");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("a.txt"), "paris is a city in france.\n\n \n".repeat(20)).unwrap();
        fs::write(path.join("b.txt"), "the government of france sits in paris. ".repeat(sentences))
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

    fn all_segments(store: &TokenStore) -> Vec<Range<u64>> {
        (0..store.num_segments()).map(|segment| store.segment(segment)).collect()
    }

    #[test]
    fn shards_hold_the_same_stream_wherever_they_end_and_an_interrupted_build_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = long_corpus(folder.path(), 250_000);
        let tokenizer = sample_tokenizer(TokenizerKind::WordPiece, 700);
        for (contents, torn) in [
            (Contents::Documents, tokens_file(2)),
            (Contents::Segments(SegmentUnit::Sentence), segments_file(2)),
        ] {
            let folder = folder.path().join(&torn);
            let build = |name: &str, shard_bytes, progress: &dyn ProgressListener| {
                let cache = folder.join(name);
                build_in_shards(&cache, name, contents, &corpus, &tokenizer, progress, shard_bytes)
                    .unwrap();
                TokenStore::open(&cache, name, &|_| {}).unwrap()
            };
            let whole = build("whole", u64::MAX, &|_| {});
            let sharded = build("sharded", 1, &|_| {});
            assert!(fs::exists(folder.join("sharded").join(tokens_file(2))).unwrap());
            assert_eq!(whole.documents(), sharded.documents());
            assert_eq!(whole.documents().len(), 41);
            assert!(all_tokens(&whole) == all_tokens(&sharded));
            assert!(all_segments(&whole) == all_segments(&sharded));

            // The build of "again" was interrupted: two shards are finished, the third is torn.
            let again = folder.join("again.partial");
            fs::create_dir(&again).unwrap();
            for entry in fs::read_dir(folder.join("sharded")).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                if name != MANIFEST {
                    fs::copy(&path, again.join(name)).unwrap();
                }
            }
            fs::write(again.join(torn), "torn").unwrap();
            let first = AtomicU64::new(0);
            let remember_first = |report: ProgressReport| {
                let _ =
                    first.compare_exchange(0, report.done, Ordering::Relaxed, Ordering::Relaxed);
            };
            let resumed = build("again", 1, &remember_first);
            assert!(
                first.load(Ordering::Relaxed) > 1_000_000,
                "a finished shard must be taken over"
            );
            assert_eq!(resumed.documents(), sharded.documents());
            assert!(all_tokens(&resumed) == all_tokens(&sharded));
            assert!(all_segments(&resumed) == all_segments(&sharded));
            assert!(!again.exists());
        }
    }

    #[test]
    fn a_finished_shard_of_another_version_is_not_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = long_corpus(folder.path(), 50);
        let tokenizer = sample_tokenizer(TokenizerKind::WordPiece, 700);
        let cache = folder.path().join("cache");
        let built = || {
            build(&cache, "key", Contents::Documents, &corpus, &tokenizer, &|_| {}).unwrap();
            all_tokens(&TokenStore::open(&cache, "key", &|_| {}).unwrap())
        };
        let right = built();
        // An interrupted build whose shard is whole, by its own record, and cut in another way.
        let partial = partial_folder(&cache);
        for (format, is_taken) in [(FORMAT_VERSION, true), (FORMAT_VERSION - 1, false)] {
            fs::rename(&cache, &partial).unwrap();
            fs::remove_file(partial.join(MANIFEST)).unwrap();
            let tokens = partial.join(tokens_file(0));
            let zeros = vec![0; fs::read(&tokens).unwrap().len()];
            fs::write(&tokens, &zeros).unwrap();
            let record = partial.join(record_file(0));
            let mut found: ShardRecord =
                serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
            found.format = format;
            found.tokens.blake3 = blake3::hash(&zeros).to_hex().to_string();
            fs::write(&record, serde_json::to_vec(&found).unwrap()).unwrap();
            let again = built();
            assert_eq!(again == right, !is_taken, "version {format}");
            assert_eq!(again.iter().all(|token| *token == 0), is_taken, "version {format}");
        }
    }

    #[test]
    fn segments_tile_the_documents_and_are_tokenised_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = long_corpus(folder.path(), 5_000);
        // The kind whose tokens depend most on where a text begins.
        let tokenizer = sample_tokenizer(TokenizerKind::Bpe, 700);
        let cache = folder.path().join("cache");
        let contents = Contents::Segments(SegmentUnit::Sentence);
        build(&cache, "key", contents, &corpus, &tokenizer, &|_| {}).unwrap();
        let store = TokenStore::open(&cache, "key", &|_| {}).unwrap();
        assert_eq!(store.num_segments(), 5_040);
        assert_eq!(store.text_len(), store.len());
        let read = |segment| {
            let Range { start, end } = store.segment(segment);
            let mut tokens = Vec::new();
            store.read(start, end - start, &mut tokens);
            tokens
        };
        let encode = |text| tokenizer.encode(text, false).unwrap();
        assert_eq!(read(19), encode("paris is a city in france."));
        for segment in [20, 21, 2_000, 5_019] {
            assert_eq!(read(segment), encode("the government of france sits in paris."));
        }
        assert_eq!(read(5_020), encode("one plus one is two."));
        let mut end = 0;
        let ends: Vec<u64> = store
            .documents()
            .iter()
            .map(|document| {
                end += document.tokens;
                store.segments_until(end)
            })
            .collect();
        assert_eq!(ends[..20], (1..=20).collect::<Vec<_>>());
        assert_eq!(ends[20..], (5_020..=5_040).collect::<Vec<_>>());
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
        let corpus = Corpus::open(&config).unwrap();
        build(&cache, "key", Contents::Documents, &corpus, &tokenizer, &|_| {}).unwrap();
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
