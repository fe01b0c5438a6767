//! Models of feature vectors: what must hold for any bag.

use burn::tensor::{Distribution, Int, Tensor};
use nystromformer::{
    AttentionKind, InputTokens, ModelClass, ModelError, NystromformerConfig,
    NystromformerForMaskedLm, NystromformerForSequenceClassification, NystromformerInput, Pooling,
    Seed, VectorEmbeddingsConfig, VectorPositions, heads::Head as _, heads::TargetTensors,
};
use nystromformer_kernels::random;

use crate::device;

fn config(
    positions: VectorPositions,
    pooling: Pooling,
    kind: AttentionKind,
    layers: usize,
) -> NystromformerConfig {
    NystromformerConfig::default().with(|config| {
        config.vectors.num_features = 6;
        config.vectors.vector_positions = positions;
        config.shared.hidden_size = 12;
        config.shared.num_attention_heads = 3;
        config.shared.weights.initializer_range = 0.4;
        config.encoder.num_hidden_layers = layers;
        config.feed_forward.intermediate_size = 16;
        config.embeddings.max_position_embeddings = 40;
        config.attention.kind = kind;
        config.attention.nystrom.num_landmarks = 4;
        config.attention.convolution.conv_kernel_size = 5;
        config.classifier.pooling = pooling;
    })
}

fn model(config: &NystromformerConfig) -> NystromformerForSequenceClassification {
    Seed::new(6).scope(|| NystromformerForSequenceClassification::init(config, &device())).unwrap()
}

fn bags(shape: [usize; 3]) -> Tensor<3> {
    Seed::new(1).scope(|| random::<3>(shape, Distribution::Normal(0.0, 1.0), &device()))
}

/// A bag alone, and padded beside a larger one: the same answer, with whatever tells places and pools.
#[test]
fn a_padded_bag_answers_as_the_bag_alone() {
    for positions in [VectorPositions::None, VectorPositions::Learned, VectorPositions::Grid] {
        for pooling in [Pooling::First, Pooling::Mean, Pooling::Attention] {
            for (kind, layers) in [
                (AttentionKind::Nystrom, 2),
                (AttentionKind::Softmax, 1),
                (AttentionKind::Nystrom, 0),
            ] {
                if (layers, pooling) == (0, Pooling::First) {
                    continue;
                }
                let model = model(&config(positions, pooling, kind, layers));
                let batch = bags([3, 21, 6]);
                for (row, size) in [1_i64, 7, 21].into_iter().enumerate() {
                    let mask: Vec<i64> = (0..3)
                        .flat_map(|other| (0..21).map(move |i| i64::from(other != row || i < size)))
                        .collect();
                    let mask =
                        Tensor::<1, Int>::from_ints(mask.as_slice(), &device()).reshape([3, 21]);
                    let input =
                        NystromformerInput::from_features(batch.clone()).with_attention_mask(mask);
                    let padded = model.forward(input).unwrap().narrow(0, row, 1);
                    let bag = batch.clone().narrow(0, row, 1).narrow(1, 0, size as usize);
                    let alone = model.forward(NystromformerInput::from_features(bag)).unwrap();
                    let scale = alone.clone().abs().max().into_scalar::<f32>();
                    let error = (padded - alone).abs().max().into_scalar::<f32>() / scale;
                    assert!(error < 2e-5, "{positions:?} {pooling:?} {kind:?} {layers}: {error:e}");
                }
            }
        }
    }
}

/// Statistics in the configuration stand for vectors that were standardised before.
#[test]
fn statistics_standardise_what_is_read() {
    let plain = config(VectorPositions::None, Pooling::First, AttentionKind::Nystrom, 1);
    let standardising = plain.clone().with(|config| {
        config.vectors.feature_mean = vec![1.0, -2.0, 0.5, 100.0, 0.0, 3.0];
        config.vectors.feature_std = vec![1.0, 0.5, 2.0, 10.0, 4.0, 0.25];
    });
    let (vectors, config) = (bags([2, 9, 6]), standardising.vectors.clone());
    let row = |values: Vec<f64>| {
        let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
        Tensor::<1>::from_floats(values.as_slice(), &device()).reshape([1, 1, 6])
    };
    let raw = vectors.clone() * row(config.feature_std) + row(config.feature_mean);
    let expected = model(&plain).forward(NystromformerInput::from_features(vectors)).unwrap();
    let found = model(&standardising).forward(NystromformerInput::from_features(raw)).unwrap();
    assert!((found - expected).abs().max().into_scalar::<f32>() < 1e-4);
}

