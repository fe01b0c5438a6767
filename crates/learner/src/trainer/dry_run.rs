//! A run without a run: everything is checked and sized, a warm-up and a step with the optimizer's update are timed, no run
//! directory and no token cache is touched.

use std::path::Path;
use std::time::Instant;

use burn::module::Module;
use nystromformer_kernels::DeviceMemory;
use nystromformer_tasks::Split;
use serde::Serialize;

use super::learner::Learner;
use super::series::Series;
use super::start::{Prepared, RunRequest, Start, open_device};
use crate::batch::Batch;
use crate::batches::Batches;
use crate::device::{scalar, unread};
use crate::error::Result;
use crate::gpu_memory::GpuMemory;
use crate::machine_memory::MachineMemory;
use crate::memory_estimate::{ParameterCount, estimate_bytes};
use crate::process_memory::peak_resident_bytes;
use crate::ranks::step_facts::has_targets;
use crate::run_dir::RunDir;

/// What `--dry-run` reports.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DryRun {
    /// Parameters of the model.
    pub parameters: usize,
    /// Those of them that are trained, where some are frozen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trained_parameters: Option<usize>,
    /// Examples (sequences) in the training split.
    pub training_examples: usize,
    /// Examples in the validation split.
    pub validation_examples: usize,
    /// Runs that are left of a series of seeds or folds, of which the first is sized up; 1 without a series.
    pub runs: usize,
    /// Optimizer steps of the whole run.
    pub total_steps: usize,
    /// The step of the checkpoint that training would go on from; `None` if it would begin.
    pub resumes_from_step: Option<usize>,
    /// Tokens in a step, were no sequence padded: `batch_size · seq_len`, and of examples of several rows so many times as much.
    pub tokens_per_step: usize,
    /// Estimated memory of training: weights and their average, gradients, moments, activations of a micro-batch.
    pub estimated_bytes: u64,
    /// This machine's memory, or what its control group leaves of it, which on a GPU is not what `estimated_bytes` are of. `None` where unknown.
    pub machine_memory: Option<MachineMemory>,
    /// The memory of the GPU, after the measured step; absent on the CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_memory: Option<GpuMemory>,
    /// Peak memory of this process after the measured step; on a GPU device, the host's share only.
    pub peak_rss_bytes: u64,
    /// Seconds of a step: its batches, passes, clipping and the optimizer's update, after a warm-up.
    pub seconds_per_step: f64,
    /// Micro-batches of the step that was timed. Where they are fewer than `micro_batches_per_step`, since a whole step would
    /// have taken long, the seconds of a further pass stand for each of the others.
    pub measured_micro_batches: usize,
    /// Micro-batches of a step.
    pub micro_batches_per_step: usize,
    /// Mean loss of the micro-batch with the weights the run would start from.
    pub loss: f64,
}

impl DryRun {
    /// Checks the request as a real run would, sizes it up, and takes a step, which is forgotten. Where there is
    /// no token cache yet, one is made in `scratch`, whole.
    ///
    /// # Errors
    /// Those of [`Session::open`](super::Session::open) and the first step of a real run, the
    /// directory's own apart: whether a run is at work in it is not looked at.
    pub fn perform(
        request: &RunRequest,
        scratch: &Path,
        preparation: &dyn nystromformer_data::ProgressListener,
    ) -> Result<Self> {
        let planned = Series::planned(request)?;
        let first = planned.as_ref().and_then(|runs| runs.first()).unwrap_or(request);
        let start = Start::of(first)?;
        let device = open_device(start.experiment(), 0)?;
        let checkpoint = if start.resumes() {
            RunDir::checkpoints_of(&start.path).newest_valid()?
        } else {
            None
        };
        let data =
            Batches::prepare_aside(start.experiment(), checkpoint.as_ref(), scratch, preparation)?;
        let machine_memory = MachineMemory::now();
        let sizes = Self::measure(&start.with_data(data, device, checkpoint, 1)?, machine_memory)?;
        Ok(Self { runs: planned.as_ref().map_or(1, Vec::len), ..sizes })
    }

    fn measure(prepared: &Prepared, machine_memory: Option<MachineMemory>) -> Result<Self> {
        let Prepared { experiment, data, checkpoint, .. } = prepared;
        let data = data.source();
        let mut learner = prepared.learner()?;
        let trainer = &experiment.trainer;
        let micro_batch_size = trainer.micro_batch_size.min(trainer.batch_size);
        let micro_batches_per_step = trainer.num_micro_batches();
        let parameters = learner.model().num_params();

        let (warm_up, loss) = timed(|| one_pass(&learner, micro_batch_size))?;
        let is_long = warm_up * micro_batches_per_step as f64 > LONGEST_SECONDS;
        let measured_micro_batches = if is_long { 1 } else { micro_batches_per_step };
        let (pass, _) = timed(|| one_pass(&learner, micro_batch_size))?;
        // Of so many examples, the run's own step.
        let mut measured = experiment.clone();
        measured.trainer.batch_size =
            trainer.batch_size.min(measured_micro_batches * micro_batch_size);
        learner.experiment = &measured;
        let (step, ()) = timed(|| {
            learner.step()?;
            wait_for(&learner)
        })?;
        let others = (micro_batches_per_step - measured_micro_batches) as f64;
        let trained_parameters = learner.trained_parameters();
        let trained = trained_parameters.unwrap_or(parameters);
        let count = ParameterCount { all: parameters, trained };
        let rows_per_example = data.rows_per_example();
        Ok(Self {
            parameters,
            trained_parameters,
            training_examples: data.training_examples(),
            validation_examples: data.evaluation_examples(Split::Validation),
            runs: 1,
            total_steps: learner.total_steps(),
            resumes_from_step: checkpoint.as_ref().map(|checkpoint| checkpoint.manifest.state.step),
            tokens_per_step: trainer.batch_size * rows_per_example * experiment.data.seq_len,
            estimated_bytes: estimate_bytes(experiment, count, rows_per_example),
            machine_memory,
            gpu_memory: DeviceMemory::of(&learner.device).map(GpuMemory::from),
            peak_rss_bytes: peak_resident_bytes(),
            seconds_per_step: step + others * pass,
            measured_micro_batches,
            micro_batches_per_step,
            loss,
        })
    }
}

/// A step that would take longer, by its first and slowest pass, is not measured whole.
const LONGEST_SECONDS: f64 = 30.0;

/// Forwards and backwards through the first examples; the loss.
fn one_pass(learner: &Learner<'_>, micro_batch_size: usize) -> Result<f64> {
    let mut loss = f64::NAN;
    let batches = learner.data.training_step(0, micro_batch_size, micro_batch_size)?;
    for rows in learner.smoothed(batches)?.into_iter().filter(has_targets) {
        let weights = rows.target_weights();
        loss = scalar(learner.forward_backward(rows, &weights)?.0, &learner.device)?;
    }
    Ok(loss)
}

/// Waits until the device has done what it was told to.
fn wait_for(learner: &Learner<'_>) -> Result<()> {
    let done = learner.device.sync();
    done.map_err(|error| unread(learner.experiment.device, "the measured step", &error))
}

/// The seconds that `work` takes, and its result.
fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let started = Instant::now();
    let result = work()?;
    Ok((started.elapsed().as_secs_f64(), result))
}
