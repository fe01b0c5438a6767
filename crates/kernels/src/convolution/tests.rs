use super::*;
use crate::testing::{self, random};
use burn::tensor::Device;

/// Sequence length, taps, heads and channels.
const SIZES: [[usize; 4]; 11] = [
    [1, 1, 1, 1],
    [5, 3, 2, 4],
    [64, 65, 2, 3],
    [7, 9, 1, 2],
    [33, 33, 3, 1],
    [200, 35, 2, 5],
    [256, 5, 1, 16],
    [257, 7, 2, 33],
    [300, 65, 12, 64],
    [513, 35, 2, 32],
    [30, 131, 1, 50],
];

#[test]
fn equals_the_composed_path() {
    for ([seq_len, taps, heads, head_dim], of_channels) in
        SIZES.into_iter().flat_map(|sizes| [(sizes, false), (sizes, true)])
    {
        let filters = if of_channels { heads * head_dim } else { heads };
        let value = random([2, seq_len, heads, head_dim]);
        let residual = random([2, seq_len, heads, head_dim]);
        let filter = random([1, 1, filters, taps]);
        let without = |function: fn(Tensor<4>, Tensor<2>, Option<Tensor<4>>) -> Tensor<4>| {
            move |[value, filter]: [Tensor<4>; 2]| {
                function(value.swap_dims(1, 2), filter.reshape([filters, taps]), None)
            }
        };
        testing::same(
            [value.clone(), filter.clone()],
            without(depthwise_convolution),
            without(composed),
        );
        let with = |function: fn(Tensor<4>, Tensor<2>, Option<Tensor<4>>) -> Tensor<4>| {
            move |[value, filter, residual]: [Tensor<4>; 3]| {
                let residual = residual.swap_dims(1, 2);
                function(value.swap_dims(1, 2), filter.reshape([filters, taps]), Some(residual))
            }
        };
        testing::same([value, filter, residual], with(depthwise_convolution), with(composed));
    }
}

#[test]
fn reads_any_layout() {
    for filters in [4, 4 * 6] {
        let with = |function: fn(Tensor<4>, Tensor<2>, Option<Tensor<4>>) -> Tensor<4>| {
            move |[value, filter, residual]: [Tensor<4>; 3]| {
                let filter = filter.reshape([5, filters]).transpose();
                function(value.permute([3, 0, 1, 2]), filter, Some(residual.swap_dims(2, 3)))
            }
        };
        testing::same(
            [random([4, 21, 6, 2]), random([1, 1, 1, 5 * filters]), random([2, 4, 6, 21])],
            with(depthwise_convolution),
            with(composed),
        );
    }
}

/// Channels that have the same filter have the bits of a head with one.
#[test]
fn a_filter_for_each_channel_may_be_the_same() {
    let (value, filter) = (random([2, 3, 300, 20]), random([3, 17]));
    let repeated = filter.clone().unsqueeze_dim::<3>(1).expand([3, 20, 17]).reshape([60, 17]);
    let one = depthwise_convolution(value.clone(), filter, None);
    let each = depthwise_convolution(value, repeated, None);
    each.into_data().assert_eq(&one.into_data(), true);
}

#[test]
fn a_residual_that_somebody_holds_is_not_overwritten() {
    let device = Device::flex();
    let residual = Tensor::<4>::ones([1, 9, 2, 3], &device).swap_dims(1, 2);
    let before = residual.to_data();
    let value = Tensor::ones([1, 2, 9, 3], &device);
    let filter = Tensor::ones([2, 3], &device);
    let shared = depthwise_convolution(value.clone(), filter.clone(), Some(residual.clone()));
    residual.to_data().assert_eq(&before, true);
    let owned = depthwise_convolution(value, filter, Some(residual));
    owned.into_data().assert_eq(&shared.into_data(), true);
}

#[test]
fn special_values_reach_the_rows_that_see_them() {
    for filters in [2, 2 * 5] {
        let filter = random([filters, 3]);
        testing::same_with_special_values(
            [random([2, 2, 21, 5])],
            |[value]| depthwise_convolution(value, filter.clone(), None),
            |[value]| one_by_one(value, filter.clone()),
        );
    }
}

/// Tap by tap. The composed path multiplies rows with the zeros beside a band, so that what is not finite spreads further.
fn one_by_one(value: Tensor<4>, filter: Tensor<2>) -> Tensor<4> {
    let [batch, heads, seq_len, head_dim] = value.dims();
    let [filters, taps] = filter.dims();
    let half = taps / 2;
    let ends = Tensor::zeros([batch, heads, half, head_dim], &value.device());
    let padded = Tensor::cat(vec![ends.clone(), value, ends], 2);
    let tap = |tap| {
        let factor = filter.clone().narrow(1, tap, 1).reshape([1, heads, 1, filters / heads]);
        padded.clone().narrow(2, tap, seq_len) * factor
    };
    (1..taps).fold(tap(0), |sum, next| sum + tap(next))
}

#[test]
fn a_nan_reaches_the_rows_that_see_it() {
    let device = Device::flex();
    let mut value = vec![1.0f32; 40];
    value[20] = f32::NAN;
    let value = Tensor::<1>::from_floats(value.as_slice(), &device).reshape([1, 1, 40, 1]);
    let output = depthwise_convolution(value, Tensor::ones([1, 9], &device), None);
    let output: Vec<f32> = output.try_into_vec_as().unwrap();
    for (position, value) in output.into_iter().enumerate() {
        assert_eq!(value.is_nan(), (16..=24).contains(&position), "{position}");
    }
}

#[test]
fn does_not_depend_on_the_number_of_threads() {
    for filters in [2, 2 * 20] {
        testing::same_bits_for_any_threads(
            [random([3, 2, 600, 20]), random([1, 1, filters, 17]), random([3, 2, 600, 20])],
            |[value, filter, residual]| {
                depthwise_convolution(value, filter.reshape([filters, 17]), Some(residual))
            },
        );
    }
}
