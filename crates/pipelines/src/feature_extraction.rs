//! Hidden states of texts, as transformers' `FeatureExtractionPipeline` gives them, or pooled to one vector.

use std::{path::Path, sync::Arc};

use burn::tensor::Device;
use nystromformer::{Nystromformer, NystromformerInput};
use serde::Serialize;

use crate::{
    error::PipelineError,
    layout::TokenRow,
    logits,
    pipeline::Pipeline,
    preprocessor::{Preprocessor, load_with_preprocessor},
    request::Text,
};

/// What becomes of the hidden states of a text's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeaturePooling {
    /// All are given, those of special tokens too.
    None,
    /// The first token's is given, which classifiers read.
    Cls,
    /// Their mean is given, special tokens included, padding not.
    Mean,
}

/// An encoder with its tokenizer.
#[derive(Debug)]
pub struct FeatureExtraction {
    model: Nystromformer,
    preprocessor: Arc<Preprocessor>,
    pooling: FeaturePooling,
}

/// The features of a text.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Features {
    /// `[tokens, hidden_size]`.
    Tokens(Vec<Vec<f32>>),
    /// `[hidden_size]`.
    Pooled(Vec<f32>),
}

impl FeatureExtraction {
    /// Loads both from the folder of a model with any head or none.
    ///
    /// # Errors
    /// If the model or its tokenizer cannot be read.
    pub fn load(
        folder: &Path,
        device: &Device,
        pooling: FeaturePooling,
    ) -> Result<Self, PipelineError> {
        let (model, preprocessor) = load_with_preprocessor(folder, device)?;
        Ok(Self { model, preprocessor, pooling })
    }

    /// With the weights and the tokenizer of another pipeline, which are not copied.
    pub fn sharing(pipeline: &impl Pipeline, pooling: FeaturePooling) -> Self {
        let (model, preprocessor) = (pipeline.encoder().clone(), pipeline.preprocessor().clone());
        Self { model, preprocessor, pooling }
    }
}

impl Pipeline for FeatureExtraction {
    type Request = Text;
    type Scores = Vec<f32>;
    type Answer = Features;

    fn preprocessor(&self) -> &Arc<Preprocessor> {
        &self.preprocessor
    }

    fn encoder(&self) -> &Nystromformer {
        &self.model
    }

    fn preprocess(&self, request: &Text) -> Result<Vec<TokenRow>, PipelineError> {
        let tokenizer = self.preprocessor.tokenizer();
        let encode = |cut| tokenizer.encode_text(&request.text, None, cut);
        Ok(vec![self.preprocessor.row(self.preprocessor.limit(), encode)?])
    }

    fn forward(
        &self,
        input: NystromformerInput,
        rows: &[&TokenRow],
    ) -> Result<Vec<Vec<f32>>, PipelineError> {
        let hidden_states = self.model.forward(input)?;
        let width = self.model.config().shared.hidden_size;
        match self.pooling {
            FeaturePooling::None => logits::of_tokens(hidden_states, rows),
            FeaturePooling::Cls => logits::of_rows(hidden_states.narrow(1, 0, 1)),
            FeaturePooling::Mean => {
                let states = logits::of_tokens(hidden_states, rows)?;
                Ok(states.iter().map(|states| mean(states, width)).collect())
            }
        }
    }

    fn postprocess(
        &self,
        _: Text,
        mut rows: Vec<(TokenRow, Vec<f32>)>,
    ) -> Result<Features, PipelineError> {
        let (_, features) = rows.swap_remove(0);
        Ok(match self.pooling {
            FeaturePooling::None => {
                let width = self.model.config().shared.hidden_size;
                Features::Tokens(features.chunks(width).map(<[f32]>::to_vec).collect())
            }
            FeaturePooling::Cls | FeaturePooling::Mean => Features::Pooled(features),
        })
    }
}

/// The mean of vectors of `width` numbers that lie one after the other.
fn mean(vectors: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0; width];
    for vector in vectors.chunks_exact(width) {
        for (sum, value) in sums.iter_mut().zip(vector) {
            *sum += f64::from(*value);
        }
    }
    let count = (vectors.len() / width) as f64;
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}
