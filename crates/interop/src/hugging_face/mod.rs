//! Hugging Face's folder format.
//!
//! | file | holds |
//! |---|---|
//! | [`config`] | `config.json`: their keys and ours |
//! | [`names`] | the parameters' published names and shapes |
//! | `weights` | opening weight files: safetensors or pickle, whole or in shards |
//! | `wrappers` | names as a model has them, from files of wrapped models |
//! | `json_file`, `storage` | JSON files, bounded; how numbers are stored |
//! | [`hub_names`] | names on the Hub in the place of folders |
//! | `model_path` | what a path that should be a model's folder is instead |
//! | [`mod@load`] | matching what a file holds with what a model needs |
//! | [`mod@save`] | the other way |
//! | [`tokenizer_files`] | the tokenizer that travels with a model |
//! | [`sentence_files`] | what sentence-transformers keeps beside an encoder |
//! | [`export`] | folder to folder |
//! | `transformers` | what transformers computes for a configuration of ours |
//! | `folder` | what every folder for transformers holds |
//! | `convolution` | models whose convolution is not the file's |
//! | `paper_code` | the modeling file that lets transformers compute the `paper` semantics |
//! | `difference` | how far transformers lies from this library without it |

pub mod config;
pub(crate) mod convolution;
mod difference;
pub mod export;
pub(crate) mod folder;
pub mod hub_names;
pub(crate) mod json_file;
pub mod load;
mod model_path;
pub mod names;
mod paper_code;
pub mod save;
pub mod sentence_files;
mod storage;
pub mod tokenizer_files;
pub(crate) mod transformers;
pub(crate) mod weights;
mod wrappers;

pub use config::{read_config, write_config};
pub use convolution::FreshConvolution;
pub use export::{ExportOptions, export_model};
pub use folder::Exported;
pub use hub_names::{Download, HubFailure, HubFiles, is_hub_name, local_folder, use_hub};
pub use load::{LoadReport, load, load_all_weights, load_model, load_weights, read_architecture};
pub use model_path::require_model_folder;
pub use save::save;
pub use sentence_files::{SentenceFiles, SentencePooling};
pub use storage::StorageType;
pub use tokenizer_files::{SpecialToken, write_tokenizer};
pub use transformers::fitting_seq_len;
