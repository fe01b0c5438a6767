//! Dropout whose mask is a function of a key and the element's index: nothing is stored between the passes.

use burn::{
    backend::Flex,
    tensor::{Distribution, Tensor},
};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::{
    kernel::{self, Kernel},
    random, simd,
};

/// Zeroes each element with probability `probability` and scales the others by `1/(1 − probability)`, while
/// gradients are recorded (that is, in training); otherwise returns `x`.
///
/// The mask of a call on the CPU is a function of a key, whatever the number of threads; the key, and elsewhere the mask
/// itself, comes from the innermost [`Seed::scope`](crate::Seed::scope) of the thread, or outside of all scopes from the
/// device's generator.
pub fn dropout<const D: usize>(x: Tensor<D>, probability: f64) -> Tensor<D> {
    let device = x.device();
    if probability == 0.0 || !device.is_autodiff() {
        return x;
    }
    if !kernel::runs_on::<Dropout, 1, D>(&x) {
        return composed(x, probability);
    }
    kernel::run_1(Dropout { key: random::key(&device.inner()), probability }, x)
}

/// The same by Burn's elementary operations, with a mask of the device's numbers.
fn composed<const D: usize>(x: Tensor<D>, probability: f64) -> Tensor<D> {
    let keep = Distribution::Bernoulli(1.0 - probability);
    let mask = random::random_of_type(x.dims(), keep, &x.device(), x.dtype());
    x * mask.mul_scalar(1.0 / (1.0 - probability))
}

#[derive(Debug)]
struct Dropout {
    key: [u32; 2],
    probability: f64,
}

impl Dropout {
    fn apply(&self, mut x: FlexTensor) -> FlexTensor {
        let threshold = (self.probability * 4_294_967_296.0) as u32;
        let scale = (1.0 / (1.0 - self.probability)) as f32;
        simd::update(&mut x, |values| {
            values.par_chunks_mut(simd::TASK).enumerate().for_each(|(task, chunk)| {
                let first = (task * simd::TASK) as u64;
                // Above 2³² elements the index carries into the key.
                let [low, high] = [self.key[0], self.key[1].wrapping_add((first >> 32) as u32)];
                let first = first as u32;
                simd::vectorised(
                    #[inline(always)]
                    || {
                        for (offset, value) in chunk.iter_mut().enumerate() {
                            let index = first.wrapping_add(offset as u32);
                            let keep = hash(index, low, high) >= threshold;
                            // A product, so that what is not a number stays so.
                            *value *= if keep { scale } else { 0.0 };
                        }
                    },
                );
            });
        });
        x
    }
}

impl Kernel<Flex, 1> for Dropout {
    type Saved = ();

    fn forward(&self, [x]: [FlexTensor; 1]) -> (FlexTensor, ()) {
        (self.apply(x), ())
    }

    fn backward(
        &self,
        (): (),
        gradient: FlexTensor,
        _wanted: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        [Some(self.apply(gradient))]
    }
}

/// A uniform number from an index and a key: two rounds of multiplying and folding (the multipliers of the
/// published `lowbias32` hash), the key entering before each.
#[inline(always)]
fn hash(index: u32, low: u32, high: u32) -> u32 {
    #[inline(always)]
    fn mix(mut x: u32) -> u32 {
        x ^= x >> 16;
        x = x.wrapping_mul(0x7feb_352d);
        x ^= x >> 15;
        x = x.wrapping_mul(0x846c_a68b);
        x ^ (x >> 16)
    }
    mix(mix(index ^ low).wrapping_add(high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Seed, testing::random};
    use burn::tensor::Device;

    fn mask(key: [u32; 2], probability: f64, length: usize) -> Vec<bool> {
        let ones = simd::tensor(vec![1.0; length], [length].into());
        let dropped = Dropout { key, probability }.apply(ones);
        simd::values(&dropped).iter().map(|&value| value == 0.0).collect()
    }

    /// Five standard deviations around the expected share.
    fn assert_share(count: usize, total: usize, share: f64) {
        let deviation = (share * (1.0 - share) / total as f64).sqrt();
        let got = count as f64 / total as f64;
        assert!((got - share).abs() < 5.0 * deviation, "{got} of {share}");
    }

    #[test]
    fn drops_the_asked_share_and_neighbours_independently() {
        const LENGTH: usize = 1 << 20;
        for probability in [0.1, 0.5] {
            for key in [[0, 0], [1, 0], [0, 1], [0xdead_beef, 0x1234_5678]] {
                let mask = mask(key, probability, LENGTH);
                assert_share(mask.iter().filter(|&&dropped| dropped).count(), LENGTH, probability);
                // Neighbours, the element below it in a matrix of 64 or 768 columns, and the next key.
                for distance in [1, 2, 64, 768] {
                    let both =
                        mask.iter().zip(&mask[distance..]).filter(|(a, b)| **a && **b).count();
                    assert_share(both, LENGTH - distance, probability * probability);
                }
                let next = self::mask([key[0].wrapping_add(1), key[1]], probability, LENGTH);
                let both = mask.iter().zip(&next).filter(|(a, b)| **a && **b).count();
                assert_share(both, LENGTH, probability * probability);
            }
        }
    }

    #[test]
    fn the_gradient_passes_where_the_value_did() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::ones([300, 100], &device).require_grad();
        let y = Seed::new(5).scope(|| dropout(x.clone(), 0.25));
        let gradient = x.grad(&y.clone().sum().backward()).expect("x is tracked");
        y.into_data().assert_eq(&gradient.into_data(), true);
    }

    #[test]
    fn a_seed_repeats_itself_call_by_call() {
        let x = random([1000]);
        for function in [dropout, composed] {
            let draw = |seed| {
                let two = || [function(x.clone(), 0.5), function(x.clone(), 0.5)];
                Seed::new(seed).scope(two).map(Tensor::into_data)
            };
            assert_eq!(draw(1), draw(1));
            let [first, second] = draw(1);
            assert_ne!(first, second);
            assert_ne!(first, draw(2)[0]);
        }
    }

    /// The keys of before: a run's dropout stays what it was.
    #[test]
    fn the_mask_of_a_seed_is_known() {
        let x = Tensor::<1>::ones([16], &Device::flex().autodiff());
        let kept = Seed::new(42).scope(|| {
            [0.5, 0.5].map(|probability| {
                let kept = dropout(x.clone(), probability).try_into_vec_as::<f32>().unwrap();
                kept.iter().fold(0u16, |bits, &value| (bits << 1) | u16::from(value != 0.0))
            })
        });
        assert_eq!(kept, [21_733, 36_875]);
    }

    #[test]
    fn evaluation_drops_nothing() {
        let plain = random([1000]).inner();
        assert_eq!(dropout(plain.clone(), 0.5).into_data(), plain.into_data());
    }
}
