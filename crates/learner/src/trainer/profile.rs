//! `train --profile N`: a trace of some steps, in `RUN/trace.json`.

use nystromformer_files::durable;
use nystromformer_kernels::trace;
use serde_json::json;

use crate::error::Result;
use crate::run_dir::RunDir;
use crate::trace_file;

/// Steps of a session that go before: the first ones find memory to compute in.
const WARM_UP: usize = 3;

/// Spans after which a trace is full, and ends with the step or the evaluation: some hundred megabytes.
const MOST_SPANS: usize = 500_000;

/// Traces so many steps of this session, and what lies between them.
#[derive(Debug)]
pub(super) struct Profile {
    /// Steps to trace.
    wanted: usize,
    /// Steps of this session.
    taken: usize,
    /// Spans to keep at most.
    most_spans: usize,
    /// Whether the trace is written, or there will be none.
    is_over: bool,
}

impl Profile {
    /// Of this many steps; none if 0.
    pub(super) fn of_steps(wanted: usize) -> Self {
        Self { wanted, taken: 0, most_spans: MOST_SPANS, is_over: wanted == 0 }
    }

    /// To be called before each step.
    ///
    /// # Errors
    /// [`LearnerError::Io`](crate::LearnerError::Io) if what lies between two steps has filled the trace and it cannot be written.
    pub(super) fn step_begins(&mut self, run: &RunDir) -> Result<()> {
        if self.is_over {
            return Ok(());
        }
        if self.taken == WARM_UP {
            trace::start(self.most_spans);
        }
        if trace::left_out() > 0 { self.end(run) } else { Ok(()) }
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
        if is_whole || trace::left_out() > 0 { self.end(run) } else { Ok(()) }
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
        let left_out = trace::left_out();
        let events = trace::stop();
        if left_out > 0 {
            tracing::warn!(
                "`--profile {}`: the trace has `{steps}` steps: it was full with `{}` spans; after them `{left_out}` spans of parts and \
                 kernels are left out, and it ended; profile fewer steps, or evaluate more seldom (`trainer.eval_every`)",
                self.wanted,
                self.most_spans
            );
        } else if steps < self.wanted {
            tracing::warn!(
                "`--profile {}`: the trace has `{steps}` steps: after a warm-up of {WARM_UP} this session took `{}` in all",
                self.wanted,
                self.taken
            );
        }
        if steps == 0 {
            return Ok(());
        }
        let facts = json!({
            "steps": steps,
            "spans_left_out": left_out,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What lies between two steps can be far longer than they are.
    #[test]
    fn an_evaluation_that_fills_the_trace_ends_it() {
        let directory = tempfile::tempdir().unwrap();
        let run = RunDir::create(directory.path()).unwrap();
        let mut profile = Profile { most_spans: 10, ..Profile::of_steps(4) };
        let mut traced = 0;
        for step in 1..=WARM_UP + 4 {
            profile.step_begins(&run).unwrap();
            let span = trace::numbered_phase("step", step);
            drop(trace::part("encoder"));
            drop(span);
            profile.step_ended(&run).unwrap();
            let _evaluation = trace::phase("evaluation");
            for _ in 0..100 {
                drop(trace::part("encoder"));
            }
            traced += usize::from(trace::left_out() > 0);
        }
        assert_eq!((traced, profile.is_over), (1, true));
        let text = std::fs::read_to_string(run.trace()).unwrap();
        let trace: serde_json::Value = serde_json::from_str(&text).unwrap();
        let facts = &trace["otherData"];
        // Eight of the evaluation's parts found room.
        assert_eq!((&facts["steps"], &facts["spans_left_out"]), (&json!(1), &json!(92)));
        let names = trace["traceEvents"].as_array().unwrap().iter();
        let kept = names.filter(|event| event["ph"] == "X").count();
        assert_eq!(kept, 10 + 1);
    }
}
