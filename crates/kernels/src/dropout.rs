//! Dropout whose mask is a function of a key and the element's index: nothing is stored between the passes.

#[cfg(all(feature = "cube", not(feature = "fused")))]
mod cube;

use std::cell::Cell;

use burn::{
    backend::Flex,
    tensor::{Device, Distribution, Int, Tensor},
};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::{
    indices::Indices,
    kernel::{self, Kernel},
    random,
    select_rows::rows_of,
    simd,
};

thread_local! {
    static IS_SWITCHED_OFF: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body`, in which [`dropout`], called on this thread, drops nothing: for a model in training that is compared with one that
/// drops nothing.
pub fn without_dropout<R>(body: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            IS_SWITCHED_OFF.set(self.0);
        }
    }
    let _restore = Restore(IS_SWITCHED_OFF.replace(true));
    body()
}

/// Whether the innermost call on this thread is inside of [`without_dropout`].
pub(crate) fn is_without_dropout() -> bool {
    IS_SWITCHED_OFF.get()
}

/// Whether [`dropout`] with this probability drops anything of a tensor on `device`: gradients are recorded, and it is not
/// [switched off](without_dropout).
pub fn drops(probability: f64, device: &Device) -> bool {
    probability > 0.0 && device.is_autodiff() && !IS_SWITCHED_OFF.get()
}

/// Zeroes each element with probability `probability` and scales the others by `1/(1 − probability)`, while
/// gradients are recorded (that is, in training, but for what runs [without](without_dropout)); otherwise returns `x`.
///
/// The mask of a call is a function of a key, on the CPU and on devices that have a kernel the same, whatever the number of threads;
/// the key, and elsewhere the mask itself, comes from the innermost [`Seed::scope`](crate::Seed::scope) of the thread, or outside of
/// all scopes from the device's generator.
pub fn dropout<const D: usize>(x: Tensor<D>, probability: f64) -> Tensor<D> {
    let device = x.device();
    if !drops(probability, &device) {
        return x;
    }
    if !kernel::runs_on::<Dropout, 1, D>(&x) {
        return composed(x, probability);
    }
    kernel::run_1(Dropout { key: random::key(&device.inner()), probability, rows: None }, x)
}

/// The same for `x` that holds these rows of a larger tensor, and no others: each element is dropped or kept as [`dropout`] of the whole
/// tensor would. (On devices without a kernel the mask is drawn for `x` itself.)
///
/// # Shapes
/// - `x`, output: `[…, columns]`, altogether `count` rows
/// - `rows`: `[count]`, the place of each among the rows of the larger tensor
///
/// # Panics
/// If there are not as many places as rows; on the CPU also if one is below 0.
pub fn dropout_of_rows<const D: usize>(
    x: Tensor<D>,
    probability: f64,
    rows: Tensor<1, Int>,
) -> Tensor<D> {
    let device = x.device();
    if !drops(probability, &device) {
        return x;
    }
    if !kernel::runs_on::<Dropout, 1, D>(&x) {
        return composed(x, probability);
    }
    let dims = x.dims();
    let count: usize = dims[..D - 1].iter().product();
    assert_eq!(rows.dims(), [count], "a place for each row");
    let rows = Some(Rows { places: rows_of(rows, usize::MAX), columns: dims[D - 1] });
    kernel::run_1(Dropout { key: random::key(&device.inner()), probability, rows }, x)
}

/// The same by Burn's elementary operations, with a mask of the device's numbers.
fn composed<const D: usize>(x: Tensor<D>, probability: f64) -> Tensor<D> {
    let keep = Distribution::Bernoulli(1.0 - probability);
    let mask = random::random_on_device(x.dims(), keep, &x.device(), x.dtype());
    x * mask.mul_scalar(1.0 / (1.0 - probability))
}

#[derive(Debug)]
struct Dropout {
    key: [u32; 2],
    probability: f64,
    /// Which rows of the whole tensor the elements are; `None`: they are the whole.
    rows: Option<Rows>,
}

/// Where the rows of a tensor stand in a larger one.
#[derive(Debug)]
struct Rows {
    places: Indices,
    columns: usize,
}

impl Dropout {
    /// A number from which on a value is kept.
    fn threshold(&self) -> u32 {
        (self.probability * 4_294_967_296.0) as u32
    }

    /// The factor of what is kept.
    fn scale(&self) -> f32 {
        (1.0 / (1.0 - self.probability)) as f32
    }

    fn apply(&self, mut x: FlexTensor) -> FlexTensor {
        simd::update(&mut x, |values| match &self.rows {
            None => values.par_chunks_mut(simd::TASK).enumerate().for_each(|(task, chunk)| {
                self.drop(chunk, task * simd::TASK);
            }),
            Some(Rows { places, columns }) => {
                let columns = (*columns).max(1);
                let task_rows = (simd::TASK / columns).max(1);
                let tasks = values
                    .par_chunks_mut(task_rows * columns)
                    .zip(places.in_memory().par_chunks(task_rows));
                tasks.for_each(|(values, places)| {
                    for (row, place) in values.chunks_exact_mut(columns).zip(places) {
                        self.drop(row, place * columns);
                    }
                });
            }
        });
        x
    }

    /// Drops among `values` that follow each other in the whole tensor, where the first has the index `first`.
    fn drop(&self, values: &mut [f32], first: usize) {
        let (threshold, scale) = (self.threshold(), self.scale());
        let first = first as u64;
        // Above 2³² elements the index carries into the key.
        let until_carry = (1u64 << 32) - (first & u64::from(u32::MAX));
        let (now, carried) = values.split_at_mut(values.len().min(until_carry as usize));
        for (values, first) in [(now, first), (carried, first + until_carry)] {
            let [low, high] = [self.key[0], self.key[1].wrapping_add((first >> 32) as u32)];
            let first = first as u32;
            simd::vectorised(
                #[inline(always)]
                || {
                    for (offset, value) in values.iter_mut().enumerate() {
                        let index = first.wrapping_add(offset as u32);
                        let keep = hash(index, low, high) >= threshold;
                        // A product, so that what is not a number stays so.
                        *value *= if keep { scale } else { 0.0 };
                    }
                },
            );
        }
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
        let dropped = Dropout { key, probability, rows: None }.apply(ones);
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

    /// Value and gradient of some rows, also where an index carries into the key within a row.
    #[test]
    fn rows_are_dropped_as_in_the_whole_tensor() {
        let device = Device::flex().autodiff();
        let (rows, columns) = (70, 300);
        let whole = random([rows, columns]).require_grad();
        let places = Tensor::<1, Int>::from_ints([69, 0, 3, 41, 40], &device);
        let some = whole.clone().select(0, places.clone()).detach().require_grad();
        let all = Seed::new(8).scope(|| dropout(whole.clone(), 0.3));
        let few = Seed::new(8)
            .scope(|| dropout_of_rows(some.clone().reshape([1, 5, 300]), 0.3, places.clone()));
        let gradients = [
            whole.grad(&all.clone().sum().backward()).unwrap().select(0, places.clone().inner()),
            some.grad(&few.clone().sum().backward()).unwrap(),
        ];
        gradients[0].to_data().assert_eq(&gradients[1].to_data(), true);
        let all = all.select(0, places).into_data();
        few.reshape([5, 300]).into_data().assert_eq(&all, true);

        let dropout = Dropout { key: [5, 6], probability: 0.5, rows: None };
        let first = (1 << 32) - 100;
        let [mut at_once, mut in_two] = [[1.0f32; 200]; 2];
        dropout.drop(&mut at_once, first);
        let (before, after) = in_two.split_at_mut(100);
        dropout.drop(before, first);
        dropout.drop(after, 1 << 32);
        assert_eq!(at_once, in_two);
        let mut start = [1.0f32; 100];
        dropout.drop(&mut start, 0);
        assert_ne!(start, at_once[100..], "the key has changed");
    }

    #[test]
    fn evaluation_drops_nothing() {
        let plain = random([1000]).inner();
        assert_eq!(dropout(plain.clone(), 0.5).into_data(), plain.into_data());
    }
}
