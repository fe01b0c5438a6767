//! What a model reads, of either kind: token ids or feature vectors.

use burn::{
    module::Module,
    tensor::{Int, Tensor},
};

use crate::{
    embeddings::{Embeddings, InputTokens},
    error::ModelError,
    vector_embeddings::VectorEmbeddings,
};

/// From what stands at each place to the first hidden states.
#[derive(Module, Debug)]
pub enum InputEmbeddings {
    /// Of token ids, transformers' `NystromformerEmbeddings`.
    Tokens(Embeddings),
    /// Of feature vectors.
    Vectors(VectorEmbeddings),
}

impl InputEmbeddings {
    /// The tables of a model that reads token ids.
    ///
    /// # Errors
    /// [`ModelError::Inputs`] for one that reads vectors: it has none.
    pub fn tokens(&self) -> Result<&Embeddings, ModelError> {
        match self {
            Self::Tokens(embeddings) => Ok(embeddings),
            Self::Vectors(_) => Err(ModelError::Inputs { reads: VECTORS, got: TOKENS }),
        }
    }

    /// The tables of a model that reads token ids, to change.
    ///
    /// # Errors
    /// As [`Self::tokens`].
    pub fn tokens_mut(&mut self) -> Result<&mut Embeddings, ModelError> {
        match self {
            Self::Tokens(embeddings) => Ok(embeddings),
            Self::Vectors(_) => Err(ModelError::Inputs { reads: VECTORS, got: TOKENS }),
        }
    }

    /// Embeds a batch of sequences.
    ///
    /// # Shapes
    /// - `token_type_ids`, `attention_mask`: `[batch, seq_len]`
    /// - output: `[batch, seq_len, hidden_size]`, or `seq_len + 1` where vectors begin with a class token
    ///
    /// # Errors
    /// [`ModelError::Inputs`] if the model reads the other kind.
    pub fn forward(
        &self,
        tokens: InputTokens,
        token_type_ids: Option<Tensor<2, Int>>,
        attention_mask: Option<&Tensor<2, Int>>,
    ) -> Result<Tensor<3>, ModelError> {
        match (self, tokens) {
            (Self::Vectors(embeddings), InputTokens::Vectors { features, coordinates }) => {
                if token_type_ids.is_some() {
                    return Err(ModelError::Inputs { reads: VECTORS, got: "token_type_ids" });
                }
                Ok(embeddings.forward(features, coordinates, attention_mask))
            }
            (Self::Vectors(_), _) => Err(ModelError::Inputs { reads: VECTORS, got: TOKENS }),
            (Self::Tokens(_), InputTokens::Vectors { .. }) => {
                Err(ModelError::Inputs { reads: TOKENS, got: VECTORS })
            }
            (Self::Tokens(embeddings), tokens) => {
                Ok(embeddings.forward(tokens, token_type_ids, attention_mask))
            }
        }
    }
}

const TOKENS: &str = "token ids (input_ids)";
const VECTORS: &str = "feature vectors (input_features)";
