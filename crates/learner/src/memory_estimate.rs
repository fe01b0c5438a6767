//! How much memory a training will need, before it is started.

use nystromformer::{FeedForwardKind, NystromformerConfig};
use nystromformer_data::{DataConfig, Objective};

use crate::corpus_stages::tokens_of_micro_batch;
use crate::device::DeviceKind;
use crate::experiment::{Experiment, Precision};
use crate::ranks::share::held_at_most;

/// What the activations are computed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Computes {
    /// This library's kernels, which hold no scores.
    Fused,
    /// Burn's own operations.
    Composed,
}

impl Computes {
    /// Of all but attention, which has no kernel for some options.
    fn on(device: DeviceKind) -> Self {
        let has_kernels =
            device == DeviceKind::Flex || device.is_accelerator() && !cfg!(feature = "fused");
        if has_kernels { Self::Fused } else { Self::Composed }
    }
}

/// Bytes of a number; weights, moments and activations are all 32-bit floats.
const FLOAT: u64 = 4;

/// Of the tokens that are to be masked, those that surely are: by chance fewer are chosen, and never special tokens.
const SURELY_CHOSEN: f64 = 0.8;

/// So many bytes, as it is told: `1.5 GB`.
#[must_use]
pub fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

/// How many numbers a model is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ParameterCount {
    /// All of them.
    pub all: usize,
    /// Those that are not frozen.
    pub trained: usize,
}

impl From<usize> for ParameterCount {
    /// All are trained.
    fn from(all: usize) -> Self {
        Self { all, trained: all }
    }
}

/// Estimated peak bytes of training: weights, and of those that are trained one gradient (while accumulating one more for each doubling of the
/// micro-batches), two moments and, with `trainer.ema_decay`, their average; and the activations that autodiff keeps for one micro-batch on the
/// experiment's device, whose examples have [`rows_per_example`](crate::batch::BatchSource::rows_per_example).
pub fn estimate_bytes(
    experiment: &Experiment,
    parameters: ParameterCount,
    rows_per_example: usize,
) -> u64 {
    let trainer = &experiment.trainer;
    let gradients_and_moments = held_at_most(trainer.num_micro_batches()) as u64 + 2;
    let averages = u64::from(trainer.ema_decay > 0.0);
    let of_parameters = (parameters.trained as u64)
        .saturating_mul(gradients_and_moments + averages)
        .saturating_add(parameters.all as u64);
    let seq_len = experiment.data.seq_len as u64;
    let MicroBatch { tokens, predicted } = MicroBatch::of(experiment, rows_per_example);
    let of_encoder = tokens.saturating_mul(floats_per_token(
        &experiment.model,
        recorded_layers(experiment),
        seq_len,
        experiment.device,
        if trainer.gradient_checkpointing { Keeps::Inputs } else { Keeps::All },
    ));
    // Feature vectors as they are read, standardised, and as the projection keeps them.
    let of_vectors = tokens.saturating_mul(3 * experiment.model.vectors.num_features as u64);
    let of_head = predicted.saturating_mul(head_floats_per_prediction(&experiment.model));
    // Of each convolution behind the embeddings: what is normalised, convolved and activated, and their sum.
    let stem = &experiment.model.embeddings.stem;
    let of_stem =
        tokens.saturating_mul((4 * stem.stem_layers * experiment.model.shared.hidden_size) as u64);
    let activations =
        of_encoder.saturating_add(of_head).saturating_add(of_vectors).saturating_add(of_stem);
    let further = experiment
        .objective()
        .map_or(0, |objective| objective.further_floats(experiment, parameters.all as u64, tokens));
    let rounded = rounded_factors(experiment, parameters.all as u64, tokens, predicted);
    let floats = of_parameters.saturating_add(activations).saturating_add(further);
    floats.saturating_add(rounded).saturating_mul(FLOAT)
}

