//! Attention, `softmax(scale · Q Kᵀ + bias) V`, without ever holding all scores.
//!
//! | module | holds |
//! |---|---|
//! | `problem` | what is computed, and how it is split into tasks |
//! | `rows` | reading and writing rows of strided arrays |
//! | `tile` | products in registers, the exponential, packing |
//! | `forward`, `backward` | the passes |
//!
//! A task holds a tile of 128 queries, which lie along the lanes of vectors, and goes through the keys in tiles of
//! 64: everything stays in a core's own cache. Scores are kept times log₂e, so that the softmax is a power of two.
//! The forward pass keeps the largest score of each query and the inverse of its sum of exponentials; from these the
//! backward pass computes the tiles again. Both take memory linear in queries and keys. Tasks are cut by the sizes
//! alone and their results joined in a fixed order, so that the number of threads changes nothing.

mod backward;
mod forward;
mod problem;
mod rows;
mod tile;

use burn::tensor::{Tensor, activation};
use burn_flex::FlexTensor;

use self::{backward::Known, forward::STATISTICS, problem::Problem, rows::View};
use crate::{
    heads::{from_tokens, readable},
    kernel::{self, Kernel},
    simd,
};

/// `softmax(scale · query · keyᵀ + key_bias) · value`.
///
/// | tensor | shape |
/// |---|---|
/// | `query` | `[batch, heads, queries, head_dim]` |
/// | `key` | `[batch, heads, keys, head_dim]` |
/// | `value` | `[batch, heads, keys, value_dim]` |
/// | `key_bias` | `[batch, 1, 1, keys]`, a constant: no gradient flows into it |
/// | output | `[batch, heads, queries, value_dim]` |
///
/// A key whose bias is very negative (−1e9) is masked: its weight is 0, unless all keys are masked, which then share
/// equally. Where the last axis is contiguous no input is copied, however its heads were split off. Output and
/// gradients lie in memory as `[batch, rows, heads, width]`, so that merging their heads moves nothing.
pub fn attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    key_bias: Option<Tensor<4>>,
    scale: f64,
) -> Tensor<4> {
    let ([batch, heads, _, head_dim], [_, _, keys, _]) = (query.dims(), key.dims());
    assert_eq!(key.dims(), [batch, heads, keys, head_dim], "keys fit the queries");
    assert_eq!(value.dims()[..3], [batch, heads, keys], "one value per key");
    if let Some(key_bias) = &key_bias {
        assert_eq!(key_bias.dims(), [batch, 1, 1, keys], "one bias per key");
    }
    if !kernel::runs_on(&query) {
        return composed(query, key, value, key_bias, scale);
    }
    let attention = Attention { scale };
    match key_bias {
        Some(key_bias) => kernel::run_4(attention, (query, key, value, key_bias.detach())),
        None => kernel::run_3(attention, (query, key, value)),
    }
}

/// The same by Burn's elementary operations.
fn composed(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    key_bias: Option<Tensor<4>>,
    scale: f64,
) -> Tensor<4> {
    let (query, key) = if query.dims()[2] <= key.dims()[2] {
        (query.mul_scalar(scale), key)
    } else {
        (query, key.mul_scalar(scale))
    };
    let mut scores = query.matmul(key.swap_dims(2, 3));
    if let Some(key_bias) = key_bias {
        scores = scores + key_bias.detach();
    }
    activation::softmax(scores, 3).matmul(value)
}

/// The kernel of query, key, value and, where there is one, bias.
#[derive(Debug, Clone, Copy)]
struct Attention {
    scale: f64,
}

impl Kernel for Attention {
    fn forward(&self, inputs: Vec<FlexTensor>, tracked: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let inputs: Vec<_> = inputs.into_iter().map(readable).collect();
        let problem = self.problem(&inputs);
        let (queries, width) = (problem.query.rows, problem.value.width);
        let (output, statistics) = forward::forward(&problem);
        let output = from_tokens(output, [problem.batch, problem.heads, queries, width]);
        if !tracked {
            return (output, Vec::new());
        }
        let statistics =
            simd::tensor(statistics, [problem.batch, problem.heads, queries, STATISTICS].into());
        let mut saved = vec![output.clone(), statistics];
        saved.extend(inputs);
        (output, saved)
    }

