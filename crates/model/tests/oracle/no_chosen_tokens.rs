//! Heads that are asked for the scores of chosen tokens, in a batch that has none: a micro-batch in which nothing is masked.

use burn::tensor::{Device, Int, Tensor, Tolerance};
use nystromformer::{
    Architecture, AttentionKind, Head, Model, NystromformerConfig, NystromformerInput,
    PreTrainedModel, Seed,
    heads::{LossOptions, TargetTensors},
};

const ROWS: usize = 2;
const SEQ_LEN: usize = 12;
const VOCAB_SIZE: usize = 20;

fn config(attention: AttentionKind) -> NystromformerConfig {
    NystromformerConfig::default().with(|config| {
        config.embeddings.vocab_size = VOCAB_SIZE;
        config.shared.hidden_size = 8;
        config.shared.num_attention_heads = 2;
        config.shared.weights.initializer_range = 0.3;
        config.shared.hidden_dropout_prob = 0.0;
        config.attention.softmax.attention_probs_dropout_prob = 0.0;
        config.encoder.num_hidden_layers = 2;
        config.feed_forward.intermediate_size = 8;
        config.attention.kind = attention;
        config.attention.nystrom.num_landmarks = 4;
        config.attention.convolution.conv_kernel_size = 3;
        config.attention.linformer.linformer_k = 3;
        config.attention.performer.performer_features = 6;
        config.attention.longformer.attention_window = 4;
        config.attention.agent.num_agents = 4;
        config.attention.reformer.num_buckets = 4;
        config.attention.reformer.lsh_attn_chunk_length = 4;
    })
}

fn ints<const N: usize>(values: [i64; N], device: &Device) -> Tensor<1, Int> {
    Tensor::from_ints(values.as_slice(), device)
}

/// Two rows, the second with padding if that is wanted.
fn input(is_padded: bool, device: &Device) -> NystromformerInput {
    let ids: [[i64; SEQ_LEN]; ROWS] = std::array::from_fn(|row| {
        std::array::from_fn(|column| (3 + row * 7 + column * 5 % 9) as i64)
    });
    let input = NystromformerInput::new(Tensor::from_ints(ids, device));
    if !is_padded {
        return input;
    }
    let mask: [[i64; SEQ_LEN]; ROWS] =
        std::array::from_fn(|row| std::array::from_fn(|column| i64::from(row == 0 || column < 7)));
    input.with_attention_mask(Tensor::from_ints(mask, device))
}

fn model(architecture: Architecture, attention: AttentionKind, device: &Device) -> Model {
    Seed::new(4).scope(|| Model::init(architecture, &config(attention), device)).unwrap()
}

fn options() -> [LossOptions; 2] {
    [LossOptions::default(), LossOptions { label_smoothing: 0.1, ..LossOptions::default() }]
}

#[test]
fn there_is_no_loss_of_a_token_and_no_score() {
    let device = crate::device().autodiff();
    for (architecture, classes) in
        [(Architecture::MaskedLm, VOCAB_SIZE), (Architecture::TokenClassification, 2)]
    {
        for attention in AttentionKind::ALL.iter().copied() {
            let model = model(architecture, attention, &device);
            for (is_padded, options) in [false, true].into_iter().zip(options()) {
                let targets = TargetTensors::Tokens {
                    positions: ints([], &device),
                    labels: ints([], &device),
                };
                let losses = model.losses(input(is_padded, &device), targets.clone()).unwrap();
                let losses = options.apply(losses, targets);
                assert_eq!(losses.logits[0].dims(), [0, classes], "{architecture}, {attention:?}");
                assert_eq!(losses.terms[0].losses.dims(), [0], "{architecture}, {attention:?}");
            }
        }
    }
}

/// The loss and all gradients are those of the order alone, as with tokens whose losses do not count.
#[test]
fn pretraining_learns_the_order_alone() {
    let device = crate::device().autodiff();
    for attention in [AttentionKind::Nystrom, AttentionKind::Softmax] {
        let model = model(Architecture::PreTraining, attention, &device);
        for (is_padded, options) in [false, true].into_iter().zip(options()) {
            let run = |positions: Tensor<1, Int>, labels: Tensor<1, Int>| {
                let order = ints([1, 0], &device);
                let targets = TargetTensors::TokensAndOrder { positions, labels, order };
                let input = input(is_padded, &device);
                let losses = model.losses(input, targets.clone()).unwrap();
                let mut losses = options.apply(losses, targets);
                let of_order = losses.terms.remove(1).losses;
                let [of_tokens] = losses.terms.remove(0).losses.dims();
                let gradients = of_order.clone().mean().backward();
                let embedding =
                    &model.nystromformer().embeddings.tokens().unwrap().word_embeddings.weight;
                let gradient = embedding.val().grad(&gradients).unwrap();
                (
                    of_tokens,
                    losses.logits[0].dims(),
                    [of_order.into_data(), gradient.into_data()].into(),
                )
            };
            let (none, logits, found): (_, _, Vec<_>) = run(ints([], &device), ints([], &device));
            assert_eq!((none, logits), (0, [0, VOCAB_SIZE]));
            let (two, _, expected) = run(ints([1, 14], &device), ints([3, 4], &device));
            assert_eq!(two, 2);
            for (found, expected) in found.iter().zip(&expected) {
                let tolerance = Tolerance::relative(1e-5).set_absolute(1e-6);
                found.assert_approx_eq::<f32>(expected, tolerance);
            }
        }
    }
}

#[test]
fn hidden_states_have_no_score() {
    let device = crate::device().autodiff();
    for (architecture, classes) in [
        (Architecture::MaskedLm, VOCAB_SIZE),
        (Architecture::PreTraining, VOCAB_SIZE),
        (Architecture::TokenClassification, 2),
    ] {
        let model = model(architecture, AttentionKind::Nystrom, &device);
        let states = Tensor::<3>::ones([ROWS, SEQ_LEN, 8], &device);
        let scores = model.scores_of_states(states, None, ints([], &device)).unwrap().unwrap();
        assert_eq!(scores.dims(), [0, classes], "{architecture}");
    }
}