/// Floats that take the room of factors rounded to half precision.
fn rounded_factors(experiment: &Experiment, parameters: u64, tokens: u64, predicted: u64) -> u64 {
    let model = &experiment.model;
    let hidden = model.shared.hidden_size as u64;
    let intermediate = model.feed_forward.intermediate_size as u64;
    match (experiment.trainer.precision, experiment.device) {
        (Precision::F32, _) => 0,
        // Both factors of the largest product: of the feed-forward block's gradient, or of the scores of predicted tokens.
        (_, DeviceKind::Flex) => {
            let of_block = tokens.saturating_mul(hidden + intermediate);
            let of_scores = (predicted + hidden).saturating_mul(model.embeddings.vocab_size as u64);
            if predicted == 0 { of_block } else { of_block.max(of_scores) }
        }
        // What the derivative of each linear layer reads, and the weights, in 16 bits.
        _ => {
            let of_layer = tokens.saturating_mul(5 * hidden + intermediate);
            let layers = if experiment.trainer.gradient_checkpointing {
                1
            } else {
                recorded_layers(experiment) as u64
            };
            layers.saturating_mul(of_layer).saturating_add(parameters) / 2
        }
    }
}

/// What goes through the model at once, at most.
#[derive(Debug, Clone, Copy)]
struct MicroBatch {
    tokens: u64,
    /// Those of them whose logits over the vocabulary are computed.
    predicted: u64,
}

impl MicroBatch {
    fn of(experiment: &Experiment, rows_per_example: usize) -> Self {
        let trainer = &experiment.trainer;
        let examples = trainer.micro_batch_size.min(trainer.batch_size);
        let rows = examples.saturating_mul(rows_per_example) as u64;
        let tokens = rows.saturating_mul(experiment.data.seq_len as u64);
        let tokens = tokens.max(tokens_of_micro_batch(experiment));
        let DataConfig { mlm_probability: first, mlm_probability_end: last, .. } = experiment.data;
        let share = match &experiment.task {
            Some(task) => task.masked_share().unwrap_or_default(),
            None => first.max(last.unwrap_or(first)),
        };
        let most = match (&experiment.task, experiment.data.objective) {
            (None, Objective::MlmSop) if experiment.data.max_predictions > 0 => {
                rows.saturating_mul(experiment.data.max_predictions as u64)
            }
            _ => u64::MAX,
        };
        Self { tokens, predicted: ((tokens as f64 * share) as u64).min(most) }
    }
}

/// The largest single tensor that training surely makes: a GPU takes none beyond a limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LargestTensor {
    /// What it holds.
    pub(crate) what: &'static str,
    pub(crate) bytes: u64,
}

impl LargestTensor {
    pub(crate) fn of(experiment: &Experiment, rows_per_example: usize) -> Self {
        let (model, data) = (&experiment.model, &experiment.data);
        // Other rows, as a task's, are as long as the longest of their batch, which may be far shorter than they may be.
        let are_full = experiment.task.is_none()
            && data.objective != Objective::MlmSop
            && data.cross_documents;
        let tokens = if are_full { MicroBatch::of(experiment, rows_per_example).tokens } else { 0 };
        let share = data.mlm_probability.min(data.mlm_probability_end.unwrap_or(1.0));
        let predicted = match data.objective {
            Objective::Mlm => (tokens as f64 * share * SURELY_CHOSEN) as u64,
            // What is distilled need not have a head.
            Objective::MlmSop | Objective::Distill => 0,
        };
        let (vocabulary, hidden) =
            (model.embeddings.vocab_size as u64, model.shared.hidden_size as u64);
        // Of the last layer only the tokens are computed that are wanted.
        let is_widened =
            model.feed_forward.chunk_size_feed_forward == 0 && model.encoder.num_hidden_layers > 1;
        let widest = if is_widened { model.feed_forward.intermediate_size as u64 } else { 0 };
        let table = if model.vectors.num_features > 0 { 0 } else { vocabulary };
        let (what, floats) = [
            ("the embeddings of all words", table.saturating_mul(hidden)),
            (
                "what a layer computes of a micro-batch's tokens",
                tokens.saturating_mul(widest.max(hidden)),
            ),
            ("the logits of a micro-batch", predicted.saturating_mul(vocabulary)),
        ]
        .into_iter()
        .max_by_key(|(_, floats)| *floats)
        .expect("there are three");
        Self { what, bytes: floats.saturating_mul(FLOAT) }
    }
}

