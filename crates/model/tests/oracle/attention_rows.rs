//! Rows of attention matrices against whole matrices, which are small here.

use burn::tensor::{Device, Distribution, Int, Tensor};
use nystromformer::{
    AttentionKind, NystromformerConfig, NystromformerInput, Seed,
    attention::{
        NystromFactors,
        nystrom::{NystromOptions, Pinv, nystrom_attention, nystrom_row},
        softmax::{softmax_attention, softmax_row},
    },
};
use nystromformer_kernels::{PinvScale, random};

use crate::device;

fn worst<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> f32 {
    (left - right).abs().max().into_scalar::<f32>()
}

fn config(kind: AttentionKind, norm_first: bool) -> NystromformerConfig {
    NystromformerConfig::default().with(|config| {
        config.embeddings.vocab_size = 50;
        config.shared.hidden_size = 12;
        config.shared.num_attention_heads = 3;
        config.shared.norm_first = norm_first;
        config.encoder.num_hidden_layers = 2;
        config.feed_forward.intermediate_size = 16;
        config.attention.kind = kind;
        config.attention.nystrom.num_landmarks = 4;
        config.attention.convolution.conv_kernel_size = 5;
        config.shared.weights.initializer_range = 0.4;
    })
}

/// Attention to values that are the identity is the attention matrix itself; that attention is compared with PyTorch elsewhere.
#[test]
fn a_row_is_the_row_of_the_matrix() {
    const TOKENS: usize = 12;
    let device = device();
    let shape = [6, 2, TOKENS, TOKENS];
    let normal = Distribution::Normal(0.0, 1.0);
    let draw = || random::<4>(shape, normal, &device);
    let (query, key) = Seed::new(4).scope(|| (draw(), draw()));
    let identity = Tensor::<2>::eye(TOKENS, &device).unsqueeze::<4>().expand(shape);
    let options = NystromOptions {
        num_landmarks: 4,
        pinv: Pinv::Iterative { iterations: 6, scale: PinvScale::OfEachMatrix },
    };
    let config = config(AttentionKind::Nystrom, false);
    let mask = [
        [1; TOKENS],
        [1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        [1, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1],
        [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
    ];
    let padding =
        config.attention.padding(Tensor::<2, Int>::from_ints(mask, &device), &config.shared);
    for padding in [None, Some(&padding)] {
        let (q, k, v) = (query.clone(), key.clone(), identity.clone());
        let approximate = nystrom_attention(q.clone(), k.clone(), v.clone(), padding, options);
        let exact = softmax_attention(q.clone(), k.clone(), v, padding, 0.0);
        for position in [0, 5, TOKENS - 1] {
            let of = |matrix: &Tensor<4>| matrix.clone().narrow(2, position, 1).squeeze_dim::<3>(2);
            let row = nystrom_row(q.clone(), k.clone(), padding, position, options);
            assert!(worst(row, of(&approximate)) < 1e-5);
            let row = softmax_row(q.clone(), k.clone(), padding, position);
            assert!(worst(row, of(&exact)) < 1e-6);
        }
    }
}

/// The exact row again in 64-bit floats, from the weights of the first layer.
#[test]
fn an_exact_row_equals_its_formula() {
    let device = device();
    let model = Seed::new(8).scope(|| config(AttentionKind::Softmax, false).init(&device)).unwrap();
    let input_ids = Tensor::<2, Int>::from_ints([[5, 9, 44, 3, 17]], &device);
    let input = NystromformerInput::new(input_ids);
    let numbers = |tensor: Tensor<2>| -> Vec<f64> { tensor.into_data().iter::<f64>().collect() };
    let states = numbers(model.hidden_states(input.clone()).unwrap()[0].clone().squeeze_dim(0));
    let attention = &model.encoder.layer[0].attention.self_attention;
    let [query, key] = [&attention.query, &attention.key]
        .map(|projection| numbers(projection.as_ref().unwrap().weight.val()));
    let projected = |weight: &[f64], token: usize, unit: usize| -> f64 {
        (0..12).map(|channel| states[token * 12 + channel] * weight[channel * 12 + unit]).sum()
    };
    let rows = model.attention_rows(input, 2).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].dims(), [1, 3, 5]);
    let found = numbers(rows[0].clone().squeeze_dim(0));
    for head in 0..3 {
        let score = |token: usize| -> f64 {
            let units = head * 4..(head + 1) * 4;
            units.map(|unit| projected(&query, 2, unit) * projected(&key, token, unit)).sum()
        };
        let weights: Vec<f64> = (0..5).map(|token| (score(token) / 2.0).exp()).collect();
        let total: f64 = weights.iter().sum();
        for (token, weight) in weights.into_iter().enumerate() {
            let (found, expected) = (found[head * 5 + token], weight / total);
            assert!((found - expected).abs() < 1e-5, "{head} {token}: {found} for {expected}");
        }
    }
}

