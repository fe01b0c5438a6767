//! From a config to datasets that are ready to train on.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::blocks::{BlockDataset, BlockShape};
use crate::cache::{self, CacheLock, TokenStore};
use crate::config::{DataConfig, TokenizerConfig};
use crate::corpus::Corpus;
use crate::error::DataError;
use crate::progress::Progress;
use crate::split::{Split, split_documents};
use crate::tokenizer::{self, TextTokenizer};

/// What [`prepare`] found out about the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFacts {
    /// Bytes of the corpus files.
    pub corpus_bytes: u64,
    /// Documents that are not blank.
    pub documents: usize,
    /// Tokens of text, without special tokens.
    pub tokens: u64,
    /// Where the token cache lies.
    pub cache: PathBuf,
    /// Whether the cache was there already.
    pub reused: bool,
}

/// Everything masked-language modelling needs from the data side.
#[derive(Debug, Clone)]
pub struct MaskedLmData {
    /// The tokenizer, loaded or trained.
    pub tokenizer: TextTokenizer,
    /// Blocks to learn from; never empty.
    pub train: BlockDataset,
    /// Blocks to measure on; never empty.
    pub validation: BlockDataset,
    /// Hash, in hexadecimal, of all that the examples depend on: corpus, tokenizer, options, seed of
    /// the split. A run may be resumed only with the same.
    pub fingerprint: String,
    /// What was found out on the way.
    pub facts: DataFacts,
}

/// Reads the corpus, loads or trains the tokenizer, fills the token cache and cuts the splits.
///
/// With the same corpus and tokenizer options as before, tokenizer and tokens come from
/// `data.cache_dir` and this takes about as long as reading the corpus once. `seed` decides which
/// documents validate.
///
/// # Errors
///
/// [`DataError`] if the config, the corpus, the tokenizer or the disk do not allow it. A damaged
/// cache is no error: it is built anew.
pub fn prepare(
    data: &DataConfig,
    tokenizer: &TokenizerConfig,
    seed: u64,
    progress: &dyn Progress,
) -> Result<MaskedLmData, DataError> {
    data.validate()?;
    tokenizer.validate()?;
    let corpus = Corpus::open(data)?;
    if corpus.is_one_document() {
        return Err(too_few_documents(&corpus, 1));
    }
    let corpus_hash = corpus.fingerprint(progress)?;
    let cache_dir = &data.cache_dir;
    fs::create_dir_all(cache_dir).map_err(DataError::io("create", cache_dir))?;
    let corpus_name = &corpus_hash.to_hex()[..16];
    let lock = CacheLock::acquire(&cache_dir.join(format!("{corpus_name}.lock")))?;
    let tokenizer = find_tokenizer(&corpus, corpus_hash, tokenizer, cache_dir, progress)?;
    let shape = BlockShape {
        prefix: tokenizer.prefix().to_vec(),
        suffix: tokenizer.suffix().to_vec(),
        seq_len: data.seq_len,
        cross_documents: data.cross_documents,
    };
    if shape.text_len() == 0 {
        return Err(DataError::config(
            "data.seq_len",
            data.seq_len,
            "leaves no room for text between the tokenizer's special tokens",
        ));
    }
    let key = hash(&[corpus_hash.as_bytes(), tokenizer.hash().as_bytes()]);
    let folder = cache_dir.join(format!("tokens-{corpus_name}-{}", &key[..16]));
    let (store, reused) = open_or_build(&folder, &key, &corpus, &tokenizer, progress)?;
    drop(lock);

    let documents = store.documents();
    let splits = split_documents(documents, data.validation_fraction, seed)
        .ok_or_else(|| too_few_documents(&corpus, documents.len()))?;
    let options = serde_json::to_vec(&(
        data.seq_len,
        data.validation_fraction.to_bits(),
        data.cross_documents,
        data.mlm_probability.to_bits(),
        data.whole_word_masking,
        data.shuffle,
        seed,
    ))
    .expect("numbers and flags can be written as JSON");
    let facts = DataFacts {
        corpus_bytes: corpus.bytes(),
        documents: documents.len(),
        tokens: store.len() - documents.len() as u64,
        cache: store.folder().to_owned(),
        reused,
    };
    let (store, shape) = (Arc::new(store), Arc::new(shape));
    let blocks = |split| BlockDataset::new(Arc::clone(&store), Arc::clone(&shape), &splits, split);
    Ok(MaskedLmData {
        tokenizer,
        train: blocks(Split::Train),
        validation: blocks(Split::Validation),
        fingerprint: hash(&[key.as_bytes(), &options]),
        facts,
    })
}

fn too_few_documents(corpus: &Corpus, count: usize) -> DataError {
    let found = if count == 0 { "no document" } else { "only one document" };
    DataError::corpus(
        corpus.name(),
        format!(
            "{found} with text in it, but training and validation need one each; add text, or set \
             `data.document = \"paragraph\"` or `\"line\"` to split .txt files up"
        ),
    )
}

/// The tokenizer of the config: loaded, or trained before, or trained now.
fn find_tokenizer(
    corpus: &Corpus,
    corpus_hash: blake3::Hash,
    config: &TokenizerConfig,
    cache_dir: &Path,
    progress: &dyn Progress,
) -> Result<TextTokenizer, DataError> {
    if let Some(path) = &config.path {
        return TextTokenizer::load(path, config.lowercase);
    }
    let options = serde_json::to_vec(config).expect("a config is plain data");
    let key = hash(&[corpus_hash.as_bytes(), &options]);
    let folder = cache_dir.join(format!("tokenizer-{}", &key[..16]));
    let path = folder.join("tokenizer.json");
    if path.is_file() {
        match TextTokenizer::load(&path, config.lowercase) {
            Ok(tokenizer) => return Ok(tokenizer),
            Err(error) => {
                tracing::warn!(%error, "the trained tokenizer is damaged; training it again");
            }
        }
    }
    let tokenizer = tokenizer::train(corpus, config, progress)?;
    fs::create_dir_all(&folder).map_err(DataError::io("create", &folder))?;
    cache::write_whole(&path, tokenizer.to_json().as_bytes())?;
    Ok(tokenizer)
}

/// The token cache at `folder`, and whether it was there already.
fn open_or_build(
    folder: &Path,
    key: &str,
    corpus: &Corpus,
    tokenizer: &TextTokenizer,
    progress: &dyn Progress,
) -> Result<(TokenStore, bool), DataError> {
    if folder.exists() {
        match TokenStore::open(folder, key, progress) {
            Ok(store) => return Ok((store, true)),
            Err(error) => tracing::warn!(%error, "the token cache is damaged; building it again"),
        }
    }
    cache::build(folder, key, corpus, tokenizer, progress)?;
    Ok((TokenStore::open(folder, key, progress)?, false))
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
