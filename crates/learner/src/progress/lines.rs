//! Plain lines, for logs and pipes.

use std::io::Write;
use std::time::{Duration, Instant};

use nystromformer_data::ProgressReport;

use super::work::WorkLines;
use super::{Progress, clock, evaluation_line, step_figures};
use crate::metrics_log::{EvaluationRecord, StepRecord};

/// A line every so many steps, and one for each evaluation and note.
pub struct LineProgress<W: Write + Send> {
    output: W,
    log_every: usize,
    total: usize,
    started: Instant,
    completed_at_start: usize,
    work: WorkLines,
}

impl LineProgress<std::io::Stderr> {
    /// Lines on stderr, every `log_every` steps.
    pub fn stderr(log_every: usize) -> Self {
        Self::new(std::io::stderr(), log_every)
    }
}

impl<W: Write + Send> LineProgress<W> {
    /// Lines on `output`, every `log_every` steps.
    pub fn new(output: W, log_every: usize) -> Self {
        Self {
            output,
            log_every: log_every.max(1),
            total: 0,
            started: Instant::now(),
            completed_at_start: 0,
            work: WorkLines::default(),
        }
    }

    fn line(&mut self, text: &str) {
        // A reader that went away (`2>&1 | head`) must not end the run.
        let _ = writeln!(self.output, "{text}");
    }

    /// Time left, from the mean step of this session.
    fn time_left(&self, step: usize) -> String {
        let done = step.saturating_sub(self.completed_at_start).max(1);
        let per_step = self.started.elapsed().as_secs_f64() / done as f64;
        let seconds = (per_step * self.total.saturating_sub(step) as f64) as u64;
        clock(Duration::from_secs(seconds))
    }
}

impl<W: Write + Send> Progress for LineProgress<W> {
    fn start(&mut self, name: &str, completed: usize, total: usize) {
        self.total = total;
        self.completed_at_start = completed;
        self.started = Instant::now();
        self.line(&format!("{name}: {completed} of {total} steps done"));
    }

    fn step(&mut self, record: &StepRecord) {
        let first = record.step == self.completed_at_start + 1;
        let due = record.step.is_multiple_of(self.log_every) || record.step == self.total;
        if first || due || record.skipped {
            let (step, total) = (record.step, self.total);
            let figures = step_figures(record);
            let left = self.time_left(step);
            self.line(&format!("step {step}/{total}  {figures}  left {left}"));
        }
    }

    fn evaluation(&mut self, record: &EvaluationRecord) {
        self.line(&evaluation_line(record));
    }

    fn work(&mut self, report: ProgressReport) {
        if let Some(line) = self.work.report(report) {
            self.line(&line);
        }
    }

    fn note(&mut self, text: &str) {
        self.line(text);
    }

    fn finish(&mut self) {
        let _ = self.output.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_the_first_every_tenth_and_the_last_step() {
        let mut progress = LineProgress::new(Vec::new(), 10);
        progress.start("tiny", 5, 23);
        for step in 6..=23 {
            progress.step(&StepRecord {
                step,
                loss: 2.0,
                learning_rate: 1e-4,
                grad_norm: 1.0,
                tokens_per_second: 1234.4,
                elapsed_s: 1.0,
                skipped: false,
                no_targets: false,
            });
        }
        let text = String::from_utf8(progress.output).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "tiny: 5 of 23 steps done");
        let starts: Vec<&str> =
            lines[1..].iter().map(|line| line.split_once("  ").unwrap().0).collect();
        assert_eq!(starts, ["step 6/23", "step 10/23", "step 20/23", "step 23/23"]);
        assert!(lines[1].contains("loss 2.0000  lr 1.00e-4  1234 tokens/s"), "{}", lines[1]);
    }
}
