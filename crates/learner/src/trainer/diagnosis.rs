//! What the best model of a finished run does inside, with a few examples: a row of every attention matrix, and how far the
//! pseudo-inverses are from inverses.

use burn::tensor::Tensor;
use nystromformer::{InputTokens, ModelError, Nystromformer, NystromformerInput, PreTrainedModel};
use nystromformer_interop::load_model;
use nystromformer_tasks::Split;
use serde::Serialize;

use super::model_source::model_folder;
use super::session::Session;
use crate::batch::TokenBatch;
use crate::device::floats;
use crate::error::{LearnerError, Result};

/// Examples that residuals are means over.
const EXAMPLES: usize = 4;

/// Places of the first example whose weights are kept.
const MOST_PLACES: usize = 256;

/// `diagnosis.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// The step of the model.
    pub step: usize,
    /// The split that the examples are of: its first ones.
    pub split: &'static str,
    /// The attention of the first example; `None` of a model without layers, or without attention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<ExampleAttention>,
    /// `None` if no layer approximates its attention by the Nyström method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinv_residual: Option<PinvResidual>,
}

/// What the first place of an example takes of each.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExampleAttention {
    /// As the tokenizer spells them, special tokens included; none of feature vectors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<String>,
    /// Places of the example. The weights are those of its first 256.
    pub places: usize,
    /// Of each layer a row.
    pub layers: Vec<LayerRow>,
}

/// One row of a layer's attention matrix.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerRow {
    /// The layer, from 0.
    pub layer: usize,
    /// Of each head a weight for each place.
    pub heads: Vec<Vec<f32>>,
}

/// `‖A Z A − A‖ / ‖A‖` in the Frobenius norm, of the landmarks' matrix `A` and its pseudo-inverse `Z`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PinvResidual {
    /// Examples that it is a mean over.
    pub examples: usize,
    /// Of each layer its heads.
    pub layers: Vec<Vec<f64>>,
}

impl Session {
    /// Looks into the best model of this run, which has come to its end, and writes `diagnosis.json`. The run's other files and
    /// numbers stay as they are.
    ///
    /// # Errors
    /// If the model cannot be read, the examples not be made batches of, or the file not be written; and of the device.
    pub fn diagnose(&self) -> Result<()> {
        let folder = model_folder(self.run().path())?;
        let model = load_model(&folder, self.device())?;
        let step = step_of(&folder).unwrap_or_default();
        let source = self.data().source();
        let held_out = source.evaluation_examples(Split::Validation);
        let (split, batches) = if held_out > 0 {
            let examples = 0..held_out.min(EXAMPLES);
            let batch = |example| source.evaluation_batch(Split::Validation, example, 1);
            (Split::Validation.name(), examples.map(batch).collect::<Result<Vec<_>>>()?)
        } else {
            let examples = source.training_examples().min(EXAMPLES);
            ("train", source.training_step(0, examples, 1)?)
        };
        let encoder: &Nystromformer = model.nystromformer();
        let attention = match batches.first() {
            Some(batch) => self.attention(encoder, batch.clone())?,
            None => None,
        };
        let mut sums: Vec<Vec<f64>> = Vec::new();
        let examples = batches.len();
        for batch in batches {
            add(&mut sums, self.residuals(encoder, batch)?);
        }
        for sum in sums.iter_mut().flatten() {
            *sum /= examples as f64;
        }
        let pinv_residual = (!sums.is_empty()).then_some(PinvResidual { examples, layers: sums });
        self.run().write_diagnosis(&Diagnosis { step, split, attention, pinv_residual })
    }

    /// The attention of a batch's first row.
    fn attention(
        &self,
        encoder: &Nystromformer,
        batch: TokenBatch,
    ) -> Result<Option<ExampleAttention>> {
        let places = batch.lengths.first().copied().unwrap_or_default();
        let shown = places.min(MOST_PLACES);
        let spelt = |id: &i32| {
            let token = self.data().tokenizer().and_then(|all| all.id_to_token(*id as u32));
            token.unwrap_or_else(|| format!("#{id}"))
        };
        let tokens = batch.input_ids.iter().take(shown).map(spelt).collect();
        let before = encoder.config().vectors.tokens_before();
        let rows = match encoder.attention_rows(self.first_row(batch)?, 0) {
            Err(ModelError::NoAttentionRow { .. }) => return Ok(None),
            rows => rows.map_err(unreadable)?,
        };
        let layers = rows
            .into_iter()
            .enumerate()
            .map(|(layer, row)| {
                let [_, _, seq_len] = row.dims();
                let weights = floats(row.reshape([-1]), self.device())?;
                let heads = weights.chunks(seq_len.max(1));
                let heads =
                    heads.map(|head| head.iter().skip(before).take(shown).copied().collect());
                Ok(LayerRow { layer, heads: heads.collect() })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok((!layers.is_empty()).then_some(ExampleAttention { tokens, places, layers }))
    }

    /// Of each layer that has one the residual of each head, of a batch's first row.
    fn residuals(&self, encoder: &Nystromformer, batch: TokenBatch) -> Result<Vec<Vec<f64>>> {
        let factors = encoder.attention_factors(self.first_row(batch)?).map_err(unreadable)?;
        factors
            .into_iter()
            .map(|factors| {
                let residuals = floats(factors.residual().reshape([-1]), self.device())?;
                Ok(residuals.into_iter().map(f64::from).collect())
            })
            .collect()
    }

    /// A batch's first row: of a question with choices, or of a pair that is encoded one by one, the first of several.
    fn first_row(&self, batch: TokenBatch) -> Result<NystromformerInput> {
        let (input, _) = batch.into_tensors(self.device())?;
        let first = |table: Tensor<3>| table.narrow(0, 0, 1);
        let tokens = match input.tokens {
            InputTokens::Ids(ids) => InputTokens::Ids(ids.narrow(0, 0, 1)),
            InputTokens::Embeds(embeds) => InputTokens::Embeds(first(embeds)),
            InputTokens::Vectors { features, coordinates } => InputTokens::Vectors {
                features: first(features),
                coordinates: coordinates.map(first),
            },
        };
        Ok(NystromformerInput {
            tokens,
            attention_mask: input.attention_mask.map(|mask| mask.narrow(0, 0, 1)),
            token_type_ids: input.token_type_ids.map(|types| types.narrow(0, 0, 1)),
        })
    }
}

/// Adds a layer's heads to those of the same layer.
fn add(sums: &mut Vec<Vec<f64>>, layers: Vec<Vec<f64>>) {
    for (number, heads) in layers.into_iter().enumerate() {
        match sums.get_mut(number) {
            None => sums.push(heads),
            Some(sum) => {
                for (sum, head) in sum.iter_mut().zip(heads) {
                    *sum += head;
                }
            }
        }
    }
}

/// The step that a checkpoint's folder is called by.
fn step_of(folder: &std::path::Path) -> Option<usize> {
    folder.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok()
}

fn unreadable(error: ModelError) -> LearnerError {
    LearnerError::Config(format!("the model cannot be looked at: {error}"))
}
