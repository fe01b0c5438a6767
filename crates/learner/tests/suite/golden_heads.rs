//! Twenty AdamW steps of every head against torch's (`tools/reference/generate_head_training.py`): the same
//! start weights, batches, loss and decay must give the same losses.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use nystromformer::heads::{LossOptions, TargetsData};
use nystromformer_interop::{load_model, read_config};
use nystromformer_learner::batch::{BatchSource, TokenBatch};
use nystromformer_learner::schedule::{Schedule, Warmup};
use nystromformer_learner::trainable::Trainable;
use nystromformer_learner::trainer::Learner;
use nystromformer_learner::{Experiment, Result};
use nystromformer_tasks::Split;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

/// Of a loss. What rounding costs torch itself in 32 bits is up to 1e-6.
const TOLERANCE: f64 = 1e-4;
const STEPS: usize = 20;

/// A fixture's batches, one a step.
struct Recorded {
    steps: Vec<TokenBatch>,
}

impl BatchSource for Recorded {
    type Batch = TokenBatch;

    fn training_examples(&self) -> usize {
        self.steps.iter().map(|rows| rows.lengths.len()).sum()
    }

    fn evaluation_examples(&self, _: Split) -> usize {
        0
    }

    fn training_step(&self, completed: usize, _: usize, _: usize) -> Result<Vec<TokenBatch>> {
        Ok(vec![self.steps[completed].clone()])
    }

    fn evaluation_batch(&self, _: Split, _first: usize, _count: usize) -> Result<TokenBatch> {
        unreachable!("there is no validation split")
    }
}

/// What a file holds of each step.
struct Recording<'file> {
    file: SafeTensors<'file>,
}

impl Recording<'_> {
    fn view(&self, name: &str) -> Option<TensorView<'_>> {
        self.file.tensor(&format!("batch.{name}")).ok()
    }

    fn ints(&self, name: &str, step: usize) -> Option<Vec<i32>> {
        let view = self.view(name).filter(|view| view.dtype() == Dtype::I64)?;
        let (values, _) = view.data().as_chunks();
        let each = values.len() / STEPS;
        let values = &values[step * each..(step + 1) * each];
        Some(values.iter().map(|value| i64::from_le_bytes(*value) as i32).collect())
    }

    fn floats(&self, name: &str, step: usize) -> Option<Vec<f32>> {
        let view = self.view(name).filter(|view| view.dtype() == Dtype::F32)?;
        let (values, _) = view.data().as_chunks();
        let each = values.len() / STEPS;
        let values = &values[step * each..(step + 1) * each];
        Some(values.iter().map(|value| f32::from_le_bytes(*value)).collect())
    }

    fn batch(&self, step: usize) -> TokenBatch {
        let seq_len = *self.view("input_ids").unwrap().shape().last().unwrap();
        let mask = self.ints("attention_mask", step).unwrap();
        let lengths = mask.chunks(seq_len).map(|row| row.iter().sum::<i32>() as usize).collect();
        TokenBatch {
            input_ids: self.ints("input_ids", step).unwrap(),
            token_type_ids: self.ints("token_type_ids", step),
            lengths,
            features: None,
            hidden_id: None,
            seq_len,
            targets: self.targets(step),
            loss_options: LossOptions::default(),
            criterion: None,
        }
    }

    fn targets(&self, step: usize) -> TargetsData {
        if let Some(start) = self.ints("start_positions", step) {
            return TargetsData::Span { start, end: self.ints("end_positions", step).unwrap() };
        }
        if let Some(values) = self.floats("labels", step) {
            return TargetsData::Values(values);
        }
        let labels = self.ints("labels", step).unwrap();
        // One label a row, and one slice a step.
        if self.view("labels").unwrap().shape().len() == 2 {
            return TargetsData::Class(labels);
        }
        let (positions, labels) = (0..).zip(labels).filter(|(_, label)| *label >= 0).unzip();
        TargetsData::Tokens { positions, labels }
    }

    fn losses(&self) -> Vec<f64> {
        let view = self.file.tensor("losses_f64").unwrap();
        let (values, _) = view.data().as_chunks();
        values.iter().map(|value| f64::from_le_bytes(*value)).collect()
    }

    /// The start weights as a model folder.
    fn write_model(&self, config: &str, folder: &Path) {
        let parameters = self
            .file
            .iter()
            .filter_map(|(name, view)| Some((name.strip_prefix("param.")?.to_owned(), view)));
        let bytes = safetensors::serialize(parameters, None).unwrap();
        std::fs::write(folder.join("model.safetensors"), bytes).unwrap();
        std::fs::write(folder.join("config.json"), config).unwrap();
    }
}

