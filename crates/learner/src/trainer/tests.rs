//! The loop on a tiny model and made-up batches: exact resume and what would break it, skipped
//! steps, accumulation.

use burn::module::Module;
use burn::tensor::Device;
use nystromformer::heads::TargetsData;
use nystromformer::{
    Architecture, AttentionKind, LandmarkRule, Model, NystromformerConfig, PreTrainedModel,
};
use nystromformer_data::{MaskedRows, Objective, SentenceOrderRows};
use nystromformer_tasks::Split;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::learner::{Learner, Update};
use super::run::{EndReason, TrainOutput, Trainer};
use crate::batch::{BatchSource, TokenBatch};
use crate::error::{LearnerError, Result};
use crate::experiment::{Experiment, Precision};
use crate::loss_scale::LossScale;
use crate::metrics_log::{EvaluationRecord, MetricsLog, MetricsRecord, StepRecord};
use crate::parameter_groups::ParameterGroups;
use crate::progress::Progress;
use crate::random::fault::omit_seeding;
use crate::run_dir::RunDir;
use crate::schedule::{OneCycle, Schedule};
use crate::stop::{StopFlag, StopReason};
use crate::trainable::Trainable;
use crate::weight_average::weights_to_safetensors;

mod ranks;

/// Makes losses of chosen steps not a number, and dropout what it would be by another rule.
pub(super) mod fault {
    use std::cell::{Cell, RefCell};
    use std::ops::Range;

    use burn::tensor::Tensor;

    thread_local! {
        static POISONED: RefCell<Range<usize>> = const { RefCell::new(0..0) };
    }

    /// Poisons the steps after these numbers of completed steps.
    pub(super) fn poison_steps(steps: Range<usize>) {
        POISONED.set(steps);
    }

    thread_local! {
        static COUNTS_FROM_OWN: Cell<bool> = const { Cell::new(false) };
    }

    /// Draws dropout by the number of a micro-batch among those of its rank.
    pub(super) fn count_dropout_from_own(from_own: bool) {
        COUNTS_FROM_OWN.set(from_own);
    }

    /// The number by which dropout is drawn for a micro-batch of a rank whose first one is `first`.
    pub(in crate::trainer) fn number(micro_batch: usize, first: usize) -> usize {
        if COUNTS_FROM_OWN.get() { micro_batch - first } else { micro_batch }
    }

    pub(in crate::trainer) fn poison(loss: Tensor<1>, step: usize) -> Tensor<1> {
        if POISONED.with_borrow(|steps| steps.contains(&step)) { loss * f32::NAN } else { loss }
    }
}

const EXAMPLES: usize = 10;
const SEQ_LEN: usize = 12;

/// Batches that are a pure function of the examples' numbers: some rows padded, one to five tokens
/// masked.
#[derive(Debug, Default)]
struct Synthetic {
    /// Steps that the data forgets it has given: what a resume without its data cursor would do.
    forgotten_steps: usize,
    fingerprint: String,
    /// Whether rows are pairs of segments, to be told apart from swapped ones.
    pairs: bool,
    /// Steps of which no token is masked.
    without_targets: Range<usize>,
    /// Whether each row has one class of two, in the place of masked tokens.
    classes: bool,
    /// Whether every other example has no masked token.
    sparse: bool,
    /// A step that cannot be read.
    broken_step: Option<usize>,
}

impl Synthetic {
    fn rows(&self, examples: impl Iterator<Item = u64>) -> MaskedRows {
        let mut rows = MaskedRows {
            input_ids: Vec::new(),
            lengths: Vec::new(),
            masked_positions: Vec::new(),
            masked_labels: Vec::new(),
            seq_len: SEQ_LEN,
            sentence_order: None,
        };
        let mut pairs = SentenceOrderRows { token_type_ids: Vec::new(), order_labels: Vec::new() };
        for example in examples {
            let hash = blake3::hash(&example.to_le_bytes());
            let bytes = hash.as_bytes();
            let length = SEQ_LEN - usize::from(bytes[31] % 4);
            let start = rows.input_ids.len();
            for (column, byte) in bytes[..SEQ_LEN].iter().enumerate() {
                let token = 3 + i32::from(byte % 37);
                rows.input_ids.push(if column < length { token } else { 1 });
            }
            let masked =
                if self.sparse && example % 2 == 0 { 0 } else { 1 + usize::from(bytes[30] % 5) };
            for column in 0..masked {
                rows.masked_positions.push((start + column) as i32);
                rows.masked_labels.push(rows.input_ids[start + column]);
                rows.input_ids[start + column] = 4;
            }
            rows.lengths.push(length);
            pairs.token_type_ids.extend((0..SEQ_LEN).map(|column| i32::from(column > 4)));
            pairs.order_labels.push(i32::from(bytes[29] % 2));
        }
        rows.sentence_order = self.pairs.then_some(pairs);
        rows
    }

    fn batch(&self, rows: MaskedRows) -> TokenBatch {
        let classes = rows.lengths.iter().map(|length| (length % 2) as i32).collect();
        let mut batch = TokenBatch::from(rows);
        if self.classes {
            batch.targets = TargetsData::Class(classes);
        }
        batch
    }
}

impl BatchSource for Synthetic {
    type Batch = TokenBatch;

    fn training_examples(&self) -> usize {
        EXAMPLES
    }

    fn evaluation_examples(&self, split: Split) -> usize {
        if split == Split::Validation { 4 } else { 0 }
    }

