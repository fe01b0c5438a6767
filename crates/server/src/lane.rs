//! One pipeline of a model: rows go in from many requests, and scores come out of batches.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use nystromformer_pipelines::{BatchLimits, Pipeline, PipelineError, Served, TokenRow};
use tokio::sync::oneshot;

use crate::{
    error::ApiError,
    metrics::ModelMetrics,
    queue::{Entry, Job, Queue},
};

/// The rows of a request, each with its scores.
pub(crate) type ScoredRows<P> = Vec<(TokenRow, <P as Pipeline>::Scores)>;

/// The rows of one request, and whom their scores go to.
struct RowsJob<S> {
    rows: Vec<TokenRow>,
    reply: oneshot::Sender<Result<Vec<(TokenRow, S)>, ApiError>>,
}

impl<S: Send + 'static> Job for RowsJob<S> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

/// Where requests leave their rows.
pub(crate) struct Lane<P> {
    served: Served<P>,
    queue: Arc<Queue>,
    number: usize,
}

impl<P> Clone for Lane<P> {
    fn clone(&self) -> Self {
        let (served, queue) = (self.served.clone(), Arc::clone(&self.queue));
        Self { served, queue, number: self.number }
    }
}

impl<P> Lane<P>
where
    P: Pipeline + Send + 'static,
    P::Scores: 'static,
{
    pub(crate) fn served(&self) -> &Served<P> {
        &self.served
    }

    /// The scores of the rows of each request, in their order.
    ///
    /// # Errors
    /// If too much waits already, or the model cannot read a row.
    pub(crate) async fn scores(
        &self,
        requests: Vec<Vec<TokenRow>>,
    ) -> Result<Vec<ScoredRows<P>>, ApiError> {
        let mut replies = Vec::with_capacity(requests.len());
        let mut entries = Vec::with_capacity(requests.len());
        for rows in requests {
            let (reply, answer) = oneshot::channel();
            replies.push(answer);
            let tokens = rows.iter().map(|row| row.length).sum();
            let count = rows.len();
            let job = Box::new(RowsJob::<P::Scores> { rows, reply });
            entries.push(Entry { lane: self.number, rows: count, tokens, job });
        }
        self.queue.push(entries).map_err(|full| {
            ApiError::overloaded(format!(
                "the model is overloaded, {} rows wait (`--max-queue`); ask again later",
                full.waiting
            ))
        })?;
        let mut scored = Vec::with_capacity(replies.len());
        for reply in replies {
            // The worker drops what it cannot answer for a fault of its own.
            scored.push(reply.await.unwrap_or_else(|_| Err(ApiError::fault()))?);
        }
        Ok(scored)
    }
}

/// The other end: what a worker computes.
pub(crate) trait Compute: Send {
    /// Computes jobs of this lane and answers them.
    fn compute(&self, jobs: Vec<Box<dyn Job>>, limits: BatchLimits, metrics: &ModelMetrics);
}

/// The lanes of a model, before it has a worker.
pub(crate) struct Lanes {
    queue: Arc<Queue>,
    all: Vec<Box<dyn Compute>>,
}

impl Lanes {
    pub(crate) fn new(queue: Arc<Queue>) -> Self {
        Self { queue, all: Vec::new() }
    }

    /// One lane more.
    pub(crate) fn add<P>(&mut self, pipeline: P) -> Lane<P>
    where
        P: Pipeline + Send + 'static,
        P::Scores: 'static,
    {
        let served = Served::new(pipeline);
        let lane =
            Lane { served: served.clone(), queue: Arc::clone(&self.queue), number: self.all.len() };
        self.all.push(Box::new(Computed { served }));
        lane
    }

    /// By their numbers.
    pub(crate) fn into_all(self) -> Vec<Box<dyn Compute>> {
        self.all
    }
}

struct Computed<P> {
    served: Served<P>,
}

impl<P> Compute for Computed<P>
where
    P: Pipeline + Send + 'static,
    P::Scores: 'static,
{
    fn compute(&self, jobs: Vec<Box<dyn Job>>, limits: BatchLimits, metrics: &ModelMetrics) {
        let batch = |rows: &[&TokenRow]| self.served.scores(rows);
        let batches = |rows: &[&TokenRow]| self.served.batches(rows, limits);
        compute(jobs, batches, batch, metrics);
    }
}

