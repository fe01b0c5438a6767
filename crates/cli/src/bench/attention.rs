//! `bench attention`: attention of any kind by itself, on random queries, keys and values.

use anyhow::anyhow;
use burn::tensor::{Device, Distribution, Tensor};
use nystromformer::{AttentionKind, Seed, SharedConfig, WantedTokens, attention::SelfAttention};
use nystromformer_kernels::random;
use nystromformer_learner::{device::DeviceKind, process_memory};
use nystromformer_tables::{Variant, efficiency::WARM_UP};
use serde::{Deserialize, Serialize};

use super::measure::Timings;

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
    /// Landmarks per head, of `nystrom`; agents, of `agent`.
    #[arg(long, default_value_t = 64)]
    pub landmarks: usize,
    /// Sequences.
    #[arg(long, default_value_t = 1)]
    pub batch: usize,
}

/// What is measured, beside the sizes.
#[derive(Debug, Clone)]
pub struct AttentionWork {
    /// The kind, and its options.
    pub variant: Variant,
    /// Whether queries, keys and values are made of hidden states.
    pub projections: bool,
    /// Whether gradients are computed too.
    pub backward: bool,
    /// Measured passes, after two more.
    pub steps: usize,
}

/// One line of results.
#[derive(Debug, Serialize, Deserialize)]
pub struct AttentionReport {
    /// The kind.
    pub kind: String,
    /// Its options, `key=value` each.
    pub options: Vec<String>,
    /// Tokens per sequence.
    pub seq_len: usize,
    /// Sequences.
    pub batch: usize,
    /// Attention heads.
    pub heads: usize,
    /// Channels per head.
    pub head_dim: usize,
    /// Landmarks per head.
    pub landmarks: usize,
    /// Whether projections were a part of it.
    pub projections: bool,
    /// Whether gradients were computed too.
    pub backward: bool,
    /// The median of the passes.
    pub seconds_median: f64,
    /// The shortest of them.
    pub seconds_min: f64,
    /// The most that the process held.
    pub peak_rss_mib: u64,
    /// The same in bytes.
    pub peak_rss_bytes: u64,
    /// What it held with its inputs, before the first pass; 0 where the system does not say.
    pub rss_before_bytes: u64,
    /// Threads of the CPU.
    pub threads: usize,
}

/// Times attention of a layer, without its output projection.
///
/// # Errors
/// If a size is 0, the kind cannot read the length, or the device cannot be opened.
pub fn bench_attention(
    work: AttentionWork,
    shape: AttentionShape,
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
    let shared = SharedConfig {
        hidden_size: heads * head_dim,
        num_attention_heads: heads,
        ..SharedConfig::default()
    };
    let variant = work
        .variant
        .clone()
        .or("num_landmarks", landmarks)
        .or("num_agents", landmarks)
        .or("linformer_seq_len", seq_len)
        .or("attention_probs_dropout_prob", 0.0)
        .or("conv_kernel_size", 0);
    let config = variant.config().map_err(|problem| anyhow!(problem))?;
    work.variant.require_read(&config, &shared).map_err(|problem| anyhow!(problem))?;
    variant.check_len(seq_len, &shared).map_err(|problem| anyhow!(problem))?;
    anyhow::ensure!(
        config.kind != AttentionKind::None || config.convolution.conv_kernel_size > 0,
        "attention `none` is the convolution alone, and there is none: give `--set conv_kernel_size=65`"
    );
    let device = device.open()?;
    let device = if work.backward { device.autodiff() } else { device };
    let layer = config.init(&shared, &device);
    // Weights are drawn in the first pass, and count as what the attention takes.
    let (before, timings, peak) = Seed::new(0).scope(|| {
        let (leaves, contexts) = pass(&work, &layer, [batch, seq_len, shared.hidden_size], &device);
        device.sync()?;
        let before = process_memory::resident_bytes().now.unwrap_or(0);
        let timings = Timings::of(WARM_UP, work.steps, || {
            let contexts = contexts();
            if work.backward {
                let gradients = contexts.sum().backward();
                std::hint::black_box(&gradients);
            }
            device.sync()
        })?;
        let peak = process_memory::peak_resident_bytes();
        // Of a pass that a device had no room for only who reads what comes out of it is told.
        let contexts = contexts();
        if work.backward {
            let gradients = contexts.sum().backward();
            // Some kinds read no keys, or values alone.
            for gradient in leaves.iter().filter_map(|leaf| leaf.grad(&gradients)) {
                gradient.sum().try_into_scalar::<f32>()?;
            }
        } else {
            contexts.sum().try_into_scalar::<f32>()?;
        }
        anyhow::Ok((before, timings, peak))
    })?;
    Ok(AttentionReport {
        kind: config.kind.name().to_owned(),
        options: variant.assignments(),
        seq_len,
        batch,
        heads,
        head_dim,
        landmarks,
        projections: work.projections,
        backward: work.backward,
        seconds_median: timings.median(),
        seconds_min: timings.min(),
        peak_rss_mib: peak >> 20,
        peak_rss_bytes: peak,
        rss_before_bytes: before,
        threads: rayon::current_num_threads(),
    })
}

/// A forward pass of the layer's attention on random tokens, and what it reads: hidden states, or queries, keys and values.
fn pass<'a>(
    work: &AttentionWork,
    layer: &'a SelfAttention,
    shape: [usize; 3],
    device: &Device,
) -> (Vec<Tensor<3>>, Box<dyn Fn() -> Tensor<3> + 'a>) {
    let tensor = || {
        let tensor: Tensor<3> = random(shape, Distribution::Normal(0.0, 1.0), device);
        if work.backward { tensor.require_grad() } else { tensor }
    };
    if work.projections {
        let states = tensor();
        (vec![states.clone()], Box::new(move || layer.forward(states.clone(), None)))
    } else {
        let inputs = [(); 3].map(|()| tensor());
        (inputs.to_vec(), Box::new(move || layer.attend(inputs.clone(), None, &WantedTokens::All)))
    }
}