    fn training_step(
        &self,
        completed_steps: usize,
        batch_size: usize,
        micro_batch_size: usize,
    ) -> Result<Vec<TokenBatch>> {
        if self.broken_step == Some(completed_steps) {
            return Err(LearnerError::Data("broken".to_owned()));
        }
        let first = (completed_steps - self.forgotten_steps) * batch_size;
        let examples: Vec<u64> =
            (first..first + batch_size).map(|example| (example % EXAMPLES) as u64).collect();
        let rows = examples.chunks(micro_batch_size).map(|c| self.rows(c.iter().copied()));
        let without_targets = self.without_targets.contains(&completed_steps);
        Ok(rows
            .map(|mut rows| {
                if without_targets {
                    rows.masked_positions.clear();
                    rows.masked_labels.clear();
                }
                self.batch(rows)
            })
            .collect())
    }

    fn evaluation_batch(&self, _: Split, first: usize, count: usize) -> Result<TokenBatch> {
        Ok(self.batch(self.rows((first..first + count).map(|example| 1000 + example as u64))))
    }

    fn fingerprints(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("data".to_owned(), self.fingerprint.clone())])
    }

    fn write_tokenizer(&self, directory: &Path, _model: &NystromformerConfig) -> Result<()> {
        let path = directory.join("tokenizer.json");
        std::fs::write(&path, "{}").map_err(LearnerError::io("write", &path))
    }
}

/// Two layers with dropout, two micro-batches of unequal size in a step, one-cycle with momentum,
/// clipping.
fn experiment() -> Experiment {
    let mut experiment = Experiment { name: "tiny".to_owned(), seed: 3, ..Experiment::default() };
    let model = &mut experiment.model;
    model.embeddings.vocab_size = 40;
    model.shared.hidden_size = 16;
    model.encoder.num_hidden_layers = 2;
    model.shared.num_attention_heads = 2;
    model.feed_forward.intermediate_size = 24;
    model.embeddings.max_position_embeddings = 16;
    model.attention.nystrom.num_landmarks = 4;
    model.attention.convolution.conv_kernel_size = 3;
    experiment.data.seq_len = SEQ_LEN;
    experiment.optimizer.learning_rate = 5e-3;
    experiment.schedule = Schedule::OneCycle(OneCycle { pct_start: 0.3, ..OneCycle::default() });
    let trainer = &mut experiment.trainer;
    trainer.max_steps = 8;
    trainer.batch_size = 5;
    trainer.micro_batch_size = 3;
    trainer.eval_every = 3;
    trainer.checkpoint_every = 100;
    trainer.keep_last = 100;
    trainer.max_grad_norm = 1.0;
    experiment
}

/// Asks for a stop once a step is reached.
#[derive(Default)]
struct StopAt {
    step: Option<usize>,
    flag: StopFlag,
}

impl Progress for StopAt {
    fn start(&mut self, _name: &str, _completed: usize, _total: usize) {}
    fn step(&mut self, record: &StepRecord) {
        if Some(record.step) == self.step {
            self.flag.request(StopReason::Terminate);
        }
    }
    fn evaluation(&mut self, _record: &EvaluationRecord) {}
    fn note(&mut self, _text: &str) {}
    fn finish(&mut self) {}
}

/// One session in `path`: a new run, or the rest of the one that is there.
fn session(
    path: &Path,
    experiment: &Experiment,
    data: &Synthetic,
    stop_at: Option<usize>,
) -> Result<TrainOutput> {
    let device = Device::flex();
    let (run, learner) = if RunDir::holds_run(path) {
        let run = RunDir::open(path)?;
        let learner = match run.checkpoints()?.newest_valid()? {
            Some(checkpoint) => Learner::restore(experiment, data, &device, &checkpoint)?,
            None => Learner::new(experiment, data, &device)?,
        };
        (run, learner)
    } else {
        let run = RunDir::create(path)?;
        run.write_config(&experiment.to_toml(), &[])?;
        (run, Learner::new(experiment, data, &device)?)
    };
    let flag = StopFlag::new();
    let mut progress = StopAt { step: stop_at, flag: flag.clone() };
    Trainer::new(learner, &run, flag, &mut progress)?.fit()
}

/// Everything of a finished run that must not depend on where it was interrupted: weights, moments,
/// metrics without their times.
#[derive(Debug, PartialEq)]
struct RunResult {
    weights: Vec<u8>,
    moments: Vec<u8>,
    weights_in_training: Option<Vec<u8>>,
    metrics: Vec<MetricsRecord>,
    last_evaluation: Option<EvaluationRecord>,
    best_evaluation: Option<EvaluationRecord>,
    evaluations_without_improvement: usize,
}

fn result(path: &Path) -> RunResult {
    let checkpoint = RunDir::checkpoints_of(path).newest_valid().unwrap().unwrap();
    let (newest, state) = (checkpoint.path, checkpoint.manifest.state);
    let mut metrics = MetricsLog::read(&path.join("metrics.jsonl")).unwrap();
    for record in &mut metrics {
        if let MetricsRecord::Train(record) = record {
            record.tokens_per_second = 0.0;
            record.elapsed_s = 0.0;
        }
    }
    RunResult {
        weights: std::fs::read(newest.join("model.safetensors")).unwrap(),
        moments: std::fs::read(newest.join("optimizer.safetensors")).unwrap(),
        weights_in_training: std::fs::read(newest.join("weights_in_training.safetensors")).ok(),
        metrics,
        last_evaluation: state.last_evaluation,
        best_evaluation: state.best_evaluation,
        evaluations_without_improvement: state.evaluations_without_improvement,
    }
}

fn unbroken(directory: &Path, experiment: &Experiment) -> RunResult {
    let path = directory.join("unbroken");
    let outcome = session(&path, experiment, &Synthetic::default(), None).unwrap();
    assert_eq!(outcome.ended_by, EndReason::Finished);
    result(&path)
}

