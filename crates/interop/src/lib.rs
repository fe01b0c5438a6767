//! Nyströmformer models in and out of other libraries' folders.
//!
//! The one format is Hugging Face's: a folder with `config.json` and `model.safetensors`, which
//! transformers' `from_pretrained` reads. Training checkpoints hold the same two files, so there is one
//! reader for both.
//!
//! | function | does |
//! |---|---|
//! | [`load_masked_lm`], [`save_masked_lm`] | a model from a folder, and into one: bit-exact |
//! | [`load_masked_lm_weights`] | weights into a model that exists, e.g. to start training from |
//! | [`read_config`], [`write_config`] | `config.json` alone |
//! | [`export_masked_lm`], [`import_masked_lm`] | folder to folder: tokenizer and model card too |
//!
//! Files are read as data: no code in them runs, sizes are checked against the file and the configuration
//! before memory is asked for, and a file cut short or altered is an [`InteropError`].
#![recursion_limit = "256"]

pub mod error;
pub mod hugging_face;
pub mod model_card;
mod scratch;

pub use error::InteropError;
pub use hugging_face::{
    ExportOptions, Exported, LoadReport, export_masked_lm, import_masked_lm, load_masked_lm,
    load_masked_lm_weights, read_config, save_masked_lm, write_config,
};
