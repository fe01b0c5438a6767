//! `table efficiency`: runs `bench attention` in a process for each measurement.

use std::{
    env,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, anyhow, bail};
use nystromformer::AttentionKind;
use nystromformer_kernels::instruction_set;
use nystromformer_learner::{computed_with::cpu_model, machine_memory::MachineMemory};
use nystromformer_tables::{
    Variant,
    efficiency::{
        Efficiency, Job, LeftOut, Limits, Measurement, Reason, Settings, USUAL_LENGTHS,
        usual_variants,
    },
    output::{make_folder, three_digits},
};

use super::{ascending, at_least_one, distinct};
use crate::{bench::attention::AttentionReport, device_arg::DeviceArg, output};

/// The exit code of a process that memory did not suffice for.
const OF_MEMORY: i32 = 6;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where measurements, tables and curves go, and where those of before are.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Rows: kinds of attention, with options where they are not the default, e.g. `softmax,nystrom:num_landmarks=32+pinv=solve`.
    /// Default: every kind with the paper's sizes. `none` goes with --conv-kernel-size alone.
    #[arg(long, value_delimiter = ',', value_name = "KIND[:KEY=VALUE+…]")]
    kinds: Vec<Variant>,
    /// Tokens.
    #[arg(long, value_delimiter = ',', value_name = "N", default_values_t = USUAL_LENGTHS, value_parser = at_least_one())]
    lengths: Vec<usize>,
    /// Measure forward and backward too.
    #[arg(long)]
    backward: bool,
    /// Attention heads.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = at_least_one())]
    heads: usize,
    /// Channels per head.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one())]
    head_dim: usize,
    /// Landmarks, where a row names no other number.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one())]
    num_landmarks: usize,
    /// Sequences.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one())]
    batch: usize,
    /// Taps of a convolution beside every kind; 0 for none.
    #[arg(long, value_name = "TAPS", default_value_t = 0)]
    conv_kernel_size: usize,
    /// Count the projections that make queries, keys and values too.
    #[arg(long)]
    projections: bool,
    /// Passes that are measured, after two more.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_one())]
    repeats: usize,
    /// Leave out, and name, a measurement that shorter ones let expect to take longer.
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    limit_seconds: f64,
    #[command(flatten)]
    device: DeviceArg,
}

impl Args {
    fn settings(&self) -> Settings {
        let instructions = instruction_set();
        Settings {
            batch: self.batch,
            heads: self.heads,
            head_dim: self.head_dim,
            num_landmarks: self.num_landmarks,
            conv_kernel_size: self.conv_kernel_size,
            projections: self.projections,
            repeats: self.repeats,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            device: self.device.kind().name().to_owned(),
            cpu: cpu_model(),
            instructions: format!("{}, products {}", instructions.vectors, instructions.products),
            threads: rayon::current_num_threads(),
        }
    }

