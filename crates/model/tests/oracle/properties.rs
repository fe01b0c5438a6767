//! What must hold for any input under `semantics = "paper"`, on random shapes.

use burn::{
    module::Module,
    tensor::{Device, Distribution, Int, Tensor},
};
use nystromformer::{
    AttentionKind, LandmarkRule, LayerConfig, ModelClass, NystromformerConfig,
    NystromformerForMaskedLm, NystromformerInput, Picture, PinvMethod, PositionEmbeddingType,
    PreTrainedModel, Seed, WantedTokens,
    attention::{
        nystrom::{NystromOptions, Pinv, nystrom_attention, nystrom_factors},
        softmax::softmax_attention,
    },
};
use nystromformer_kernels::{PinvScale, is_flex, random};
use proptest::{prelude::*, test_runner::RngSeed};

use crate::device;

/// Large enough weights that a leak would show.
fn model(
    attention: AttentionKind,
    num_landmarks: usize,
    device: &Device,
) -> NystromformerForMaskedLm {
    model_with(attention, num_landmarks, device, |_| {})
}

fn model_with(
    attention: AttentionKind,
    num_landmarks: usize,
    device: &Device,
    change: impl FnOnce(&mut NystromformerConfig),
) -> NystromformerForMaskedLm {
    let config = NystromformerConfig::default().with(|config| {
        config.embeddings.vocab_size = 50;
        config.shared.hidden_size = 12;
        config.encoder.num_hidden_layers = 2;
        config.shared.num_attention_heads = 3;
        config.feed_forward.intermediate_size = 16;
        config.embeddings.max_position_embeddings = 64;
        config.attention.nystrom.num_landmarks = num_landmarks;
        config.attention.agent.num_agents = num_landmarks;
        config.attention.linformer.linformer_k = num_landmarks;
        config.attention.performer.performer_features = 4 * num_landmarks;
        config.attention.longformer.attention_window = 2 * num_landmarks;
        config.attention.reformer.num_buckets = 4;
        config.attention.reformer.lsh_attn_chunk_length = num_landmarks;
        config.attention.convolution.conv_kernel_size = 5;
        config.shared.weights.initializer_range = 0.3;
        config.attention.kind = attention;
        change(config);
    });
    Seed::new(11).scope(|| NystromformerForMaskedLm::init(&config, device)).unwrap()
}

/// What tokens know of their neighbours and places beyond the paper's model.
#[derive(Debug, Clone, Copy)]
enum Locality {
    Paper,
    Rotary,
    BothEnds,
    Axial,
    Stem,
}

impl Locality {
    const ALL: [Self; 5] = [Self::Paper, Self::Rotary, Self::BothEnds, Self::Axial, Self::Stem];

    fn set(self, config: &mut NystromformerConfig) {
        let kind = &mut config.shared.position_embedding_type;
        match self {
            Self::Paper => return,
            // These compare no queries with keys.
            Self::Rotary
                if matches!(config.attention.kind, AttentionKind::Linear | AttentionKind::None) =>
            {
                return;
            }
            Self::Rotary => *kind = PositionEmbeddingType::Rotary,
            Self::BothEnds => *kind = PositionEmbeddingType::BothEnds,
            Self::Axial => {
                *kind = PositionEmbeddingType::Axial;
                config.embeddings.image_width = 5;
            }
            Self::Stem => {
                config.embeddings.stem.stem_layers = 2;
                config.embeddings.stem.stem_kernel_size = 5;
            }
        }
        config.attention.convolution.conv_per_channel = true;
    }
}

/// Query, key and value of `shape`.
fn random_inputs(
    seed: u64,
    shape: [usize; 4],
    deviation: f64,
    device: &Device,
) -> (Tensor<4>, Tensor<4>, Tensor<4>) {
    let random = || random::<4>(shape, Distribution::Normal(0.0, deviation), device);
    Seed::new(seed).scope(|| (random(), random(), random()))
}

fn ids(values: &[i64], device: &Device) -> Tensor<2, Int> {
    Tensor::<1, Int>::from_ints(values, device).unsqueeze()
}

fn logits(
    model: &NystromformerForMaskedLm,
    rows: &[(Vec<i64>, usize)],
    device: &Device,
) -> Tensor<3> {
    let input = rows.iter().map(|(tokens, _)| ids(tokens, device)).collect();
    let mask = rows.iter().map(|(tokens, valid)| {
        let mask: Vec<i64> = (0..tokens.len()).map(|i| i64::from(i < *valid)).collect();
        ids(&mask, device)
    });
    let input = NystromformerInput::new(Tensor::cat(input, 0))
        .with_attention_mask(Tensor::cat(mask.collect(), 0));
    model.forward(input).unwrap()
}