/// The start of a head's training, and what torch's losses are.
struct Case {
    experiment: Experiment,
    data: Recorded,
    folder: tempfile::TempDir,
    losses: Vec<f64>,
}

impl Case {
    fn of(head: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/fixtures/heads/{head}.safetensors"));
        let bytes = std::fs::read(path).unwrap();
        let recording = Recording { file: SafeTensors::deserialize(&bytes).unwrap() };
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = metadata.metadata().clone().unwrap();
        let folder = tempfile::tempdir().unwrap();
        recording.write_model(&metadata["config"], folder.path());

        let steps = (0..STEPS).map(|step| recording.batch(step)).collect();
        let mut experiment = Experiment {
            model: read_config(folder.path()).unwrap(),
            schedule: Schedule::Constant(Warmup::default()),
            ..Experiment::default()
        };
        experiment.optimizer.learning_rate = 1e-3;
        experiment.optimizer.epsilon = 1e-6;
        experiment.optimizer.no_decay_on_bias_and_norm = true;
        experiment.trainer.max_steps = STEPS;
        experiment.trainer.max_grad_norm = 0.0;
        Self { experiment, data: Recorded { steps }, folder, losses: recording.losses() }
    }

    fn learner(&self) -> Learner<'_> {
        let device = Device::flex();
        let model = load_model(self.folder.path(), &device.clone().autodiff()).unwrap();
        Learner::with_model(&self.experiment, &self.data, &device, model).unwrap()
    }
}

fn assert_close(what: &str, step: usize, loss: f64, expected: f64) {
    let error = (loss / expected - 1.0).abs();
    assert!(error < TOLERANCE, "{what}, step {}: {loss} for {expected}", step + 1);
}

#[test]
fn twenty_steps_of_every_head_follow_torch() {
    for head in [
        "masked_lm",
        "sequence_regression",
        "sequence_single_label",
        "sequence_multi_label",
        "multiple_choice",
        "token_classification",
        "question_answering",
    ] {
        let case = Case::of(head);
        let mut learner = case.learner();
        for (step, expected) in case.losses.iter().enumerate() {
            assert_close(head, step, learner.step().unwrap().loss, *expected);
        }
    }
}

/// A case of `heads/options.json`.
#[derive(Deserialize)]
struct Options {
    settings: Settings,
    losses: Vec<f64>,
    #[serde(default)]
    losses_of_average: Vec<f64>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    layer_decay: Option<f64>,
    freeze_layers: usize,
    freeze_embeddings: bool,
    class_weights: Option<Vec<f32>>,
    label_smoothing_factor: f64,
    ema_decay: f64,
}

/// Learning rates by layer, frozen layers, class weights, smoothed labels and averaged weights: against torch's parameter
/// groups, `cross_entropy` and `AveragedModel` (`tools/reference/generate_option_training.py`).
#[test]
fn twenty_steps_with_every_option_follow_torch() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/heads/options.json");
    let mut file: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for head in ["sequence_single_label", "token_classification"] {
        let options: BTreeMap<String, Options> = serde_json::from_value(file[head].take()).unwrap();
        assert_eq!(options.len(), 8);
        for (name, Options { settings, losses, losses_of_average }) in options {
            let what = format!("{head}, {name}");
            let mut case = Case::of(head);
            case.experiment.optimizer.layer_decay = settings.layer_decay.unwrap_or(1.0);
            let trainer = &mut case.experiment.trainer;
            trainer.freeze_layers = settings.freeze_layers;
            trainer.freeze_embeddings = settings.freeze_embeddings;
            trainer.label_smoothing_factor = settings.label_smoothing_factor;
            trainer.ema_decay = settings.ema_decay;
            for batch in &mut case.data.steps {
                batch.loss_options.class_weights = settings.class_weights.clone().map(Into::into);
            }
            let mut learner = case.learner();
            for (step, expected) in losses.into_iter().enumerate() {
                assert_close(&what, step, learner.step().unwrap().loss, expected);
                if let Some(expected) = losses_of_average.get(step) {
                    let terms =
                        learner.result().loss_terms(case.data.steps[step].clone(), &Device::flex());
                    let losses = terms.unwrap().remove(0).losses;
                    let loss = f64::from(losses.mean().into_scalar::<f32>());
                    assert_close(&format!("{what}, averaged"), step, loss, *expected);
                }
            }
        }
    }
}