/// A run that was stopped after `step` and resumed with `resumed_data`.
fn interrupted(
    directory: &Path,
    experiment: &Experiment,
    step: usize,
    resumed_data: &Synthetic,
) -> RunResult {
    let path = directory.join(format!("interrupted-{step}"));
    let outcome = session(&path, experiment, &Synthetic::default(), Some(step)).unwrap();
    assert_eq!(outcome.ended_by.exit_code(), 75);
    assert_eq!(outcome.summary.steps, step);
    let outcome = session(&path, experiment, resumed_data, None).unwrap();
    assert_eq!(outcome.ended_by, EndReason::Finished);
    result(&path)
}

#[test]
fn a_resumed_run_is_bit_for_bit_the_unbroken_one() {
    let directory = tempfile::tempdir().unwrap();
    let expected = unbroken(directory.path(), &experiment());
    assert_eq!(expected.metrics.len(), 8 + 3);
    // First step; epoch edge (2 steps of 5 over 10 examples); evaluation step, whose evaluation is then the next session's;
    // beyond the peak; last but one; last, before its evaluation.
    for step in [1, 2, 3, 5, 7, 8] {
        let found = interrupted(directory.path(), &experiment(), step, &Synthetic::default());
        assert!(found == expected, "stopped after step {step}");
    }
}

/// Those that draw anew in every step among them, and one with weights of its own.
#[test]
fn with_every_kind_of_attention_a_resumed_run_is_bit_for_bit_the_unbroken_one() {
    for &kind in AttentionKind::ALL {
        let directory = tempfile::tempdir().unwrap();
        let mut experiment = experiment();
        experiment.trainer.max_steps = 4;
        let attention = &mut experiment.model.attention;
        attention.kind = kind;
        attention.nystrom.landmarks = LandmarkRule::Weighted;
        attention.nystrom.keep_ends = true;
        attention.nystrom.local_window = 4;
        attention.linformer.linformer_k = 3;
        attention.performer.performer_features = 6;
        attention.performer.performer_redraw = true;
        attention.longformer.attention_window = 4;
        attention.agent.num_agents = 4;
        attention.reformer.num_buckets = 4;
        attention.reformer.lsh_attn_chunk_length = 4;
        attention.reformer.hash_redraw = true;
        let expected = unbroken(directory.path(), &experiment);
        let found = interrupted(directory.path(), &experiment, 3, &Synthetic::default());
        assert!(found == expected, "{}", kind.name());
    }
}

/// Stopped in an evaluation, and then killed after the evaluation was logged and before the checkpoint knew of it.
#[test]
fn an_evaluation_that_the_checkpoint_does_not_know_is_done_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut experiment = experiment();
    experiment.trainer.keep_last = 1;
    let expected = unbroken(directory.path(), &experiment);
    let path = directory.path().join("killed");
    session(&path, &experiment, &Synthetic::default(), Some(3)).unwrap();
    let checkpoint = RunDir::checkpoints_of(&path).newest_valid().unwrap().unwrap();
    assert!(checkpoint.manifest.state.last_evaluation.is_none());
    let logged =
        expected.metrics.iter().find(|record| matches!(record, MetricsRecord::Validation(_)));
    let mut log = RunDir::open(&path).unwrap().metrics(3, 0).unwrap();
    log.append(logged.unwrap()).unwrap();
    session(&path, &experiment, &Synthetic::default(), None).unwrap();
    assert!(result(&path) == expected);
}

#[test]
fn half_precision_follows_single_precision_and_resumes_bit_for_bit() {
    // Large enough that most products run on the matrix unit of CPUs that have one.
    let mut experiment = experiment();
    experiment.model.shared.hidden_size = 64;
    experiment.model.feed_forward.intermediate_size = 64;
    let single = tempfile::tempdir().unwrap();
    let single = unbroken(single.path(), &experiment);
    for (precision, share) in [(Precision::Bf16, 0.02), (Precision::F16, 0.005)] {
        experiment.trainer.precision = precision;
        let directory = tempfile::tempdir().unwrap();
        let half = unbroken(directory.path(), &experiment);
        for (single, half) in single.metrics.iter().zip(&half.metrics) {
            if let (MetricsRecord::Train(single), MetricsRecord::Train(half)) = (single, half) {
                let distance = (half.loss / single.loss - 1.0).abs();
                assert!(distance < share, "{precision:?}: {} against {}", half.loss, single.loss);
            }
        }
        assert!(half.weights != single.weights, "on every CPU factors are rounded");
        let found = interrupted(directory.path(), &experiment, 3, &Synthetic::default());
        assert!(found == half, "{precision:?}, stopped after step 3");
    }
}

/// A power of two changes no digit of a gradient, and the update divides by it.
#[test]
fn a_scaled_loss_changes_no_bit_of_norm_or_weights() {
    let (experiment, data) = (experiment(), Synthetic::default());
    let trained = |loss_scale: Option<LossScale>| {
        let mut learner = Learner::new(&experiment, &data, &Device::flex()).unwrap();
        learner.state.loss_scale = loss_scale;
        let outputs = [(); 4].map(|()| learner.step().unwrap());
        (outputs, learner.optimizer.to_safetensors().unwrap())
    };
    let scaled = LossScale { factor: 1024.0, updates: 0 };
    assert!(trained(Some(scaled)) == trained(None));
}

