//! `bench step`: one training step, or one forward pass, of a named workload on random tokens.

use burn::{
    module::Module,
    optim::GradientsParams,
    tensor::{Device, Distribution, Int, Tensor},
};
use nystromformer::{
    ModelClass, NystromformerForMaskedLm, NystromformerForSequenceClassification,
    NystromformerInput, heads::targets::cross_entropy,
};
use nystromformer_kernels::{DeviceMemory, Precision};
use nystromformer_learner::{
    LearnerError,
    device::DeviceKind,
    optimizer::{AdamW, OptimizerConfig, StepSettings},
    process_memory,
};
use serde::Serialize;

use super::{
    measure::{Timings, round4},
    workload::{Shape, Work, Workload},
};

/// Share of the tokens that masked-LM training predicts.
pub(super) const MASKED_SHARE: f64 = 0.15;

/// One line of results, keyed as the PyTorch peer's.
#[derive(Debug, Serialize)]
pub struct StepReport {
    peer: String,
    dtype: &'static str,
    workload: String,
    batch: usize,
    seq_len: usize,
    step_s_median: f64,
    step_s_min: f64,
    tokens_per_s: f64,
    loss: f64,
    peak_rss_mib: u64,
    /// What the process took of a GPU's memory; absent on the CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_device_mib: Option<u64>,
    threads: usize,
}

/// Times `steps` steps of `shape`, which is that of `workload`, after `warmup` unmeasured ones. Of padded rows, only tokens count.
///
/// # Errors
/// If the device cannot be opened or does not compute in `precision`, or a model cannot be built.
pub fn bench_step(
    workload: Workload,
    shape: &Shape,
    steps: usize,
    warmup: usize,
    precision: Precision,
    kind: DeviceKind,
) -> anyhow::Result<StepReport> {
    if !precision.is_supported_by(&kind.open()?) {
        let name = precision.name();
        return Err(LearnerError::Device {
            device: kind.to_string(),
            message: format!("it does not compute in `{name}`; leave `--precision {name}` out"),
        }
        .into());
    }
    let Timed { timings, loss, memory } =
        with_workload(shape, kind, Timer { steps, warmup, precision })?;
    Ok(StepReport {
        peer: format!("nystromformer-{kind}"),
        dtype: match precision {
            Precision::F32 => "fp32",
            Precision::Bf16 | Precision::F16 => precision.name(),
        },
        workload: workload.name(),
        batch: shape.batch,
        seq_len: shape.seq_len,
        step_s_median: round4(timings.median()),
        step_s_min: round4(timings.min()),
        tokens_per_s: shape.num_tokens() as f64 / timings.median(),
        loss: round4(loss),
        peak_rss_mib: process_memory::peak_resident_bytes() >> 20,
        held_device_mib: memory.map(|memory| memory.held_bytes >> 20),
        threads: rayon::current_num_threads(),
    })
}

/// What is done with a workload's step.
pub(super) trait StepUser {
    /// What comes of it.
    type Output;

    /// With a step of training: `forward` gives the loss `[1]` of the model, which lives on an autodiff device.
    fn train<M: Module>(
        self,
        model: M,
        forward: impl FnMut(&M) -> anyhow::Result<Tensor<1>>,
    ) -> anyhow::Result<Self::Output>;

    /// With a forward pass: `forward` gives the mean `[1]` of what it computes.
    fn infer(
        self,
        forward: impl FnMut() -> anyhow::Result<Tensor<1>>,
    ) -> anyhow::Result<Self::Output>;
}

/// Makes model and batch of `shape` on a device, and hands the step to `user`.
///
/// # Errors
/// If the device cannot be opened or a model cannot be built, and those of `user`.
pub(super) fn with_workload<U: StepUser>(
    shape: &Shape,
    kind: DeviceKind,
    user: U,
) -> anyhow::Result<U::Output> {
    let device = kind.open()?;
    device.seed(0);
    match shape.work {
        Work::MaskedLmTraining => {
            let device = device.autodiff();
            let inputs = tokens(shape, &device);
            let positions = masked_positions(shape, &device);
            let labels = inputs.clone().flatten::<1>(0, 1).select(0, positions.clone());
            let model = NystromformerForMaskedLm::init(&shape.model, &device)?;
            user.train(model, |model| {
                let input = NystromformerInput::new(inputs.clone());
                let logits = model.forward_at(input, positions.clone())?;
                Ok(cross_entropy(logits, labels.clone()).mean())
            })
        }
        Work::ClassificationTraining => {
            let device = device.autodiff();
            let input = input(shape, &device);
            let labels = random_ints([shape.batch], 0, shape.model.num_labels(), &device);
            let model = NystromformerForSequenceClassification::init(&shape.model, &device)?;
            user.train(model, |model| {
                let logits = model.forward(input.clone())?;
                Ok(cross_entropy(logits, labels.clone()).mean())
            })
        }
        Work::MaskedLmInference => {
            let input = input(shape, &device);
            let model = NystromformerForMaskedLm::init(&shape.model, &device)?;
            user.infer(|| Ok(model.forward(input.clone())?.mean()))
        }
    }
}

