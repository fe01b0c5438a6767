//! Text in, masked-language-model batches out.
//!
//! This crate reads a corpus, loads or trains a tokenizer, keeps the tokens in a memory-mapped
//! cache, cuts them into blocks (or pairs of passages) and masks them. It knows nothing of models or training: a trainer
//! asks it for the batch of a step and gets the same batch at any time, on any number of threads
//! and in any run, for all randomness is a function of the seed and the example.
//!
//! ```
//! use nystromformer_data::{
//!     DataConfig, ExampleOrder, MaskedLmBatcher, CorpusSplit, TokenizerConfig, prepare,
//! };
//!
//! # fn main() -> Result<(), nystromformer_data::DataError> {
//! # let cache = tempfile::tempdir().unwrap();
//! let seed = 7;
//! let data = DataConfig { seq_len: 64, cache_dir: cache.path().to_owned(), ..DataConfig::default() };
//! let tokenizer = TokenizerConfig { vocab_size: 1_000, ..TokenizerConfig::default() };
//! let prepared = prepare(&data, &tokenizer, seed, &|_| {})?;
//!
//! let order = ExampleOrder::new(prepared.train.len(), seed, data.shuffle);
//! let batcher = MaskedLmBatcher::new(&prepared.tokenizer, &data, seed);
//! let visits = order.batch(0, 8);
//! let batch = batcher.rows(&prepared.train, CorpusSplit::Train, &visits)?;
//! assert_eq!(batch.input_ids.len(), 8 * 64);
//! assert_eq!(batch.masked_positions.len(), batch.masked_labels.len());
//! # Ok(())
//! # }
//! ```
//!
//! | module | idea |
//! |---|---|
//! | `config` | the `[data]` and `[tokenizer]` tables |
//! | `prepare` | from a config to datasets |
//! | `corpus` | files of text as a stream of chunks |
//! | [`sample`] | the built-in corpus and its questions |
//! | `tokenizer` | loading, training, encoding, saving |
//! | `characters` | parts of a text by characters |
//! | `truncation` | what is kept of a sequence that is too long |
//! | `windows` | or how all of it is read, in windows |
//! | `unknown` | how much of a text a vocabulary cannot spell |
//! | `cache` | the corpus as memory-mapped tokens |
//! | `split` | which documents train, which validate |
//! | `examples` | the examples of a split, of either objective |
//! | `blocks` | those of `mlm`: tokens cut into blocks |
//! | `passages` | those of `mlm_sop`: documents cut into passages |
//! | `sentence_order` | the rules of passages and of their pairs |
//! | `order` | which examples a step visits |
//! | `masking`, `batch` | examples masked, as rows of a batch |
//! | `baseline` | what a model must beat |
//! | [`random`] | random numbers as a pure function of their purpose |

mod baseline;
mod batch;
mod blocks;
mod cache;
mod characters;
mod config;
mod corpus;
mod error;
mod examples;
mod masking;
mod order;
mod passages;
mod prepare;
mod progress;
pub mod random;
pub mod sample;
mod sentence_order;
mod split;
mod tokenizer;
mod trained;
mod truncation;
mod unknown;
mod windows;

pub use baseline::{UnigramBaseline, unigram_baseline};
pub use batch::{EVALUATED_SHARE, MaskedLmBatcher, MaskedRows, SentenceOrderRows};
pub use blocks::{Block, BlockDataset};
pub use characters::Characters;
pub use config::{
    DataConfig, DataStage, DocumentUnit, Objective, SAMPLE_CORPUS, SegmentUnit, TokenizerConfig,
    TokenizerKind,
};
pub use corpus::settle_corpus;
pub use error::{DataError, ErrorKind};
pub use examples::PretrainingExamples;
pub use masking::{MaskedToken, Masking};
pub use order::{ExampleOrder, Visit, spread};
pub use passages::PassageDataset;
pub use prepare::{DataFacts, MaskedLmData, prepare, prepare_aside};
pub use progress::{ProgressListener, ProgressReport, Stage, Unit};
pub use split::CorpusSplit;
pub use tokenizer::{Encoding, SpecialTokens, TextTokenizer};
pub use trained::{TrainedAnswers, TrainedReading};
pub use truncation::{Keep, Truncation};
pub use unknown::UnknownTokens;
pub use windows::{WindowPooling, Windows};
