//! How long ranks take to exchange something, for plans of larger runs.

use std::time::Instant;

use super::Ranks;
use crate::error::Result;

/// What the ranks measured together. All get the same numbers but for those of their own clocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExchangeSpeed {
    /// Messages that each rank waits for in a sum of gradients, one after the other.
    pub messages: usize,
    /// Bytes that each rank sends in it, and receives.
    pub bytes: u64,
    /// Seconds of such a sum: the shortest.
    pub seconds: f64,
    /// Seconds of a message of nearly nothing.
    pub latency_seconds: f64,
    /// Bytes in a second beyond that, sent and received at the same time.
    pub bytes_per_second: f64,
}

/// Sums so many numbers over all ranks, several times.
///
/// # Errors
/// [`LearnerError::Rank`](crate::LearnerError::Rank) if a rank does not answer.
pub fn measure(ranks: &Ranks, floats: usize, repetitions: usize) -> Result<ExchangeSpeed> {
    let size = ranks.world_size();
    let stages = size.next_power_of_two().trailing_zeros() as usize;
    let width = ranks.wire.bytes() as f64;
    // By halves each rank sends all of it but its own part, twice; otherwise whole.
    let times = if size.is_power_of_two() { 1.0 - 1.0 / size as f64 } else { stages as f64 };
    let bytes = (2.0 * times * floats as f64 * width) as u64;
    let latency = shortest(ranks, size, 20 * repetitions)?;
    let seconds = shortest(ranks, floats, repetitions)?;
    let messages = 2 * stages;
    Ok(ExchangeSpeed {
        messages,
        bytes,
        seconds,
        latency_seconds: latency / messages.max(1) as f64,
        bytes_per_second: bytes as f64 / (seconds - latency).max(f64::MIN_POSITIVE),
    })
}

/// The seconds of the quickest of several sums, each of which all begin together.
fn shortest(ranks: &Ranks, floats: usize, repetitions: usize) -> Result<f64> {
    let mut values = vec![1.0; floats];
    let mut shortest = f64::INFINITY;
    for _ in 0..repetitions.max(1) {
        ranks.meet("a measurement")?;
        let started = Instant::now();
        ranks.sum("a measurement", &mut values)?;
        shortest = shortest.min(started.elapsed().as_secs_f64());
        values.fill(1.0);
    }
    Ok(shortest)
}
