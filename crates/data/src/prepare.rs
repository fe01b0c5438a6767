//! From a config to datasets that are ready to train on.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nystromformer_files::{durable, say_once};

use crate::cache::{self, CacheLock, Contents, TokenStore};
use crate::config::{DataConfig, DataStage, Objective, TokenizerConfig};
use crate::corpus::Corpus;
use crate::error::DataError;
use crate::examples::{ExampleShape, PretrainingExamples};
use crate::progress::ProgressListener;
use crate::split::{CorpusSplit, held_out_share, more_than_asked, split_documents};
use crate::tokenizer::{self, TextTokenizer};
use crate::unknown::{self, UnknownTokens};

/// Part of the key of every cache of segments; to be raised when texts are cut in another way.
const SEGMENT_RULE: &str = "segments 1";

/// What [`prepare`] found out about the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFacts {
    /// Bytes of the corpus files.
    pub corpus_bytes: u64,
    /// Documents that are not blank.
    pub documents: usize,
    /// Tokens of text, without special tokens.
    pub tokens: u64,
    /// How many of them stand for what the vocabulary cannot spell.
    pub unknown_tokens: u64,
    /// Where the token cache lies.
    pub cache: PathBuf,
    /// Whether the cache was there already.
    pub reused: bool,
}

/// Everything pretraining needs from the data side.
#[derive(Debug, Clone)]
pub struct MaskedLmData {
    /// The tokenizer, loaded or trained.
    pub tokenizer: TextTokenizer,
    /// Examples to learn from; never empty.
    pub train: PretrainingExamples,
    /// The same text as the examples of each of `data.stages`; never empty.
    pub train_of_stages: Vec<PretrainingExamples>,
    /// Examples to measure on; never empty.
    pub validation: PretrainingExamples,
    /// Hash, in hexadecimal, of all that the examples depend on: corpus, tokenizer, options, seed of
    /// the split. A run may be resumed only with the same.
    pub fingerprint: String,
    /// Hash, in hexadecimal, of the corpus' text and of how it is read, whatever tokenizer and seed.
    pub corpus_fingerprint: String,
    /// What was found out on the way.
    pub facts: DataFacts,
}

/// Reads the corpus, loads or trains the tokenizer, fills the token cache and cuts the splits.
///
/// With the same corpus and tokenizer options as before, tokenizer and tokens come from
/// `data.cache_dir` and this takes about as long as reading the corpus once. `seed` decides which
/// documents validate and where passages are cut.
///
/// # Errors
///
/// [`DataError`] if the config, the corpus, the tokenizer or the disk do not allow it. A damaged
/// cache is no error: it is built anew.
pub fn prepare(
    data: &DataConfig,
    tokenizer: &TokenizerConfig,
    seed: u64,
    progress: &dyn ProgressListener,
) -> Result<MaskedLmData, DataError> {
    let preparation = Preparation::open(data, tokenizer, seed, progress)?;
    let cache_dir = &data.cache_dir;
    let _lock = preparation.lock(cache_dir)?;
    let tokenizer = match preparation.stored_tokenizer()? {
        Some(tokenizer) => tokenizer,
        None => preparation.train_tokenizer(cache_dir)?,
    };
    let cache = preparation.token_cache(&tokenizer)?;
    let (store, reused) = match cache.open(cache_dir, progress) {
        Some(store) => (store, true),
        None => (cache.build(cache_dir, &preparation.corpus, &tokenizer, progress)?, false),
    };
    preparation.finish(tokenizer, &cache, store, reused)
}

/// [`prepare`] without touching `data.cache_dir`: tokenizer and tokens are read from it if they are there, and
/// are otherwise made in `scratch`, whole, which takes as long as [`prepare`] does. The result is the same.
///
/// # Errors
///
/// As [`prepare`].
pub fn prepare_aside(
    data: &DataConfig,
    tokenizer: &TokenizerConfig,
    seed: u64,
    scratch: &Path,
    progress: &dyn ProgressListener,
) -> Result<MaskedLmData, DataError> {
    let preparation = Preparation::open(data, tokenizer, seed, progress)?;
    let tokenizer = match preparation.stored_tokenizer()? {
        Some(tokenizer) => tokenizer,
        None => preparation.train_tokenizer(scratch)?,
    };
    let cache = preparation.token_cache(&tokenizer)?;
    let (store, reused) = if let Some(store) = cache.open(&data.cache_dir, progress) {
        (store, true)
    } else {
        tracing::info!(
            "no token cache in `{}` yet: tokenizing the whole corpus into a scratch folder; `prepare` would \
             do so once for all",
            data.cache_dir.display()
        );
        (cache.build(scratch, &preparation.corpus, &tokenizer, progress)?, false)
    };
    preparation.finish(tokenizer, &cache, store, reused)
}

/// A corpus whose hash is known, on its way to datasets.
struct Preparation<'a> {
    data: &'a DataConfig,
    tokenizer: &'a TokenizerConfig,
    seed: u64,
    corpus: Corpus,
    corpus_hash: blake3::Hash,
    progress: &'a dyn ProgressListener,
}

