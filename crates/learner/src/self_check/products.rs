//! A linear layer in half precision: both devices round the same factors to the same numbers, and differ by the order of their sums.

use burn::tensor::{Device, Tensor, TensorData};
use nystromformer_kernels::{Precision, WeightLayout, linear};

use super::quantities::{Group, Quantity, Values, read};
use super::sizes::Sizes;
use crate::device::DeviceKind;
use crate::error::Result;

/// Output and gradients of a layer as wide as the feed-forward block, over one row of the run's length.
pub(super) fn products(
    precision: Precision,
    sizes: &Sizes,
    device: &Device,
    kind: DeviceKind,
) -> Result<Vec<Quantity>> {
    let device = &device.clone().autodiff();
    let tokens = sizes.seq_len;
    let (inputs, outputs) =
        (sizes.model.shared.hidden_size, sizes.model.feed_forward.intermediate_size);
    let x = waves::<3>([1, tokens, inputs], 0.7, device).require_grad();
    let weight = waves::<2>([inputs, outputs], 1.3, device).require_grad();
    let bias = waves::<1>([outputs], 2.1, device).require_grad();
    let output = precision
        .scope(|| linear(x.clone(), weight.clone(), Some(bias.clone()), WeightLayout::InputsFirst));
    let probe = waves::<3>([1, tokens, outputs], 0.9, device);
    let gradients = (output.clone() * probe).sum().backward();
    let name = precision.name();
    let of = |what: &str, values: Values| {
        read(format!("{what} of a linear layer in {name}"), Group::Alone, values, kind)
    };
    let was_asked = "it was asked for above";
    let (of_x, of_weight) =
        (x.grad(&gradients).expect(was_asked), weight.grad(&gradients).expect(was_asked));
    let of_bias = bias.grad(&gradients).expect(was_asked);
    Ok(vec![
        of("output", output.inner().try_into_vec_as())?,
        of("gradient of the input", of_x.try_into_vec_as())?,
        of("gradient of the weight", of_weight.try_into_vec_as())?,
        of("gradient of the bias", of_bias.try_into_vec_as())?,
    ])
}

/// Numbers of at most about 1, the same on every device. None lies halfway between two of half precision, where devices round to either.
fn waves<const D: usize>(shape: [usize; D], pace: f32, device: &Device) -> Tensor<D> {
    let count = shape.iter().product::<usize>();
    let odd = |number: f32| f32::from_bits(number.to_bits() | 1);
    let numbers: Vec<f32> = (0..count).map(|place| odd((place as f32 * pace).sin())).collect();
    Tensor::from_data(TensorData::new(numbers, shape), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Experiment;

    /// Halfway between two numbers of `bf16` the lower 16 bits are 0x8000, and of `f16` the lower 13 are 0x1000 or, below 2⁻¹⁴, end in more zeros.
    #[test]
    fn no_factor_is_halfway() {
        for pace in [0.7, 0.9, 1.3, 2.1] {
            let numbers: Vec<f32> =
                waves::<1>([128 * 512], pace, &Device::flex()).try_into_vec_as().unwrap();
            assert!(numbers.iter().all(|number| number.to_bits() % 2 == 1));
        }
    }

    #[test]
    fn half_precision_is_compared_with_half_precision() {
        let mut experiment = Experiment::default();
        experiment.model.shared.hidden_size = 24;
        experiment.model.feed_forward.intermediate_size = 40;
        experiment.data.seq_len = 64;
        let sizes = Sizes::of(&experiment);
        let of = |precision| {
            let found = products(precision, &sizes, &Device::flex(), DeviceKind::Flex).unwrap();
            found.into_iter().map(|quantity| quantity.values).collect::<Vec<_>>()
        };
        let (half, single) = (of(Precision::Bf16), of(Precision::F32));
        let lengths: Vec<usize> = half.iter().map(Vec::len).collect();
        assert_eq!(lengths, [64 * 40, 64 * 24, 24 * 40, 40]);
        assert_eq!(half, of(Precision::Bf16));
        assert!(half[..3].iter().zip(&single).all(|(half, single)| half != single));
        // Of the bias it is a sum, which has no factors.
        assert_eq!(half[3], single[3]);
    }
}
