//! burn-train's metric renderers as a display: its terminal UI with feature `tui`, or one's own.

use std::sync::Arc;

use burn::train::Interrupter;
use burn::train::metric::{
    MetricAttributes, MetricDefinition, MetricEntry, MetricId, NumericAttributes, NumericEntry,
    SerializedEntry,
};
use burn::train::renderer::{MetricState, MetricsRenderer};

use super::Progress;
use crate::metrics_log::{EvaluationRecord, StepRecord};

const LOSS: &str = "Loss";
const ACCURACY: &str = "Masked accuracy";
const LEARNING_RATE: &str = "Learning rate";
const GRAD_NORM: &str = "Gradient norm";
const SPEED: &str = "Tokens per second";

/// Shows a run through any of burn-train's [`MetricsRenderer`]s.
pub struct RendererProgress {
    renderer: Box<dyn MetricsRenderer>,
    interrupter: Interrupter,
}

impl RendererProgress {
    /// Draws with `renderer`, which asks for a stop through `interrupter`.
    pub fn new(mut renderer: Box<dyn MetricsRenderer>, interrupter: Interrupter) -> Self {
        for (name, unit, higher_is_better) in [
            (LOSS, Some("nats"), false),
            (ACCURACY, None, true),
            (LEARNING_RATE, None, true),
            (GRAD_NORM, None, false),
            (SPEED, None, true),
        ] {
            let name = Arc::new(name.to_owned());
            renderer.register_metric(MetricDefinition {
                metric_id: MetricId::new(name.clone()),
                name,
                description: None,
                attributes: MetricAttributes::Numeric(NumericAttributes {
                    unit: unit.map(str::to_owned),
                    higher_is_better,
                }),
            });
        }
        Self { renderer, interrupter }
    }

    /// burn-train's terminal UI. Its own quit key stops the run with a checkpoint, as `SIGINT`
    /// does, but not in the middle of an evaluation.
    #[cfg(feature = "tui")]
    pub fn terminal_ui() -> Self {
        let interrupter = Interrupter::new();
        let renderer =
            burn::train::renderer::tui::TuiMetricsRendererWrapper::new(interrupter.clone(), None);
        Self::new(Box::new(renderer), interrupter)
    }
}

fn state(name: &str, value: f64) -> MetricState {
    let id = MetricId::new(Arc::new(name.to_owned()));
    let entry = SerializedEntry::new(format!("{value:.4e}"), value.to_string());
    // The renderers plot; a point that is not finite would break their axes.
    let point = value.is_finite().then_some(NumericEntry::Value(value));
    MetricState::Numeric(MetricEntry::new(id, entry), point)
}

impl Progress for RendererProgress {
    fn start(&mut self, name: &str, completed: usize, total: usize) {
        self.renderer.start(1, 1, Some(total), Some(name));
        self.renderer.start_split("train", total);
        self.renderer.update_split(completed);
    }

    fn step(&mut self, record: &StepRecord) {
        for (name, value) in [
            (LOSS, record.loss),
            (LEARNING_RATE, record.learning_rate),
            (GRAD_NORM, record.grad_norm),
            (SPEED, record.tokens_per_second),
        ] {
            self.renderer.update_train(state(name, value));
        }
        self.renderer.update_split(record.step);
    }

    fn evaluation(&mut self, record: &EvaluationRecord) {
        self.renderer.update_valid(state(LOSS, record.loss));
        if let Some(accuracy) = record.metric("accuracy") {
            self.renderer.update_valid(state(ACCURACY, accuracy));
        }
    }

    fn note(&mut self, text: &str) {
        self.renderer.log_event_training(text.to_owned());
    }

    fn stop_requested(&self) -> bool {
        self.interrupter.should_stop()
    }

    fn finish(&mut self) {
        self.renderer.end_split();
        self.renderer.end();
    }
}

#[cfg(test)]
mod tests {
    use burn::train::renderer::CliMetricsRenderer;

    use super::*;

    #[test]
    fn a_stop_asked_for_in_the_renderer_is_seen() {
        let interrupter = Interrupter::new();
        let progress =
            RendererProgress::new(Box::new(CliMetricsRenderer::new()), interrupter.clone());
        assert!(!progress.stop_requested());
        interrupter.stop(Some("by key"));
        assert!(progress.stop_requested());
    }

    #[test]
    fn what_is_not_finite_is_text_but_no_point() {
        assert!(matches!(state(LOSS, f64::NAN), MetricState::Numeric(_, None)));
        assert!(matches!(state(LOSS, 1.0), MetricState::Numeric(_, Some(_))));
    }
}
