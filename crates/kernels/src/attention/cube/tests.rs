use burn::tensor::Tensor;
use proptest::prelude::*;

use super::super::{attention, composed};
use crate::testing::{cube, random};

/// Compares both paths, with heads split off and without, with a bias and without.
fn same([batch, heads, queries, keys, width]: [usize; 5], is_masked: bool) {
    let scale = (width as f64).powf(-0.5);
    let [query, key, value] = [queries, keys, keys].map(|rows| random([batch, rows, heads, width]));
    // Some keys of each row, and in the last row all of them.
    let bias = random([batch, 1, 1, keys]).greater_elem(0.4).float().mul_scalar(-1e9);
    let last = Tensor::ones([1, 1, 1, keys], &bias.device()).mul_scalar(-1e9);
    let bias =
        if batch > 1 { Tensor::cat(vec![bias.narrow(0, 0, batch - 1), last], 0) } else { bias };
    let bias = bias.into_data();
    let with = |function: fn(_, _, _, _, _) -> Tensor<4>, [query, key, value]: [Tensor<4>; 3]| {
        let bias = is_masked.then(|| Tensor::from_data(bias.clone(), &query.device()));
        let [query, key, value] = [query, key, value].map(|x: Tensor<4>| x.swap_dims(1, 2));
        function(query, key, value, bias, scale)
    };
    cube::same(
        [query, key, value],
        |inputs| with(attention, inputs),
        |inputs| with(composed, inputs),
    );
}

#[test]
fn equals_the_composed_path() {
    for is_masked in [false, true] {
        for shape in [
            [1, 1, 1, 1, 1],
            [2, 3, 8, 40, 5],
            [2, 2, 40, 8, 16],
            // Parts of the keys, and of the queries.
            [1, 2, 7, 700, 8],
            [1, 2, 700, 7, 8],
            [2, 1, 65, 130, 33],
        ] {
            same(shape, is_masked);
        }
    }
}

#[test]
fn rows_of_any_width_up_to_the_widest_are_computed() {
    for width in [64, 128] {
        same([1, 2, 9, 20, width], false);
    }
}

#[test]
fn special_values_behave_as_the_composed_path() {
    cube::same_with_special_values(
        [random([1, 2, 5, 4]), random([1, 2, 5, 4]), random([1, 2, 5, 4])],
        |[query, key, value]| attention(query, key, value, None, 0.5),
        |[query, key, value]| composed(query, key, value, None, 0.5),
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_shape_equals_the_composed_path(
        batch in 1usize..3,
        heads in 1usize..4,
        queries in 1usize..150,
        keys in 1usize..150,
        width in prop::sample::select(vec![1usize, 4, 7]),
        is_masked: bool,
    ) {
        same([batch, heads, queries, keys, width], is_masked);
    }
}
