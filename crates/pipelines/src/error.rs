//! What can go wrong between a text and its answer.

use std::path::PathBuf;

use burn::tensor::TensorReadError;
use nystromformer::ModelError;
use nystromformer_data::DataError;
use nystromformer_interop::InteropError;

use crate::placed::Place;

/// An error of this crate. Each message names the value and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The model's folder cannot be read, or holds no model with the pipeline's head.
    #[error("{0}")]
    Interop(#[from] InteropError),
    /// The model's folder has no tokenizer that can be used.
    #[error("`{}`: no usable tokenizer: {source}", path.display())]
    Tokenizer {
        /// The folder.
        path: PathBuf,
        /// What is wrong with its tokenizer.
        source: DataError,
    },
    /// The tokenizer has an id that the model has no embedding for.
    #[error(
        "the tokenizer's entry `{token}` has the id `{id}`, and the model has embeddings for the ids below \
         vocab_size = {vocab_size} only: use the tokenizer that the model was trained with"
    )]
    Vocabulary {
        /// The first such id.
        id: u32,
        /// Its entry.
        token: String,
        /// Rows of the model's embedding.
        vocab_size: usize,
    },
    /// A request cannot be read or spelt.
    #[error("{0}")]
    Data(#[from] DataError),
    /// A request has nothing to answer.
    #[error("{0}")]
    Request(String),
    /// The tokenizer's template names a token type that the model has no embedding for.
    #[error(
        "the tokenizer's token type `{id}` is beyond the model's type_vocab_size = {type_vocab_size}: use the \
         tokenizer that the model was trained with"
    )]
    TokenType {
        /// The token type.
        id: u32,
        /// Rows of the model's embedding.
        type_vocab_size: usize,
    },
    /// The model cannot read a request.
    #[error("{0}")]
    Model(#[from] ModelError),
    /// A text to fill has no mask.
    #[error(
        "no mask in `{text}`: write the model's mask token, {mask_token}, where it should predict"
    )]
    NoMask {
        /// The text.
        text: String,
        /// The model's mask token.
        mask_token: String,
    },
    /// A text to fill is longer than the model reads; cutting it could cut off its mask.
    #[error("cannot fill `{text}`: {source}")]
    TooLongToFill {
        /// The text.
        text: String,
        /// The model's reason.
        source: ModelError,
    },
    /// A layer is asked for that the model does not have.
    #[error("layer `{layer}`: the model has {layers}, counted from 0")]
    Layer {
        /// The layer asked for.
        layer: usize,
        /// Layers of the model.
        layers: usize,
    },
    /// Numbers cannot be read off the device.
    #[error("cannot read the model's answer off its device")]
    Device(#[from] TensorReadError),
    /// Something is wrong with the request at a line of a file.
    #[error("{place}: {source}")]
    At {
        /// The line.
        place: Place,
        /// What is wrong.
        source: Box<PipelineError>,
    },
}