fn distance<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> f32 {
    let scale = right.clone().abs().max().into_scalar::<f32>();
    (left - right).abs().max().into_scalar::<f32>() / scale
}

/// Padding left, right, in between, more landmarks than tokens, and nothing but padding.
#[test]
fn the_fused_attention_is_the_product_of_the_factors() {
    let device = device();
    let config = model(AttentionKind::Nystrom, 4, &device).config().clone();
    let masks = [
        [1, 1, 1, 1, 1, 1, 1, 1, 1],
        [0, 0, 0, 1, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1, 1, 1, 0, 0],
        [1, 0, 1, 0, 1, 1, 0, 1, 1],
        [0, 0, 1, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0],
    ];
    let mask = Tensor::<2, Int>::from_ints(masks, &device);
    let padding = config.attention.padding(mask, &config.shared);
    let (query, key, value) = random_inputs(5, [6, 3, 9, 4], 1.0, &device);
    let options = NystromOptions {
        num_landmarks: 4,
        pinv: Pinv::Iterative { iterations: 6, scale: PinvScale::OfEachMatrix },
    };
    let factors = nystrom_factors(query.clone(), key.clone(), Some(&padding), options);
    let product = factors.apply(value.clone());
    let fused = nystrom_attention(query, key, value, Some(&padding), options);
    let error = distance(fused, product);
    assert!(error < 1e-5, "differs by {error:e}");
}

proptest! {
    // 96 cases, the same in every run: the inverse of a random kernel can be as badly conditioned as chance wants, and
    // the tolerances would have to be as wide.
    #![proptest_config(ProptestConfig {
        cases: 96, rng_seed: RngSeed::Fixed(20_262), ..ProptestConfig::default()
    })]

    /// The same text alone, padded further with other ids, and beside other rows: the same logits.
    #[test]
    fn neither_padding_nor_neighbours_change_a_row(
        tokens in prop::collection::vec(2i64..50, 1..24),
        padding in prop::collection::vec(0i64..50, 0..20),
        neighbour in prop::collection::vec(2i64..50, 1..44),
        num_landmarks in 1usize..9,
        kind in prop::sample::select(AttentionKind::ALL),
        rule in prop::sample::select(&[
            LandmarkRule::SegmentMeans, LandmarkRule::Weighted, LandmarkRule::Strided, LandmarkRule::KMeans,
        ][..]),
        keep_ends in any::<bool>(),
        reach in 0usize..4,
        locality in prop::sample::select(&Locality::ALL[..]),
    ) {
        let device = device();
        let model = model_with(kind, num_landmarks, &device, |config| {
            config.attention.nystrom.landmarks = rule;
            config.attention.nystrom.keep_ends = keep_ends && num_landmarks > 2;
            config.attention.nystrom.local_window = 2 * reach;
            locality.set(config);
        });
        let valid = tokens.len();
        let alone = model.forward(NystromformerInput::new(ids(&tokens, &device))).unwrap();

        let mut padded = tokens;
        padded.extend(padding);
        let width = padded.len().max(neighbour.len());
        padded.resize(width, 1);
        let neighbour_valid = neighbour.len();
        let mut neighbour = neighbour;
        neighbour.resize(width, 1);
        let batch = logits(&model, &[(neighbour, neighbour_valid), (padded, valid)], &device);
        let row = batch.narrow(0, 1, 1).narrow(1, 0, valid);
        let error = distance(row, alone);
        prop_assert!(error < 1e-5, "differs by {error:e}");
    }

    /// With one landmark per token and a converged inverse, the approximation is exact attention.
    #[test]
    fn one_landmark_per_token_is_softmax_attention(seq_len in 1usize..10, seed in any::<u64>()) {
        let device = device();
        let (query, key, value) = random_inputs(seed, [2, 2, seq_len, 4], 0.7, &device);
        let exact = softmax_attention(query.clone(), key.clone(), value.clone(), None, 0.0);
        let options = NystromOptions {
            num_landmarks: seq_len, pinv: Pinv::Iterative { iterations: 24, scale: PinvScale::OfEachMatrix },
        };
        let factors = nystrom_factors(query.clone(), key.clone(), None, options);
        let size = factors.pinv.clone().abs().max().into_scalar::<f32>();
        let approximate = factors.apply(value.clone());
        // The fused path is the product of the factors. An inverse is as exact as rounding, times its size, allows, and magnifies what it is
        // multiplied with by its size: one that is so large proves nothing.
        prop_assume!(size < 30.0);
        let rounding = 1e-5 + 4e-6 * size * size;
        let fused = nystrom_attention(query, key, value, None, options);
        let error = distance(fused, approximate.clone());
        prop_assert!(error < rounding, "differs by {error:e}, with an inverse of {size}");
        let error = distance(approximate, exact);
        prop_assert!(error < rounding, "differs from exact attention by {error:e}, with an inverse of {size}");
    }
}

