//! What is named where in a text, as transformers' `TokenClassificationPipeline` gives it.
//!
//! | module | does |
//! |---|---|
//! | `tokens` | a text's tokens with their spelling, place and scores |
//! | `words` | tokens of a word agree on one class |
//! | `entities` | neighbours of one class become one entity |

mod entities;
mod tokens;
mod words;

use std::{num::NonZeroUsize, path::Path, sync::Arc};

use burn::tensor::Device;
use nystromformer::{
    Nystromformer, NystromformerForTokenClassification, NystromformerInput, PreTrainedModel,
};
use nystromformer_data::{Characters, DataError};
use serde::Deserialize;

pub use entities::Entity;

use crate::{
    error::PipelineError,
    layout::TokenRow,
    logits,
    pipeline::Pipeline,
    preprocessor::{Preprocessor, load_with_preprocessor},
    request::Sentence,
    scores::argmax,
};
use entities::{LabelledToken, group, without_overlaps};
use tokens::{SourceText, Token};
use words::agree;

/// How tokens become entities; transformers' `aggregation_strategy`, by its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Every token is one.
    None,
    /// Neighbours of one class are one; `B-` begins another.
    Simple,
    /// As `Simple`, after all tokens of a word take the class of its first.
    First,
    /// As `Simple`, after all tokens of a word take the class that is likeliest by their mean.
    Average,
    /// As `Simple`, after all tokens of a word take the class of the token that is surest.
    Max,
}

/// A token classifier with its tokenizer.
#[derive(Debug)]
pub struct TokenClassification {
    model: NystromformerForTokenClassification,
    preprocessor: Arc<Preprocessor>,
    aggregation: Aggregation,
    ignore_labels: Vec<String>,
    stride: Option<usize>,
}

impl TokenClassification {
    /// Loads both from a model folder.
    ///
    /// # Errors
    /// If the model or its tokenizer cannot be read, or if the model is no token classifier.
    pub fn load(
        folder: &Path,
        device: &Device,
        aggregation: Aggregation,
    ) -> Result<Self, PipelineError> {
        let (model, preprocessor) = load_with_preprocessor(folder, device)?;
        let ignore_labels = vec!["O".to_owned()];
        Ok(Self { model, preprocessor, aggregation, ignore_labels, stride: None })
    }

    /// Leaves out entities of these classes. Default: `O`.
    pub fn with_ignore_labels(mut self, ignore_labels: Vec<String>) -> Self {
        self.ignore_labels = ignore_labels;
        self
    }

    /// Reads long texts in windows that overlap by `stride` tokens, instead of cutting them. Unlike in
    /// transformers, a window's first token never begins at the blank before it.
    ///
    /// # Errors
    /// If windows of the longest row cannot overlap by as much, or if tokens are not aggregated: what
    /// windows have twice can be told from their neighbours as entities only.
    pub fn with_stride(mut self, stride: NonZeroUsize) -> Result<Self, PipelineError> {
        let problem = if stride.get() > self.preprocessor.max_stride() {
            format!(
                "with rows of {} tokens it can be {} at most",
                self.preprocessor.limit_told().max_length(),
                self.preprocessor.max_stride()
            )
        } else if self.aggregation == Aggregation::None {
            "it needs an aggregation other than none".to_owned()
        } else {
            self.stride = Some(stride.get());
            return Ok(self);
        };
        Err(DataError::Config { key: "stride", value: stride.to_string(), problem }.into())
    }

    /// The names of the classes.
    pub fn labels(&self) -> &[String] {
        self.model.config().classifier.id2label.names()
    }

    /// All entities of a text, whatever their class, from the outputs for its rows.
    ///
    /// # Errors
    /// If a token cannot be spelt.
    pub fn entities(
        &self,
        request: &Sentence,
        rows: &[(TokenRow, Vec<f32>)],
        aggregation: Aggregation,
    ) -> Result<Vec<Entity>, PipelineError> {
        let text = tokens::text(request);
        let source = SourceText {
            characters: Characters::new(&text),
            word_starts: tokens::word_starts(request),
        };
        let mut entities = Vec::new();
        for (row, logits) in rows {
            entities.extend(self.entities_of_row(&source, row, logits, aggregation)?);
        }
        Ok(entities)
    }

    /// The entities of one row.
    fn entities_of_row(
        &self,
        source: &SourceText,
        row: &TokenRow,
        logits: &[f32],
        aggregation: Aggregation,
    ) -> Result<Vec<Entity>, PipelineError> {
        let tokenizer = self.preprocessor.tokenizer();
        let labels = self.labels();
        let tokens = tokens::tokens(tokenizer, source, &row.encoding, logits, labels.len());
        let labelled = match aggregation {
            Aggregation::None | Aggregation::Simple => tokens
                .into_iter()
                .map(|Token { index, word, scores, start, end, .. }| {
                    let class = argmax(&scores);
                    LabelledToken { class, score: scores[class], index, word, start, end }
                })
                .collect(),
            strategy => agree(tokenizer, tokens, strategy)?,
        };
        if aggregation == Aggregation::None {
            return Ok(labelled.into_iter().map(|token| token.into_entity(labels)).collect());
        }
        group(tokenizer, labelled, labels)
    }
}

impl Pipeline for TokenClassification {
    type Request = Sentence;
    /// Of every token the output for each class.
    type Scores = Vec<f32>;
    type Answer = Vec<Entity>;

    fn preprocessor(&self) -> &Arc<Preprocessor> {
        &self.preprocessor
    }

    fn encoder(&self) -> &Nystromformer {
        self.model.nystromformer()
    }

    fn preprocess(&self, request: &Sentence) -> Result<Vec<TokenRow>, PipelineError> {
        let tokenizer = self.preprocessor.tokenizer();
        let encode = |cut| match request {
            Sentence::Text(text) => tokenizer.encode_text(text, None, cut),
            Sentence::Words(words) => tokenizer.encode_words(words, cut),
        };
        match self.stride {
            Some(stride) => self.preprocessor.windows(&encode(None)?, stride),
            None => Ok(vec![self.preprocessor.row(self.preprocessor.limit_told(), encode)?]),
        }
    }

    fn forward(
        &self,
        input: NystromformerInput,
        rows: &[&TokenRow],
    ) -> Result<Vec<Vec<f32>>, PipelineError> {
        logits::of_tokens(self.model.forward(input)?, rows)
    }

    fn postprocess(
        &self,
        request: Sentence,
        rows: Vec<(TokenRow, Vec<f32>)>,
    ) -> Result<Vec<Entity>, PipelineError> {
        let mut entities = self.entities(&request, &rows, self.aggregation)?;
        entities.retain(|entity| !self.ignore_labels.iter().any(|label| label == entity.label()));
        Ok(if rows.len() > 1 { without_overlaps(entities) } else { entities })
    }
}