    fn backward(
        &self,
        saved: Vec<FlexTensor>,
        gradient: FlexTensor,
        wanted: &[bool],
    ) -> Vec<Option<FlexTensor>> {
        let gradient = readable(gradient);
        let (known, inputs) = saved.split_at(2);
        let problem = self.problem(inputs);
        let known = Known {
            output: view(&known[0]),
            statistics: view(&known[1]),
            gradient: view(&gradient),
        };
        let gradients = backward::backward(&problem, known, [wanted[0], wanted[1], wanted[2]]);
        let views = [problem.query, problem.key, problem.value];
        let gradients = gradients.into_iter().zip(views).map(|(gradient, view)| {
            let shape = [problem.batch, problem.heads, view.rows, view.width];
            gradient.map(|gradient| from_tokens(gradient, shape))
        });
        // The bias, if any, gets none.
        gradients.chain([None]).take(wanted.len()).collect()
    }
}

impl Attention {
    fn problem(self, inputs: &[FlexTensor]) -> Problem<'_> {
        let shape = inputs[0].layout().shape();
        Problem {
            batch: shape[0],
            heads: shape[1],
            query: view(&inputs[0]),
            key: view(&inputs[1]),
            value: view(&inputs[2]),
            bias: inputs.get(3).map(|bias| {
                let bias = view(bias);
                let [batch, _, row] = bias.strides;
                View { strides: [batch, 0, row], ..bias } // one for all heads
            }),
            scale: self.scale as f32,
        }
    }
}

