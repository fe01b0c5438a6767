//! `RUN/tensorboard`: the records of a run in `TensorBoard`'s event files, with `trainer.tensorboard = true`.
//!
//! | file | |
//! |---|---|
//! | this | what is written when |
//! | `summaries` | records as tagged values, texts, hyperparameters |
//! | `proto`, `event_file` | the messages, and the files that hold them |
//!
//! Every number of a line of `metrics.jsonl` is a scalar `SPLIT/NAME`, e.g. `train/loss`; of the best model, which a finished run
//! measures, scores of the test splits follow at the last step. A session writes a file of its own. One that goes on says
//! with which step it does, and readers drop what earlier files hold from there on; that step's own records are written again. Where
//! there is no file yet, the first one begins with all records that the run has.

mod event_file;
mod proto;
mod summaries;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufRead, BufReader};

use self::event_file::EventFile;
use self::proto::{Event, SessionLog, Summary, SummaryValue};
use crate::error::{LearnerError, Result};
use crate::experiment::Experiment;
use crate::metrics_log::MetricsRecord;
use crate::record_sinks::RecordSink;
use crate::run_dir::RunDir;
use crate::trainer::BestModelResults;

/// Writes a session's event file.
#[derive(Debug)]
pub(crate) struct TensorBoard {
    events: EventFile,
}

impl TensorBoard {
    /// Begins the session of a run that stands at `step`, whose `metrics.jsonl` holds nothing of later steps.
    ///
    /// # Errors
    /// [`LearnerError::Io`].
    pub(crate) fn open(run: &RunDir, experiment: &Experiment, step: usize) -> Result<Self> {
        let folder = run.tensorboard();
        let goes_on = EventFile::any_in(&folder)?;
        let mut board = Self { events: EventFile::create(&folder)? };
        if goes_on {
            board.events.write(Event {
                step: step as i64,
                session_log: Some(SessionLog { status: proto::START }),
                ..Event::default()
            })?;
        }
        let first = if goes_on { step } else { 0 };
        if first == 0 {
            board.write(0, summaries::of_experiment(experiment))?;
        }
        board.write_again(run, first)?;
        Ok(board)
    }

    /// Writes the records of the run from the step `first` on.
    fn write_again(&mut self, run: &RunDir, first: usize) -> Result<()> {
        let path = RunDir::metrics_path(run.path());
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(LearnerError::io("read", &path)(error)),
        };
        for line in BufReader::new(file).lines() {
            let line = line.map_err(LearnerError::io("read", &path))?;
            // The log was cut to lines that parse when it was opened.
            match serde_json::from_str::<MetricsRecord>(&line) {
                Ok(record) if record.step() >= first => self.record(&record)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn write(&mut self, step: usize, value: Vec<SummaryValue>) -> Result<()> {
        let summary = Some(Summary { value });
        self.events.write(Event { step: step as i64, summary, ..Event::default() })
    }
}

impl RecordSink for TensorBoard {
    fn record(&mut self, record: &MetricsRecord) -> Result<()> {
        self.write(record.step(), summaries::of_record(record))
    }

    fn results(&mut self, steps: usize, results: &BestModelResults) -> Result<()> {
        self.write(steps, summaries::of_results(results))
    }

    fn sync(&mut self) -> Result<()> {
        self.events.sync()
    }
}