#[test]
fn what_overflows_in_f16_is_skipped_until_the_scale_fits_and_ends_no_run() {
    let mut experiment = experiment();
    let data = Synthetic::default();
    let first_loss = |experiment: &Experiment| {
        Learner::new(experiment, &data, &Device::flex()).unwrap().step().unwrap().loss
    };
    let single = first_loss(&experiment);
    experiment.trainer.precision = Precision::F16;
    assert!((first_loss(&experiment) / single - 1.0).abs() < 1e-3);
    let mut learner = Learner::new(&experiment, &data, &Device::flex()).unwrap();
    assert_eq!(learner.state().loss_scale.unwrap().factor, 65_536.0);
    learner.state.loss_scale = Some(LossScale { factor: 2f64.powi(30), updates: 7 });
    let moments = learner.optimizer.to_safetensors().unwrap();
    let mut skipped = 0;
    while learner.step().unwrap().update == Update::NotFinite {
        skipped += 1;
        let state = learner.state();
        let scale = state.loss_scale.unwrap();
        assert_eq!((scale.factor, scale.updates), (2f64.powi(30 - skipped), 0));
        assert_eq!((state.consecutive_skips, state.updates), (0, 0));
        assert!(learner.optimizer.to_safetensors().unwrap() == moments);
    }
    assert!(skipped > 5, "{skipped}");
    assert_eq!(learner.state().loss_scale.unwrap().updates, 1);
    // A loss that is not finite is no matter of its scale.
    let before = learner.state().loss_scale;
    fault::poison_steps(learner.state().step..usize::MAX);
    assert_eq!(learner.step().unwrap().update, Update::NotFinite);
    fault::poison_steps(0..0);
    assert_eq!((learner.state().loss_scale, learner.state().consecutive_skips), (before, 1));
}

#[test]
fn the_scale_of_the_loss_is_kept_in_checkpoints() {
    let mut experiment = experiment();
    experiment.trainer.precision = Precision::F16;
    let directory = tempfile::tempdir().unwrap();
    let updates = |stop_after: Option<usize>| {
        session(directory.path(), &experiment, &Synthetic::default(), stop_after).unwrap();
        let newest = RunDir::checkpoints_of(directory.path()).newest_valid().unwrap().unwrap();
        newest.manifest.state.loss_scale.unwrap().updates
    };
    assert_eq!((updates(Some(3)), updates(None)), (3, 8));
}

/// With layers of their own and with shared ones, with the first of them frozen, and in the middle of a run.
#[test]
fn layers_that_are_computed_once_more_change_no_bit() {
    let changes: [fn(&mut Experiment); 3] = [
        |_| {},
        |experiment| experiment.model.encoder.num_hidden_groups = 1,
        |experiment| {
            experiment.trainer.freeze_embeddings = true;
            experiment.trainer.freeze_layers = 1;
            experiment.model.shared.norm_first = true;
        },
    ];
    for change in changes {
        let mut experiment = experiment();
        change(&mut experiment);
        let directory = tempfile::tempdir().unwrap();
        let kept = unbroken(&directory.path().join("kept"), &experiment);
        let mut recomputed = experiment.clone();
        recomputed.trainer.gradient_checkpointing = true;
        let found = unbroken(&directory.path().join("recomputed"), &recomputed);
        assert!(found == kept, "{:?}", experiment.model.encoder);
        let path = directory.path().join("half");
        session(&path, &experiment, &Synthetic::default(), Some(3)).unwrap();
        session(&path, &recomputed, &Synthetic::default(), None).unwrap();
        assert!(result(&path) == kept, "switched on after step 3");
    }
}

/// What an option changes, and whether there are averaged weights then.
type Change = (fn(&mut Experiment), bool);

#[test]
fn with_every_option_of_training_a_resumed_run_is_bit_for_bit_the_unbroken_one() {
    let plain = tempfile::tempdir().unwrap();
    let plain = unbroken(plain.path(), &experiment());
    let changes: [Change; 5] = [
        (|experiment| experiment.optimizer.layer_decay = 0.5, false),
        (|experiment| experiment.trainer.label_smoothing_factor = 0.2, false),
        (|experiment| experiment.trainer.ema_decay = 0.7, true),
        (
            |experiment| {
                experiment.trainer.freeze_embeddings = true;
                experiment.trainer.freeze_layers = 1;
            },
            false,
        ),
        (
            |experiment| {
                experiment.optimizer.layer_decay = 0.8;
                experiment.trainer.freeze_layers = 1;
                experiment.trainer.ema_decay = 0.9;
                experiment.trainer.label_smoothing_factor = 0.1;
            },
            true,
        ),
    ];
    for (change, has_average) in changes {
        let mut experiment = experiment();
        change(&mut experiment);
        let directory = tempfile::tempdir().unwrap();
        let expected = unbroken(directory.path(), &experiment);
        assert_ne!(expected.weights, plain.weights);
        assert_eq!(expected.weights_in_training.is_some(), has_average);
        for step in [1, 4] {
            let found = interrupted(directory.path(), &experiment, step, &Synthetic::default());
            assert!(found == expected, "stopped after step {step}: {:?}", experiment.trainer);
        }
    }
}