/// Times steps; reading the loss back ends one, as it does in the peer.
struct Timer {
    steps: usize,
    warmup: usize,
    precision: Precision,
}

/// What was measured.
struct Timed {
    timings: Timings,
    /// Of the last step.
    loss: f64,
    /// The device's, after it.
    memory: Option<DeviceMemory>,
}

impl StepUser for Timer {
    type Output = Timed;

    fn train<M: Module>(
        self,
        model: M,
        mut forward: impl FnMut(&M) -> anyhow::Result<Tensor<1>>,
    ) -> anyhow::Result<Timed> {
        let config = OptimizerConfig::default();
        let device = device_of(&model);
        let mut optimizer = AdamW::new(config, &model, &device);
        let settings = StepSettings {
            learning_rate: config.learning_rate,
            beta_1: config.beta_1,
            gradient_scale: 1.0,
        };
        let mut current = Some(model);
        let mut last_loss = f64::NAN;
        let timings = Timings::of(self.warmup, self.steps, || -> anyhow::Result<()> {
            let model = current.take().expect("the step puts the model back");
            let loss = self.precision.scope(|| forward(&model))?;
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            current = Some(optimizer.step(model, gradients, settings));
            device.sync()?;
            last_loss = loss.try_into_scalar::<f64>()?;
            Ok(())
        })?;
        Ok(Timed { timings, loss: last_loss, memory: DeviceMemory::of(&device) })
    }

    fn infer(
        self,
        mut forward: impl FnMut() -> anyhow::Result<Tensor<1>>,
    ) -> anyhow::Result<Timed> {
        let (mut last, mut device) = (f64::NAN, None);
        let timings = Timings::of(self.warmup, self.steps, || -> anyhow::Result<()> {
            let mean = self.precision.scope(&mut forward)?;
            device = Some(mean.device());
            last = mean.try_into_scalar::<f64>()?;
            Ok(())
        })?;
        let memory = device.as_ref().and_then(DeviceMemory::of);
        Ok(Timed { timings, loss: last, memory })
    }
}

/// Where a model's parameters are, without autodiff.
pub(super) fn device_of<M: Module>(model: &M) -> Device {
    model.devices().into_iter().next().unwrap_or_else(Device::flex).inner()
}

/// Random tokens, and of padded rows the padding behind them and the mask that says so.
fn input(shape: &Shape, device: &Device) -> NystromformerInput {
    let tokens = tokens(shape, device);
    let Some(lengths) = &shape.lengths else { return NystromformerInput::new(tokens) };
    let places = Tensor::<1, Int>::arange(0..shape.seq_len as i64, device).unsqueeze::<2>();
    let lengths: Vec<i64> = lengths.iter().map(|&length| length as i64).collect();
    let lengths = Tensor::<1, Int>::from_ints(lengths.as_slice(), device).unsqueeze_dim::<2>(1);
    let is_padding = places.greater_equal(lengths); // [batch, seq_len]
    let pad_token_id = shape.model.embeddings.pad_token_id as i64;
    NystromformerInput::new(tokens.mask_fill(is_padding.clone(), pad_token_id))
        .with_attention_mask(is_padding.bool_not().int())
}

fn tokens(shape: &Shape, device: &Device) -> Tensor<2, Int> {
    random_ints([shape.batch, shape.seq_len], 5, shape.model.embeddings.vocab_size, device)
}

/// A fixed share of the positions, ascending.
fn masked_positions(shape: &Shape, device: &Device) -> Tensor<1, Int> {
    let total = shape.batch * shape.seq_len;
    let count = (total as f64 * MASKED_SHARE) as usize;
    let positions: Vec<i64> = (0..count).map(|i| (i * total / count) as i64).collect();
    Tensor::from_ints(positions.as_slice(), device)
}

/// Integers in `low..high`.
fn random_ints<const D: usize>(
    shape: [usize; D],
    low: usize,
    high: usize,
    device: &Device,
) -> Tensor<D, Int> {
    let uniform = Distribution::Uniform(low as f64, high as f64);
    // Rounding down a draw at the upper end could still give `high` in f32.
    Tensor::<D>::random(shape, uniform, device).int().clamp_max(high as i64 - 1)
}