/// The same picture alone, where the fused kernel has its patches if it is whole, and beside others that lack pixels: the same
/// logits.
#[test]
fn neither_padding_nor_neighbours_change_a_picture() {
    let device = device();
    for (num_landmarks, reach) in [(8, 0), (24, 0), (48, 0), (1, 0), (6, 3)] {
        let model = model_with(AttentionKind::Nystrom, num_landmarks, &device, |config| {
            config.embeddings.max_position_embeddings = 48;
            config.embeddings.image_width = 8;
            config.attention.nystrom.landmarks = LandmarkRule::Patches;
            config.attention.nystrom.local_window = 2 * reach;
            config.attention.nystrom.pinv = PinvMethod::Solve;
            // The default of 0.001 magnifies what sums of another order round, by up to a thousand.
            config.attention.nystrom.pinv_ridge = 0.03;
        });
        let lengths = [48, 30, 48, 1, 8];
        let rows = lengths.map(|length| {
            let pixels = (0..48).map(|pixel| (pixel * (length as i64 + 7) + 3) % 48 + 2);
            (pixels.collect::<Vec<i64>>(), length)
        });
        let together = logits(&model, &rows, &device);
        for (place, (pixels, length)) in rows.iter().enumerate() {
            let alone = NystromformerInput::new(ids(&pixels[..*length], &device));
            let alone = model.forward(alone).unwrap();
            let found = together.clone().narrow(0, place, 1).narrow(1, 0, *length);
            let error = distance(found, alone);
            assert!(error < 1e-5, "{num_landmarks} patches, {length} pixels: {error:e}");
        }
    }
}

/// Patches see rows and columns alike: of a picture with both exchanged, a layer without convolution gives its states with both
/// exchanged. Segments, half a row long, see rows alone.
#[test]
fn rows_and_columns_of_a_picture_may_be_exchanged() {
    const SIDE: usize = 8;
    let device = device();
    let of_rule = |landmarks| {
        let mut layer = LayerConfig::default();
        layer.shared.hidden_size = 12;
        layer.shared.num_attention_heads = 3;
        layer.shared.hidden_dropout_prob = 0.0;
        layer.shared.weights.initializer_range = 0.5;
        layer.feed_forward.intermediate_size = 16;
        layer.attention.convolution.conv_kernel_size = 0;
        layer.attention.nystrom.num_landmarks = 16;
        layer.attention.nystrom.landmarks = landmarks;
        layer.picture = Some(Picture { height: SIDE, width: SIDE });
        let pixels = (0..SIDE * SIDE).map(|pixel| pixel % SIDE * SIDE + pixel / SIDE);
        let pixels: Vec<i64> = pixels.map(|pixel| pixel as i64).collect();
        let exchanged = Tensor::<1, Int>::from_ints(pixels.as_slice(), &device);
        Seed::new(8).scope(|| {
            let layer = layer.init(&device);
            let shape = [2, SIDE * SIDE, 12];
            let states = random::<3>(shape, Distribution::Normal(0.0, 1.0), &device);
            let after = layer.forward(states.clone(), None).select(1, exchanged.clone());
            distance(layer.forward(states.select(1, exchanged), None), after)
        })
    };
    let error = of_rule(LandmarkRule::Patches);
    assert!(error < 1e-5, "{error:e}");
    assert!(of_rule(LandmarkRule::SegmentMeans) > 1e-3);
}

