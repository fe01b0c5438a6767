//! Elementwise passes over all cores, in the widest vectors of the machine at hand.
//!
//! Loops are written plainly and compiled once for each instruction set ([`pulp`] picks one at run time), so that
//! the compiler vectorises them. What they call must inline into them, or it runs as scalar code without the machine's
//! instructions: hence `#[inline(always)]` on scalar functions, and on every closure handed to [`map`] and [`zip`].

use burn::tensor::{Shape, TensorData};
use burn_flex::FlexTensor;
use rayon::prelude::*;

#[cfg(test)]
use crate::testing::instructions;

/// Elements of one task: small enough to stay in a core's own cache, large enough to outweigh the hand-over.
pub(crate) const TASK: usize = 16 * 1024;

/// Runs `operation` in the widest vectors of the machine; in a test, in those that it asks for.
#[inline(always)]
pub(crate) fn dispatch<O: pulp::WithSimd>(operation: O) -> O::Output {
    #[cfg(test)]
    if let Some(asked) = instructions::asked() {
        return asked.vectors.dispatch(operation);
    }
    pulp::Arch::new().dispatch(operation)
}

/// The same for loops that are written plainly.
///
/// A closure handed to [`pulp::Arch::dispatch`] itself is called as `FnOnce`, through a shim that a compiler is free
/// not to inline; once a body is long it does not, and the loops are left without vectors. Called as `FnMut`, the
/// body itself is reached, and its `#[inline(always)]` holds.
pub(crate) fn vectorised<R>(body: impl FnMut() -> R) -> R {
    struct Body<F>(F);
    impl<R, F: FnMut() -> R> pulp::WithSimd for Body<F> {
        type Output = R;

        #[inline(always)]
        fn with_simd<S: pulp::Simd>(mut self, _simd: S) -> R {
            (self.0)()
        }
    }
    dispatch(Body(body))
}

/// The values of a tensor in row-major order; a copy only if they do not lie so already.
pub(crate) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// The values of a [`contiguous`] tensor.
pub(crate) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("the tensor was made contiguous")
}

/// A tensor of `values`.
pub(crate) fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// Room for `length` values, all of which the caller writes before anything reads them. In this crate's tests and in debug
/// builds it is filled with NaN, so that a value that was left out is noticed.
#[expect(
    unsafe_code,
    clippy::uninit_vec,
    reason = "zeroing would cost every kernel a pass over memory"
)]
pub(crate) fn room(length: usize) -> Vec<f32> {
    if cfg!(any(test, debug_assertions)) {
        return vec![f32::NAN; length];
    }
    let mut values = Vec::with_capacity(length);
    // SAFETY: the capacity is there, an `f32` needs no drop, and nothing reads a value before a kernel wrote it:
    // every kernel checks its inputs' shapes and then covers its whole output.
    unsafe { values.set_len(length) };
    values
}

/// Lets `write` change the values of `x`: in place if nobody else holds them, else in a copy.
pub(crate) fn update(x: &mut FlexTensor, write: impl FnOnce(&mut [f32])) {
    let covers_its_storage =
        x.is_contiguous() && x.layout().num_elements() * size_of::<f32>() == x.bytes().len();
    if covers_its_storage && let Some(values) = x.try_storage_mut::<f32>() {
        return write(values);
    }
    if !x.is_contiguous() {
        *x = x.to_contiguous(); // a copy that nobody else holds
        return update(x, write);
    }
    let own = values(x);
    let mut copy = room(own.len());
    copy.par_chunks_mut(TASK)
        .zip(own.par_chunks(TASK))
        .for_each(|(copy, own)| copy.copy_from_slice(own));
    write(&mut copy);
    *x = tensor(copy, x.layout().shape().clone());
}

/// Applies `function` to every element, in place if nobody else holds the tensor.
pub(crate) fn map(mut x: FlexTensor, function: impl Fn(f32) -> f32 + Sync) -> FlexTensor {
    if x.is_unique() {
        update(&mut x, |values| {
            values.par_chunks_mut(TASK).for_each(|chunk| {
                vectorised(
                    #[inline(always)]
                    || chunk.iter_mut().for_each(|value| *value = function(*value)),
                );
            });
        });
        return x;
    }
    let x = contiguous(x);
    let source = values(&x);
    let mut output = room(source.len());
    output.par_chunks_mut(TASK).zip(source.par_chunks(TASK)).for_each(|(output, source)| {
        vectorised(
            #[inline(always)]
            || {
                for (output, &value) in output.iter_mut().zip(source) {
                    *output = function(value);
                }
            },
        );
    });
    tensor(output, x.layout().shape().clone())
}

/// `function(left, right)` of every pair of elements, written over `right` if nobody else holds it.
pub(crate) fn zip(
    left: FlexTensor,
    mut right: FlexTensor,
    function: impl Fn(f32, f32) -> f32 + Sync,
) -> FlexTensor {
    let left = contiguous(left);
    update(&mut right, |right| {
        right.par_chunks_mut(TASK).zip(values(&left).par_chunks(TASK)).for_each(|(right, left)| {
            vectorised(
                #[inline(always)]
                || {
                    for (right, &left) in right.iter_mut().zip(left) {
                        *right = function(left, *right);
                    }
                },
            );
        });
    });
    right
}

