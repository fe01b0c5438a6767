//! Attention of each token to the tokens near it, and to further keys that every token sees, in one softmax.
//!
//! On the CPU it is [`attention`](super::attention) in which a query sees some keys alone: those near it in the tiles and register
//! blocks where there are any. Elsewhere it is composed: blocks of queries, each as long as the window reaches, meet three blocks
//! of keys, their own and both neighbours. Of n tokens, g further keys, d channels a head: time O(n (reach + g) d), memory O(n d)
//! on the CPU, O(n (reach + g + d)) elsewhere.

use burn::tensor::{Device, Tensor, TensorData};

use super::{Attention, sight::Sight};
use crate::{kernel, softmax};

/// Added to the score of a key that is not seen: more than is added to masked ones, which a query shares among where all that it sees are masked.
const UNSEEN: f64 = -2e9;

/// Keys that every token sees beside its window.
#[derive(Debug, Clone)]
pub struct FurtherKeys {
    /// `[batch, heads, keys, head_dim]`.
    pub key: Tensor<4>,
    /// What a token takes of each: `[batch, heads, keys, head_dim]`.
    pub value: Tensor<4>,
    /// Added to their scores, a constant: `[batch or 1, 1, 1, keys]`.
    pub bias: Option<Tensor<4>>,
}

/// `softmax(scale · query · keyᵀ + bias) · value` of further keys, and of keys at most `reach` places from a query's own. Queries
/// are the first tokens of each row.
///
/// | tensor | shape |
/// |---|---|
/// | `query`, output | `[batch, heads, attending, head_dim]` |
/// | `key`, `value` | `[batch, heads, seq_len, head_dim]` |
/// | `key_bias`, of the keys that are near, a constant | `[batch or 1, 1, 1, seq_len]` |
///
/// # Panics
/// If shapes disagree, or `reach` is 0.
pub fn window_attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    key_bias: Option<Tensor<4>>,
    further: Option<FurtherKeys>,
    reach: usize,
    scale: f64,
) -> Tensor<4> {
    let [batch, heads, seq_len, head_dim] = key.dims();
    let [_, _, attending, _] = query.dims();
    assert_eq!(query.dims(), [batch, heads, attending, head_dim], "queries fit the keys");
    assert!(attending <= seq_len, "queries are the first tokens");
    assert_eq!(value.dims(), key.dims(), "one value for each key");
    assert!(reach > 0, "a window reaches its neighbours");
    if let Some(FurtherKeys { key, value, .. }) = &further {
        assert_eq!(key.dims(), value.dims(), "one value for each further key");
    }
    if !kernel::is_flex(&query.device()) {
        return composed(query, key, value, key_bias, further, reach, scale);
    }
    let count = further.as_ref().map_or(0, |further| further.key.dims()[2]);
    let attention = Attention { scale, sight: Sight::Near { further: count, reach } };
    let keys = [batch, heads, count + seq_len, head_dim];
    let bias_shape = [batch, 1, 1, count + seq_len];
    let has_bias =
        key_bias.is_some() || further.as_ref().is_some_and(|further| further.bias.is_some());
    let runs = if has_bias {
        kernel::runs(&attention, &query, [&query.dims(), &keys, &keys, &bias_shape])
    } else {
        kernel::runs(&attention, &query, [&query.dims(), &keys, &keys])
    };
    if !runs {
        return composed(query, key, value, key_bias, further, reach, scale);
    }
    let options = (&query.device(), query.dtype());
    let bias = has_bias.then(|| {
        let of = |bias: Option<Tensor<4>>, keys: usize| match bias {
            Some(bias) => bias.detach().expand([batch, 1, 1, keys]),
            None => Tensor::zeros([batch, 1, 1, keys], options),
        };
        let of_further = of(further.as_ref().and_then(|further| further.bias.clone()), count);
        Tensor::cat(vec![of_further, of(key_bias, seq_len)], 3)
    });
    let (key, value) = match further {
        Some(further) => {
            (Tensor::cat(vec![further.key, key], 2), Tensor::cat(vec![further.value, value], 2))
        }
        None => (key, value),
    };
    match bias {
        Some(bias) => kernel::run_4(attention, (query, key, value, bias)),
        None => kernel::run_3(attention, (query, key, value)),
    }
}

