//! What a person sees while a run goes on.
//!
//! Progress is drawn on stderr, from the same records that `metrics.jsonl` gets: a bar on a
//! terminal ([`BarProgress`]), a plain line every few steps elsewhere ([`LineProgress`]), or any of
//! burn-train's metric renderers, its terminal UI among them ([`RendererProgress`]). Other work that takes
//! long (tokenizing, evaluating, exporting, predicting) is shown by [`WorkDisplay`].

mod bar;
mod lines;
mod renderer;
mod stop_after;
mod work;

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use nystromformer_data::{ProgressListener, ProgressReport};

pub use bar::BarProgress;
pub use lines::LineProgress;
pub use renderer::RendererProgress;
pub use stop_after::StopAfter;
pub use work::{WorkDisplay, stage};

use crate::metrics_log::{EvaluationRecord, StepRecord};

/// Shows a run to a person. Never fails: a closed terminal does not end a training.
pub trait Progress: Send {
    /// The run starts, or resumes, with `completed` of `total` steps done.
    fn start(&mut self, name: &str, completed: usize, total: usize);
    /// A step was taken.
    fn step(&mut self, record: &StepRecord);
    /// An evaluation was made.
    fn evaluation(&mut self, record: &EvaluationRecord);
    /// Other work of the run goes on, such as an evaluation. Default: it is not shown.
    fn work(&mut self, report: ProgressReport) {
        let _ = report;
    }
    /// Something else worth a line, such as a saved checkpoint.
    fn note(&mut self, text: &str);
    /// Whether the person asked, through this display, for the run to stop.
    fn stop_requested(&self) -> bool {
        false
    }
    /// The run is over.
    fn finish(&mut self);
}

/// The display that suits stderr: a bar on a terminal, a line every `log_every` steps elsewhere.
pub fn for_stderr(log_every: usize) -> Box<dyn Progress> {
    if is_terminal() {
        Box::new(BarProgress::new())
    } else {
        Box::new(LineProgress::stderr(log_every))
    }
}

/// Whether stderr is a terminal that a bar can be drawn on.
fn is_terminal() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stderr().is_terminal() && !dumb
}

/// A time as on a clock, with days before it where there are any.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days > 0 { format!("{days}d {clock}") } else { clock }
}

/// A run's display, for work that reports from wherever it is done.
pub(crate) struct Shown<'a>(Mutex<&'a mut dyn Progress>);

impl<'a> Shown<'a> {
    /// On this display.
    pub(crate) fn on(display: &'a mut dyn Progress) -> Self {
        Self(Mutex::new(display))
    }
}

impl ProgressListener for Shown<'_> {
    fn report(&self, report: ProgressReport) {
        // A display that panicked is shown no more.
        if let Ok(mut display) = self.0.lock() {
            display.work(report);
        }
    }
}

/// Shows nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn start(&mut self, _name: &str, _completed: usize, _total: usize) {}
    fn step(&mut self, _record: &StepRecord) {}
    fn evaluation(&mut self, _record: &EvaluationRecord) {}
    fn note(&mut self, _text: &str) {}
    fn finish(&mut self) {}
}

/// Loss, learning rate and speed of a step, in few characters.
fn step_figures(record: &StepRecord) -> String {
    let skipped = if record.skipped { "  skipped: not finite" } else { "" };
    let loss = if record.no_targets {
        "no targets".to_owned()
    } else {
        format!("loss {:.4}", record.loss)
    };
    format!(
        "{loss}  lr {:.2e}  {:.0} tokens/s{skipped}",
        record.learning_rate, record.tokens_per_second
    )
}

fn evaluation_line(record: &EvaluationRecord) -> String {
    let line = format!("step {}  validation loss {:.4}", record.step, record.loss);
    record
        .metrics
        .iter()
        .fold(line, |line, (name, value)| format!("{line}  {} {value:.4}", name.replace('_', " ")))
}