/// The sum of two tensors of the same shape, written over one of them if nobody else holds it.
pub(crate) fn add(mut left: FlexTensor, mut right: FlexTensor) -> FlexTensor {
    if !right.is_unique() {
        std::mem::swap(&mut left, &mut right);
    }
    let covers = |tensor: &FlexTensor| {
        tensor.layout().start_offset() == 0
            && tensor.layout().num_elements() * size_of::<f32>() == tensor.bytes().len()
    };
    if left.layout() != right.layout() || !covers(&left) || !covers(&right) {
        let left = contiguous(left);
        update(&mut right, |right| add_to(right, values(&left)));
        return right;
    }
    // Both lie alike, in whatever order, and are added as they lie.
    if let Some(sum) = right.try_storage_mut() {
        add_to(sum, left.storage());
        return right;
    }
    let (left, layout) = (left.storage::<f32>(), left.layout());
    let mut sum = room(left.len());
    sum.par_chunks_mut(TASK).zip(left.par_chunks(TASK)).for_each(|(sum, left)| {
        sum.copy_from_slice(left);
    });
    add_to(&mut sum, right.storage());
    tensor(sum, layout.shape().clone()).with_layout(layout.clone())
}

/// Adds `term` to `sum`, value by value, on all cores.
fn add_to(sum: &mut [f32], term: &[f32]) {
    sum.par_chunks_mut(TASK)
        .zip(term.par_chunks(TASK))
        .for_each(|(sum, term)| add_on_this_thread(sum, term));
}

/// The same in one task.
pub(crate) fn add_on_this_thread(sum: &mut [f32], term: &[f32]) {
    vectorised(
        #[inline(always)]
        || {
            for (sum, &term) in sum.iter_mut().zip(term) {
                *sum += term;
            }
        },
    );
}

/// Independent partial sums of one pass: floats do not reassociate, so the compiler needs to be told.
pub(crate) const LANES: usize = 16;

/// The sum of `function` over `values`.
#[inline(always)]
pub(crate) fn sum(values: &[f32], function: impl Fn(f32) -> f32) -> f32 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for block in blocks {
        for (lane, &value) in lanes.iter_mut().zip(block) {
            *lane += function(value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += function(value);
    }
    add_lanes(lanes)
}

/// `Σ left · right`.
#[inline(always)]
pub(crate) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let (left, left_rest) = left.as_chunks::<LANES>();
    let (right, right_rest) = right.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (left, right) in left.iter().zip(right) {
        for lane in 0..LANES {
            sums[lane] += left[lane] * right[lane];
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum();
    sums.iter().sum::<f32>() + rest
}

/// The largest of `values`, or −∞. A NaN is passed over: it reaches the row's sum anyway.
#[inline(always)]
pub(crate) fn largest(values: &[f32]) -> f32 {
    #[inline(always)]
    fn larger(left: f32, right: f32) -> f32 {
        if right > left { right } else { left }
    }
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for block in blocks {
        for (lane, &value) in lanes.iter_mut().zip(block) {
            *lane = larger(*lane, value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane = larger(*lane, value);
    }
    let mut largest = f32::NEG_INFINITY;
    for lane in lanes {
        largest = larger(largest, lane);
    }
    largest
}

/// The sum of all lanes, by halves.
#[inline(always)]
pub(crate) fn add_lanes(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// The elementwise sum of parts of `length` values, the first part first: the same whichever task finished first.
pub(crate) fn sum_in_order(parts: &[Vec<f32>], length: usize) -> Vec<f32> {
    let mut total = vec![0.0; length];
    total.par_chunks_mut(TASK).enumerate().for_each(|(task, total)| {
        for part in parts {
            for (total, value) in total.iter_mut().zip(&part[task * TASK..]) {
                *total += value;
            }
        }
    });
    total
}

/// The exponential function, within 2 units in the last place; 0 below −86.9 (where the result nears the smallest
/// normal number), ∞ where it overflows, NaN of NaN.
///
/// `exp(x) = 2ᵏ·exp(r)` with `|r| ≤ ½ ln 2`, and a polynomial for `exp(r)` fitted at Chebyshev nodes (relative
/// error 1.1e-8).
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding 1.5·2²³ rounds to an integer and leaves it in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4; // few bits, so that k · LN_2_HIGH is exact
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let k = shifted - ROUND;
    let r = k.mul_add(-LN_2_LOW, k.mul_add(-LN_2_HIGH, x));
    let p = 0.001_393_373_4_f32
        .mul_add(r, 0.008_363_236)
        .mul_add(r, 0.041_666_463)
        .mul_add(r, 0.166_665_76)
        .mul_add(r, 0.5);
    let mantissa = (p * r).mul_add(r, r) + 1.0;
    // 2ᵏ⁻¹, for 2¹²⁸ is no `f32`.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f00_0000));
    let value = 2.0 * mantissa * power;
    if x < -86.9 {
        0.0
    } else if x > 88.8 {
        f32::INFINITY
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_of_the_last_place() {
        let mut worst = 0.0f64;
        for step in -868_000..887_000 {
            let x = step as f32 * 1e-4;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) / exact - 1.0).abs());
        }
        assert!(worst < 2.0 * f64::from(f32::EPSILON), "{worst:e}");
    }

    #[test]
    fn exp_at_the_ends_of_the_line() {
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-1e9), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
    }
}
