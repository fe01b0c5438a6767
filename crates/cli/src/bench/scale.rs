//! What a step's gradients cost between ranks.

use nystromformer_learner::{
    LearnerError,
    ranks::{
        Ranks, RanksConfig,
        measure::{ExchangeSpeed, measure},
        wire::Wire,
    },
};
use serde::Serialize;

/// A line of the result.
#[derive(Debug, Serialize)]
pub struct ScaleReport {
    ranks: usize,
    local_ranks: usize,
    wire: Wire,
    gradient_bytes: u64,
    bytes_sent: u64,
    messages: usize,
    sum_s: f64,
    latency_s: f64,
    bytes_per_second: f64,
}

/// Sums a gradient of so many parameters over all ranks. Each calls this; rank 0 reports.
///
/// # Errors
/// [`LearnerError::Rank`] if one does not answer.
pub fn bench_scale(
    ranks: &Ranks,
    parameters: usize,
    repetitions: usize,
    wire: Wire,
) -> Result<ScaleReport, LearnerError> {
    let ranks = ranks.clone().configured(RanksConfig { wire, ..RanksConfig::default() });
    let ExchangeSpeed { messages, bytes, seconds, latency_seconds, bytes_per_second } =
        measure(&ranks, parameters, repetitions)?;
    Ok(ScaleReport {
        ranks: ranks.world_size(),
        local_ranks: ranks.placement().local_size,
        wire,
        gradient_bytes: 4 * parameters as u64,
        bytes_sent: bytes,
        messages,
        sum_s: seconds,
        latency_s: latency_seconds,
        bytes_per_second,
    })
}