    /// What is to be measured, the shortest first. Refuses what cannot be before anything is measured.
    fn jobs(&self, settings: &Settings) -> anyhow::Result<Vec<Job>> {
        let variants = if self.kinds.is_empty() { usual_variants() } else { distinct(&self.kinds) };
        let shared = settings.shared();
        let passes: &[bool] = if self.backward { &[false, true] } else { &[false] };
        let mut jobs = Vec::new();
        for seq_len in ascending(&self.lengths) {
            for variant in &variants {
                let complete = settings.complete(variant, seq_len);
                let config = complete.config().map_err(|problem| anyhow!("--kinds {problem}"))?;
                variant
                    .require_read(&config, &shared)
                    .map_err(|problem| anyhow!("--kinds {problem}"))?;
                complete.check_len(seq_len, &shared).map_err(|problem| anyhow!(problem))?;
                if config.kind == AttentionKind::None && config.convolution.conv_kernel_size == 0 {
                    bail!(
                        "--kinds `none` is the convolution alone, and there is none: give --conv-kernel-size, or leave it out"
                    );
                }
                let job = |backward: &bool| Job {
                    variant: variant.clone(),
                    seq_len,
                    backward: *backward,
                };
                jobs.extend(passes.iter().map(job));
            }
        }
        Ok(jobs)
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let settings = args.settings();
    let jobs = args.jobs(&settings)?;
    make_folder(&args.output)?;
    let mut table = Efficiency::open(&args.output, settings)?;
    let known = jobs.iter().filter(|job| table.has(job)).count();
    if known > 0 {
        output::note(&format!("`{known}` of {} measurements are there already", jobs.len()));
    }
    for job in &jobs {
        if table.has(job) {
            continue;
        }
        let bytes = MachineMemory::now().map(|memory| memory.available_bytes);
        let limits = Limits { seconds: args.limit_seconds, bytes };
        let outcome = match table.beyond(job, limits) {
            Some(left_out) => Err(left_out),
            None => measure(job, &table.settings)?,
        };
        match outcome {
            Ok(measurement) => {
                output::note(&told(&measurement));
                table.add(measurement)?;
            }
            Err(left_out) => {
                output::note(&format!("left out: {left_out}"));
                table.leave_out(left_out);
            }
        }
    }
    let markdown = table.finish()?;
    if !table.left_out.is_empty() {
        output::note(&format!(
            "`{}` measurements are left out; `--limit-seconds`, now `{}`, says how long one may take",
            table.left_out.len(),
            args.limit_seconds
        ));
    }
    output::text(&markdown)?;
    Ok(ExitCode::SUCCESS)
}

fn told(measurement: &Measurement) -> String {
    let Measurement { variant, seq_len, backward, seconds_median, .. } = measurement;
    let passes = if *backward { "forward and backward" } else { "forward" };
    format!(
        "`{variant}`, {seq_len} tokens, {passes}: {} ms, {} MiB",
        three_digits(1e3 * seconds_median),
        three_digits(measurement.own_bytes() as f64 / f64::from(1 << 20))
    )
}

/// Measures in a process of its own; says what is left out if memory did not suffice for it.
fn measure(job: &Job, settings: &Settings) -> anyhow::Result<Result<Measurement, LeftOut>> {
    let complete = settings.complete(&job.variant, job.seq_len);
    let mut command = Command::new(env::current_exe().context("cannot find this program's file")?);
    command.args(["bench", "attention", "--kind", complete.kind().name()]);
    for (name, value) in [
        ("--seq-len", job.seq_len),
        ("--heads", settings.heads),
        ("--head-dim", settings.head_dim),
        ("--landmarks", settings.num_landmarks),
        ("--batch", settings.batch),
        ("--steps", settings.repeats),
    ] {
        command.arg(name).arg(value.to_string());
    }
    command.args(["--device", &settings.device]);
    for assignment in complete.assignments() {
        command.args(["--set", &assignment]);
    }
    command.args(settings.projections.then_some("--projections"));
    command.args(job.backward.then_some("--backward"));
    let ended = command.stdin(Stdio::null()).output().context("cannot start this program anew")?;
    let told = String::from_utf8_lossy(&ended.stderr);
    let last = told.lines().last().unwrap_or_default();
    let failed = |message: String| LeftOut {
        variant: job.variant.to_string(),
        seq_len: job.seq_len,
        backward: job.backward,
        reason: Reason::Failed(message),
    };
    match (ended.status.code(), ended.status.signal()) {
        (Some(0), _) => {}
        (Some(OF_MEMORY), _) => return Ok(Err(failed(last.to_owned()))),
        (_, Some(signal)) => {
            let message =
                format!("its process was ended by signal {signal}, as for want of memory");
            return Ok(Err(failed(message)));
        }
        _ => bail!("`{}` of {} tokens was not measured: {last}", job.variant, job.seq_len),
    }
    let report: AttentionReport = serde_json::from_slice(&ended.stdout).with_context(|| {
        format!("`{}` of {} tokens: no measurement came back", job.variant, job.seq_len)
    })?;
    Ok(Ok(Measurement {
        variant: job.variant.to_string(),
        seq_len: job.seq_len,
        backward: job.backward,
        seconds_median: report.seconds_median,
        seconds_min: report.seconds_min,
        peak_rss_bytes: report.peak_rss_bytes,
        rss_before_bytes: report.rss_before_bytes,
    }))
}
