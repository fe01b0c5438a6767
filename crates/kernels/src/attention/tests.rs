use burn::tensor::{Device, Shape};

use super::*;
use crate::testing::{self, instructions::Instructions, random};

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
    let merge = |tensor: Tensor<4>| tensor.swap_dims(1, 2).reshape([batch, queries, heads * width]);
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
    let key = Tensor::arange(0..keys, &Device::flex().autodiff()).float().reshape([1, 1, 200, 1]);
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
        let values = (0..shape.iter().product()).map(|index: usize| (index as f32 * seed).sin());
        simd::tensor(values.collect(), Shape::new(shape))
    };
    for [queries, keys] in [[5000, 20], [20, 5000], [300, 300]] {
        let evaluate = |set: Instructions, threads| {
            set.run(threads, || {
                let attention = Attention { scale: 0.7, sight: Sight::All };
                let inputs = [
                    tensor([1, 2, queries, 8], 0.7),
                    tensor([1, 2, keys, 8], 1.3),
                    tensor([1, 2, keys, 8], 2.1),
                ];
                let (output, saved) = Kernel::<Flex, 3>::forward(&attention, inputs);
                let gradient = tensor([1, 2, queries, 8], 0.9);
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