/// What of a layer stays in memory until its backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    /// All that the derivative reads.
    All,
    /// What the layer reads: under `trainer.gradient_checkpointing`.
    Inputs,
}

/// Layers whose activations the backward pass needs: all, but for the first ones that are frozen together with what is
/// before them.
fn recorded_layers(experiment: &Experiment) -> usize {
    let (encoder, trainer) = (&experiment.model.encoder, &experiment.trainer);
    let frozen = if trainer.freeze_embeddings { trainer.freeze_layers } else { 0 };
    encoder.num_hidden_layers.saturating_sub(frozen.saturating_mul(encoder.layers_per_group()))
}

/// Floats that the encoder's backward pass needs for each token, summed over so many layers.
fn floats_per_token(
    model: &NystromformerConfig,
    layers: usize,
    seq_len: u64,
    device: DeviceKind,
    keeps: Keeps,
) -> u64 {
    let computes = Computes::on(device);
    let (options, seq_len) = (model.attention.options(), seq_len as usize);
    let is_fused = device == DeviceKind::Flex
        || computes == Computes::Fused && options.is_of_gpu_kernels(seq_len, &model.shared);
    let attention = options.activations(seq_len, &model.shared, is_fused);
    let hidden = model.shared.hidden_size as u64;
    let intermediate = model.feed_forward.intermediate_size as u64;
    // A gate, and without a kernel of it the activated values too.
    let gates = match (model.feed_forward.kind, computes) {
        (FeedForwardKind::Dense, _) => 0,
        (FeedForwardKind::Gated, Computes::Fused) => 1,
        (FeedForwardKind::Gated, Computes::Composed) => 2,
    };
    let (rows, activations) = match computes {
        // Inputs of the linear layers, query, key and value, normalised rows; the activation's input and output.
        Computes::Fused => (9, 2),
        // Beside them, each step of two normalisations and two dropouts, and of the activation.
        Computes::Composed => (21, 6),
    };
    let per_layer = rows * hidden + (activations + gates) * intermediate + attention.kept_by_layer;
    let at_once = 12 * hidden + (2 + gates) * intermediate + attention.at_once;
    match keeps {
        Keeps::All => (layers as u64).saturating_mul(per_layer).saturating_add(at_once),
        // One layer at a time is computed once more, and what it gives is weighed by its gradient.
        Keeps::Inputs => {
            (layers as u64 + 3).saturating_mul(hidden).saturating_add(per_layer + at_once)
        }
    }
}

/// Floats kept for each predicted token: its scores and their gradient.
fn head_floats_per_prediction(model: &NystromformerConfig) -> u64 {
    2 * model.embeddings.vocab_size as u64 + 10 * model.shared.hidden_size as u64
}

#[cfg(test)]
mod tests {
    use nystromformer::AttentionKind;

    use super::*;

    #[test]
    fn only_probabilities_that_are_dropped_grow_with_the_square_of_the_length() {
        let growth = |attention, dropout| {
            let mut experiment = Experiment::default();
            experiment.model.embeddings.max_position_embeddings = 8192;
            experiment.model.attention.kind = attention;
            experiment.model.attention.softmax.attention_probs_dropout_prob = dropout;
            let mut bytes = |seq_len| {
                experiment.data.seq_len = seq_len;
                estimate_bytes(&experiment, 0.into(), 1) as f64
            };
            bytes(8192) / bytes(4096)
        };
        // A little less than twice: the pseudo-inverse keeps as much for any length.
        let nystrom = growth(AttentionKind::Nystrom, 0.1);
        assert!(nystrom > 1.95 && nystrom <= 2.0, "{nystrom}");
        for &kind in AttentionKind::ALL {
            let of_kind = growth(kind, 0.0);
            assert!(of_kind > 1.9 && of_kind <= 2.0, "{}: {of_kind}", kind.name());
        }
        assert_eq!(growth(AttentionKind::Softmax, 0.0), 2.0);
        assert!(growth(AttentionKind::Softmax, 0.1) > 3.0);
    }

