//! Choices between models that transformers' class does not offer.

use serde::{Deserialize, Serialize};

/// What a sequence classifier reads of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The hidden state of the first token, as transformers' class does.
    #[default]
    First,
    /// The mean over the sequence's tokens.
    Mean,
    /// The sum over the sequence's tokens, divided by the length of the padded row: what the authors' Long Range
    /// Arena code computes. It makes an answer depend on how far its row was padded.
    MeanPadded,
}

/// How fresh weights of linear layers and convolutions are drawn. Embeddings are normal in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightInit {
    /// Normal with a standard deviation of `initializer_range`, biases 0: transformers.
    #[default]
    Normal,
    /// Uniform in ±1/√inputs, biases too: PyTorch's own, which the authors' code leaves as it is.
    KaimingUniform,
}