impl<'a> Preparation<'a> {
    /// Checks the config and reads the corpus once.
    fn open(
        data: &'a DataConfig,
        tokenizer: &'a TokenizerConfig,
        seed: u64,
        progress: &'a dyn ProgressListener,
    ) -> Result<Self, DataError> {
        data.validate()?;
        tokenizer.validate()?;
        let corpus = Corpus::open(data)?;
        if corpus.is_one_document()? {
            return Err(too_few_documents(&corpus, 1));
        }
        let corpus_hash = corpus.fingerprint(progress)?;
        Ok(Self { data, tokenizer, seed, corpus, corpus_hash, progress })
    }

    /// Part of the names of all that is cached about this corpus.
    fn corpus_name(&self) -> String {
        self.corpus_hash.to_hex()[..16].to_owned()
    }

    /// Lets one process at a time write to the cache.
    fn lock(&self, cache_dir: &Path) -> Result<CacheLock, DataError> {
        fs::create_dir_all(cache_dir).map_err(DataError::io("create", cache_dir))?;
        CacheLock::acquire(&cache_dir.join(format!("{}.lock", self.corpus_name())))
    }

    /// Where a tokenizer trained on this corpus with these options lies.
    fn trained_tokenizer(&self, cache_dir: &Path) -> PathBuf {
        let options = serde_json::to_vec(self.tokenizer).expect("a config is plain data");
        let version = tokenizer::TRAINING_VERSION.to_le_bytes();
        let key = hash(&[self.corpus_hash.as_bytes(), &options, &version]);
        cache_dir.join(format!("tokenizer-{}", &key[..16])).join("tokenizer.json")
    }

    /// The tokenizer of the config, or the one trained before; `None` if one is to be trained.
    fn stored_tokenizer(&self) -> Result<Option<TextTokenizer>, DataError> {
        let lowercase = self.tokenizer.lowercase;
        if let Some(path) = &self.tokenizer.path {
            return TextTokenizer::load(path, lowercase).map(Some);
        }
        let path = self.trained_tokenizer(&self.data.cache_dir);
        if !path.is_file() {
            return Ok(None);
        }
        Ok(TextTokenizer::load(&path, lowercase)
            .inspect_err(|error| {
                tracing::warn!(%error, "the trained tokenizer is damaged; training it again");
            })
            .ok())
    }

    /// Trains the tokenizer, and keeps it in `cache_dir`.
    fn train_tokenizer(&self, cache_dir: &Path) -> Result<TextTokenizer, DataError> {
        let tokenizer = tokenizer::train(&self.corpus, self.tokenizer, self.progress)?;
        let path = self.trained_tokenizer(cache_dir);
        let folder = path.parent().unwrap_or(cache_dir);
        fs::create_dir_all(folder).map_err(DataError::io("create", folder))?;
        durable::replace(&path, tokenizer.to_json().as_bytes())?;
        Ok(tokenizer)
    }

    /// The cache of this corpus in this tokenizer's tokens, whether it exists or not.
    fn token_cache(&self, tokenizer: &TextTokenizer) -> Result<TokenCache, DataError> {
        let shape = ExampleShape::new(self.data, tokenizer)?;
        let (corpus, tokenizer) = (self.corpus_hash.as_bytes(), tokenizer.hash());
        let (kind, contents) = match shape.contents() {
            Contents::Documents => ("tokens", hash(&[corpus, tokenizer.as_bytes()])),
            Contents::Segments(unit) => {
                let rule = format!("{SEGMENT_RULE} {unit:?}");
                ("segments", hash(&[corpus, tokenizer.as_bytes(), rule.as_bytes()]))
            }
        };
        let key = hash(&[contents.as_bytes(), &cache::FORMAT_VERSION.to_le_bytes()]);
        let name = format!("{kind}-{}-{}", self.corpus_name(), &key[..16]);
        Ok(TokenCache { contents, key, name, shape })
    }

    /// Cuts the splits.
    fn finish(
        self,
        tokenizer: TextTokenizer,
        cache: &TokenCache,
        store: TokenStore,
        reused: bool,
    ) -> Result<MaskedLmData, DataError> {
        let Self { data, seed, ref corpus, .. } = self;
        let documents = store.documents();
        let splits = split_documents(documents, data.validation_fraction, seed)
            .ok_or_else(|| too_few_documents(corpus, documents.len()))?;
        let share = held_out_share(documents, &splits);
        if let Some(told) =
            more_than_asked(data.validation_fraction, share, corpus.cure_of_long_documents())
        {
            say_once(format!("the corpus `{}`: {told}", corpus.name().display()));
        }
        let facts = DataFacts {
            corpus_bytes: corpus.bytes(),
            documents: documents.len(),
            tokens: store.text_len(),
            unknown_tokens: store.unknown_len(),
            cache: store.folder().to_owned(),
            reused,
        };
        let unknown = UnknownTokens { unknown: facts.unknown_tokens, tokens: facts.tokens };
        let name = format!("the corpus `{}`", corpus.name().display());
        unknown.tell(&name, &unknown::cure(self.tokenizer));
        let store = Arc::new(store);
        let examples = |split| {
            PretrainingExamples::new(Arc::clone(&store), &cache.shape, &splits, split, seed)
        };
        let of_stage = |stage: &DataStage| {
            let config = DataConfig { seq_len: stage.seq_len, ..data.clone() };
            let shape = ExampleShape::new(&config, &tokenizer)?;
            let store = Arc::clone(&store);
            Ok(PretrainingExamples::new(store, &shape, &splits, CorpusSplit::Train, seed))
        };
        Ok(MaskedLmData {
            train_of_stages: data.stages.iter().map(of_stage).collect::<Result<_, DataError>>()?,
            tokenizer,
            train: examples(CorpusSplit::Train),
            validation: examples(CorpusSplit::Validation),
            fingerprint: hash(&[cache.contents.as_bytes(), &options(data, seed)]),
            corpus_fingerprint: self.corpus_hash.to_hex().to_string(),
            facts,
        })
    }
}

