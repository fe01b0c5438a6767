//! Factors rounded to half precision, each still in an `f32`, for who multiplies in `f32`.

use rayon::prelude::*;

use super::{Matrix, Threads};
use crate::{precision::Precision, simd};

/// Runs `body` with both factors rounded to `precision`; with the factors as they are where that is `bf16` and one of them holds what is
/// not finite or reaches 2¹²⁷, as the matrix unit does.
pub(super) fn with_rounded<R>(
    left: Matrix<'_>,
    right: Matrix<'_>,
    precision: Precision,
    threads: Threads,
    body: impl FnOnce(Matrix<'_>, Matrix<'_>) -> R,
) -> R {
    let round: fn(&[f32], &mut [f32]) -> bool = match precision {
        Precision::F32 => return body(left, right),
        Precision::Bf16 => to_bf16,
        Precision::F16 => to_f16,
    };
    let rounded = |values: &[f32]| {
        let mut rounded = simd::room(values.len());
        let all = match threads {
            Threads::One => round(values, &mut rounded),
            Threads::All => values
                .par_chunks(simd::TASK)
                .zip(rounded.par_chunks_mut(simd::TASK))
                .map(|(values, rounded)| round(values, rounded))
                .reduce(|| true, |one, other| one & other),
        };
        all.then_some(rounded)
    };
    match (rounded(left.values), rounded(right.values)) {
        (Some(left_values), Some(right_values)) => {
            body(left.with_values(&left_values), right.with_values(&right_values))
        }
        _ => body(left, right),
    }
}

/// Rounds to 8 significant bits, halves away from zero. Returns whether all values are below 2¹²⁷.
fn to_bf16(values: &[f32], rounded: &mut [f32]) -> bool {
    const SIGN: u32 = 1 << 31;
    let mut largest = 0;
    simd::vectorised(
        #[inline(always)]
        || {
            for (rounded, value) in rounded.iter_mut().zip(values) {
                let bits = value.to_bits();
                // The magnitudes of floats are ordered as those of their bits are, NaN behind infinity.
                largest = (bits & !SIGN).max(largest);
                *rounded = f32::from_bits(bits.wrapping_add(0x8000) & 0xffff_0000);
            }
        },
    );
    largest < LIMIT.to_bits()
}

/// Magnitudes from here on are not rounded to `bf16`.
const LIMIT: f32 = 1.701_411_8e38; // 2¹²⁷

/// Rounds to 11 significant bits, or to a multiple of 2⁻²⁴, halves to even. Returns `true`: what is too large becomes infinite.
fn to_f16(values: &[f32], rounded: &mut [f32]) -> bool {
    simd::vectorised(
        #[inline(always)]
        || {
            for (rounded, value) in rounded.iter_mut().zip(values) {
                *rounded = as_f16(*value);
            }
        },
    );
    true
}