/// The weights in training are those of the run without an average; what is evaluated, chosen and saved is the average.
#[test]
fn an_average_leaves_training_as_it_is_and_is_what_counts() {
    let directory = tempfile::tempdir().unwrap();
    let mut experiment = experiment();
    let plain = unbroken(&directory.path().join("plain"), &experiment);
    experiment.trainer.ema_decay = 0.7;
    let averaged = unbroken(&directory.path().join("averaged"), &experiment);
    assert_eq!(averaged.moments, plain.moments);
    assert_ne!(averaged.weights, plain.weights);
    for (plain, averaged) in plain.metrics.iter().zip(&averaged.metrics) {
        match (plain, averaged) {
            (MetricsRecord::Train(plain), MetricsRecord::Train(averaged)) => {
                assert_eq!(plain, averaged);
            }
            (plain, averaged) => assert_ne!(plain, averaged),
        }
    }
    // The folder of the run is the averaged model.
    let path = directory.path().join("averaged/unbroken");
    let best = averaged.best_evaluation.unwrap();
    let checkpoint = RunDir::checkpoints_of(&path).valid(best.step).unwrap();
    assert_eq!(super::model_folder(&path).unwrap(), checkpoint.path);
    let device = Device::flex();
    let model = nystromformer_interop::load_model(&checkpoint.path, &device).unwrap();
    let data = Synthetic::default();
    let learner = Learner::new(&experiment, &data, &device).unwrap();
    let evaluator = learner.evaluator(best.step, StopFlag::new(), &|_| {});
    assert_eq!(evaluator.evaluate_validation(&model, None).unwrap().record, best);
    // Without the weights in training the checkpoint is no state to go on from.
    let newest = RunDir::checkpoints_of(&path).newest_valid().unwrap().unwrap();
    let file = newest.path.join("weights_in_training.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.len() > 1000 && file.is_file());
    let restored = Learner::restore(&experiment, &data, &device, &newest).unwrap();
    assert_eq!(weights_to_safetensors(restored.model(), &restored.groups).unwrap(), bytes);
}

/// A batch reads a few of 400 rows of the table, and the others wait. An average reads all of them at every step, so none waits there:
/// the weights in training, the moments and every loss are the same, bit for bit.
#[test]
fn rows_that_wait_change_nothing() {
    fn learner<'a>(experiment: &'a Experiment, data: &'a Synthetic) -> Learner<'a> {
        Learner::init(experiment, data, &Device::flex(), |device| {
            Ok(Model::init(Architecture::SequenceClassification, &experiment.model, device)?)
        })
        .unwrap()
    }
    let directory = tempfile::tempdir().unwrap();
    let mut experiment = experiment();
    experiment.model.embeddings.vocab_size = 400;
    experiment.optimizer.layer_decay = 0.9;
    let data = Synthetic { classes: true, ..Synthetic::default() };
    let run = |experiment: &Experiment| {
        let path = directory.path().join(format!("{}", experiment.trainer.ema_decay));
        let run = RunDir::create(&path).unwrap();
        run.write_config(&experiment.to_toml(), &[]).unwrap();
        let (flag, mut progress) = (StopFlag::new(), StopAt::default());
        let trainer = Trainer::new(learner(experiment, &data), &run, flag, &mut progress).unwrap();
        assert_eq!(trainer.fit().unwrap().ended_by, EndReason::Finished);
        result(&path)
    };
    let waiting = run(&experiment);
    let mut averaged = experiment.clone();
    averaged.trainer.ema_decay = 0.7;
    let averaged = run(&averaged);
    assert_eq!(waiting.moments, averaged.moments);
    let all = |bytes: &[u8]| {
        let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
        let tensors = file.tensors().into_iter();
        tensors.map(|(name, view)| (name, view.data().to_vec())).collect::<BTreeMap<_, _>>()
    };
    let in_training = all(&averaged.weights_in_training.unwrap());
    let table = "nystromformer.embeddings.word_embeddings.weight";
    assert_eq!(all(&waiting.weights)[table], in_training[table]);
    for (waiting, averaged) in waiting.metrics.iter().zip(&averaged.metrics) {
        if let (MetricsRecord::Train(waiting), MetricsRecord::Train(averaged)) = (waiting, averaged)
        {
            assert_eq!(waiting, averaged);
        }
    }

    let mut learner = learner(&experiment, &data);
    learner.timed_step().unwrap();
    assert!(!learner.optimizer.is_settled());
    learner.step().unwrap();
    assert!(learner.optimizer.is_settled());
}

/// Beyond the rows that a batch says it reads, the table has no gradient.
#[test]
fn no_head_that_names_its_table_reads_more_of_it_than_its_tokens() {
    let mut experiment = experiment();
    experiment.model.embeddings.vocab_size = 400;
    let device = Device::flex();
    let mut named = 0;
    for architecture in Architecture::ALL {
        let Some(path) = architecture.class().token_table else { continue };
        named += 1;
        let model =
            Model::init(architecture, &experiment.model, &device.clone().autodiff()).unwrap();
        assert!(ParameterGroups::default().trained(&model).iter().any(|found| found.path == path));
        let data = Synthetic::default();
        let mut batch = data.evaluation_batch(Split::Validation, 0, 4).unwrap();
        batch.targets = match architecture {
            Architecture::SequenceClassification => TargetsData::Class(vec![0, 1, 0, 1]),
            Architecture::TokenClassification => {
                TargetsData::Tokens { positions: vec![0, 5, 14], labels: vec![0, 1, 0] }
            }
            Architecture::QuestionAnswering => {
                TargetsData::Span { start: vec![0, 1, 2, 3], end: vec![3, 2, 2, 4] }
            }
            Architecture::MultipleChoice | Architecture::DualEncoder => {
                TargetsData::Class(vec![0, 1])
            }
            other => panic!("{other}: which targets has it?"),
        };
        let rows = &model.rows_read(&batch)[path];
        let terms = model.loss_terms(batch, &device.clone().autodiff()).unwrap();
        let loss = terms.into_iter().map(|term| term.losses.sum()).reduce(|sum, loss| sum + loss);
        let gradients = loss.unwrap().backward();
        let table = &model.nystromformer().embeddings.tokens().unwrap().word_embeddings.weight;
        let gradient: Vec<f32> = table.val().grad(&gradients).unwrap().try_into_vec_as().unwrap();
        let width = experiment.model.shared.hidden_size;
        for (row, gradient) in gradient.chunks_exact(width).enumerate() {
            let has_none = gradient.iter().all(|value| value.to_bits() == 0);
            assert!(has_none || rows.contains(&row), "{architecture}: row {row}");
        }
        assert!(gradient.iter().any(|value| *value != 0.0), "{architecture}");
    }
    assert_eq!(named, 5);
}

#[test]
fn what_is_frozen_keeps_its_weights_and_has_no_moments() {
    let mut experiment = experiment();
    experiment.trainer.freeze_layers = 1;
    experiment.trainer.freeze_embeddings = true;
    let data = Synthetic::default();
    let mut learner = Learner::new(&experiment, &data, &Device::flex()).unwrap();
    let all = ParameterGroups::default();
    let before = weights_to_safetensors(learner.model(), &all).unwrap();
    let mut free = experiment.clone();
    (free.trainer.freeze_layers, free.trainer.freeze_embeddings) = (0, false);
    let norm = |experiment: &Experiment| {
        Learner::new(experiment, &data, &Device::flex()).unwrap().step().unwrap().grad_norm
    };
    assert!(norm(&experiment) < norm(&free));
    for _ in 0..2 {
        assert_eq!(learner.step().unwrap().update, Update::Applied);
    }
    let after = weights_to_safetensors(learner.model(), &all).unwrap();
    let [before, after] =
        [&before, &after].map(|bytes| safetensors::SafeTensors::deserialize(bytes).unwrap());
    let moments = learner.optimizer.to_safetensors().unwrap();
    let moments = safetensors::SafeTensors::deserialize(&moments).unwrap();
    let (mut frozen, mut trained) = (0, 0);
    for name in before.names() {
        let is_frozen = name.contains(".embeddings.") || name.contains(".encoder.layer.0.");
        let is_same = before.tensor(name).unwrap().data() == after.tensor(name).unwrap().data();
        assert_eq!(is_same, is_frozen, "{name}");
        assert_eq!(moments.tensor(&format!("exp_avg.{name}")).is_err(), is_frozen, "{name}");
        *(if is_frozen { &mut frozen } else { &mut trained }) += 1;
    }
    assert!(frozen > 10 && trained > 10, "{frozen} {trained}");
    let numbers = learner.trained_parameters().unwrap();
    assert!(numbers > 0 && numbers < learner.model().num_params());
}

#[test]
fn more_layers_than_there_are_cannot_be_frozen() {
    let mut experiment = experiment();
    experiment.trainer.freeze_layers = 3;
    let data = Synthetic::default();
    let error = Learner::new(&experiment, &data, &Device::flex()).map(|_| ()).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("`trainer.freeze_layers` = `3`"), "{error}");
}