/// Computes `jobs` in the batches that `batches` says, with `scores`, and answers each.
fn compute<S: Send + 'static>(
    jobs: Vec<Box<dyn Job>>,
    batches: impl Fn(&[&TokenRow]) -> Vec<Vec<usize>>,
    scores: impl Fn(&[&TokenRow]) -> Result<Vec<S>, PipelineError>,
    metrics: &ModelMetrics,
) {
    let own = |job: Box<dyn Job>| (job as Box<dyn Any>).downcast::<RowsJob<S>>().ok();
    let jobs: Vec<RowsJob<S>> = jobs.into_iter().filter_map(own).map(|job| *job).collect();
    let of_job = |(number, job): (usize, &RowsJob<S>)| vec![number; job.rows.len()];
    let owners: Vec<usize> = jobs.iter().enumerate().flat_map(of_job).collect();
    let rows: Vec<&TokenRow> = jobs.iter().flat_map(|job| &job.rows).collect();
    let mut found: Vec<Option<S>> = rows.iter().map(|_| None).collect();
    let mut failures: Vec<Option<ApiError>> = jobs.iter().map(|_| None).collect();
    for mut batch in batches(&rows) {
        // Nobody waits for the rest of a request that is given up or has failed.
        batch.retain(|&row| failures[owners[row]].is_none() && !jobs[owners[row]].is_abandoned());
        if batch.is_empty() {
            continue;
        }
        let batch_rows: Vec<&TokenRow> = batch.iter().map(|&row| rows[row]).collect();
        let tokens = batch_rows.iter().map(|row| row.length).sum();
        metrics.batch(batch.len(), tokens);
        let failure = match catch_unwind(AssertUnwindSafe(|| scores(&batch_rows))) {
            Ok(Ok(scores)) => {
                for (row, score) in batch.into_iter().zip(scores) {
                    found[row] = Some(score);
                }
                continue;
            }
            Ok(Err(error)) => ApiError::from(error),
            Err(_) => {
                tracing::error!(
                    "a batch of {} rows and {tokens} tokens could not be computed; the server goes on",
                    batch_rows.len()
                );
                ApiError::fault()
            }
        };
        for row in batch {
            failures[owners[row]] = Some(failure.clone());
        }
    }
    let mut found = found.into_iter();
    for (job, failure) in jobs.into_iter().zip(failures) {
        let scores: Vec<Option<S>> = found.by_ref().take(job.rows.len()).collect();
        let scores: Option<Vec<S>> = scores.into_iter().collect();
        let answer = match (failure, scores) {
            (Some(failure), _) => Err(failure),
            (None, Some(scores)) => Ok(job.rows.into_iter().zip(scores).collect()),
            // It was given up.
            (None, None) => continue,
        };
        // Whoever asked may have gone.
        let _ = job.reply.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use nystromformer_data::Encoding;

    use super::*;

    type Reply = oneshot::Receiver<Result<Vec<(TokenRow, usize)>, ApiError>>;

    /// A job with rows of these lengths.
    fn job(lengths: &[usize]) -> (Box<dyn Job>, Reply) {
        let (reply, answer) = oneshot::channel();
        let row = |&length: &usize| TokenRow { encoding: Encoding::default(), length };
        let rows = lengths.iter().map(row).collect();
        (Box::new(RowsJob::<usize> { rows, reply }), answer)
    }

    /// Each row is a batch.
    fn one_by_one(rows: &[&TokenRow]) -> Vec<Vec<usize>> {
        (0..rows.len()).map(|row| vec![row]).collect()
    }

    fn scores(rows: &[&TokenRow]) -> Result<Vec<usize>, PipelineError> {
        match rows[0].length {
            13 => panic!("on purpose"),
            14 => Err(PipelineError::Request("not this one".to_owned())),
            length => Ok(vec![length * 10]),
        }
    }

    fn answered(mut reply: Reply) -> Result<Vec<usize>, u16> {
        match reply.try_recv().unwrap() {
            Ok(rows) => Ok(rows.into_iter().map(|(_, score)| score).collect()),
            Err(error) => Err(error.status.as_u16()),
        }
    }

    #[test]
    fn a_panic_and_an_error_are_the_answer_to_their_own_batch_alone() {
        let (jobs, replies): (Vec<_>, Vec<_>) =
            [&[1, 2][..], &[3, 13, 4], &[14], &[5]].map(job).into_iter().unzip();
        let metrics = ModelMetrics::new("m");
        compute(jobs, one_by_one, scores, &metrics);
        let found: Vec<_> = replies.into_iter().map(answered).collect();
        assert_eq!(found, [Ok(vec![10, 20]), Err(500), Err(422), Ok(vec![50])]);
    }

    #[test]
    fn nothing_is_computed_for_who_has_gone() {
        let ((first, reply), (second, gone)) = (job(&[1]), job(&[2, 3]));
        drop(gone);
        let metrics = ModelMetrics::new("m");
        let only_the_first = |rows: &[&TokenRow]| {
            assert_eq!(rows[0].length, 1);
            scores(rows)
        };
        compute(vec![second, first], one_by_one, only_the_first, &metrics);
        assert_eq!(answered(reply), Ok(vec![10]));
    }
}
