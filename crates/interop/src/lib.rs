//! Nyströmformer models in and out of other libraries' folders.
//!
//! The one format is Hugging Face's: a folder with `config.json` and `model.safetensors`, which
//! transformers' `from_pretrained` reads. Training checkpoints hold the same two files, so there is one
//! reader for both. Checkpoints of other families ([`foreign`]) are made into such folders.
//!
//! ```
//! use burn::tensor::Device;
//! use nystromformer::{ModelClass, NystromformerConfig, NystromformerForMaskedLm, PreTrainedModel};
//! use nystromformer_interop::{load, save};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let dir = folder.path();
//! let config = NystromformerConfig::default().with(|config| {
//!     config.embeddings.vocab_size = 100;
//!     config.shared.hidden_size = 16;
//!     config.shared.num_attention_heads = 2;
//!     config.encoder.num_hidden_layers = 1;
//!     config.feed_forward.intermediate_size = 32;
//! });
//! let model = NystromformerForMaskedLm::init(&config, &Device::flex())?;
//!
//! save(&model, dir)?;
//! let loaded: NystromformerForMaskedLm = load(dir, &Device::flex())?;
//! assert_eq!(loaded.config(), model.config());
//! # Ok(())
//! # }
//! ```
//!
//! | function | does |
//! |---|---|
//! | [`load()`], [`save()`] | a model of a class from a folder, and into one: bit-exact |
//! | [`load_model`], [`read_architecture`] | the same of whichever class the folder holds |
//! | [`load_weights`], [`load_all_weights`] | weights into a model that exists: what fits of them, to start training from; exactly its own |
//! | [`read_config`], [`write_config`] | `config.json` alone |
//! | [`write_tokenizer`] | the tokenizer's files beside a model |
//! | [`export_model`], [`import_model`] | folder to folder: tokenizer and model card too |
//! | [`export_onnx`] | a model as ONNX graphs |
//! | [`local_folder`], [`use_hub`] | a name on the Hugging Face Hub as a folder, and how it is downloaded |
//!
//! Files are read as data: no code in them runs, sizes are checked against the file and the configuration
//! before memory is asked for, and a file cut short or altered is an [`InteropError`].
#![recursion_limit = "256"]

pub mod error;
pub mod foreign;
pub mod hugging_face;
pub mod model_card;
pub mod onnx;
mod stored_tensors;
mod torch_writer;

pub use error::InteropError;
pub use foreign::{ImportOptions, PositionFill, export_for_authors, import_model};
pub use hugging_face::{
    Download, ExportOptions, Exported, FreshConvolution, HubFailure, HubFiles, LoadReport,
    SentenceFiles, SentencePooling, SpecialToken, StorageType, export_model, fitting_seq_len,
    is_hub_name, load, load_all_weights, load_model, load_weights, local_folder, read_architecture,
    read_config, require_model_folder, save, use_hub, write_config, write_tokenizer,
};
pub use model_card::TrainingFacts;
pub use onnx::{OnnxOptions, Quantization, export_onnx};