    #[test]
    fn the_largest_tensor_is_one_that_is_surely_made() {
        let of = |change: &dyn Fn(&mut Experiment)| {
            let mut experiment = Experiment::default();
            experiment.model.embeddings.vocab_size = 60_000;
            experiment.model.embeddings.max_position_embeddings = 4096;
            (experiment.trainer.batch_size, experiment.trainer.micro_batch_size) = (64, 64);
            experiment.data.seq_len = 4096;
            change(&mut experiment);
            LargestTensor::of(&experiment, 1)
        };
        let tokens = 64 * 4096;
        let logits = |share: f64| LargestTensor {
            what: "the logits of a micro-batch",
            bytes: (f64::from(tokens) * share * 0.8) as u64 * 60_000 * 4,
        };
        assert_eq!(of(&|_| {}), logits(0.15));
        assert_eq!(of(&|of| of.data.mlm_probability_end = Some(0.1)), logits(0.1));
        let of_layer = of(&|of| of.data.objective = Objective::Distill);
        assert_eq!(of_layer.bytes, tokens as u64 * 3072 * 4);
        let table = 60_000 * 768 * 4;
        assert_eq!(of(&|of| of.data.objective = Objective::MlmSop).bytes, table);
        assert_eq!(of(&|of| of.data.cross_documents = false).bytes, table);
    }

    #[test]
    fn a_row_has_no_more_logits_than_predictions() {
        let of = |max_predictions| {
            let mut experiment = Experiment::default();
            experiment.data.objective = Objective::MlmSop;
            experiment.data.seq_len = 512;
            experiment.data.max_predictions = max_predictions;
            (experiment.trainer.batch_size, experiment.trainer.micro_batch_size) = (8, 8);
            MicroBatch::of(&experiment, 1).predicted
        };
        assert_eq!([of(0), of(20), of(1000)], [614, 160, 614]);
    }

    #[test]
    fn rounded_factors_take_room_beside_those_that_are_rounded() {
        let of = |device, precision| {
            let mut experiment = Experiment { device, ..Experiment::default() };
            experiment.trainer.precision = precision;
            (experiment.trainer.batch_size, experiment.trainer.micro_batch_size) = (8, 8);
            experiment.data.seq_len = 512;
            experiment.model.embeddings.vocab_size = 1_000;
            estimate_bytes(&experiment, 100_000.into(), 1)
        };
        let added = |device, precision| of(device, precision) - of(device, Precision::F32);
        let (tokens, widths) = (8 * 512, 768 + 3072);
        assert_eq!(added(DeviceKind::Flex, Precision::Bf16), 4 * tokens * widths);
        let kept = 12 * tokens * (5 * 768 + 3072) + 100_000;
        for precision in [Precision::Bf16, Precision::F16] {
            assert_eq!(added(DeviceKind::Cuda, precision), 2 * kept);
        }
    }

    #[test]
    fn what_has_no_kernel_of_ours_holds_scores() {
        let of_row = |device, attention| {
            let mut experiment = Experiment { device, ..Experiment::default() };
            experiment.model.embeddings.max_position_embeddings = 4096;
            experiment.model.attention.kind = attention;
            experiment.model.attention.softmax.attention_probs_dropout_prob = 0.0;
            experiment.data.seq_len = 4096;
            (experiment.trainer.batch_size, experiment.trainer.micro_batch_size) = (1, 1);
            estimate_bytes(&experiment, 0.into(), 1) as f64
        };
        // Of each of 12 layers 12 heads' scores, 4096 · 4096 floats a head: 9.7 GB, and more than once.
        let scores = 12.0 * 12.0 * 4096.0 * 4096.0 * 4.0;
        for device in [DeviceKind::Ndarray, DeviceKind::Wgpu, DeviceKind::Cuda] {
            let exact = of_row(device, AttentionKind::Softmax);
            assert!(exact > 2.0 * scores && exact < 3.5 * scores, "{device}: {exact:e}");
            let nystrom = of_row(device, AttentionKind::Nystrom);
            assert!(nystrom < exact / 3.0, "{device}: {nystrom:e}");
            let is_composed = device == DeviceKind::Ndarray || cfg!(feature = "fused");
            let on_the_cpu = of_row(DeviceKind::Flex, AttentionKind::Nystrom);
            assert_eq!(nystrom > on_the_cpu, is_composed, "{device}");
        }
        assert!(of_row(DeviceKind::Flex, AttentionKind::Softmax) < scores);
    }

