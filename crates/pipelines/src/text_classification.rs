//! Classes of texts, as transformers' `TextClassificationPipeline` gives them.

use std::{num::NonZeroUsize, path::Path, sync::Arc};

use burn::tensor::Device;
use nystromformer::{
    Nystromformer, NystromformerForSequenceClassification, NystromformerInput, PreTrainedModel,
    ProblemType,
};
use serde::Serialize;

use crate::{
    error::PipelineError,
    layout::TokenRow,
    logits,
    pipeline::Pipeline,
    preprocessor::{Preprocessor, load_with_preprocessor},
    request::TextPair,
    scores::{ranking, sigmoid, softmax},
};

/// A sequence classifier with its tokenizer.
#[derive(Debug)]
pub struct TextClassification {
    model: NystromformerForSequenceClassification,
    preprocessor: Arc<Preprocessor>,
    top_k: NonZeroUsize,
}

/// A class and its score.
#[derive(Debug, Clone, Serialize)]
pub struct LabelScore {
    /// The class's name.
    pub label: String,
    /// Its probability; for regression the number itself.
    pub score: f64,
}

/// The classes of a text, likeliest first: at least one.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Classified {
    /// The likeliest.
    Best(LabelScore),
    /// The likeliest of several asked for.
    Ranked(Vec<LabelScore>),
}

impl Classified {
    /// The likeliest.
    pub fn best(&self) -> &LabelScore {
        match self {
            Self::Best(best) => best,
            Self::Ranked(ranked) => &ranked[0],
        }
    }
}

impl TextClassification {
    /// Loads both from a model folder.
    ///
    /// # Errors
    /// If the model or its tokenizer cannot be read, or if the model is no sequence classifier.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, PipelineError> {
        let (model, preprocessor) = load_with_preprocessor(folder, device)?;
        Ok(Self { model, preprocessor, top_k: NonZeroUsize::MIN })
    }

    /// Answers with the `top_k` likeliest classes in a list, if more than 1. Default: 1.
    pub fn with_top_k(mut self, top_k: NonZeroUsize) -> Self {
        self.top_k = top_k;
        self
    }

    /// The head's outputs for a text, from those of its rows: a text that was read in windows has several, whose outputs are pooled
    /// as the model was trained to be measured.
    pub fn outputs(&self, rows: &[(TokenRow, Vec<f32>)]) -> Vec<f32> {
        let pooling = self.preprocessor.trained_windows().map(|windows| windows.pooling);
        pooling.unwrap_or_default().pool(rows.iter().map(|(_, outputs)| outputs.as_slice()))
    }

    /// All classes by the head's outputs for a text, greatest first; `raw` gives the outputs in place of probabilities.
    pub fn ranked(&self, logits: &[f32], raw: bool) -> Vec<LabelScore> {
        let scores =
            if raw { logits.iter().copied().map(f64::from).collect() } else { self.scores(logits) };
        let names = self.labels();
        let of = |class: usize| LabelScore { label: names[class].clone(), score: scores[class] };
        ranking(&scores).into_iter().map(of).collect()
    }

    /// The names of the classes.
    pub fn labels(&self) -> &[String] {
        self.model.config().classifier.id2label.names()
    }

    /// Numbers as they are for regression, each by itself for several labels or a single class, else
    /// probabilities that sum to 1: transformers' choice, which looks at `problem_type` first.
    fn scores(&self, logits: &[f32]) -> Vec<f64> {
        let config = self.model.config();
        match config.classifier.problem_type {
            Some(ProblemType::Regression) => logits.iter().copied().map(f64::from).collect(),
            Some(ProblemType::MultiLabelClassification) => sigmoid(logits),
            _ if config.num_labels() == 1 => sigmoid(logits),
            _ => softmax(logits),
        }
    }
}

impl Pipeline for TextClassification {
    type Request = TextPair;
    type Scores = Vec<f32>;
    type Answer = Classified;

    fn preprocessor(&self) -> &Arc<Preprocessor> {
        &self.preprocessor
    }

    fn encoder(&self) -> &Nystromformer {
        self.model.nystromformer()
    }

    fn preprocess(&self, request: &TextPair) -> Result<Vec<TokenRow>, PipelineError> {
        // To transformers an empty second text is none.
        let pair = request.text_pair.as_deref().filter(|pair| !pair.is_empty());
        if let (Some(windows), None) = (self.preprocessor.trained_windows(), pair) {
            return self.preprocessor.trained_rows(windows, &request.text);
        }
        let tokenizer = self.preprocessor.tokenizer();
        let encode = |cut| tokenizer.encode_text(&request.text, pair, cut);
        Ok(vec![self.preprocessor.row(self.preprocessor.limit(), encode)?])
    }

    fn forward(
        &self,
        input: NystromformerInput,
        _: &[&TokenRow],
    ) -> Result<Vec<Vec<f32>>, PipelineError> {
        logits::of_rows(self.model.forward(input)?)
    }

    fn postprocess(
        &self,
        _: TextPair,
        rows: Vec<(TokenRow, Vec<f32>)>,
    ) -> Result<Classified, PipelineError> {
        let mut ranked = self.ranked(&self.outputs(&rows), false);
        ranked.truncate(self.top_k.get());
        Ok(match self.top_k.get() {
            1 => Classified::Best(ranked.swap_remove(0)),
            _ => Classified::Ranked(ranked),
        })
    }
}
