//! Filling masks: the likeliest tokens in place of the mask, as transformers' `FillMaskPipeline` gives them.

use std::{path::Path, sync::Arc};

use burn::tensor::{Device, Int, Tensor};
use nystromformer::{Nystromformer, NystromformerForMaskedLm, NystromformerInput, PreTrainedModel};
use serde::{Serialize, Serializer};

use crate::{
    error::PipelineError,
    layout::TokenRow,
    logits,
    pipeline::Pipeline,
    preprocessor::{Preprocessor, load_with_preprocessor},
    request::Text,
    scores::{ranking, softmax},
};

/// Masks whose scores of the whole vocabulary are held at once.
const MASKS_AT_ONCE: usize = 512;

/// A masked language model with its tokenizer.
#[derive(Debug)]
pub struct FillMask {
    model: NystromformerForMaskedLm,
    preprocessor: Arc<Preprocessor>,
    top_k: usize,
    /// For each output whether the tokenizer has an entry for it: a model may have more rows than that.
    has_entry: Vec<bool>,
}

/// One candidate.
#[derive(Debug, Clone, Serialize)]
pub struct Candidate {
    /// Probability of the token at the mask.
    pub score: f64,
    /// Its id.
    pub token: u32,
    /// Its text.
    pub token_str: String,
    /// The text with the mask filled.
    pub sequence: String,
}

/// The candidates of every mask of a text, likeliest first. Written as a list of candidates if the text has one
/// mask, else as a list of such lists.
#[derive(Debug, Clone)]
pub struct Filled(pub Vec<Vec<Candidate>>);

impl Serialize for Filled {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [candidates] => candidates.serialize(serializer),
            masks => masks.serialize(serializer),
        }
    }
}

impl FillMask {
    /// Loads both from a model folder.
    ///
    /// # Errors
    /// If the model or its tokenizer cannot be read, or if the model is no masked language model.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, PipelineError> {
        let (model, preprocessor) =
            load_with_preprocessor::<NystromformerForMaskedLm>(folder, device)?;
        let tokenizer = preprocessor.tokenizer();
        let entry = |id| tokenizer.id_to_token(id).is_some_and(|entry| !entry.is_empty());
        let has_entry = (0..model.config().embeddings.vocab_size as u32).map(entry).collect();
        Ok(Self { model, preprocessor, top_k: 5, has_entry })
    }

    /// Gives `top_k` candidates for every mask. Default: 5.
    pub fn with_top_k(mut self, top_k: usize) -> Self {
        self.top_k = top_k;
        self
    }

    /// The places of a row's masks.
    pub fn masks(&self, row: &TokenRow) -> Vec<usize> {
        let mask = self.preprocessor.tokenizer().special_ids().mask;
        let ids = &row.encoding.input_ids;
        (0..ids.len()).filter(|&index| ids[index] == mask).collect()
    }
}

impl Pipeline for FillMask {
    type Request = Text;
    /// For every mask the likeliest tokens and their probabilities.
    type Scores = Vec<Vec<(u32, f64)>>;
    type Answer = Filled;

    fn preprocessor(&self) -> &Arc<Preprocessor> {
        &self.preprocessor
    }

    fn encoder(&self) -> &Nystromformer {
        self.model.nystromformer()
    }

    fn preprocess(&self, request: &Text) -> Result<Vec<TokenRow>, PipelineError> {
        let tokenizer = self.preprocessor.tokenizer();
        let encoding = tokenizer.encode_text(&request.text, None, None)?;
        let row = self.preprocessor.layout().row(encoding, 0)?;
        self.model.config().validate_seq_len(row.length).map_err(|source| {
            PipelineError::TooLongToFill { text: request.text.clone(), source }
        })?;
        if self.masks(&row).is_empty() {
            let mask_token = tokenizer.mask_token().to_owned();
            return Err(PipelineError::NoMask { text: request.text.clone(), mask_token });
        }
        Ok(vec![row])
    }

    fn forward(
        &self,
        input: NystromformerInput,
        rows: &[&TokenRow],
    ) -> Result<Vec<Self::Scores>, PipelineError> {
        let [_, seq_len] = input.tokens.dims();
        let masks: Vec<Vec<usize>> = rows.iter().map(|row| self.masks(row)).collect();
        let positions: Vec<i64> = masks
            .iter()
            .enumerate()
            .flat_map(|(row, masks)| masks.iter().map(move |mask| (row * seq_len + mask) as i64))
            .collect();
        let device = self.model.cls.predictions.bias.device();
        let positions = Tensor::<1, Int>::from_ints(positions.as_slice(), &device);
        let encoder = self.encoder();
        let mut candidates = Vec::new();
        for states in encoder.tokens_at(input, positions)?.split(MASKS_AT_ONCE, 0) {
            let logits = logits::of_rows(self.model.cls.forward(states, encoder)?)?;
            candidates
                .extend(logits.iter().map(|logits| best(logits, &self.has_entry, self.top_k)));
        }
        let mut candidates = candidates.into_iter();
        Ok(masks.iter().map(|masks| candidates.by_ref().take(masks.len()).collect()).collect())
    }

    fn postprocess(
        &self,
        _: Text,
        rows: Vec<(TokenRow, Self::Scores)>,
    ) -> Result<Filled, PipelineError> {
        let tokenizer = self.preprocessor.tokenizer();
        let (row, scores) = &rows[0];
        let masks = self.masks(row);
        let candidate = |position: usize, (token, score): (u32, f64)| {
            let mut filled = row.encoding.input_ids.clone();
            filled[position] = token;
            // transformers spells no padding.
            let pad = tokenizer.special_ids().pad;
            filled.retain(|&id| id != pad);
            Ok(Candidate {
                score,
                token,
                token_str: tokenizer.decode(&[token], false)?,
                // With several masks the others must stay visible.
                sequence: tokenizer.decode(&filled, masks.len() == 1)?,
            })
        };
        let filled: Result<Vec<Vec<Candidate>>, PipelineError> = masks
            .iter()
            .zip(scores)
            .map(|(&position, best)| best.iter().map(|&best| candidate(position, best)).collect())
            .collect();
        filled.map(Filled)
    }
}

/// The `top_k` likeliest tokens that have an entry, and their probabilities, likeliest first.
fn best(logits: &[f32], has_entry: &[bool], top_k: usize) -> Vec<(u32, f64)> {
    let probabilities = softmax(logits);
    let ranked = ranking(&probabilities).into_iter().filter(|&token| has_entry[token]).take(top_k);
    ranked.map(|token| (token as u32, probabilities[token])).collect()
}