/// The encoder runs on the tokens of a padded batch alone: the same states, gradients and dropout as with the padding.
#[test]
fn packed_tokens_give_what_the_padded_batch_gives() {
    const SEQ_LEN: usize = 12;
    let device = device();
    if !is_flex(&device) {
        // Nothing is packed there, and dropout draws from a generator that all tests share.
        return;
    }
    let device = device.autodiff();
    let lengths = [SEQ_LEN, 3, 9];
    let mask =
        lengths.map(|length| std::array::from_fn::<i64, SEQ_LEN, _>(|i| i64::from(i < length)));
    let mask = Tensor::<2, Int>::from_ints(mask, &device);
    let ids = Tensor::<1, Int>::arange(2..38, &device).reshape([3, SEQ_LEN]);
    let at = Tensor::from_ints([30, 0, 3, 11, 3, 14], &device);
    let of_paper = AttentionKind::ALL.iter().map(|&kind| (kind, Locality::Paper));
    let beyond = [AttentionKind::Nystrom, AttentionKind::Softmax].into_iter();
    let beyond = beyond.flat_map(|kind| Locality::ALL[1..].iter().map(move |&more| (kind, more)));
    for (kind, locality) in of_paper.chain(beyond) {
        let model = model_with(kind, 4, &device, |config| locality.set(config)).nystromformer;
        let config = model.config();
        assert!(config.shared.hidden_dropout_prob > 0.0);
        let at = WantedTokens::At(at.clone());
        // Who asks for all reads padding too, as transformers' padding is computed.
        for wanted in [WantedTokens::All, WantedTokens::Tokens, WantedTokens::First, at] {
            let run = |is_packed: bool| {
                let states = Seed::new(5).scope(|| {
                    let input = NystromformerInput::new(ids.clone());
                    if is_packed {
                        let input = input.with_attention_mask(mask.clone());
                        return model.forward_wanted(input, &wanted).unwrap();
                    }
                    let embedded =
                        model.embeddings.forward(input.tokens, None, Some(&mask)).unwrap();
                    let padding = config.attention.padding(mask.clone(), &config.shared);
                    model.encoder.forward_wanted(embedded, Some(&padding), &wanted)
                });
                let states = match wanted {
                    WantedTokens::Tokens => states * mask.clone().float().unsqueeze_dim(2),
                    WantedTokens::All | WantedTokens::First | WantedTokens::At(_) => states,
                };
                let probe =
                    Tensor::<1, Int>::arange(0..states.shape().num_elements() as i64, &device)
                        .float()
                        .sin()
                        .reshape(states.dims());
                let gradients = (states.clone() * probe).sum().backward();
                let words = model.embeddings.tokens().unwrap().word_embeddings.weight.val();
                let attention = &model.encoder.layer[0].attention.self_attention;
                let filter = attention.conv.as_ref().unwrap().filter();
                let read = [attention.query.as_ref(), attention.key.as_ref()];
                let read = read.into_iter().flatten().map(|projection| projection.weight.val());
                let weights: Vec<Tensor<2>> =
                    [words, attention.value.weight.val()].into_iter().chain(read).collect();
                let filter_gradient =
                    attention.conv.as_ref().unwrap().weight.val().grad(&gradients).unwrap();
                let gradients: Vec<_> =
                    weights.into_iter().map(|weight| weight.grad(&gradients).unwrap()).collect();
                (states.inner(), gradients, filter_gradient.reshape(filter.dims()))
            };
            let ((packed, packed_gradients, packed_filter), (padded, gradients, filter)) =
                (run(true), run(false));
            assert!(distance(packed, padded) < 1e-5);
            assert!(distance(packed_filter, filter) < 1e-4);
            for (packed, padded) in packed_gradients.into_iter().zip(gradients) {
                assert!(distance(packed, padded) < 1e-4);
            }
        }
    }
}

#[test]
fn a_row_of_padding_alone_stays_finite_and_has_finite_gradients() {
    let device = device().autodiff();
    for &kind in AttentionKind::ALL {
        let model = model(kind, 4, &device);
        let output = logits(&model, &[(vec![3; 10], 10), (vec![1; 10], 0)], &device);
        assert!(output.clone().is_finite().all().into_scalar::<bool>(), "{kind:?}");
        let gradients = output.sum().backward();
        let attention = &model.nystromformer.encoder.layer[0].attention.self_attention;
        let read = [attention.query.as_ref(), attention.key.as_ref(), Some(&attention.value)];
        for projection in read.into_iter().flatten() {
            let gradient = projection.weight.val().grad(&gradients).unwrap();
            assert!(gradient.is_finite().all().into_scalar::<bool>(), "{kind:?}");
        }
    }
}

#[test]
fn residuals_are_reported_per_layer_batch_and_head() {
    let device = device();
    let model = model(AttentionKind::Nystrom, 4, &device);
    let input = NystromformerInput::new(Tensor::ones([2, 9], &device));
    let factors = model.nystromformer.attention_factors(input.clone()).unwrap();
    assert_eq!(factors.len(), 2);
    assert_eq!(factors[0].residual().dims(), [2, 3]);
    let exact = self::model(AttentionKind::Softmax, 4, &device);
    assert!(exact.nystromformer.attention_factors(input).unwrap().is_empty());
}

#[test]
fn bad_inputs_are_refused_in_words() {
    let device = device();
    let model = model(AttentionKind::Nystrom, 4, &device);
    let ones = |shape: [usize; 2]| Tensor::<2, Int>::ones(shape, &device);
    let refuse = |input| model.forward(input).expect_err("must be refused").to_string();
    assert!(refuse(NystromformerInput::new(ones([1, 65]))).contains("`65` tokens"));
    let mismatched = NystromformerInput::new(ones([2, 8])).with_attention_mask(ones([2, 7]));
    assert!(refuse(mismatched).contains("attention_mask has shape `[2, 7]`"));
}

#[test]
fn parameters_are_counted_as_published() {
    // 109,122,240 parameters: nystromformer-512 with its head.
    let config = NystromformerConfig::default();
    let model = NystromformerForMaskedLm::init(&config, &device()).unwrap();
    assert_eq!(model.num_params(), 109_122_240);
}
