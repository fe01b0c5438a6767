//! The sum of two tensors.

use burn::{backend::Flex, tensor::Tensor};
use burn_flex::FlexTensor;

use crate::{
    kernel::{self, Kernel},
    simd,
};

/// `left + right` of the same shape, on all cores: Burn's CPU backend adds on one.
pub fn add<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> Tensor<D> {
    assert_eq!(left.dims(), right.dims(), "tensors are added value by value");
    if kernel::runs_on::<Add, 2, D>(&left) {
        kernel::run_2(Add, (left, right))
    } else {
        composed(left, right)
    }
}

/// The same by Burn's own operation.
fn composed<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> Tensor<D> {
    left + right
}

#[derive(Debug)]
struct Add;

kernel::lacking!(Add: 2);

impl Kernel<Flex, 2> for Add {
    type Saved = ();

    fn forward(&self, [left, right]: [FlexTensor; 2]) -> (FlexTensor, ()) {
        (simd::add(left, right), ())
    }

    fn backward(
        &self,
        (): (),
        gradient: FlexTensor,
        _wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        [Some(gradient.clone()), Some(gradient)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, random};

    #[test]
    fn equals_the_composed_path() {
        for shape in [[1, 1, 1], [2, 3, 5], [3, 70, 301]] {
            let inputs = [random(shape), random(shape)];
            testing::same(
                inputs.clone(),
                |[left, right]| add(left, right),
                |[left, right]| composed(left, right),
            );
            // One that lies in another order, both, and parts of more.
            testing::same(
                inputs.clone(),
                |[left, right]| add(left.swap_dims(0, 2), right.swap_dims(1, 2).permute([1, 2, 0])),
                |[left, right]| {
                    composed(left.swap_dims(0, 2), right.swap_dims(1, 2).permute([1, 2, 0]))
                },
            );
            testing::same(
                inputs.clone(),
                |[left, right]| add(left.swap_dims(0, 2), right.swap_dims(0, 2)),
                |[left, right]| composed(left.swap_dims(0, 2), right.swap_dims(0, 2)),
            );
            let half = |x: Tensor<3>| {
                let rows = x.dims()[1].div_ceil(2);
                x.narrow(1, 0, rows)
            };
            testing::same(
                inputs,
                |[left, right]| add(half(left), half(right)),
                |[left, right]| composed(half(left), half(right)),
            );
        }
    }

    #[test]
    fn special_values_behave_as_the_composed_path() {
        testing::same_with_special_values(
            [random([3, 37]), random([3, 37])],
            |[left, right]| add(left, right),
            |[left, right]| composed(left, right),
        );
    }

    #[test]
    fn a_tensor_that_somebody_holds_is_not_written_to() {
        let [left, right] = [(); 2].map(|()| random([40, 1000]).inner());
        let before = [left.to_data(), right.to_data()];
        let expected = composed(left.clone(), right.clone()).into_data();
        add(left.clone(), right.clone()).into_data().assert_eq(&expected, true);
        // Over a copy of its own.
        add(left.clone().mul_scalar(1.0), right.clone()).into_data().assert_eq(&expected, true);
        [left, right].into_iter().zip(before).for_each(|(tensor, before)| {
            tensor.into_data().assert_eq(&before, true);
        });
    }
}