/// Every layer of a model, in both orders of normalisation, beside a row that is shorter.
#[test]
fn rows_of_a_model_are_those_of_its_factors_and_leave_out_padding() {
    let device: Device = device();
    for norm_first in [false, true] {
        let nystrom = config(AttentionKind::Nystrom, norm_first);
        let model = Seed::new(8).scope(|| nystrom.init(&device)).unwrap();
        let ids = [[5, 9, 44, 3, 17, 8, 21, 6, 2], [4, 30, 7, 12, 9, 1, 1, 1, 1]];
        let mask = [[1; 9], [1, 1, 1, 1, 1, 0, 0, 0, 0]];
        let input = NystromformerInput::new(Tensor::<2, Int>::from_ints(ids, &device))
            .with_attention_mask(Tensor::<2, Int>::from_ints(mask, &device));
        let rows = model.attention_rows(input.clone(), 0).unwrap();
        let factors = model.attention_factors(input.clone()).unwrap();
        assert_eq!(rows.len(), factors.len());
        for (row, factors) in rows.into_iter().zip(factors) {
            let NystromFactors { kernel_1, pinv, kernel_3, .. } = factors;
            let matrix = kernel_1.matmul(pinv).matmul(kernel_3);
            let expected = matrix.narrow(2, 0, 1).squeeze_dim::<3>(2);
            assert!(worst(row.clone(), expected) < 1e-5);
            let of_padding = row.narrow(0, 1, 1).narrow(2, 5, 4);
            assert_eq!(of_padding.abs().max().into_scalar::<f32>(), 0.0);
        }
        let message = model.attention_rows(input, 9).unwrap_err().to_string();
        assert!(message.contains("position `9` of a sequence of `9`"), "{message}");
    }
}

/// Of every layer, post-LN and pre-LN.
#[test]
fn what_attention_reads_gives_its_rows() {
    let device = device();
    for norm_first in [false, true] {
        let config = config(AttentionKind::Softmax, norm_first);
        let model = Seed::new(8).scope(|| config.init(&device)).unwrap();
        let input_ids = Tensor::<2, Int>::from_ints([[5, 9, 44, 3, 17]], &device);
        let input = NystromformerInput::new(input_ids);
        let rows = model.attention_rows(input.clone(), 2).unwrap();
        let inputs = model.attention_inputs(input).unwrap();
        assert_eq!(inputs.len(), 2);
        for ([query, key, value], row) in inputs.into_iter().zip(rows) {
            assert_eq!(value.dims(), [1, 3, 5, 4]);
            assert!(worst(softmax_row(query, key, None, 2), row) < 1e-6);
        }
    }
    let none = config(AttentionKind::None, false).init(&device).unwrap();
    let input = NystromformerInput::new(Tensor::<2, Int>::from_ints([[5, 9]], &device));
    assert!(none.attention_inputs(input).is_err());
}