/// A token cache by its key, and the examples that are cut from it.
struct TokenCache {
    /// Hash of corpus, tokenizer and contents.
    contents: String,
    /// The same with the version of the code that cuts the texts.
    key: String,
    /// Its folder's name.
    name: String,
    shape: ExampleShape,
}

impl TokenCache {
    /// The finished cache in `cache_dir`, if it is there and whole.
    fn open(&self, cache_dir: &Path, progress: &dyn ProgressListener) -> Option<TokenStore> {
        let folder = cache_dir.join(&self.name);
        if !folder.exists() {
            return None;
        }
        TokenStore::open(&folder, &self.key, progress)
            .inspect_err(|error| {
                tracing::warn!(%error, "the token cache is damaged; building it again");
            })
            .ok()
    }

    /// Tokenises the corpus into `cache_dir`.
    fn build(
        &self,
        cache_dir: &Path,
        corpus: &Corpus,
        tokenizer: &TextTokenizer,
        progress: &dyn ProgressListener,
    ) -> Result<TokenStore, DataError> {
        let folder = cache_dir.join(&self.name);
        let contents = self.shape.contents();
        cache::build(&folder, &self.key, contents, corpus, tokenizer, progress)?;
        TokenStore::open(&folder, &self.key, progress)
    }
}

/// All but corpus and tokenizer that examples depend on, as bytes to hash.
fn options(data: &DataConfig, seed: u64) -> Vec<u8> {
    let bytes = match data.objective {
        Objective::Mlm => serde_json::to_vec(&(
            data.seq_len,
            data.validation_fraction.to_bits(),
            data.cross_documents,
            data.mlm_probability.to_bits(),
            data.whole_word_masking,
            data.shuffle,
            seed,
        )),
        Objective::Distill => serde_json::to_vec(&(
            data.objective,
            data.seq_len,
            data.validation_fraction.to_bits(),
            data.cross_documents,
            data.mlm_probability.to_bits(),
            data.shuffle,
            seed,
        )),
        Objective::MlmSop => serde_json::to_vec(&(
            data.objective,
            data.seq_len,
            data.validation_fraction.to_bits(),
            data.cross_documents,
            data.mlm_probability.to_bits(),
            data.max_predictions,
            data.short_seq_prob.to_bits(),
            data.shuffle,
            seed,
        )),
    };
    let mut bytes = bytes.expect("numbers, flags and names can be written as JSON");
    if let Some(end) = data.mlm_probability_end {
        bytes.extend(end.to_bits().to_le_bytes());
    }
    for DataStage { until, seq_len, batch_size } in &data.stages {
        let numbers = [until.to_bits(), *seq_len as u64, *batch_size as u64];
        bytes.extend(numbers.into_iter().flat_map(u64::to_le_bytes));
    }
    bytes
}

fn too_few_documents(corpus: &Corpus, count: usize) -> DataError {
    let found = if count == 0 { "no document" } else { "only one document" };
    DataError::corpus(
        corpus.name(),
        format!(
            "{found} with text in it, but training and validation need one each; add text, or {}",
            corpus.cure_of_long_documents()
        ),
    )
}

/// A hash of several parts, in hexadecimal.
fn hash(parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("nystromformer-data 2026 keys");
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_what_is_kept_hold_the_version_of_the_code() {
        let (data, options) = (DataConfig::default(), TokenizerConfig::default());
        let preparation = Preparation::open(&data, &options, 1, &|_| {}).unwrap();
        let corpus = preparation.corpus_hash.as_bytes();
        let key = hash(&[corpus, &serde_json::to_vec(&options).unwrap()]);
        let trained = preparation.trained_tokenizer(Path::new("cache"));
        assert!(!trained.starts_with(format!("cache/tokenizer-{}", &key[..16])), "{trained:?}");
        let tokenizer = tokenizer::tests::sample_tokenizer(options.kind, 700);
        let cache = preparation.token_cache(&tokenizer).unwrap();
        assert_eq!(cache.contents, hash(&[corpus, tokenizer.hash().as_bytes()]));
        assert_ne!(cache.key, cache.contents);
        assert!(cache.name.ends_with(&cache.key[..16]), "{}", cache.name);
    }
}