#[test]
fn what_is_not_what_the_model_reads_is_refused_in_words() {
    let bags_model =
        model(&config(VectorPositions::Learned, Pooling::First, AttentionKind::Nystrom, 1));
    let refuse = |input| bags_model.forward(input).unwrap_err().to_string();
    assert!(
        refuse(NystromformerInput::from_features(bags([1, 3, 5]))).contains("num_features = 6")
    );
    assert!(refuse(NystromformerInput::from_features(bags([1, 41, 6]))).contains("`41` tokens"));
    let ids = Tensor::<2, Int>::ones([1, 3], &device());
    assert!(refuse(NystromformerInput::new(ids.clone())).contains("reads feature vectors"));
    let typed = NystromformerInput::from_features(bags([1, 3, 6])).with_token_type_ids(ids);
    assert!(refuse(typed).contains("token_type_ids"));
    let mut placed = NystromformerInput::from_features(bags([1, 3, 6]));
    placed.tokens =
        InputTokens::Vectors { features: bags([1, 3, 6]), coordinates: Some(bags([1, 4, 2])) };
    assert!(refuse(placed).contains("coordinates has shape `[1, 4, 2]`"));

    // Without learned positions a bag has any size.
    let free = model(&config(VectorPositions::Grid, Pooling::First, AttentionKind::Nystrom, 1));
    assert!(free.forward(NystromformerInput::from_features(bags([1, 200, 6]))).is_ok());

    let of_text = NystromformerConfig {
        vectors: VectorEmbeddingsConfig::default(),
        ..config(VectorPositions::None, Pooling::First, AttentionKind::Nystrom, 1)
    };
    let error =
        model(&of_text).forward(NystromformerInput::from_features(bags([1, 3, 6]))).unwrap_err();
    assert!(matches!(error, ModelError::Inputs { .. }), "{error}");

    // A head of words has no table to predict them from.
    let words = config(VectorPositions::None, Pooling::First, AttentionKind::Nystrom, 1);
    let words = NystromformerForMaskedLm::init(&words, &device()).unwrap();
    assert!(words.forward(NystromformerInput::from_features(bags([1, 3, 6]))).is_err());
}

#[test]
fn keys_that_no_model_of_vectors_can_have_are_refused() {
    let base = || config(VectorPositions::None, Pooling::First, AttentionKind::Nystrom, 1);
    let hf = base().with(|config| {
        config.shared.semantics = nystromformer::Semantics::Hf;
        config.attention.nystrom.segment_means_seq_len = 4;
    });
    let grid = base().with(|config| {
        config.shared.hidden_size = 6;
        config.vectors.vector_positions = VectorPositions::Grid;
    });
    let none = base().with(|config| config.encoder.num_hidden_layers = 0);
    let text = NystromformerConfig::default().with(|config| config.encoder.num_hidden_layers = 0);
    for (config, key) in [
        (hf, "semantics"),
        (grid, "hidden_size"),
        (none, "num_hidden_layers"),
        (text, "num_hidden_layers"),
    ] {
        let message = config.validate().unwrap_err().to_string();
        assert!(message.starts_with(key), "{message}");
    }
}

/// One class of each bag is learned like that of any row.
#[test]
fn a_bag_has_a_loss() {
    let model = model(&config(VectorPositions::None, Pooling::First, AttentionKind::Nystrom, 1));
    let input = NystromformerInput::from_features(bags([2, 5, 6]));
    let labels = Tensor::<1, Int>::from_ints([0, 1], &device());
    let losses = model.losses(input, TargetTensors::Class(labels)).unwrap();
    assert_eq!(losses.logits[0].dims(), [2, 2]);
}
