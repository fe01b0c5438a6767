//! From an experiment's file to a finished run: what the command line calls.

use std::collections::BTreeMap;

use burn::tensor::Device;
use nystromformer_tasks::Split;

use super::run::{TrainOutput, Trainer};
use super::start::{Prepared, RunRequest, Start, best_by, open_device};
use crate::batches::Batches;
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::experiment::Experiment;
use crate::progress::Progress;
use crate::ranks::Ranks;
use crate::run_dir::RunDir;
use crate::stop::StopFlag;
use crate::trainable::MetricName;

/// Everything a run needs, opened and checked: directory, data, device.
#[derive(Debug)]
pub struct Session {
    prepared: Prepared,
    run: RunDir,
    /// Those that this process trains with.
    ranks: Ranks,
    /// To be written with the configuration when training begins: of a new run, or of one whose
    /// bookkeeping has changed.
    overrides: Option<Vec<String>>,
    /// After which step it pauses; the end if there is none.
    pause_after: Option<usize>,
    /// Steps to trace.
    profiled_steps: usize,
}

impl Session {
    /// Opens a new run, or with `resume` the one that is there. The directory is locked before
    /// anything is computed; its `config.toml` is written when training starts.
    ///
    /// # Errors
    /// [`LearnerError::Config`](crate::LearnerError::Config) for a bad configuration, a directory in
    /// use or taken, or a resume with other settings;
    /// [`LearnerError::Device`](crate::LearnerError::Device) if this machine's memory is far too
    /// small; errors of the data and the device.
    pub fn open(
        request: &RunRequest,
        preparation: &dyn nystromformer_data::ProgressListener,
    ) -> Result<Self> {
        Self::open_on(&Ranks::alone(), request, preparation)
    }

    /// The same on several ranks, each of which calls this. Rank 0 holds the directory and makes what is not there yet, a token cache say, before the others
    /// read it.
    ///
    /// # Errors
    /// As [`Self::open`]; [`LearnerError::Config`](crate::LearnerError::Config) if there are more ranks than a step has micro-batches, or if they do not see
    /// the same.
    pub fn open_on(
        ranks: &Ranks,
        request: &RunRequest,
        preparation: &dyn nystromformer_data::ProgressListener,
    ) -> Result<Self> {
        let session = ranks.leader_first(|| Self::open_here(ranks, request, preparation))?;
        session.require_same()?;
        Ok(session)
    }

    fn open_here(
        ranks: &Ranks,
        request: &RunRequest,
        preparation: &dyn nystromformer_data::ProgressListener,
    ) -> Result<Self> {
        let mut start = Start::of(request)?;
        let ranks = ranks.clone().configured(start.experiment().ranks);
        ranks.require_work(&start.experiment().trainer)?;
        let run = match (ranks.is_leader(), start.resumes()) {
            (false, _) => RunDir::of_leader(&start.path),
            (true, true) => RunDir::open(&start.path)?,
            (true, false) => RunDir::create(&start.path)?,
        };
        let overrides = start.overrides.take();
        // Before the corpus is tokenised, which may take hours.
        let placement = ranks.placement();
        let device = open_device(start.experiment(), placement.local_rank)?;
        let checkpoint = if start.resumes() { run.checkpoints()?.newest_valid()? } else { None };
        let data = Batches::prepare(start.experiment(), checkpoint.as_ref(), preparation)?;
        let prepared = start.with_data(data, device, checkpoint, placement.local_size)?;
        Ok(Self { prepared, run, ranks, overrides, pause_after: None, profiled_steps: 0 })
    }

    /// Refuses ranks that read another configuration, other data or another checkpoint than rank 0.
    fn require_same(&self) -> Result<()> {
        let Prepared { experiment, checkpoint, .. } = &self.prepared;
        let step = checkpoint.as_ref().map(|checkpoint| checkpoint.manifest.state.step);
        for (what, seen) in [
            ("their version of this program", env!("CARGO_PKG_VERSION").to_owned()),
            ("their configuration", format!("{:?}", experiment.fields_without_paths())),
            ("`ranks.overlap`", experiment.ranks.overlap.to_string()),
            ("their data", format!("{:?}", self.fingerprints())),
            ("the newest checkpoint that they see", format!("{step:?}")),
        ] {
            self.ranks.require_same(what, seen.as_bytes())?;
        }
        Ok(())
    }

    /// The same, which evaluates and pauses after `step`: a later session goes on from there. Without a number to the end.
    #[must_use]
    pub fn pausing_after(self, step: Option<usize>) -> Self {
        Self { pause_after: step, ..self }
    }

    /// The same with a trace of so many steps in `RUN/trace.json`, after a warm-up; none if 0.
    #[must_use]
    pub fn profiling(self, steps: usize) -> Self {
        Self { profiled_steps: steps, ..self }
    }

    /// Trains to the end, or until stopped.
    ///
    /// # Errors
    /// See [`Learner::new`](super::Learner::new), [`Learner::restore`](super::Learner::restore) and
    /// [`Trainer::fit`].
    pub fn train(&self, stop: StopFlag, progress: &mut dyn Progress) -> Result<TrainOutput> {
        let learner = self.prepared.learner()?.on_ranks(self.ranks.clone());
        // Only now is there a run: a start that failed before leaves the directory free.
        if self.run.is_held() {
            if let Some(overrides) = &self.overrides {
                self.run.write_config(&self.experiment().to_toml(), overrides)?;
            }
            if let Some(layers) = &self.prepared.layers {
                self.run.write_config_layers(layers)?;
            }
        }
        Trainer::new(learner, &self.run, stop, progress)?
            .pausing_after(self.pause_after)
            .profiling(self.profiled_steps)
            .fit()
    }

    /// Hashes of what its data holds, by name.
    pub fn fingerprints(&self) -> BTreeMap<String, String> {
        self.prepared.data.source().fingerprints()
    }

    /// A hash of all that its data was made of, whichever of it trains ([`BatchSource::source_fingerprint`]).
    pub(super) fn source_fingerprint(&self) -> Option<String> {
        self.prepared.data.source().source_fingerprint()
    }

    /// The resolved experiment.
    pub fn experiment(&self) -> &Experiment {
        &self.prepared.experiment
    }

    /// What the run's best evaluation is the best in; `None` if it has none, since nothing is held out.
    ///
    /// # Errors
    /// [`LearnerError::Config`](crate::LearnerError::Config) if it is not measured.
    pub fn best_by(&self) -> Result<Option<MetricName>> {
        let (experiment, data) = (self.experiment(), self.prepared.data.source());
        if data.evaluation_examples(Split::Validation) == 0 {
            return Ok(None);
        }
        Ok(Some(best_by(experiment, data)?.into_name()))
    }

    /// The run directory.
    pub fn run(&self) -> &RunDir {
        &self.run
    }

    /// Tokenizer and batches.
    pub fn data(&self) -> &Batches {
        &self.prepared.data
    }

    /// The device that trains.
    pub fn device(&self) -> &Device {
        &self.prepared.device
    }

    /// The checkpoint that training goes on from, if it does.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.prepared.checkpoint.as_ref()
    }
}