/// The same by Burn's operations.
fn composed(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    key_bias: Option<Tensor<4>>,
    further: Option<FurtherKeys>,
    reach: usize,
    scale: f64,
) -> Tensor<4> {
    let [batch, heads, attending, head_dim] = query.dims();
    let device = query.device();
    let [_, _, seq_len, _] = key.dims();
    let blocks = attending.div_ceil(reach);
    let rows = blocks * reach;

    let query = filled(query.mul_scalar(scale), rows, 0.0);
    let in_blocks = |x: Tensor<4>| -> Tensor<5> {
        let [_, _, _, width] = x.dims();
        x.reshape([batch, heads, blocks, reach, width])
    };
    let keys = windows(key, reach, blocks, 0.0);
    let scores = in_blocks(query.clone()).matmul(keys.transpose());

    // Beyond the ends stand no keys.
    let mut bias = Tensor::<4>::zeros([1, 1, seq_len, 1], (&device, query.dtype()));
    if let Some(key_bias) = key_bias {
        bias = bias + key_bias.swap_dims(2, 3);
    }
    let bias = windows(bias, reach, blocks, UNSEEN); // [batch or 1, 1, blocks, 3 reach, 1]
    let scores = scores + (bias.swap_dims(3, 4) + band(reach, &device));
    let values = windows(value, reach, blocks, 0.0);
    let Some(further) = further else {
        let context = softmax(scores).matmul(values);
        return context.reshape([batch, heads, rows, head_dim]).narrow(2, 0, attending);
    };

    let [_, _, count, _] = further.key.dims();
    let mut of_further = query.matmul(further.key.transpose()); // [batch, heads, rows, keys]
    if let Some(bias) = further.bias {
        of_further = of_further + bias;
    }
    let probabilities = softmax(Tensor::cat(vec![in_blocks(of_further), scores], 4));
    let of_window = probabilities.clone().narrow(4, count, 3 * reach).matmul(values);
    let of_further = probabilities.narrow(4, 0, count).reshape([batch, heads, rows, count]);
    let context =
        of_window.reshape([batch, heads, rows, head_dim]) + of_further.matmul(further.value);
    context.narrow(2, 0, attending)
}

/// 0 where a key of three blocks is within reach of a query of the middle one, a large negative number elsewhere:
/// `[1, 1, 1, reach, 3 reach]`.
fn band(reach: usize, device: &Device) -> Tensor<5> {
    let bias = |query: usize, key: usize| {
        if (query..=query + 2 * reach).contains(&key) { 0.0 } else { UNSEEN as f32 }
    };
    let band: Vec<f32> =
        (0..reach).flat_map(|query| (0..3 * reach).map(move |key| bias(query, key))).collect();
    Tensor::from_data(TensorData::new(band, [1, 1, 1, reach, 3 * reach]), device)
}

/// The same with more rows, of a number.
///
/// # Shapes
/// - `x`: `[batch, heads, rows, width]`, of as many rows or fewer
/// - output: `[batch, heads, rows, width]`
fn filled(x: Tensor<4>, rows: usize, number: f64) -> Tensor<4> {
    let [batch, heads, present, width] = x.dims();
    if present == rows {
        return x;
    }
    let shape = [batch, heads, rows - present, width];
    let more = Tensor::full(shape, number, (&x.device(), x.dtype()));
    Tensor::cat(vec![x, more], 2)
}

/// For each block of `reach` rows, the one before it, itself, and the one behind it; beyond the ends stands a number.
///
/// # Shapes
/// - `x`: `[batch, heads, seq_len, width]`
/// - output: `[batch, heads, blocks, 3 reach, width]`
fn windows(x: Tensor<4>, reach: usize, blocks: usize, number: f64) -> Tensor<5> {
    let [batch, heads, seq_len, width] = x.dims();
    let before = Tensor::full([batch, heads, reach, width], number, (&x.device(), x.dtype()));
    let read = (blocks + 1) * reach;
    let x = filled(x.narrow(2, 0, read.min(seq_len)), read, number);
    let x = Tensor::cat(vec![before, x], 2);
    let shifted = |by: usize| {
        let block = x.clone().narrow(2, by * reach, blocks * reach);
        block.reshape([batch, heads, blocks, reach, width])
    };
    Tensor::cat(vec![shifted(0), shifted(1), shifted(2)], 3)
}

#[cfg(test)]
mod tests {
    use burn::{backend::Flex, tensor::Shape};

    use super::*;
    use crate::{
        kernel::Kernel,
        simd,
        testing::{self, instructions::Instructions, random},
    };

    /// `[batch, heads, attending, seq_len, head_dim, further keys, reach]`: windows that end inside of a block, a panel and a tile, or
    /// behind all; fewer tokens than they reach; tiles of further keys alone; tokens that do not attend.
    const SIZES: [[usize; 7]; 10] = [
        [2, 2, 37, 37, 5, 3, 4],
        [1, 2, 300, 300, 32, 64, 8],
        [1, 1, 300, 300, 8, 0, 1],
        [2, 1, 1, 200, 4, 0, 30],
        [1, 2, 129, 260, 16, 70, 65],
        [1, 1, 5, 5, 3, 2, 7],
        [1, 1, 700, 700, 16, 9, 128],
        [2, 3, 130, 131, 64, 64, 3],
        [1, 1, 257, 257, 8, 130, 200],
        [1, 2, 256, 256, 33, 1, 64],
    ];

    fn inputs(
        [batch, heads, attending, seq_len, head_dim, further, _]: [usize; 7],
    ) -> [Tensor<4>; 5] {
        [attending, seq_len, seq_len, further.max(1), further.max(1)]
            .map(|rows| random([batch, heads, rows, head_dim]))
    }

    fn further_of(
        key: Tensor<4>,
        value: Tensor<4>,
        count: usize,
        bias: Option<Tensor<4>>,
    ) -> Option<FurtherKeys> {
        (count > 0).then_some(FurtherKeys { key, value, bias })
    }

