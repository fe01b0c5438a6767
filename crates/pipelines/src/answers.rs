//! A stream of requests, answered in batches and in order.
//!
//! Rows of one length cost no padding, so requests are read in windows of bounded size and a window's rows are
//! sorted by their length. The answers come in the order of the requests.

use std::{collections::VecDeque, num::NonZeroUsize};

use rayon::prelude::*;

use crate::{
    error::PipelineError,
    layout::TokenRow,
    pipeline::{Pipeline, score_rows},
    placed::Placed,
    request::Request,
};

/// Most requests that are read before their tokens are counted.
const MOST_READ_AT_ONCE: usize = 256;

/// Batches of requests that are sorted together.
const BATCHES_PER_WINDOW: usize = 32;
/// Tokens that end a window, however few its requests are. Hidden states of that many tokens, the largest
/// answers there are, take some 200 MB in a model of BERT's base size.
const TOKENS_PER_WINDOW: usize = 1 << 16;

/// How many requests are answered together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    batch_size: NonZeroUsize,
}

impl Batching {
    /// Batches of at most `batch_size` rows. With 1, every request is answered as soon as it is read;
    /// otherwise some more are read first, to be sorted by their length.
    pub fn new(batch_size: NonZeroUsize) -> Self {
        Self { batch_size }
    }

    fn window(self) -> usize {
        match self.batch_size.get() {
            1 => 1,
            batch_size => batch_size.saturating_mul(BATCHES_PER_WINDOW),
        }
    }
}

/// The answers to a stream of requests, in their order.
///
/// The first request that cannot be read or answered ends the stream with its error, after the answers to all
/// requests before it.
pub struct AnswerStream<'a, P: Pipeline, I> {
    pipeline: &'a P,
    requests: I,
    batching: Batching,
    ready: VecDeque<P::Answer>,
    error: Option<PipelineError>,
    is_read: bool,
}

/// A request, and where the elements of its list stand in its file, if not one behind the other.
type Asked<P> = (<P as Pipeline>::Request, Option<Vec<usize>>);

/// Requests with the rows of each.
type Window<P> = Vec<(Asked<P>, Vec<TokenRow>)>;

impl<'a, P, I> AnswerStream<'a, P, I>
where
    P: Pipeline,
    I: Iterator<Item = Result<Placed<P::Request>, PipelineError>>,
{
    /// The answers of `pipeline` to `requests`, which are read as the stream is.
    pub fn new(
        pipeline: &'a P,
        requests: impl IntoIterator<IntoIter = I>,
        batching: Batching,
    ) -> Self {
        let (requests, ready, error) = (requests.into_iter(), VecDeque::new(), None);
        Self { pipeline, requests, batching, ready, error, is_read: false }
    }

    /// The next requests with their rows; fewer before an error or the end.
    fn read_window(&mut self) -> Window<P> {
        let mut window = Vec::new();
        let mut tokens = 0;
        while !self.is_read && window.len() < self.batching.window() && tokens < TOKENS_PER_WINDOW {
            let requests = self.read_requests();
            let pipeline = self.pipeline;
            let rows: Vec<Result<Vec<TokenRow>, PipelineError>> =
                requests.par_iter().map(|placed| checked(pipeline, &placed.request)).collect();
            for (placed, rows) in requests.into_iter().zip(rows) {
                let Placed { place, request, list_places } = placed;
                match rows {
                    Ok(rows) => {
                        tokens += rows.iter().map(|row| row.length).sum::<usize>();
                        window.push(((request, list_places), rows));
                    }
                    Err(error) => {
                        self.fail(match place {
                            Some(place) => PipelineError::At { place, source: Box::new(error) },
                            None => error,
                        });
                        return window;
                    }
                }
            }
        }
        window
    }

    /// As many requests as a batch has rows; fewer before an error or the end.
    fn read_requests(&mut self) -> Vec<Placed<P::Request>> {
        let mut requests = Vec::new();
        let at_once = self.batching.batch_size.get().min(MOST_READ_AT_ONCE);
        while requests.len() < at_once && !self.is_read {
            match self.requests.next() {
                Some(Ok(request)) => requests.push(request),
                Some(Err(error)) => self.fail(error),
                None => self.is_read = true,
            }
        }
        requests
    }

    fn answer_window(&mut self, window: Window<P>) -> Result<(), PipelineError> {
        let (requests, rows): (Vec<_>, Vec<_>) = window.into_iter().unzip();
        let counts: Vec<usize> = rows.iter().map(Vec::len).collect();
        let rows: Vec<TokenRow> = rows.into_iter().flatten().collect();
        let scores = score_rows(self.pipeline, &rows, self.batching.batch_size.get())?;
        let mut scored = rows.into_iter().zip(scores);
        for ((request, places), count) in requests.into_iter().zip(counts) {
            let rows = scored.by_ref().take(count).collect();
            let answer = self.pipeline.postprocess(request, rows)?;
            self.ready.push_back(match places {
                Some(places) => self.pipeline.in_places(answer, &places),
                None => answer,
            });
        }
        Ok(())
    }

    /// Ends the stream with `error`; one of an earlier request takes its place.
    fn fail(&mut self, error: PipelineError) {
        self.error = Some(error);
        self.is_read = true;
    }
}

impl<P, I> Iterator for AnswerStream<'_, P, I>
where
    P: Pipeline,
    I: Iterator<Item = Result<Placed<P::Request>, PipelineError>>,
{
    type Item = Result<P::Answer, PipelineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(answer) = self.ready.pop_front() {
                return Some(Ok(answer));
            }
            if self.is_read {
                self.pipeline.preprocessor().tell_truncated();
                return self.error.take().map(Err);
            }
            let window = self.read_window();
            if let Err(error) = self.answer_window(window) {
                self.fail(error);
            }
        }
    }
}

/// The rows of a request that has something to answer.
fn checked<P: Pipeline>(
    pipeline: &P,
    request: &P::Request,
) -> Result<Vec<TokenRow>, PipelineError> {
    request.check().map_err(PipelineError::Request)?;
    pipeline.preprocess(request)
}
