//! `train --profile N`: a trace of some steps, in `RUN/trace.json`.

use nystromformer_files::durable;
use nystromformer_kernels::trace;
use serde_json::json;

use crate::error::Result;
use crate::run_dir::RunDir;
use crate::trace_file;

/// Steps of a session that go before: the first ones find memory to compute in.
const WARM_UP: usize = 3;

/// Spans after which a trace is full, and ends with the step: some hundred megabytes.
const MOST_SPANS: usize = 500_000;

/// Traces so many steps of this session, and what lies between them.
#[derive(Debug)]
pub(super) struct Profile {
    /// Steps to trace.
    wanted: usize,
    /// Steps of this session.
    taken: usize,
    /// Whether the trace is written, or there will be none.
    is_over: bool,
}

impl Profile {
    /// Of this many steps; none if 0.
    pub(super) fn of_steps(wanted: usize) -> Self {
        Self { wanted, taken: 0, is_over: wanted == 0 }
    }

    /// To be called before each step.
    pub(super) fn step_begins(&self) {
        if !self.is_over && self.taken == WARM_UP {
            trace::start();
        }
    }

    /// To be called after each step.
    ///
    /// # Errors
    /// [`LearnerError::Io`](crate::LearnerError::Io) if the trace is whole and cannot be written.
    pub(super) fn step_ended(&mut self, run: &RunDir) -> Result<()> {
        if self.is_over {
            return Ok(());
        }
        self.taken += 1;
        let is_whole = self.taken == WARM_UP + self.wanted;
        if is_whole || trace::len() > MOST_SPANS { self.end(run) } else { Ok(()) }
    }

    /// Writes what there is; to be called at the end of a run too.
    ///
    /// # Errors
    /// [`LearnerError::Io`](crate::LearnerError::Io).
    pub(super) fn end(&mut self, run: &RunDir) -> Result<()> {
        if std::mem::replace(&mut self.is_over, true) {
            return Ok(());
        }
        let steps = self.taken.saturating_sub(WARM_UP);
        let events = trace::stop();
        if steps < self.wanted {
            let taken = self.taken;
            tracing::warn!(
                "`--profile {}`: the trace has `{steps}` steps: after a warm-up of {WARM_UP} this session took `{taken}` in all, \
                 or so many spans were kept that it was full",
                self.wanted
            );
        }
        if steps == 0 {
            return Ok(());
        }
        let facts = json!({
            "steps": steps,
            "threads": rayon::current_num_threads(),
            "version": env!("CARGO_PKG_VERSION"),
        });
        let path = run.trace();
        durable::replace(&path, &trace_file::render(events, facts))?;
        tracing::info!(path = %path.display(), steps, "trace written");
        Ok(())
    }
}

/// An error in the middle leaves nothing switched on.
impl Drop for Profile {
    fn drop(&mut self) {
        if !self.is_over {
            trace::stop();
        }
    }
}
