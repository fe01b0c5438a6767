//! A model of one's own in a run directory.

use std::path::Path;

use burn::tensor::Device;

use super::learner::Learner;
use super::run::{TrainOutput, Trainer};
use crate::batch::BatchSource;
use crate::error::Result;
use crate::experiment::Experiment;
use crate::progress::Progress;
use crate::run_dir::RunDir;
use crate::stop::StopFlag;
use crate::trainable::Trainable;

/// Trains a model that `init` makes, in the run directory `path`: a new run, or the rest of the one that is there, from
/// its newest valid checkpoint. [`Session`](super::Session) does the same for our models, whose data and weights an
/// experiment's file names.
///
/// Of `experiment` count `name`, `seed`, `optimizer`, `schedule`, `trainer`, and what `init` reads of it; all of it is
/// compared when a run is resumed, and so is [`BatchSource::fingerprints`]. `init` makes the model on the device it is
/// given; what its modules draw comes from the seed.
///
/// # Errors
/// [`LearnerError::Config`](crate::LearnerError::Config) if the run that is there had another experiment or other data;
/// those of `init` and of [`Trainer::fit`].
pub fn fit<M: Trainable>(
    path: &Path,
    experiment: &Experiment,
    data: &dyn BatchSource<Batch = M::Batch>,
    device: &Device,
    init: impl FnOnce(&Device) -> Result<M>,
    stop: StopFlag,
    progress: &mut dyn Progress,
) -> Result<TrainOutput> {
    let (run, checkpoint) = if RunDir::holds_run(path) {
        let run = RunDir::open(path)?;
        let checkpoint = run.checkpoints()?.newest_valid()?;
        (run, checkpoint)
    } else {
        (RunDir::create(path)?, None)
    };
    let learner = match &checkpoint {
        Some(checkpoint) => {
            let model = init(&device.clone().autodiff())?;
            Learner::resume(experiment, data, device, checkpoint, model)?
        }
        None => Learner::init(experiment, data, device, init)?,
    };
    // Of a start that failed nothing is left.
    run.write_config(&experiment.to_toml(), &[])?;
    Trainer::new(learner, &run, stop, progress)?.fit()
}
