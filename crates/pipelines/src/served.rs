//! A pipeline whose rows come from many askers at once: computed together, and none of them shows it.
//!
//! What [`Pipeline::answer`] does in one call is done here in steps, so that rows can wait, and be computed beside those of
//! other requests. On the CPU no bit of a row's scores depends on what else is in its batch.

use std::sync::Arc;

use nystromformer::{NystromformerConfig, batch_invariant};
use nystromformer_data::Keep;

use crate::{
    error::PipelineError,
    layout::{BatchLimits, TokenRow},
    pipeline::Pipeline,
    request::Request,
};

/// A pipeline that many ask; cheap to clone.
#[derive(Debug)]
pub struct Served<P> {
    pipeline: Arc<P>,
}

impl<P> Clone for Served<P> {
    fn clone(&self) -> Self {
        Self { pipeline: Arc::clone(&self.pipeline) }
    }
}

impl<P: Pipeline> Served<P> {
    /// Texts that are cut are no longer told of: their rows say so (`encoding.num_truncated_tokens`).
    pub fn new(pipeline: P) -> Self {
        pipeline.preprocessor().be_silent();
        Self { pipeline: Arc::new(pipeline) }
    }

    /// The pipeline, for its answers from scores.
    pub fn pipeline(&self) -> &P {
        &self.pipeline
    }

    /// The configuration of its model.
    pub fn config(&self) -> &NystromformerConfig {
        self.pipeline.encoder().config()
    }

    /// The most tokens of a row, special ones included.
    pub fn max_length(&self) -> usize {
        self.pipeline.preprocessor().limit().max_length()
    }

    /// What is kept of a text that is cut.
    pub fn keep(&self) -> Keep {
        self.pipeline.preprocessor().limit().truncation().keep
    }

    /// The token that stands for what is to be predicted.
    pub fn mask_token(&self) -> &str {
        self.pipeline.preprocessor().tokenizer().mask_token()
    }

    /// The rows that the model must read for a request, at least one.
    ///
    /// # Errors
    /// If the request has nothing to answer, or cannot be spelt.
    pub fn rows(&self, request: &P::Request) -> Result<Vec<TokenRow>, PipelineError> {
        request.check().map_err(PipelineError::Request)?;
        self.pipeline.preprocess(request)
    }

    /// How rows, of any requests, are to be computed: batches of places in `rows`.
    pub fn batches(&self, rows: &[&TokenRow], limits: BatchLimits) -> Vec<Vec<usize>> {
        let layout = self.pipeline.preprocessor().layout();
        layout.independent_batches(rows, limits, self.pipeline.is_read_alone())
    }

    /// The scores of the rows of one of these batches.
    ///
    /// # Errors
    /// If the model cannot read them.
    pub fn scores(&self, rows: &[&TokenRow]) -> Result<Vec<P::Scores>, PipelineError> {
        let input = self.pipeline.preprocessor().layout().collate(rows);
        batch_invariant(|| self.pipeline.forward(input, rows))
    }
}
