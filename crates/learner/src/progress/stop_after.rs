//! A stop after a step, to try a resume.

use super::Progress;
use crate::metrics_log::{EvaluationRecord, StepRecord};

/// Shows nothing, and asks the run to stop once a step is taken.
#[derive(Debug, Clone, Copy)]
pub struct StopAfter {
    step: usize,
    is_reached: bool,
}

impl StopAfter {
    /// After `step`, which is counted from 1.
    pub fn step(step: usize) -> Self {
        Self { step, is_reached: false }
    }
}

impl Progress for StopAfter {
    fn start(&mut self, _name: &str, _completed: usize, _total: usize) {}
    fn step(&mut self, record: &StepRecord) {
        self.is_reached |= record.step >= self.step;
    }
    fn evaluation(&mut self, _record: &EvaluationRecord) {}
    fn note(&mut self, _text: &str) {}
    fn stop_requested(&self) -> bool {
        self.is_reached
    }
    fn finish(&mut self) {}
}