#[test]
fn without_derived_seeds_a_resumed_run_would_differ() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    session(&path, &experiment(), &Synthetic::default(), Some(4)).unwrap();
    copy_run(&path, &directory.path().join("b"));
    session(&path, &experiment(), &Synthetic::default(), None).unwrap();
    omit_seeding(true);
    session(&directory.path().join("b"), &experiment(), &Synthetic::default(), None).unwrap();
    omit_seeding(false);
    assert_ne!(result(&path).weights, result(&directory.path().join("b")).weights);
}

#[test]
fn without_the_data_cursor_a_resumed_run_would_differ() {
    let directory = tempfile::tempdir().unwrap();
    let expected = unbroken(directory.path(), &experiment());
    let forgetful = Synthetic { forgotten_steps: 3, ..Synthetic::default() };
    let found = interrupted(directory.path(), &experiment(), 3, &forgetful);
    assert_ne!(found.weights, expected.weights);
    assert_ne!(found.moments, expected.moments);
}

fn copy_run(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap().path();
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy_run(&entry, &target);
        } else {
            std::fs::copy(&entry, &target).unwrap();
        }
    }
}

#[test]
fn another_seed_is_another_run_and_the_same_seed_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let run = |name: &str, seed: u64| {
        let path = directory.path().join(name);
        let experiment = Experiment { seed, ..experiment() };
        session(&path, &experiment, &Synthetic::default(), None).unwrap();
        result(&path)
    };
    let first = run("a", 3);
    assert!(first == run("b", 3));
    assert_ne!(first.weights, run("c", 4).weights);
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_the_end_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let mut experiment = experiment();
    experiment.trainer.checkpoint_every = 2;
    let expected = unbroken(directory.path(), &experiment);
    let path = directory.path().join("damaged");
    session(&path, &experiment, &Synthetic::default(), Some(5)).unwrap();
    let newest = RunDir::checkpoints_of(&path).newest_valid().unwrap().unwrap();
    assert_eq!(newest.manifest.state.step, 5);
    std::fs::write(newest.path.join("optimizer.safetensors"), "damaged").unwrap();
    session(&path, &experiment, &Synthetic::default(), None).unwrap();
    assert!(result(&path) == expected);
}

#[test]
fn a_step_that_is_not_finite_changes_nothing_and_is_counted() {
    let (experiment, data) = (experiment(), Synthetic::default());
    let mut learner = Learner::new(&experiment, &data, &Device::flex()).unwrap();
    learner.step().unwrap();
    let weights = |learner: &Learner| {
        let directory = tempfile::tempdir().unwrap();
        nystromformer_interop::save(learner.model(), directory.path()).unwrap();
        let file = std::fs::read(directory.path().join("model.safetensors")).unwrap();
        (file, learner.optimizer.to_safetensors().unwrap())
    };
    let before = weights(&learner);
    fault::poison_steps(1..2);
    let outcome = learner.step().unwrap();
    fault::poison_steps(0..0);
    assert_eq!(outcome.update, Update::NotFinite);
    assert!(outcome.loss.is_nan() && outcome.grad_norm.is_nan());
    assert!(weights(&learner) == before);
    let state = learner.state().clone();
    assert_eq!((state.step, state.updates, state.consecutive_skips), (2, 1, 1));
    assert_eq!(learner.step().unwrap().update, Update::Applied);
    assert_eq!(learner.state().consecutive_skips, 0);
    assert!(weights(&learner) != before);
}

