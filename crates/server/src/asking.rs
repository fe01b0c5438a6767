//! From the texts of a request to their scores: tokenize, check the lengths, wait for the model.

use std::sync::Arc;

use nystromformer_pipelines::{Pipeline, Served, TokenRow};

use crate::{
    app::App,
    error::ApiError,
    lane::{Lane, ScoredRows},
    models::ServedModel,
};

/// An input, with the scores of its rows.
pub(crate) struct Scored<P: Pipeline, I = <P as Pipeline>::Request> {
    pub(crate) request: I,
    pub(crate) rows: ScoredRows<P>,
}

impl<P: Pipeline> Scored<P> {
    /// Tokens that the model read of it.
    pub(crate) fn tokens(&self) -> usize {
        self.rows.iter().map(|(row, _)| row.encoding.input_ids.len()).sum()
    }
}

/// The scores of each input. Texts that are too long are cut if `truncate` says so, and refused otherwise.
///
/// # Errors
/// 413 if a text is too long or there are too many rows, 429 if too much waits already, or what the pipeline refuses.
pub(crate) async fn scores<P>(
    app: &App,
    model: &Arc<ServedModel>,
    lane: &Lane<P>,
    inputs: Vec<P::Request>,
    truncate: bool,
) -> Result<Vec<Scored<P>>, ApiError>
where
    P: Pipeline + Send + 'static,
    P::Request: 'static,
    P::Scores: 'static,
{
    let rows = |served: &Served<P>, input: &P::Request| Ok(served.rows(input)?);
    scores_of_rows(app, model, lane, inputs, rows, truncate).await
}

/// The scores of the rows that `rows_of` makes of each input, for a route that adds to an input or bounds its rows. It is called
/// for one input after another, on a thread for such work.
///
/// # Errors
/// As [`scores`], and those of `rows_of`.
pub(crate) async fn scores_of_rows<P, I>(
    app: &App,
    model: &Arc<ServedModel>,
    lane: &Lane<P>,
    inputs: Vec<I>,
    mut rows_of: impl FnMut(&Served<P>, &I) -> Result<Vec<TokenRow>, ApiError> + Send + 'static,
    truncate: bool,
) -> Result<Vec<Scored<P, I>>, ApiError>
where
    P: Pipeline + Send + 'static,
    P::Scores: 'static,
    I: Send + 'static,
{
    let (tokenized, most, of) = (lane.clone(), app.limits.max_client_batch_size, Arc::clone(model));
    let (inputs, rows) = app
        .work(move |asker| {
            let mut count = 0;
            let mut all = Vec::with_capacity(inputs.len());
            for (number, input) in inputs.iter().enumerate() {
                asker.check()?;
                let rows = rows_of(tokenized.served(), input)?;
                count += rows.len();
                if count > most {
                    return Err(ApiError::too_large(format!(
                        "the request takes {count} rows of the model or more, and {most} are answered at once \
                         (`--max-client-batch-size`): each input, choice and window of a long context is one"
                    )));
                }
                check_lengths(number, &rows, truncate, &of)?;
                all.push(rows);
            }
            Ok::<_, ApiError>((inputs, all))
        })
        .await??;
    let scored = lane.scores(rows).await?;
    let with_rows = |(request, rows)| Scored { request, rows };
    Ok(inputs.into_iter().zip(scored).map(with_rows).collect())
}

/// Refuses an input that was cut, or counts it.
fn check_lengths(
    number: usize,
    rows: &[TokenRow],
    truncate: bool,
    model: &ServedModel,
) -> Result<(), ApiError> {
    let is_cut = |row: &&TokenRow| row.encoding.num_truncated_tokens > 0;
    let Some(row) = rows.iter().find(is_cut) else { return Ok(()) };
    let (kept, cut) = (row.encoding.input_ids.len(), row.encoding.num_truncated_tokens);
    if !truncate && rows.len() > 1 {
        return Err(ApiError::too_large(format!(
            "input `{number}` has `{cut}` tokens more than `{}` reads in {} rows: shorten it, or send `\"truncate\": true` where the \
             route has it",
            model.name,
            rows.len()
        )));
    }
    if !truncate {
        let length = kept + cut;
        return Err(ApiError::too_large(format!(
            "input `{number}` has {length} tokens, and `{}` reads {kept}: shorten it, or send `\"truncate\": true` where the route has it",
            model.name
        )));
    }
    if model.metrics.truncated() {
        tracing::warn!(
            "`{}` reads {kept} tokens: longer texts are cut where a request says `truncate`; /metrics counts them",
            model.name
        );
    }
    Ok(())
}

/// Refuses a text that is read once with each of several others, if that is more to read than the largest body.
///
/// # Errors
/// 413.
pub(crate) fn check_shared(
    app: &App,
    key: &str,
    text: &str,
    others: usize,
) -> Result<(), ApiError> {
    let (bytes, most) = (text.len().saturating_mul(others), app.limits.max_body_bytes);
    if others <= 1 || bytes <= most {
        return Ok(());
    }
    Err(ApiError::too_large(format!(
        "`{key}` is read with each of {others} texts, {bytes} bytes in all, and {most} are read at once \
         (`--max-body-bytes`): shorten it, or send fewer texts"
    )))
}

/// Refuses no inputs, and too many.
///
/// # Errors
/// 400 and 413.
pub(crate) fn check_count(app: &App, key: &str, count: usize) -> Result<(), ApiError> {
    let most = app.limits.max_client_batch_size;
    match count {
        0 => Err(ApiError::empty(key)),
        _ if count > most => Err(ApiError::too_large(format!(
            "`{key}` has {count} entries, and {most} are answered at once (`--max-client-batch-size`)"
        ))),
        _ => Ok(()),
    }
}