/// The rows of a [`readable`] tensor.
fn view(tensor: &FlexTensor) -> View<'_> {
    let layout = tensor.layout();
    let (shape, strides) = (layout.shape(), layout.strides());
    View {
        values: &tensor.storage()[layout.start_offset()..],
        strides: [strides[0], strides[1], strides[2]].map(isize::unsigned_abs),
        rows: shape[2],
        width: shape[3],
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Shape};

    use super::*;
    use crate::testing::{self, random};

    /// `[batch, heads, queries, keys, head_dim, value_dim]`.
    type Sizes = [usize; 6];

    const SIZES: [Sizes; 7] = [
        [2, 3, 37, 19, 5, 7],
        [1, 2, 300, 200, 32, 32],
        [2, 1, 1, 77, 1, 3],
        [1, 1, 129, 65, 33, 31],
        [1, 2, 7, 3000, 16, 8],
        [1, 1, 3000, 9, 16, 17],
        [2, 2, 128, 128, 64, 64],
    ];

    fn inputs([batch, heads, queries, keys, head_dim, value_dim]: Sizes) -> [Tensor<4>; 3] {
        [
            random([batch, heads, queries, head_dim]),
            random([batch, heads, keys, head_dim]),
            random([batch, heads, keys, value_dim]),
        ]
    }

    /// Every third key is masked; in the last batch element of several, all.
    fn mask(batch: usize, keys: usize) -> Tensor<4> {
        let bias: Vec<f32> = (0..batch * keys)
            .map(|key| {
                let all = batch > 1 && key / keys == batch - 1;
                if all || key % 3 == 1 { -1e9 } else { (key as f32).sin() }
            })
            .collect();
        Tensor::<1>::from_floats(bias.as_slice(), &Device::flex().autodiff())
            .reshape([batch, 1, 1, keys])
    }

    #[test]
    fn equals_the_composed_path() {
        for sizes in SIZES {
            let scale = 1.0 / (sizes[4] as f64).sqrt();
            testing::same(
                inputs(sizes),
                |[query, key, value]| attention(query, key, value, None, scale),
                |[query, key, value]| composed(query, key, value, None, scale),
            );
        }
    }

    /// With one key the softmax is constant. The composed path finds the gradients of query and key to be 0, this
    /// one the difference of two equal sums, up to rounding.
    #[test]
    fn one_key_gets_all_the_weight() {
        for [queries, head_dim, value_dim] in [[1, 1, 1], [130, 3, 40]] {
            let leaves = inputs([1, 1, queries, 1, head_dim, value_dim]).map(Tensor::require_grad);
            let [query, key, value] = leaves.clone();
            let output = attention(query, key, value.clone(), None, 0.5);
            let repeated = value.repeat_dim(2, queries);
            testing::close(&output.to_data(), &repeated.to_data());
            let probe = random(output.dims());
            let gradients = (output * probe.clone()).sum().backward();
            let of = |leaf: &Tensor<4>| leaf.grad(&gradients).unwrap();
            testing::close(&of(&leaves[2]).into_data(), &probe.sum_dim(2).into_data());
            for leaf in &leaves[..2] {
                let largest = of(leaf).abs().max().into_scalar::<f32>();
                assert!(largest < 1e-4, "{largest}");
            }
        }
    }

    #[test]
    fn masked_keys_count_for_nothing_unless_all_are_masked() {
        for sizes in SIZES {
            let bias = Some(mask(sizes[0], sizes[3]));
            testing::same(
                inputs(sizes),
                |[query, key, value]| attention(query, key, value, bias.clone(), 0.5),
                |[query, key, value]| composed(query, key, value, bias.clone(), 0.5),
            );
        }
    }

    #[test]
    fn heads_split_off_need_no_copy() {
        let [batch, heads, queries, keys, width] = [2, 3, 150, 70, 10];
        let split = |tensor: Tensor<3>| {
            let rows = tensor.dims()[1];
            tensor.reshape([batch, rows, heads, width]).swap_dims(1, 2)
        };
        let merge =
            |tensor: Tensor<4>| tensor.swap_dims(1, 2).reshape([batch, queries, heads * width]);
        let rows = [queries, keys, keys].map(|rows| random([batch, rows, heads * width]));
        testing::same(
            rows,
            |tensors| {
                let [query, key, value] = tensors.map(split);
                merge(attention(query, key, value, None, 0.3))
            },
            |tensors| {
                let [query, key, value] = tensors.map(split);
                merge(composed(query, key, value, None, 0.3))
            },
        );
    }

    #[test]
    fn any_strides_do() {
        let [query, key, value] = inputs([2, 2, 30, 80, 12, 12]);
        testing::same(
            [query.swap_dims(2, 3), key.swap_dims(2, 3), value],
            |[query, key, value]| {
                attention(query.swap_dims(2, 3), key.swap_dims(2, 3), value.flip([2]), None, 0.3)
            },
            |[query, key, value]| {
                composed(query.swap_dims(2, 3), key.swap_dims(2, 3), value.flip([2]), None, 0.3)
            },
        );
        let narrow = |tensor: Tensor<4>| tensor.slice([0..2, 1..2, 5..25, 2..9]);
        testing::same(
            inputs([2, 2, 30, 80, 12, 12]),
            |tensors| {
                let [query, key, value] = tensors.map(narrow);
                attention(query, key, value, None, 0.3)
            },
            |tensors| {
                let [query, key, value] = tensors.map(narrow);
                composed(query, key, value, None, 0.3)
            },
        );
    }

    /// Scores up to 10,000, which rise or fall from tile to tile: the largest takes all the weight.
    #[test]
    fn large_scores_do_not_overflow() {
        let keys = 200;
        let key =
            Tensor::arange(0..keys, &Device::flex().autodiff()).float().reshape([1, 1, 200, 1]);
        for (key, best) in [(key.clone(), 199), (key.flip([2]), 0)] {
            let value = random([1, 1, 200, 3]).require_grad();
            let query = Tensor::full([1, 1, 20, 1], 50.0, &value.device()).require_grad();
            let output = attention(query.clone(), key, value.clone(), None, 1.0);
            let expected = value.clone().slice([0..1, 0..1, best..best + 1]).repeat_dim(2, 20);
            testing::close(&output.to_data(), &expected.to_data());
            let gradients = output.sum().backward();
            let of_query = query.grad(&gradients).unwrap().abs().max().into_scalar::<f32>();
            assert!(of_query < 1e-3, "{of_query}");
            let of_value = value.grad(&gradients).unwrap().slice([0..1, 0..1, best..best + 1]);
            let expected = Tensor::<4>::full([1, 1, 1, 3], 20.0, &of_value.device());
            testing::close(&of_value.into_data(), &expected.into_data());
        }
    }

    #[test]
    fn special_values_behave_as_the_composed_path() {
        let [query, key, value] = inputs([2, 1, 20, 100, 4, 4]);
        let bias = mask(2, 100);
        testing::same_with_special_values(
            [query.clone(), key.clone(), value.clone()],
            |[query, key, value]| attention(query, key, value, Some(bias.clone()), 0.5),
            |[query, key, value]| composed(query, key, value, Some(bias.clone()), 0.5),
        );
        // −∞ masks a key as a large negative number does.
        for special in [f32::NAN, f32::NEG_INFINITY] {
            let mut data = bias.to_data();
            data.as_mut_slice::<f32>().unwrap()[3] = special;
            let bias = Tensor::<4>::from_data(data, &bias.device());
            let ours: Vec<f32> =
                attention(query.clone(), key.clone(), value.clone(), Some(bias.clone()), 0.5)
                    .try_into_vec_as()
                    .unwrap();
            let composed: Vec<f32> =
                composed(query.clone(), key.clone(), value.clone(), Some(bias), 0.5)
                    .try_into_vec_as()
                    .unwrap();
            for (ours, composed) in ours.into_iter().zip(composed) {
                assert!(
                    (ours - composed).abs() < 1e-5 || ours.is_nan() && composed.is_nan(),
                    "{special}: {ours} instead of {composed}"
                );
            }
        }
    }

    #[test]
    fn unwanted_gradients_are_left_out() {
        let [query, key, value] = inputs([1, 2, 50, 70, 8, 8]);
        let gradient_of = |function: &dyn Fn(Tensor<4>, Tensor<4>, Tensor<4>) -> Tensor<4>,
                           wanted: usize| {
            let mut leaves = [query.clone(), key.clone(), value.clone()].map(Tensor::detach);
            leaves[wanted] = leaves[wanted].clone().require_grad();
            let [query, key, value] = leaves.clone();
            let gradients = function(query, key, value).square().sum().backward();
            leaves[wanted].grad(&gradients).unwrap().into_data()
        };
        for wanted in 0..3 {
            testing::close(
                &gradient_of(&|query, key, value| attention(query, key, value, None, 0.3), wanted),
                &gradient_of(&|query, key, value| composed(query, key, value, None, 0.3), wanted),
            );
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let tensor = |shape: [usize; 4], seed: f32| {
            let values =
                (0..shape.iter().product()).map(|index: usize| (index as f32 * seed).sin());
            simd::tensor(values.collect(), Shape::new(shape))
        };
        for [queries, keys] in [[5000, 20], [20, 5000], [300, 300]] {
            let evaluate = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let attention = Attention { scale: 0.7 };
                    let inputs = vec![
                        tensor([1, 2, queries, 8], 0.7),
                        tensor([1, 2, keys, 8], 1.3),
                        tensor([1, 2, keys, 8], 2.1),
                    ];
                    let (output, saved) = attention.forward(inputs, true);
                    let gradients =
                        attention.backward(saved, tensor([1, 2, queries, 8], 0.9), &[true; 3]);
                    let mut all = vec![output.into_data()];
                    all.extend(gradients.into_iter().map(|gradient| gradient.unwrap().into_data()));
                    all
                })
            };
            assert_eq!(evaluate(1), evaluate(3));
        }
    }
}
