//! Hugging Face's folder format.
//!
//! | file | holds |
//! |---|---|
//! | [`config`] | `config.json`: their keys and ours |
//! | [`names`] | the parameters' published names and shapes |
//! | `weights` | opening weight files: safetensors or pickle, whole or in shards |
//! | [`load`] | matching what a file holds with what a model needs |
//! | [`save`] | the other way |

pub mod config;
pub mod load;
pub mod names;
pub mod save;
mod weights;

pub use config::{read_config, write_config};
pub use load::{LoadReport, load_masked_lm, load_masked_lm_weights};
pub use save::save_masked_lm;