/// As beside a GPU.
#[test]
fn micro_batches_made_ahead_change_nothing_and_an_error_in_them_is_that_of_their_step() {
    let experiment = experiment();
    let data = Synthetic::default();
    let trained = |is_on: bool| {
        let mut learner = Learner::new(&experiment, &data, &Device::flex()).unwrap();
        assert!(!learner.ahead.is_on, "the CPU has no time left");
        learner.ahead.is_on = is_on;
        let mut outputs = Vec::new();
        for step in 1..=8 {
            outputs.push(learner.step().unwrap());
            let is_next = is_on && step < 8;
            assert_eq!(learner.ahead.step_made(), is_next.then_some(step));
        }
        (outputs, learner.optimizer.to_safetensors().unwrap())
    };
    assert!(trained(true) == trained(false));

    let data = Synthetic { broken_step: Some(3), ..Synthetic::default() };
    let mut learner = Learner::new(&experiment, &data, &Device::flex()).unwrap();
    learner.ahead.is_on = true;
    for _ in 0..3 {
        learner.step().unwrap();
    }
    let error = learner.step().map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("broken"), "{error}");
    assert_eq!(learner.state().step, 3);
}

#[test]
fn targets_that_weigh_nothing_are_told() {
    let (experiment, data) = (experiment(), Synthetic::default());
    let learner = Learner::new(&experiment, &data, &Device::flex()).unwrap();
    let batch = data.training_step(0, 1, 1).unwrap().remove(0);
    let error = learner.forward_backward(batch, &[0.0]).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("`Batch::target_weights`"), "{error}");
}

/// By chance a small batch has no masked token. That is no divergence, however often it happens.
#[test]
fn a_step_without_targets_changes_nothing_and_is_told_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let mut experiment = experiment();
    experiment.trainer.max_skipped_steps = 1;
    let data = Synthetic { without_targets: 2..5, ..Synthetic::default() };
    let summary = session(directory.path(), &experiment, &data, None).unwrap().summary;
    assert_eq!((summary.steps, summary.skipped_steps, summary.steps_without_targets), (8, 0, 3));
    let text = std::fs::read_to_string(directory.path().join("metrics.jsonl")).unwrap();
    let told = |line: &&str| line.contains("no_targets");
    assert_eq!(text.lines().filter(told).count(), 3);
    let line = text.lines().find(told).unwrap();
    for part in [r#""step":3"#, r#""loss":null"#, r#""grad_norm":0.0"#, r#""no_targets":true"#] {
        assert!(line.contains(part), "{line}");
    }
    assert!(!text.contains("skipped"), "{text}");
    let state = RunDir::checkpoints_of(directory.path()).newest_valid().unwrap().unwrap();
    let state = state.manifest.state;
    assert_eq!((state.updates, state.steps_without_targets), (5, 3));
}

#[test]
fn after_too_many_such_steps_the_run_fails_and_its_checkpoint_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let mut experiment = experiment();
    experiment.trainer.max_skipped_steps = 2;
    fault::poison_steps(4..100);
    let error = session(&path, &experiment, &Synthetic::default(), None).unwrap_err();
    fault::poison_steps(0..0);
    assert_eq!(error.exit_code(), 5);
    let message = error.to_string();
    assert!(message.contains("for `2` steps in a row, the last at step `6`"), "{message}");
    assert!(message.contains("step-00000003"), "{message}");
    // Skipped steps are in the log, and the cure needs no clean-up.
    let metrics = MetricsLog::read(&path.join("metrics.jsonl")).unwrap();
    let skipped =
        metrics.iter().filter(|record| matches!(record, MetricsRecord::Train(r) if r.skipped));
    assert_eq!(skipped.count(), 2);
    let outcome = session(&path, &experiment, &Synthetic::default(), None).unwrap();
    assert_eq!(outcome.summary.skipped_steps, 0);
}

/// The first moments after one step, which are the clipped gradient times `1 − beta_1`.
fn first_moments(experiment: &Experiment, data: &Synthetic) -> Vec<f32> {
    let mut learner = Learner::new(experiment, data, &Device::flex()).unwrap();
    learner.step().unwrap();
    let bytes = learner.optimizer.to_safetensors().unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names = file.names();
    names.retain(|name| name.starts_with("exp_avg."));
    names.sort_unstable();
    names
        .iter()
        .flat_map(|name| {
            file.tensor(name)
                .unwrap()
                .data()
                .chunks_exact(4)
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        })
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect()
}

#[test]
fn accumulated_micro_batches_are_the_big_batch() {
    let mut experiment = experiment();
    experiment.model.shared.hidden_dropout_prob = 0.0;
    experiment.model.attention.softmax.attention_probs_dropout_prob = 0.0;
    // One term of the loss, and two that are means over different numbers of answers.
    for pairs in [false, true] {
        let data = Synthetic { pairs, ..Synthetic::default() };
        experiment.data.objective = if pairs { Objective::MlmSop } else { Objective::Mlm };
        experiment.trainer.micro_batch_size = 5;
        let whole = first_moments(&experiment, &data);
        let scale = whole.iter().fold(0.0_f32, |scale, value| scale.max(value.abs()));
        assert!(scale > 0.0);
        for micro_batch_size in [1, 2, 3] {
            experiment.trainer.micro_batch_size = micro_batch_size;
            let difference = first_moments(&experiment, &data)
                .iter()
                .zip(&whole)
                .fold(0.0_f32, |worst, (found, expected)| worst.max((found - expected).abs()));
            assert!(difference <= 1e-6 * scale, "{micro_batch_size}: {}", difference / scale);
        }
    }
}

