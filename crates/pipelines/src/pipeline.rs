//! [`Pipeline`]: what all pipelines do, in transformers' three steps.
//!
//! Many requests are answered by an [`AnswerStream`](crate::AnswerStream).

use std::sync::Arc;

use nystromformer::{Nystromformer, NystromformerInput};
use serde::Serialize;

use crate::{error::PipelineError, layout::TokenRow, preprocessor::Preprocessor, request::Request};

/// Rows of one request that are computed together: a long text has many.
const ROWS_AT_ONCE: usize = 8;

/// A model that answers requests.
pub trait Pipeline: Sync {
    /// What it is asked.
    type Request: Request;
    /// What its head says of a row, as far as the answer needs it.
    type Scores: Send;
    /// What it answers.
    type Answer: Serialize + Send;

    /// Its tokenizer, and how its rows are laid into batches.
    #[doc(hidden)]
    fn preprocessor(&self) -> &Arc<Preprocessor>;

    /// Its encoder, whose weights other pipelines can share.
    fn encoder(&self) -> &Nystromformer;

    /// Whether a row's scores can depend on padding in their last bits, whatever the model.
    #[doc(hidden)]
    fn is_read_alone(&self) -> bool {
        false
    }

    /// The rows that the model must read for a request, at least one.
    ///
    /// # Errors
    /// If a text of it cannot be spelt or read.
    fn preprocess(&self, request: &Self::Request) -> Result<Vec<TokenRow>, PipelineError>;

    /// The scores of each row of a batch; `input` is the batch as the model reads it.
    ///
    /// # Errors
    /// If the model cannot read the batch.
    fn forward(
        &self,
        input: NystromformerInput,
        rows: &[&TokenRow],
    ) -> Result<Vec<Self::Scores>, PipelineError>;

    /// The answer to a request, from the scores of its rows.
    ///
    /// # Errors
    /// If a token of it cannot be spelt.
    fn postprocess(
        &self,
        request: Self::Request,
        rows: Vec<(TokenRow, Self::Scores)>,
    ) -> Result<Self::Answer, PipelineError>;

    /// The answer to a request whose list has empty places in its file; the elements that it was asked with stand at `places`.
    #[doc(hidden)]
    fn in_places(&self, answer: Self::Answer, _places: &[usize]) -> Self::Answer {
        answer
    }

    /// The answer to one request.
    ///
    /// # Errors
    /// Those of the three steps.
    fn answer(&self, request: Self::Request) -> Result<Self::Answer, PipelineError>
    where
        Self: Sized,
    {
        request.check().map_err(PipelineError::Request)?;
        let rows = self.preprocess(&request)?;
        let scores = score_rows(self, &rows, ROWS_AT_ONCE)?;
        self.postprocess(request, rows.into_iter().zip(scores).collect())
    }
}

/// The scores of each row, `batch_size` rows computed together at most.
pub(crate) fn score_rows<P: Pipeline>(
    pipeline: &P,
    rows: &[TokenRow],
    batch_size: usize,
) -> Result<Vec<P::Scores>, PipelineError> {
    let layout = pipeline.preprocessor().layout();
    let mut scores: Vec<Option<P::Scores>> = rows.iter().map(|_| None).collect();
    for batch in layout.batches(rows, batch_size) {
        let batch_rows: Vec<&TokenRow> = batch.iter().map(|&index| &rows[index]).collect();
        let found = pipeline.forward(layout.collate(&batch_rows), &batch_rows)?;
        for (index, found) in batch.into_iter().zip(found) {
            scores[index] = Some(found);
        }
    }
    Ok(scores.into_iter().map(|scores| scores.expect("every row is in one batch")).collect())
}
