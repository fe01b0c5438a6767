//! Which of several texts goes with another. transformers has no pipeline for its multiple-choice models; fields
//! are named as in its others.

use std::{path::Path, sync::Arc};

use burn::tensor::Device;
use nystromformer::{
    Nystromformer, NystromformerForMultipleChoice, NystromformerInput, PreTrainedModel,
};
use serde::Serialize;

use crate::{
    error::PipelineError,
    layout::TokenRow,
    logits,
    pipeline::Pipeline,
    preprocessor::{Preprocessor, load_with_preprocessor},
    request::Choices,
    scores::{argmax, softmax},
};

/// A multiple-choice model with its tokenizer.
#[derive(Debug)]
pub struct MultipleChoice {
    model: NystromformerForMultipleChoice,
    preprocessor: Arc<Preprocessor>,
}

/// The likeliest choice.
#[derive(Debug, Clone, Serialize)]
pub struct Chosen {
    /// Its place among the choices, from 0; empty places of a table's row are counted.
    pub choice: usize,
    /// Its text.
    pub label: String,
    /// Its probability.
    pub score: f64,
    /// The probabilities of all choices, in their order; they sum to 1. That of an empty place of a table's row is NaN, which
    /// JSON has as null.
    pub scores: Vec<f64>,
}

impl MultipleChoice {
    /// Loads both from a model folder.
    ///
    /// # Errors
    /// If the model or its tokenizer cannot be read, or if the model is no multiple-choice model.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, PipelineError> {
        let (model, preprocessor) = load_with_preprocessor(folder, device)?;
        Ok(Self { model, preprocessor })
    }
}

impl Pipeline for MultipleChoice {
    type Request = Choices;
    type Scores = f32;
    type Answer = Chosen;

    fn preprocessor(&self) -> &Arc<Preprocessor> {
        &self.preprocessor
    }

    fn encoder(&self) -> &Nystromformer {
        self.model.nystromformer()
    }

    /// A row for each choice, the prompt being its first text.
    fn preprocess(&self, request: &Choices) -> Result<Vec<TokenRow>, PipelineError> {
        let Choices { prompt, choices } = request;
        let (tokenizer, limit) = (self.preprocessor.tokenizer(), self.preprocessor.limit_told());
        let row = |choice: &String| {
            self.preprocessor.row(limit, |cut| tokenizer.encode_text(prompt, Some(choice), cut))
        };
        choices.iter().map(row).collect()
    }

    fn forward(
        &self,
        input: NystromformerInput,
        _: &[&TokenRow],
    ) -> Result<Vec<f32>, PipelineError> {
        // Each row is scored by itself, so rows of any number of questions can be computed together.
        let scores = logits::of_rows(self.model.forward(input, 1)?)?;
        Ok(scores.into_iter().flatten().collect())
    }

    fn postprocess(
        &self,
        mut request: Choices,
        rows: Vec<(TokenRow, f32)>,
    ) -> Result<Chosen, PipelineError> {
        let logits: Vec<f32> = rows.into_iter().map(|(_, logit)| logit).collect();
        let scores = softmax(&logits);
        let choice = argmax(&scores);
        let label = request.choices.swap_remove(choice);
        Ok(Chosen { choice, label, score: scores[choice], scores })
    }

    fn in_places(&self, answer: Chosen, places: &[usize]) -> Chosen {
        let mut scores = vec![f64::NAN; places.last().map_or(0, |last| last + 1)];
        for (place, score) in places.iter().zip(&answer.scores) {
            scores[*place] = *score;
        }
        Chosen { choice: places[answer.choice], scores, ..answer }
    }
}
