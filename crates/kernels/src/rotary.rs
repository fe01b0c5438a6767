//! Rotary positions: queries and keys turned by where they stand (Su et al. 2021).

use burn::{
    backend::{Flex, TensorMetadata},
    tensor::{Int, Tensor, TensorData},
};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::{
    kernel::{self, Kernel},
    select_rows::row_indices,
    simd,
};

/// Base of the wavelengths, as in the paper.
const WAVELENGTHS: f64 = 10_000.0;

/// Turns each pair of channels of a head by an angle in proportion to the token's place, so that the inner product of two
/// tokens knows how far they are apart, and nothing else of their places.
///
/// With `h = head_dim / 2`, channels `i` and `i + h` of the token at place `p` are turned by `p · 10000^(−i/h)`, as in `RoFormer`'s
/// descendants (GPT-NeoX, ESM).
///
/// # Shapes
/// - `x`, output: `[batch, seq_len, heads · head_dim]`, an even `head_dim`
/// - `places`: `[batch · seq_len]`, where each token stands in its sequence; `None`: in its column
///
/// # Panics
/// If heads are of no even size, or there is not one place for each token.
pub fn rotary(x: Tensor<3>, heads: usize, places: Option<Tensor<1, Int>>) -> Tensor<3> {
    let [batch, seq_len, hidden_size] = x.dims();
    assert_eq!(hidden_size % (2 * heads), 0, "heads of an even size");
    if let Some(places) = &places {
        assert_eq!(places.dims(), [batch * seq_len], "a place for each token");
    }
    if !kernel::runs_on::<Rotary, 1, 3>(&x) {
        return composed(x, heads, places);
    }
    let places = match places {
        Some(places) => row_indices(places, usize::MAX),
        None => (0..batch).flat_map(|_| 0..seq_len).collect(),
    };
    let longest = places.iter().max().map_or(0, |place| place + 1);
    let angles = Angles::new(longest, hidden_size / heads / 2, |value| value as f32);
    kernel::run_1(Rotary { places, heads, angles }, x)
}

/// The same by Burn's elementary operations.
fn composed(x: Tensor<3>, heads: usize, places: Option<Tensor<1, Int>>) -> Tensor<3> {
    let [batch, seq_len, hidden_size] = x.dims();
    let half = hidden_size / heads / 2;
    let device = x.device();
    let longest = match &places {
        Some(places) => places.clone().max().into_scalar::<i64>() as usize + 1,
        None => seq_len,
    };
    let Angles { cosines, sines, .. } = Angles::new(longest, half, |value| value);
    let of_tokens = |values: Vec<f64>| {
        let data = TensorData::new(values, [longest, half]);
        let table = Tensor::<2>::from_data(data, (&device, x.dtype()));
        let of_tokens = match &places {
            Some(places) => table.select(0, places.clone()).reshape([batch, seq_len, 1, half]),
            None => table.reshape([1, seq_len, 1, half]),
        };
        of_tokens.expand([batch, seq_len, heads, half])
    };
    let (cosines, sines) = (of_tokens(cosines), of_tokens(sines));
    let x = x.reshape([batch, seq_len, heads, 2 * half]);
    let (first, second) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
    let turned = [
        first.clone() * cosines.clone() - second.clone() * sines.clone(),
        second * cosines + first * sines,
    ];
    Tensor::cat(turned.to_vec(), 3).reshape([batch, seq_len, hidden_size])
}

/// Cosine and sine of the angles of each place, `[places, half]`.
#[derive(Debug)]
struct Angles<T> {
    half: usize,
    cosines: Vec<T>,
    sines: Vec<T>,
}

impl<T: Send> Angles<T> {
    fn new(places: usize, half: usize, rounded: fn(f64) -> T) -> Self {
        let frequencies: Vec<f64> =
            (0..half).map(|channel| WAVELENGTHS.powf(-(channel as f64) / half as f64)).collect();
        let of = |index: usize| {
            let (sine, cosine) = ((index / half) as f64 * frequencies[index % half]).sin_cos();
            (rounded(sine), rounded(cosine))
        };
        let (sines, cosines) = (0..places * half).into_par_iter().map(of).unzip();
        Self { half, cosines, sines }
    }

    /// Those of one place.
    #[inline(always)]
    fn at(&self, place: usize) -> (&[T], &[T]) {
        let of = place * self.half..(place + 1) * self.half;
        (&self.cosines[of.clone()], &self.sines[of])
    }
}

#[derive(Debug)]
struct Rotary {
    /// Of each token.
    places: Vec<usize>,
    heads: usize,
    angles: Angles<f32>,
}

kernel::lacking!(Rotary: 1);

