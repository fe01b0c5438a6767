//! Where the records of a run go as they are made. `metrics.jsonl` is the record of the run; what other programs read of it is written
//! beside it, at the same place of the loop.
//!
//! Another such form is a file that implements [`RecordSink`], and a line in [`RecordSinks::open`].

use crate::error::Result;
use crate::experiment::Experiment;
use crate::metrics_log::{MetricsLog, MetricsRecord};
use crate::process_memory::resident_bytes;
use crate::resource_log::ResourceLog;
use crate::run_dir::RunDir;
use crate::tensorboard::TensorBoard;
use crate::trainer::BestModelResults;

/// A form in which records are kept.
pub(crate) trait RecordSink {
    /// A step was taken, or an evaluation made.
    ///
    /// # Errors
    /// [`LearnerError::Io`](crate::LearnerError::Io), here and below.
    fn record(&mut self, record: &MetricsRecord) -> Result<()>;

    /// A run of `steps` steps is over, and its best model was measured. Default: nothing.
    fn results(&mut self, steps: usize, results: &BestModelResults) -> Result<()> {
        let _ = (steps, results);
        Ok(())
    }

    /// Makes durable what was recorded; called before a checkpoint that it belongs to.
    fn sync(&mut self) -> Result<()>;
}

/// All forms in which a run keeps its records.
pub(crate) struct RecordSinks(Vec<Box<dyn RecordSink>>);

impl RecordSinks {
    /// Opens those of a run that stands at `step` and was evaluated at step `evaluated` last (0: never). What they hold of later steps
    /// is taken back. There are none if another process holds the run's directory.
    ///
    /// # Errors
    /// [`LearnerError::Io`](crate::LearnerError::Io).
    pub(crate) fn open(
        run: &RunDir,
        experiment: &Experiment,
        step: usize,
        evaluated: usize,
    ) -> Result<Self> {
        if !run.is_held() {
            return Ok(Self(Vec::new()));
        }
        // The others may read it.
        let log: Box<dyn RecordSink> = Box::new(run.metrics(step, evaluated)?);
        let mut sinks = vec![log, Box::new(run.resources(step)?)];
        if experiment.trainer.tensorboard {
            sinks.push(Box::new(TensorBoard::open(run, experiment, step)?));
        }
        Ok(Self(sinks))
    }
}

impl RecordSink for RecordSinks {
    fn record(&mut self, record: &MetricsRecord) -> Result<()> {
        self.0.iter_mut().try_for_each(|sink| sink.record(record))
    }

    fn results(&mut self, steps: usize, results: &BestModelResults) -> Result<()> {
        self.0.iter_mut().try_for_each(|sink| sink.results(steps, results))
    }

    fn sync(&mut self) -> Result<()> {
        self.0.iter_mut().try_for_each(|sink| sink.sync())
    }
}

impl RecordSink for ResourceLog {
    /// Of a step, what the process holds after it.
    fn record(&mut self, record: &MetricsRecord) -> Result<()> {
        match record {
            MetricsRecord::Train(record) => self.step(record.step, resident_bytes().now),
            MetricsRecord::Validation(_) => Ok(()),
        }
    }

    /// Nothing rests on it.
    fn sync(&mut self) -> Result<()> {
        Ok(())
    }
}

impl RecordSink for MetricsLog {
    fn record(&mut self, record: &MetricsRecord) -> Result<()> {
        self.append(record)
    }

    fn sync(&mut self) -> Result<()> {
        Self::sync(self)
    }
}