#[inline(always)]
fn as_f16(value: f32) -> f32 {
    const LEAST_NORMAL: f32 = 1.0 / 16_384.0; // 2⁻¹⁴
    const LARGEST: f32 = 65_504.0;
    let magnitude = value.abs();
    let bits = magnitude.to_bits();
    let to_even = 0x0fff + (bits >> 13 & 1);
    let normal = f32::from_bits(bits.wrapping_add(to_even) & !0x1fff);
    // From ½ to 1 the last place of an `f32` is 2⁻²⁴.
    let small = (magnitude + 0.5) - 0.5;
    let rounded = if magnitude < LEAST_NORMAL { small } else { normal };
    let rounded = if rounded > LARGEST { f32::INFINITY } else { rounded };
    // NaN stays what it is.
    let rounded = if magnitude <= f32::MAX { rounded } else { magnitude };
    rounded.copysign(value)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// `value` with so many significant bits, or as a multiple of the least number: by arithmetic of 64 bits, in which all of it is exact.
    fn nearest(value: f32, bits: i32, least_exponent: i32, ties_to_even: bool) -> f64 {
        let value = f64::from(value);
        if value == 0.0 {
            return 0.0;
        }
        let mut exponent = value.abs().log2().floor() as i32;
        // The logarithm may be rounded up to a whole number.
        if 2f64.powi(exponent) > value.abs() {
            exponent -= 1;
        }
        let place = 2f64.powi((exponent + 1 - bits).max(least_exponent));
        let (whole, rest) = ((value.abs() / place).floor(), (value.abs() / place).fract());
        let is_up = rest > 0.5 || rest == 0.5 && (!ties_to_even || whole % 2.0 == 1.0);
        (whole + f64::from(u8::from(is_up))) * place * value.signum()
    }

    /// A precision, and what a number is in it.
    pub(crate) type Rounding = (Precision, fn(f32) -> f64);

    /// What a number is in `bf16`, as the CPU rounds.
    pub(crate) fn nearest_bf16(value: f32) -> f64 {
        nearest(value, 8, -126 - 7, false)
    }

    /// What a number is in `bf16`, halves to even, as CUDA rounds.
    #[cfg(all(feature = "cube", not(feature = "fused")))]
    pub(crate) fn nearest_bf16_to_even(value: f32) -> f64 {
        nearest(value, 8, -126 - 7, true)
    }

    /// What a number is in `f16`.
    pub(crate) fn nearest_f16(value: f32) -> f64 {
        let found = nearest(value, 11, -24, true);
        if found.abs() > 65_504.0 { f64::INFINITY.copysign(found) } else { found }
    }

    /// Numbers of all magnitudes, and the edges: halves between neighbours, least and largest numbers.
    fn numbers() -> Vec<f32> {
        let spread = (0..=u32::MAX / 9973).map(|index| f32::from_bits(index * 9973));
        let edges = [0x8000u32, 0x1000, 0x0fff, 0x1001, 0x7fff, 0x8001, 0x3000, 0x1_8000];
        let near = (0u32..256).flat_map(|exponent| {
            edges.into_iter().flat_map(move |edge| {
                let bits = exponent << 23 | edge;
                [f32::from_bits(bits), f32::from_bits(bits | 1 << 31)]
            })
        });
        let single = [
            65_504.0,
            65_519.9,
            65_520.0,
            65_536.0,
            2f32.powi(-25),
            2f32.powi(-24),
            2f32.powi(-14),
        ];
        spread.chain(near).chain(single).collect()
    }

    #[test]
    fn factors_become_the_nearest_numbers() {
        let numbers = numbers();
        let mut found = vec![0.0; numbers.len()];
        let small: Vec<f32> = numbers.iter().copied().filter(|value| value.abs() < LIMIT).collect();
        assert!(to_bf16(&small, &mut found));
        for (value, found) in small.iter().zip(&found) {
            let expected = nearest_bf16(*value);
            assert_eq!(f64::from(*found), expected, "{value:e} in bf16");
            assert_eq!(found.is_sign_negative(), value.is_sign_negative(), "{value:e}");
        }
        assert!(to_f16(&numbers, &mut found));
        for (value, found) in numbers.iter().zip(&found) {
            if value.is_finite() {
                assert_eq!(f64::from(*found), nearest_f16(*value), "{value:e} in f16");
            } else {
                assert_eq!(found.to_bits(), value.to_bits(), "{value:e} in f16");
            }
            assert_eq!(found.is_sign_negative(), value.is_sign_negative(), "{value:e}");
        }
    }

    #[test]
    fn what_bf16_may_not_hold_is_told() {
        let mut rounded = [0.0; 40];
        for (value, fits) in [
            (1.7e38, true),
            (-1.7e38, true),
            (LIMIT, false),
            (f32::MIN, false),
            (f32::INFINITY, false),
            (f32::NAN, false),
            (-f32::NAN, false),
        ] {
            for place in [0, 39] {
                let mut values = [1.0; 40];
                values[place] = value;
                assert_eq!(to_bf16(&values, &mut rounded), fits, "{value:e}");
            }
        }
    }
}
