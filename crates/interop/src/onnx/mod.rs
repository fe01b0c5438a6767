//! Models as ONNX graphs, which onnxruntime, text-embeddings-inference and transformers.js run.
//!
//! | file | holds |
//! |---|---|
//! | [`export`] | a model's folder with its graphs |
//! | [`folder`] | what lies beside the graphs |
//! | `model` | the graph of a model, part by part |
//! | `graph`, `operations` | a graph in the making; ONNX's operations |
//! | `weights`, `element`, `quantized` | a model's numbers by name; their types; 8-bit weights |
//! | `proto`, `file` | ONNX's messages; writing them, and weights that are too large for one |

mod element;
pub mod export;
mod file;
pub mod folder;
mod graph;
mod model;
mod operations;
mod proto;
mod quantized;
#[cfg(test)]
mod tests;
mod weights;

pub use export::{OnnxOptions, Quantization, export_onnx};
