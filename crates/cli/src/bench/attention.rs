//! `bench attention`: attention by itself on random queries, keys and values.

use burn::tensor::{Distribution, Tensor};
use clap::ValueEnum;
use nystromformer::{
    NystromConfig, PinvMethod,
    attention::{
        nystrom::{NystromOptions, nystrom_attention},
        softmax::softmax_attention,
    },
};
use nystromformer_learner::{device::DeviceKind, process_memory};
use serde::Serialize;

use super::measure::Timings;

/// Which attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// By landmarks, O(n).
    Nystrom,
    /// Exact, O(n²).
    Softmax,
}

/// Sizes of the measured attention.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct AttentionShape {
    /// Tokens per sequence.
    #[arg(long)]
    pub seq_len: usize,
    /// Attention heads.
    #[arg(long, default_value_t = 12)]
    pub heads: usize,
    /// Channels per head.
    #[arg(long, default_value_t = 64)]
    pub head_dim: usize,
    /// Landmarks per head.
    #[arg(long, default_value_t = 64)]
    pub landmarks: usize,
    /// Sequences.
    #[arg(long, default_value_t = 1)]
    pub batch: usize,
}

/// One line of results.
#[derive(Debug, Serialize)]
pub struct AttentionReport {
    kind: String,
    seq_len: usize,
    batch: usize,
    heads: usize,
    head_dim: usize,
    landmarks: usize,
    backward: bool,
    seconds_median: f64,
    seconds_min: f64,
    peak_rss_mib: u64,
    threads: usize,
}

/// Times attention, with its backward pass if asked.
///
/// # Errors
/// If a size is 0 or the device cannot be opened.
pub fn bench_attention(
    kind: Kind,
    pinv: PinvMethod,
    shape: AttentionShape,
    backward: bool,
    steps: usize,
    device: DeviceKind,
) -> anyhow::Result<AttentionReport> {
    let AttentionShape { seq_len, heads, head_dim, landmarks, batch } = shape;
    for (name, value) in [
        ("--seq-len", seq_len),
        ("--heads", heads),
        ("--head-dim", head_dim),
        ("--landmarks", landmarks),
        ("--batch", batch),
    ] {
        anyhow::ensure!(value > 0, "{name} is `0`: give at least 1");
    }
    let device = device.open()?;
    device.seed(0);
    let device = if backward { device.autodiff() } else { device };
    let random = || {
        let normal = Distribution::Normal(0.0, 1.0);
        let tensor = Tensor::<4>::random([batch, heads, seq_len, head_dim], normal, &device);
        if backward { tensor.require_grad() } else { tensor }
    };
    let [query, key, value] = [random(), random(), random()];
    let pinv = NystromConfig { pinv, ..NystromConfig::default() }.inverse();
    let options = NystromOptions { num_landmarks: landmarks, pinv };
    let timings = Timings::of(2, steps, || -> anyhow::Result<()> {
        let [query, key, value] = [&query, &key, &value].map(Clone::clone);
        let context = match kind {
            Kind::Nystrom => nystrom_attention(query, key, value, None, options),
            Kind::Softmax => softmax_attention(query, key, value, None, 0.0),
        };
        if backward {
            let gradients = context.sum().backward();
            std::hint::black_box(&gradients);
        }
        device.sync()?;
        Ok(())
    })?;
    Ok(AttentionReport {
        kind: kind.to_possible_value().map(|kind| kind.get_name().to_owned()).unwrap_or_default(),
        seq_len,
        batch,
        heads,
        head_dim,
        landmarks,
        backward,
        seconds_median: timings.median(),
        seconds_min: timings.min(),
        peak_rss_mib: process_memory::peak_resident_bytes() >> 20,
        threads: rayon::current_num_threads(),
    })
}
