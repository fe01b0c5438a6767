//! Tokenizers from SentencePiece's `spiece.model`, as ALBERT and the published Nyströmformers have them.
//!
//! | module | does |
//! |---|---|
//! | `wire` | the fields of a protocol-buffers message |
//! | `model_file` | which of them make a model |
//! | `charsmap` | checks the table of rewritten characters |
//! | `convert` | the same splits as a `tokenizers` pipeline |

mod charsmap;
mod convert;
mod model_file;
mod wire;

pub(super) use convert::{TextCleaning, read};