#[test]
fn a_changed_experiment_or_corpus_is_refused_with_what_changed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    session(&path, &experiment(), &Synthetic::default(), Some(2)).unwrap();
    let mut changed = experiment();
    changed.trainer.batch_size = 6;
    changed.optimizer.weight_decay = 0.5;
    let error = session(&path, &changed, &Synthetic::default(), None).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let message = error.to_string();
    for part in
        ["trainer.batch_size: was `5`, now `6`", "optimizer.weight_decay: was `0.01`, now `0.5`"]
    {
        assert!(message.contains(part), "{message}");
    }
    let other = Synthetic { fingerprint: "other".to_owned(), ..Synthetic::default() };
    let message = session(&path, &experiment(), &other, None).unwrap_err().to_string();
    assert!(message.contains("data: was ``, now `other`"), "{message}");
}

#[test]
fn early_stopping_survives_a_resume() {
    let directory = tempfile::tempdir().unwrap();
    let mut experiment = experiment();
    // So large a rate that the loss only rises after the first evaluation.
    experiment.optimizer.learning_rate = 0.5;
    experiment.schedule = Schedule::Constant(crate::schedule::Warmup::default());
    experiment.trainer.max_steps = 50;
    experiment.trainer.eval_every = 1;
    experiment.trainer.early_stopping_patience = 4;
    let end = |name: &str, stop_at: Option<usize>| {
        let path = directory.path().join(name);
        let mut outcome = session(&path, &experiment, &Synthetic::default(), stop_at).unwrap();
        if stop_at.is_some() {
            outcome = session(&path, &experiment, &Synthetic::default(), None).unwrap();
        }
        (outcome.ended_by, outcome.summary.steps, path)
    };
    let (ended_by, steps, path) = end("unbroken", None);
    assert_eq!(ended_by, EndReason::EarlyStopping);
    assert!(steps < 50);
    let (resumed_by, resumed_steps, _) = end("resumed", Some(steps - 2));
    assert_eq!((resumed_by, resumed_steps), (ended_by, steps));
    // A run that has ended this way stays ended.
    let again = session(&path, &experiment, &Synthetic::default(), None).unwrap();
    assert_eq!((again.ended_by, again.summary.steps), (ended_by, steps));
}

/// As in transformers: what is better by too little is the best all the same, and does not keep a run from its end.
#[test]
fn an_improvement_below_the_threshold_does_not_keep_a_run_going() {
    let directory = tempfile::tempdir().unwrap();
    let mut experiment = experiment();
    experiment.trainer.max_steps = 20;
    experiment.trainer.eval_every = 1;
    experiment.trainer.early_stopping_patience = 2;
    let end = |experiment: &Experiment, name: &str| {
        let path = directory.path().join(name);
        let outcome = session(&path, experiment, &Synthetic::default(), None).unwrap();
        let best = outcome.summary.best_evaluation.unwrap();
        (outcome.ended_by, outcome.summary.steps, best.step)
    };
    experiment.trainer.early_stopping_threshold = 100.0;
    let (ended_by, steps, best) = end(&experiment, "threshold");
    assert_eq!((ended_by, steps), (EndReason::EarlyStopping, 3));
    assert!(best > 1, "the loss falls from the first evaluation on");
    experiment.trainer.early_stopping_threshold = 0.0;
    let (_, steps, _) = end(&experiment, "none");
    assert!(steps > 3);
}

#[test]
fn the_last_and_the_best_checkpoints_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let mut experiment = experiment();
    experiment.optimizer.learning_rate = 0.5;
    experiment.schedule = Schedule::Constant(crate::schedule::Warmup::default());
    experiment.trainer.eval_every = 1;
    experiment.trainer.checkpoint_every = 1;
    experiment.trainer.keep_last = 2;
    let outcome = session(&path, &experiment, &Synthetic::default(), None).unwrap();
    let best = outcome.summary.best_evaluation.unwrap().step;
    let mut expected: Vec<usize> = vec![best, 7, 8];
    expected.sort_unstable();
    expected.dedup();
    assert_eq!(RunDir::checkpoints_of(&path).steps().unwrap(), expected);
    let folder = super::model_folder(&path).unwrap();
    assert_eq!(folder, RunDir::checkpoints_of(&path).path(best));
}

#[test]
fn a_run_starts_from_the_weights_of_another() {
    let directory = tempfile::tempdir().unwrap();
    let first: PathBuf = directory.path().join("first");
    session(&first, &experiment(), &Synthetic::default(), None).unwrap();
    let mut second = experiment();
    second.seed = 9;
    second.init_from = Some(first.clone());
    let data = Synthetic::default();
    let learner = Learner::new(&second, &data, &Device::flex()).unwrap();
    let saved = tempfile::tempdir().unwrap();
    nystromformer_interop::save(learner.model(), saved.path()).unwrap();
    let folder = super::model_folder(&first).unwrap();
    assert_eq!(
        std::fs::read(saved.path().join("model.safetensors")).unwrap(),
        std::fs::read(folder.join("model.safetensors")).unwrap()
    );
    second.init_from = Some(directory.path().join("nowhere"));
    let error = Learner::new(&second, &data, &Device::flex()).map(|_| ()).unwrap_err();
    assert_eq!(error.exit_code(), 4);
}

#[test]
fn a_few_steps_learn_something() {
    let directory = tempfile::tempdir().unwrap();
    let mut experiment = experiment();
    experiment.trainer.max_steps = 40;
    let outcome = session(directory.path(), &experiment, &Synthetic::default(), None).unwrap();
    let metrics = MetricsLog::read(&directory.path().join("metrics.jsonl")).unwrap();
    let Some(MetricsRecord::Train(first)) = metrics.first() else { panic!("no steps") };
    // Ten examples can be learnt by heart; ln 37 = 3.6 is the loss of not knowing anything.
    assert!(first.loss > 3.3, "{}", first.loss);
    assert!(outcome.summary.final_train_loss.unwrap() < first.loss - 0.5, "{outcome:?}");
}