    /// Of a million parameters alone, with micro-batches as large as the batch: weights, a gradient, two moments.
    #[test]
    fn an_average_is_a_copy_more_and_what_is_frozen_has_neither_gradient_nor_moments() {
        let million = 1_000_000;
        let floats = |change: fn(&mut Experiment), trained: usize| {
            let mut experiment = Experiment::default();
            (experiment.trainer.batch_size, experiment.trainer.micro_batch_size) = (1, 1);
            change(&mut experiment);
            let with = estimate_bytes(&experiment, ParameterCount { all: million, trained }, 1);
            let without = estimate_bytes(&experiment, 0.into(), 1);
            (with - without) as f64 / 4e6
        };
        assert_eq!(floats(|_| {}, million), 4.0);
        assert_eq!(floats(|experiment| experiment.trainer.ema_decay = 0.9, million), 5.0);
        assert_eq!(floats(|experiment| experiment.trainer.ema_decay = 0.9, million / 2), 3.0);
        assert_eq!(floats(|_| {}, 0), 1.0);
        // Of eight micro-batches, the sums of four, of two and of one, and the gradient of the last.
        assert_eq!(floats(|experiment| experiment.trainer.batch_size = 8, million), 7.0);
    }

    #[test]
    fn activations_are_kept_from_the_first_weight_that_is_trained_on() {
        let bytes = |freeze_layers, freeze_embeddings| {
            let mut experiment = Experiment::default();
            experiment.trainer.freeze_layers = freeze_layers;
            experiment.trainer.freeze_embeddings = freeze_embeddings;
            estimate_bytes(&experiment, 0.into(), 1) as f64
        };
        let whole = bytes(0, false);
        // Gradients of the embeddings go through every layer, frozen or not.
        assert_eq!(bytes(6, false), whole);
        assert_eq!(bytes(0, true), whole);
        let (half, none) = (bytes(6, true), bytes(12, true));
        assert!(
            (2.0 * half - whole - none).abs() < 1.0 && none < 0.3 * whole,
            "{whole} {half} {none}"
        );
    }

    #[test]
    fn a_layer_that_is_computed_once_more_keeps_what_it_reads() {
        let of_layers = |num_hidden_layers, gradient_checkpointing| {
            let mut experiment = Experiment::default();
            experiment.model.encoder.num_hidden_layers = num_hidden_layers;
            experiment.trainer.gradient_checkpointing = gradient_checkpointing;
            estimate_bytes(&experiment, 0.into(), 1)
        };
        let growth = |is_on| of_layers(12, is_on) - of_layers(6, is_on);
        let experiment = Experiment::default();
        let tokens = experiment.trainer.micro_batch_size * experiment.data.seq_len;
        let inputs = 6 * tokens * experiment.model.shared.hidden_size * 4;
        assert_eq!(growth(true), inputs as u64);
        assert!(growth(false) > 10 * growth(true));
        assert!(of_layers(1, true) < of_layers(2, false));
    }

    #[test]
    fn rows_of_one_example_count_as_examples_do() {
        let bytes = |batch_size, rows| {
            let mut experiment = Experiment::default();
            (experiment.trainer.batch_size, experiment.trainer.micro_batch_size) =
                (batch_size, batch_size);
            estimate_bytes(&experiment, 0.into(), rows)
        };
        assert_eq!(bytes(6, 4), bytes(24, 1));
        assert!(bytes(6, 4) > 3 * bytes(6, 1));
    }
}