impl Rotary {
    /// Turns the rows of `x`, or turns them back: by `sign` times their angles.
    fn turn(&self, x: FlexTensor, sign: f32) -> FlexTensor {
        let x = simd::contiguous(x);
        let source = simd::values(&x);
        let width = 2 * self.angles.half;
        let hidden_size = self.heads * width;
        let task_rows = (simd::TASK / hidden_size.max(1)).max(1);
        let mut output = simd::room(source.len());
        output
            .par_chunks_mut((task_rows * hidden_size).max(1))
            .zip(source.par_chunks((task_rows * hidden_size).max(1)))
            .zip(self.places.par_chunks(task_rows))
            .for_each(|((output, source), places)| {
                simd::vectorised(
                    #[inline(always)]
                    || {
                        let rows = output.chunks_exact_mut(hidden_size);
                        for ((output, source), &place) in
                            rows.zip(source.chunks_exact(hidden_size)).zip(places)
                        {
                            let (cosines, sines) = self.angles.at(place);
                            for (output, source) in
                                output.chunks_exact_mut(width).zip(source.chunks_exact(width))
                            {
                                turn_head(output, source, cosines, sines, sign);
                            }
                        }
                    },
                );
            });
        simd::tensor(output, x.shape())
    }
}

/// Turns the pairs of one head.
#[inline(always)]
fn turn_head(output: &mut [f32], source: &[f32], cosines: &[f32], sines: &[f32], sign: f32) {
    let half = cosines.len();
    let (first, second) = source.split_at(half);
    let (to_first, to_second) = output.split_at_mut(half);
    for channel in 0..half {
        let (a, b) = (first[channel], second[channel]);
        let (cosine, sine) = (cosines[channel], sign * sines[channel]);
        to_first[channel] = a * cosine - b * sine;
        to_second[channel] = b * cosine + a * sine;
    }
}

impl Kernel<Flex, 1> for Rotary {
    type Saved = ();

    fn forward(&self, [x]: [FlexTensor; 1]) -> (FlexTensor, ()) {
        (self.turn(x, 1.0), ())
    }

    /// A turn's derivative is the turn back.
    fn backward(
        &self,
        (): (),
        gradient: FlexTensor,
        _wanted: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        [Some(self.turn(gradient, -1.0))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, random};
    use burn::tensor::Device;

    fn places(values: &[i64]) -> Tensor<1, Int> {
        Tensor::from_ints(values, &Device::flex().autodiff())
    }

    #[test]
    fn equals_the_composed_path() {
        for (shape @ [batch, seq_len, _], heads) in
            [([1, 1, 2], 1), ([2, 40, 24], 3), ([3, 300, 64], 2), ([1, 700, 6], 1)]
        {
            testing::same(
                [random(shape)],
                |[x]| rotary(x, heads, None),
                |[x]| composed(x, heads, None),
            );
            let values: Vec<i64> = (0..(batch * seq_len) as i64).map(|row| row * 7 % 90).collect();
            let places = Some(places(&values));
            testing::same(
                [random(shape)],
                |[x]| rotary(x, heads, places.clone()),
                |[x]| composed(x, heads, places.clone()),
            );
        }
    }

    /// Each number again in 64-bit floats.
    #[test]
    fn equals_the_formula() {
        let (seq_len, heads, width) = (9, 2, 6);
        let x = random([1, seq_len, heads * width]).inner();
        let places = [5usize, 0, 1, 2, 700, 3, 3, 0, 1];
        let given = places.map(|place| place as i64);
        let given = Tensor::<1, Int>::from_ints(given, &x.device());
        let numbers: Vec<f64> = x.to_data().iter::<f64>().collect();
        let found: Vec<f64> = rotary(x, heads, Some(given)).into_data().iter::<f64>().collect();
        for (index, found) in found.into_iter().enumerate() {
            let (token, channel) = (index / (heads * width), index % width);
            let pair = channel % (width / 2);
            let angle = places[token] as f64 * 10_000f64.powf(-(pair as f64) / 3.0);
            let start = index - channel;
            let (first, second) = (numbers[start + pair], numbers[start + pair + 3]);
            let expected = if channel < 3 {
                first * angle.cos() - second * angle.sin()
            } else {
                first * angle.sin() + second * angle.cos()
            };
            assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
        }
    }

    /// What the turns are for: products know the distance only.
    #[test]
    fn products_depend_on_the_distance_alone() {
        let x = random([1, 2, 8]).inner();
        let product = |first: i64, second: i64| {
            let places = Tensor::<1, Int>::from_ints([first, second], &x.device());
            let turned = rotary(x.clone(), 1, Some(places));
            let [first, second] = [0, 1].map(|token| turned.clone().narrow(1, token, 1));
            (first * second).sum().into_scalar::<f32>()
        };
        let expected = product(0, 17);
        for start in [1, 40, 900] {
            assert!((product(start, start + 17) - expected).abs() < 1e-4);
        }
        assert!((product(0, 18) - expected).abs() > 1e-2);
    }

    #[test]
    fn does_not_depend_on_the_number_of_threads() {
        testing::same_bits_for_any_threads([random([3, 900, 40])], |[x]| rotary(x, 2, None));
    }

    #[test]
    fn special_values_behave_as_the_composed_path() {
        testing::same_with_special_values(
            [random([2, 20, 12])],
            |[x]| rotary(x, 3, None),
            |[x]| composed(x, 3, None),
        );
    }
}
