//! A bar that stays on one line of the terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nystromformer_data::{ProgressListener, ProgressReport};

use super::{Progress, WorkDisplay, evaluation_line, step_figures};
use crate::metrics_log::{EvaluationRecord, StepRecord};

/// A progress bar on stderr: step, loss, learning rate, tokens per second, time left.
pub struct BarProgress {
    bar: ProgressBar,
    /// Shows what is done when the steps are taken, and the bar is gone.
    afterwards: Option<WorkDisplay>,
}

impl BarProgress {
    /// A bar that appears when the run starts.
    pub fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(
            "{prefix} [{bar:24}] {pos}/{len}  {msg}  {elapsed} + {eta}",
        )
        .expect("the template is a constant and valid")
        .progress_chars("=> ");
        Self { bar: bar.with_style(style), afterwards: None }
    }
}

impl Default for BarProgress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress for BarProgress {
    fn start(&mut self, name: &str, completed: usize, total: usize) {
        self.bar.set_length(total as u64);
        self.bar.set_prefix(name.to_owned());
        self.bar.set_position(completed as u64);
        // The time left is estimated from this session's steps alone.
        self.bar.reset_eta();
    }

    fn step(&mut self, record: &StepRecord) {
        self.bar.set_message(step_figures(record));
        self.bar.set_position(record.step as u64);
    }

    fn evaluation(&mut self, record: &EvaluationRecord) {
        self.bar.println(evaluation_line(record));
    }

    fn work(&mut self, report: ProgressReport) {
        if self.bar.is_finished() {
            self.afterwards.get_or_insert_with(WorkDisplay::stderr).report(report);
        } else {
            let ProgressReport { stage, done, total } = report;
            self.bar.set_message(format!("{} {done}/{total}", stage.words));
        }
    }

    fn note(&mut self, text: &str) {
        self.bar.println(text);
    }

    fn finish(&mut self) {
        self.bar.abandon();
    }
}
