//! What a person sees while a run goes on.
//!
//! Progress is drawn on stderr, from the same records that `metrics.jsonl` gets: a bar on a
//! terminal ([`BarProgress`]), a plain line every few steps elsewhere ([`LineProgress`]), or any of
//! burn-train's metric renderers, its terminal UI among them ([`RendererProgress`]).

mod bar;
mod lines;
mod renderer;
mod stop_after;

use std::io::IsTerminal;

pub use bar::BarProgress;
pub use lines::LineProgress;
pub use renderer::RendererProgress;
pub use stop_after::StopAfter;

use crate::metrics_log::{EvaluationRecord, StepRecord};

/// Shows a run to a person. Never fails: a closed terminal does not end a training.
pub trait Progress: Send {
    /// The run starts, or resumes, with `completed` of `total` steps done.
    fn start(&mut self, name: &str, completed: usize, total: usize);
    /// A step was taken.
    fn step(&mut self, record: &StepRecord);
    /// An evaluation was made.
    fn evaluation(&mut self, record: &EvaluationRecord);
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
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if std::io::stderr().is_terminal() && !dumb {
        Box::new(BarProgress::new())
    } else {
        Box::new(LineProgress::stderr(log_every))
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
