//! What the first token of a text takes of each of its tokens, in every layer and head.

use std::{path::Path, sync::Arc};

use burn::tensor::{Device, Tensor};
use nystromformer::{Nystromformer, NystromformerInput};
use serde::Serialize;

use crate::{
    error::PipelineError,
    layout::TokenRow,
    pipeline::Pipeline,
    preprocessor::{Preprocessor, load_with_preprocessor},
    request::TextPair,
};

/// The place whose row is given: classifiers read the first token.
const FIRST: usize = 0;

/// An encoder with its tokenizer.
#[derive(Debug)]
pub struct AttentionMaps {
    model: Nystromformer,
    preprocessor: Arc<Preprocessor>,
    layer: Option<usize>,
}

/// The tokens of a text, and what the first of them takes of each.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttentionMap {
    /// As the tokenizer spells them, special tokens included.
    pub tokens: Vec<String>,
    /// Of each layer that was asked for.
    pub attention: Vec<LayerAttention>,
}

/// One row of a layer's attention matrix, for each head.
///
/// Under Nyström attention it is a row of the approximated matrix: a weight can be a little below zero, and they sum to about
/// one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerAttention {
    /// The layer, from 0.
    pub layer: usize,
    /// Of each head a weight for each place.
    pub heads: Vec<Vec<f32>>,
}

impl AttentionMaps {
    /// Loads both from the folder of a model with any head or none; only `layer` is given, from 0, or all without it.
    ///
    /// # Errors
    /// If the model or its tokenizer cannot be read; [`PipelineError::Layer`] if there is no such layer.
    pub fn load(
        folder: &Path,
        device: &Device,
        layer: Option<usize>,
    ) -> Result<Self, PipelineError> {
        let (model, preprocessor) = load_with_preprocessor::<Nystromformer>(folder, device)?;
        let layers = model.config().encoder.num_hidden_layers;
        match layer {
            Some(layer) if layer >= layers => Err(PipelineError::Layer { layer, layers }),
            _ => Ok(Self { model, preprocessor, layer }),
        }
    }

    /// Of all layers, with the weights and the tokenizer of another pipeline, which are not copied.
    pub fn sharing(pipeline: &impl Pipeline) -> Self {
        let (model, preprocessor) = (pipeline.encoder().clone(), pipeline.preprocessor().clone());
        Self { model, preprocessor, layer: None }
    }
}

/// The rows of one sequence of a batch, from those of all layers.
///
/// # Shapes
/// - `rows`, of each layer: `[batch, heads, seq_len]`
///
/// # Errors
/// Those of the device.
pub fn rows_of_sequence(
    rows: &[Tensor<3>],
    sequence: usize,
    layer: Option<usize>,
) -> Result<Vec<LayerAttention>, PipelineError> {
    let wanted =
        rows.iter().enumerate().filter(|(number, _)| layer.is_none_or(|layer| layer == *number));
    wanted
        .map(|(number, row)| {
            let [_, _, seq_len] = row.dims();
            let numbers: Vec<f32> = row.clone().narrow(0, sequence, 1).try_into_vec_as()?;
            let heads = numbers.chunks(seq_len.max(1)).map(<[f32]>::to_vec).collect();
            Ok(LayerAttention { layer: number, heads })
        })
        .collect()
}

impl Pipeline for AttentionMaps {
    type Request = TextPair;
    type Scores = Vec<LayerAttention>;
    type Answer = AttentionMap;

    fn preprocessor(&self) -> &Arc<Preprocessor> {
        &self.preprocessor
    }

    fn encoder(&self) -> &Nystromformer {
        &self.model
    }

    /// One row of the matrix is computed of all tokens and a mask, and not of the tokens alone.
    fn is_read_alone(&self) -> bool {
        true
    }

    fn preprocess(&self, request: &TextPair) -> Result<Vec<TokenRow>, PipelineError> {
        let tokenizer = self.preprocessor.tokenizer();
        let pair = request.text_pair.as_deref().filter(|pair| !pair.is_empty());
        let encode = |cut| tokenizer.encode_text(&request.text, pair, cut);
        Ok(vec![self.preprocessor.row(self.preprocessor.limit(), encode)?])
    }

    fn forward(
        &self,
        input: NystromformerInput,
        rows: &[&TokenRow],
    ) -> Result<Vec<Self::Scores>, PipelineError> {
        let layers = self.model.attention_rows(input, FIRST)?;
        let of_row = |(sequence, row): (usize, &&TokenRow)| {
            let mut layers = rows_of_sequence(&layers, sequence, self.layer)?;
            for heads in layers.iter_mut().flat_map(|layer| &mut layer.heads) {
                heads.truncate(row.encoding.input_ids.len());
            }
            Ok(layers)
        };
        rows.iter().enumerate().map(of_row).collect()
    }

    fn postprocess(
        &self,
        _: TextPair,
        mut rows: Vec<(TokenRow, Self::Scores)>,
    ) -> Result<AttentionMap, PipelineError> {
        let (row, attention) = rows.swap_remove(0);
        let tokenizer = self.preprocessor.tokenizer();
        let spelt = |id: &u32| tokenizer.id_to_token(*id).unwrap_or_default();
        Ok(AttentionMap { tokens: row.encoding.input_ids.iter().map(spelt).collect(), attention })
    }
}
