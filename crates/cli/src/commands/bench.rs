//! Times a training step, its kernels, attention by itself, or sums over ranks, and counts what a step launches; see `nystromformer bench --help`.

use std::process::ExitCode;

use crate::{
    bench::{
        attention::{AttentionShape, AttentionWork, bench_attention},
        kernels::bench_kernels,
        scale::bench_scale,
        step::bench_step,
        workload::Workload,
    },
    device_arg::DeviceArg,
    output,
    ranks::end_all,
};
use anyhow::anyhow;
use clap::{
    Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use nystromformer::{AttentionKind, PinvMethod, Semantics};
use nystromformer_kernels::{Precision, gradient_checkpointing};
use nystromformer_learner::{
    device::DeviceKind,
    ranks::{Ranks, wire::Wire},
};
use nystromformer_tables::Variant;

/// Time a training step, its kernels, attention, or sums over ranks, or count what a step launches on a GPU; prints JSON lines.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

impl Args {
    /// Whether it counts by what a library logs.
    pub fn counts_by_log(&self) -> bool {
        matches!(self.command, Command::Launches { .. })
    }
}

#[derive(Subcommand)]
enum Command {
    /// One step of a named workload: forward, loss, backward and AdamW, or a forward pass alone.
    Step {
        /// Which model and batch.
        #[arg(long, value_enum)]
        workload: Workload,
        /// Measured steps.
        #[arg(long, default_value_t = 8)]
        steps: usize,
        /// Unmeasured steps before.
        #[arg(long, default_value_t = 2)]
        warmup: usize,
        /// Precision of products with weights; f16 without the scaling of losses that a training has. On the CPU, where it is emulated, bf16 is faster with
        /// AMX alone, and f16 never.
        #[arg(long, value_enum, default_value_t = PrecisionArg::F32)]
        precision: PrecisionArg,
        /// Keep of each layer what it reads alone, and compute the layer once more in the backward pass.
        #[arg(long)]
        gradient_checkpointing: bool,
        /// What the model computes of padding, and how its inverse starts. Default: hf (as PyTorch's peer) for padded
        /// workloads, paper for the others.
        #[arg(long, value_enum)]
        semantics: Option<SemanticsArg>,
        /// How the pseudo-inverse is computed.
        #[arg(long, value_enum, default_value_t = PinvArg::Iterative)]
        pinv: PinvArg,
        #[command(flatten)]
        device: DeviceArg,
    },
    /// The slowest CPU kernels of a workload, beside Burn's own operations and the limits of the hardware.
    Kernels {
        /// Which model and batch.
        #[arg(long, value_enum)]
        workload: Workload,
        /// Measured repetitions.
        #[arg(long, default_value_t = 5)]
        steps: usize,
    },
    /// What one step launches on a GPU, by kernel and phase, and how often the program waits for it to read something back.
    Launches {
        /// Which model and batch.
        #[arg(long, value_enum)]
        workload: Workload,
        /// Layers of the model. Default: the workload's. Launches grow evenly with layers, so that two counts of few layers tell those of many.
        #[arg(long)]
        layers: Option<usize>,
        #[command(flatten)]
        device: DeviceArg,
    },
    /// The sum of a gradient over several ranks: bytes, latency, bandwidth. Start it as a training is, by `mpirun`.
    Scale {
        /// Numbers of the gradient. Default: BERT-base's.
        #[arg(long, default_value_t = 124_700_000)]
        parameters: usize,
        /// Measured repetitions.
        #[arg(long, default_value_t = 5)]
        steps: usize,
        /// In which form gradients travel.
        #[arg(long, value_enum, default_value_t = WireArg::F32)]
        wire: WireArg,
    },
    /// Attention of any kind on random queries, keys and values.
    Attention {
        /// Which kind.
        #[arg(long, value_parser = kind_parser())]
        kind: AttentionKind,
        /// Another option of the kind, e.g. `linformer_k=128`, or `conv_kernel_size=65` for a convolution beside it. May be repeated.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        options: Vec<String>,
        /// How the pseudo-inverse of nystrom is computed.
        #[arg(long, value_enum, default_value_t = PinvArg::Iterative)]
        pinv: PinvArg,
        #[command(flatten)]
        shape: AttentionShape,
        /// Make queries, keys and values of hidden states, as a layer does.
        #[arg(long)]
        projections: bool,
        /// Time the backward pass too.
        #[arg(long)]
        backward: bool,
        /// Measured repetitions.
        #[arg(long, default_value_t = 8)]
        steps: usize,
        #[command(flatten)]
        device: DeviceArg,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum WireArg {
    F32,
    Bf16,
}

impl From<WireArg> for Wire {
    fn from(argument: WireArg) -> Self {
        match argument {
            WireArg::F32 => Self::F32,
            WireArg::Bf16 => Self::Bf16,
        }
    }
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum PrecisionArg {
    F32,
    Bf16,
    F16,
}

impl From<PrecisionArg> for Precision {
    fn from(argument: PrecisionArg) -> Self {
        match argument {
            PrecisionArg::F32 => Self::F32,
            PrecisionArg::Bf16 => Self::Bf16,
            PrecisionArg::F16 => Self::F16,
        }
    }
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum SemanticsArg {
    Paper,
    Hf,
}

impl From<SemanticsArg> for Semantics {
    fn from(argument: SemanticsArg) -> Self {
        match argument {
            SemanticsArg::Paper => Self::Paper,
            SemanticsArg::Hf => Self::Hf,
        }
    }
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum PinvArg {
    Iterative,
    Solve,
}

impl From<PinvArg> for PinvMethod {
    fn from(argument: PinvArg) -> Self {
        match argument {
            PinvArg::Iterative => Self::Iterative,
            PinvArg::Solve => Self::Solve,
        }
    }
}

/// Accepts the names of the kinds of attention.
fn kind_parser() -> impl TypedValueParser<Value = AttentionKind> {
    let names = AttentionKind::ALL.iter().map(|kind| kind.name());
    PossibleValuesParser::new(names).map(|name| {
        let mut kinds = AttentionKind::ALL.iter().copied();
        kinds.find(|kind| kind.name() == name).expect("the parser accepts only these names")
    })
}

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Step {
            workload,
            steps,
            warmup,
            precision,
            gradient_checkpointing: recomputes,
            semantics,
            pinv,
            device,
        } => {
            let semantics = semantics.map_or(workload.default_semantics(), Semantics::from);
            let mut shape = workload.shape(semantics);
            shape.model.attention.nystrom.pinv = pinv.into();
            let precision = precision.into();
            let work = || bench_step(workload, &shape, steps, warmup, precision, device.kind());
            let report = gradient_checkpointing(recomputes, work)?;
            output::json_line(&report)?;
        }
        Command::Kernels { workload, steps } => {
            if workload.is_padded() {
                output::note("each kernel runs on full rows, as if nothing were padded");
            }
            let mut written = Ok(());
            bench_kernels(workload, steps, |report| {
                if written.is_ok() {
                    written = output::json_line(&report);
                }
            })?;
            written?;
        }
        Command::Launches { workload, layers, device } => {
            launches(workload, layers, device.kind())?;
        }
        Command::Scale { parameters, steps, wire } => {
            let ranks = Ranks::join()?;
            match bench_scale(&ranks, parameters, steps, wire.into()) {
                Ok(report) if ranks.is_leader() => output::json_line(&report)?,
                Ok(_) => {}
                Err(error) => {
                    let error = error.into();
                    end_all(&ranks, &error);
                    return Err(error);
                }
            }
        }
        Command::Attention { kind, options, pinv, shape, projections, backward, steps, device } => {
            let mut variant = Variant::of(kind);
            let pinv = matches!((kind, pinv), (AttentionKind::Nystrom, PinvArg::Solve))
                .then(|| "pinv=solve".to_owned());
            for option in pinv.iter().chain(&options) {
                variant.set(option).map_err(|problem| anyhow!("--set {problem}"))?;
            }
            let work = AttentionWork { variant, projections, backward, steps };
            output::json_line(&bench_attention(work, shape, device.kind())?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Counts what a step launches: the result to stdout, a table of it to stderr.
fn launches(workload: Workload, layers: Option<usize>, kind: DeviceKind) -> anyhow::Result<()> {
    anyhow::ensure!(
        kind.is_accelerator(),
        "device `{kind}` is the CPU, which launches no kernels: give `--device` a GPU that this program was built for, as in \
         `cargo run --release --features wgpu --bin nystromformer -- bench launches --workload {} --device wgpu`",
        workload.name()
    );
    anyhow::ensure!(
        kind.is_compiled_in(),
        "device `{kind}` is not compiled into this binary, so there are no launches to count; build it with `--features {kind}`"
    );
    #[cfg(feature = "launches")]
    {
        let mut shape = workload.shape(workload.default_semantics());
        if let Some(layers) = layers {
            anyhow::ensure!(layers > 0, "`--layers` is `0`: give at least 1");
            shape.model.encoder.num_hidden_layers = layers;
        }
        let (report, table) = crate::bench::launches::bench_launches(workload, &shape, kind)?;
        output::note_aligned(&table);
        output::json_line(&report)
    }
    #[cfg(not(feature = "launches"))]
    {
        let _ = layers;
        anyhow::bail!("this program counts no launches: build it with `--features launches` too")
    }
}
