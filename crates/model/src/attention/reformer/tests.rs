//! Buckets, sorting, chunks and rounds, stated again.

use burn::tensor::Distribution;
use nystromformer_kernels::{Seed, random};

use super::*;

const TOKENS: usize = 23;
const HEAD_DIM: usize = 4;

fn numbers<const D: usize>(x: &Tensor<D>) -> Vec<f64> {
    x.clone().into_data().iter::<f64>().collect()
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// Buckets, sorting, chunks and rounds in 64-bit floats; the last chunk is not full, and some tokens are padding, which stand
/// among the others.
#[test]
fn it_is_its_definition() {
    let device = Device::flex();
    let shared =
        SharedConfig { hidden_size: HEAD_DIM, num_attention_heads: 1, ..Default::default() };
    let normal = Distribution::Normal(0.0, 1.0);
    let draw = || random::<4>([1, 1, TOKENS, HEAD_DIM], normal, &device);
    let (query, value) = Seed::new(8).scope(|| (draw(), draw()));
    for (num_hashes, num_buckets, chunk) in [(1, 4, 5), (3, 4, 4), (2, 8, 1), (2, 2, 40)] {
        let options = ReformerConfig {
            num_hashes,
            num_buckets,
            lsh_attn_chunk_length: chunk,
            ..Default::default()
        };
        let mechanism = options.init(&shared, &device);
        let rotations = numbers(&mechanism.rotations.fixed(&device));
        let rotations: Vec<&[f64]> = rotations.chunks(HEAD_DIM).collect();
        for is_padded in [false, true] {
            let mask: [i64; TOKENS] =
                std::array::from_fn(|token| i64::from(!is_padded || token % 4 != 1));
            let padding = Padding::new(Tensor::from_ints([mask], &device), None, true);
            let padding = is_padded.then_some(&padding);
            let [queries, values] = [&query, &value].map(numbers);
            let of = |numbers: &[f64], token: usize| -> Vec<f64> {
                numbers[token * HEAD_DIM..][..HEAD_DIM].to_vec()
            };
            let bucket = |token: usize, round: usize| -> usize {
                let half = num_buckets / 2;
                let of_round = &rotations[round * half..][..half];
                let turned: Vec<f64> =
                    of_round.iter().map(|row| dot(row, &of(&queries, token))).collect();
                let all = turned.iter().copied().chain(turned.iter().map(|number| -number));
                let all: Vec<f64> = all.collect();
                (0..num_buckets).max_by(|a, b| all[*a].total_cmp(&all[*b])).unwrap()
            };
            let valid: Vec<usize> = (0..TOKENS).filter(|token| mask[*token] == 1).collect();
            // What a token meets, as often as it does, each with its score.
            let met = |position: usize| -> Vec<(usize, f64)> {
                let of_round = |round: usize| {
                    let mut sorted = valid.clone();
                    sorted.sort_by_key(|token| (bucket(*token, round), *token));
                    let chunk_of = |token: usize| {
                        sorted.iter().position(|other| *other == token).unwrap() / chunk
                    };
                    let own = chunk_of(position);
                    let is_met = |token: &usize| {
                        let distance = own.checked_sub(chunk_of(*token));
                        bucket(*token, round) == bucket(position, round)
                            && distance.is_some_and(|distance| distance <= 1)
                    };
                    let key = |token: usize| {
                        let (query, key) = (of(&queries, position), of(&queries, token));
                        let itself = if token == position { ITSELF } else { 0.0 };
                        (token, dot(&query, &key) / dot(&key, &key).sqrt() + itself)
                    };
                    sorted.iter().copied().filter(is_met).map(key).collect::<Vec<_>>()
                };
                (0..num_hashes).flat_map(of_round).collect()
            };
            let (q, v) = (query.clone(), value.clone());
            let context = mechanism.forward(q.clone(), q, v, padding, TOKENS);
            let context = numbers(&context);
            for &position in &valid {
                let met = met(position);
                let largest = met.iter().map(|(_, score)| *score).fold(f64::MIN, f64::max);
                let mut weights = [0.0; TOKENS];
                for (token, score) in met {
                    weights[token] += (score - largest).exp();
                }
                let total: f64 = weights.iter().sum();
                let row = mechanism.row(query.clone(), query.clone(), padding, position);
                for (found, weight) in numbers(&row.unwrap()).into_iter().zip(weights) {
                    assert!((found - weight / total).abs() < 1e-5, "row {position}");
                }
                for channel in 0..HEAD_DIM {
                    let expected: f64 = (0..TOKENS)
                        .map(|token| weights[token] / total * of(&values, token)[channel])
                        .sum();
                    let found = context[position * HEAD_DIM + channel];
                    assert!((found - expected).abs() < 1e-5, "{position}: {found} {expected}");
                }
            }
        }
    }
}