    /// Every third key is masked.
    fn mask(batch: usize, keys: usize) -> Tensor<4> {
        let bias: Vec<f32> = (0..batch * keys)
            .map(|key| if key % 3 == 1 { -1e9 } else { (key as f32).sin() })
            .collect();
        Tensor::<1>::from_floats(bias.as_slice(), &Device::flex().autodiff())
            .reshape([batch, 1, 1, keys])
    }

    #[test]
    fn equals_the_composed_path() {
        for sizes in SIZES {
            let [batch, _, _, seq_len, _, count, reach] = sizes;
            let biases = [
                (None, None),
                (Some(mask(batch, seq_len)), None),
                (None, Some(mask(1, count.max(1)))),
                (Some(mask(1, seq_len)), Some(mask(batch, count.max(1)))),
            ];
            for (key_bias, bias) in biases {
                testing::same(
                    inputs(sizes),
                    |[query, key, value, more, of_more]| {
                        let further =
                            further_of(more.clone(), of_more.clone(), count, bias.clone());
                        let unused =
                            (more.sum() + of_more.sum()).mul_scalar(0.0).reshape([1, 1, 1, 1]);
                        window_attention(query, key, value, key_bias.clone(), further, reach, 0.4)
                            + unused
                    },
                    |[query, key, value, more, of_more]| {
                        let further =
                            further_of(more.clone(), of_more.clone(), count, bias.clone());
                        let unused =
                            (more.sum() + of_more.sum()).mul_scalar(0.0).reshape([1, 1, 1, 1]);
                        composed(query, key, value, key_bias.clone(), further, reach, 0.4) + unused
                    },
                );
            }
        }
    }

    #[test]
    fn equals_the_composed_path_by_any_instructions() {
        for set in Instructions::all() {
            for sizes in SIZES {
                let [_, _, _, _, _, count, reach] = sizes;
                if count == 0 {
                    continue;
                }
                set.run(2, || {
                    testing::same(
                        inputs(sizes),
                        |[query, key, value, more, of_more]| {
                            let further = further_of(more, of_more, count, None);
                            window_attention(query, key, value, None, further, reach, 0.4)
                        },
                        |[query, key, value, more, of_more]| {
                            let further = further_of(more, of_more, count, None);
                            composed(query, key, value, None, further, reach, 0.4)
                        },
                    );
                });
            }
        }
    }

    /// The keys that a token sees are masked, all of them: it shares among these, and not among others.
    #[test]
    fn a_token_that_sees_only_masked_keys_shares_among_them() {
        let bias: Vec<f32> = (0..60).map(|key| if key < 20 { 0.0 } else { -1e9 }).collect();
        let bias = Tensor::<1>::from_floats(bias.as_slice(), &Device::flex().autodiff())
            .reshape([1, 1, 1, 60]);
        testing::same(
            [random([1, 2, 60, 8]), random([1, 2, 60, 8]), random([1, 2, 60, 8])],
            |[query, key, value]| {
                window_attention(query, key, value, Some(bias.clone()), None, 4, 0.4)
            },
            |[query, key, value]| composed(query, key, value, Some(bias.clone()), None, 4, 0.4),
        );
    }

    /// A window that reaches all is attention to all.
    #[test]
    fn a_window_over_all_is_attention_to_all() {
        let sizes = [2, 2, 150, 150, 16, 10, 149];
        testing::same(
            inputs(sizes),
            |[query, key, value, more, of_more]| {
                let further = further_of(more, of_more, 10, None);
                window_attention(query, key, value, None, further, 149, 0.3)
            },
            |[query, key, value, more, of_more]| {
                let (key, value) =
                    (Tensor::cat(vec![more, key], 2), Tensor::cat(vec![of_more, value], 2));
                crate::attention(query, key, value, None, 0.3)
            },
        );
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let tensor = |shape: [usize; 4], seed: f32| {
            let values =
                (0..shape.iter().product()).map(|index: usize| (index as f32 * seed).sin());
            simd::tensor(values.collect(), Shape::new(shape))
        };
        let evaluate = |set: Instructions, threads| {
            set.run(threads, || {
                let attention =
                    Attention { scale: 0.7, sight: Sight::Near { further: 20, reach: 9 } };
                let inputs = [
                    tensor([1, 1, 3000, 8], 0.7),
                    tensor([1, 1, 3020, 8], 1.3),
                    tensor([1, 1, 3020, 8], 2.1),
                ];
                let (output, saved) = Kernel::<Flex, 3>::forward(&attention, inputs);
                let gradient = tensor([1, 1, 3000, 8], 0.9);
                let gradients = Kernel::<Flex, 3>::backward(&attention, saved, gradient, [true; 3]);
                let mut all = vec![output.into_data()];
                all.extend(gradients.into_iter().map(|gradient| gradient.unwrap().into_data()));
                all
            })
        };
        for set in Instructions::all() {
            assert_eq!(evaluate(set, 1), evaluate(set, 3));
        }
    }
}
