//! Matrix products.
//!
//! Most of a model's time goes here. On a CPU with a matrix unit ([`tiles`]) products run there, as exactly as on
//! vectors; everywhere else, and for what is too small to gain, in the kept library `gemm`.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod split;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tiles;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod unit;

use std::cell::Cell;

use gemm::Parallelism;
use rayon::prelude::*;

/// A row-major matrix, or its transpose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    transposed: bool,
}

impl<'a> Matrix<'a> {
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "a matrix has rows · columns values");
        Self { values, rows, columns, transposed: false }
    }

    pub(crate) fn transpose(self) -> Self {
        Self { rows: self.columns, columns: self.rows, transposed: !self.transposed, ..self }
    }

    pub(crate) fn is_transposed(&self) -> bool {
        self.transposed
    }

    /// Distance in memory of neighbouring columns, and of neighbouring rows.
    fn strides(&self) -> (isize, isize) {
        if self.transposed { (self.rows as isize, 1) } else { (1, self.columns as isize) }
    }
}

/// How exactly products with weights are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// In single precision.
    #[default]
    F32,
    /// With factors rounded to `bf16` and sums in single precision, where the CPU has a matrix unit for it; as
    /// [`Precision::F32`] elsewhere.
    Bf16,
}

thread_local! {
    static PRECISION: Cell<Precision> = const { Cell::new(Precision::F32) };
}

impl Precision {
    /// Runs `body` with products in this precision, as PyTorch's `autocast`: what `body` records is differentiated in it
    /// too, weights and everything but products stay in `f32`.
    pub fn scope<R>(self, body: impl FnOnce() -> R) -> R {
        struct Restore(Precision);
        impl Drop for Restore {
            fn drop(&mut self) {
                PRECISION.set(self.0);
            }
        }
        let _restore = Restore(PRECISION.replace(self));
        body()
    }

    /// That of the innermost [`scope`](Self::scope) on this thread.
    pub(crate) fn current() -> Self {
        PRECISION.get()
    }

    /// Whether this machine computes in this precision.
    pub fn is_available(self) -> bool {
        match self {
            Self::F32 => true,
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Self::Bf16 => unit::is_available(),
            #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
            Self::Bf16 => false,
        }
    }
}

/// Who computes a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    /// All threads of the pool.
    All,
    /// The calling thread alone.
    One,
}

/// `output = left · right`, with `bias` added to each row. `output` is row-major; what it held is lost.
pub(crate) fn product(
    output: &mut [f32],
    left: Matrix<'_>,
    right: Matrix<'_>,
    bias: Option<&[f32]>,
    precision: Precision,
    threads: Threads,
) {
    assert_eq!(left.columns, right.rows, "rows of the left factor meet columns of the right");
    assert_eq!(output.len(), left.rows * right.columns, "the output is rows × columns");
    assert!(bias.is_none_or(|bias| bias.len() == right.columns), "one bias per column");
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if tiles::product(output, left, right, bias, precision, threads) {
        return;
    }
    on_vectors(output, left, right, bias, threads);
}

/// The product by `gemm`.
fn on_vectors(
    output: &mut [f32],
    left: Matrix<'_>,
    right: Matrix<'_>,
    bias: Option<&[f32]>,
    threads: Threads,
) {
    if let Some(bias) = bias {
        let fill = |rows: &mut [f32]| {
            rows.chunks_exact_mut(bias.len()).for_each(|row| row.copy_from_slice(bias));
        };
        match threads {
            Threads::All => output.par_chunks_mut((bias.len() * 64).max(1)).for_each(fill),
            Threads::One => fill(output),
        }
    }
    let ((left_columns, left_rows), (right_columns, right_rows)) =
        (left.strides(), right.strides());
    #[expect(unsafe_code, reason = "`gemm` takes pointers")]
    // SAFETY: the lengths of all three slices are those that the sizes and strides reach, as asserted in `product` and
    // in `Matrix::new`; the output is not aliased.
    unsafe {
        gemm::gemm(
            left.rows,
            right.columns,
            left.columns,
            output.as_mut_ptr(),
            1,
            right.columns as isize,
            bias.is_some(),
            left.values.as_ptr(),
            left_columns,
            left_rows,
            right.values.as_ptr(),
            right_columns,
            right_rows,
            1.0,
            1.0,
            false,
            false,
            false,
            match threads {
                Threads::All => Parallelism::Rayon(0),
                Threads::One => Parallelism::None,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;

    /// Rows, inner dimension, columns: whole blocks, all kinds of edges, and more than one run of the inner dimension.
    const SIZES: [[usize; 3]; 9] = [
        [1, 1, 1],
        [5, 3, 7],
        [32, 32, 32],
        [33, 31, 65],
        [64, 100, 33],
        [257, 64, 48],
        [100, 1100, 70],
        [1030, 70, 40],
        [40, 2500, 300],
    ];

    fn values(length: usize) -> Vec<f32> {
        random([length]).into_data().try_into_vec().unwrap()
    }

    fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
        (0..columns)
            .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
            .collect()
    }

    /// Both orders of both factors, with and without a bias, on one thread and on all.
    fn for_all_layouts(
        [rows, inner, columns]: [usize; 3],
        check: impl Fn(&[f32], Matrix, Matrix, Option<&[f32]>),
    ) {
        let (left, right, bias) = (values(rows * inner), values(inner * columns), values(columns));
        let (left_turned, right_turned) =
            (transposed(&left, rows, inner), transposed(&right, inner, columns));
        let lefts =
            [Matrix::new(&left, rows, inner), Matrix::new(&left_turned, inner, rows).transpose()];
        let rights = [
            Matrix::new(&right, inner, columns),
            Matrix::new(&right_turned, columns, inner).transpose(),
        ];
        for threads in [Threads::One, Threads::All] {
            for bias in [None, Some(&bias[..])] {
                for left in lefts {
                    for right in rights {
                        let mut output = vec![f32::NAN; rows * columns];
                        product(&mut output, left, right, bias, Precision::F32, threads);
                        check(&output, lefts[0], rights[0], bias);
                    }
                }
            }
        }
    }

    /// The product in `f64`, and the sum of the magnitudes of its terms.
    fn exact(left: Matrix, right: Matrix, bias: Option<&[f32]>) -> Vec<(f64, f64)> {
        let (left_values, right_values) = (left.values, right.values);
        (0..left.rows)
            .flat_map(|row| (0..right.columns).map(move |column| (row, column)))
            .map(|(row, column)| {
                let start = bias.map_or(0.0, |bias| f64::from(bias[column]));
                (0..left.columns).fold((start, start.abs()), |(sum, magnitude), inner| {
                    let term = f64::from(left_values[row * left.columns + inner])
                        * f64::from(right_values[inner * right.columns + column]);
                    (sum + term, magnitude + term.abs())
                })
            })
            .collect()
    }

    #[test]
    fn is_as_exact_as_single_precision() {
        for size in SIZES {
            for_all_layouts(size, |output, left, right, bias| {
                for (value, (exact, magnitude)) in output.iter().zip(exact(left, right, bias)) {
                    let error = (f64::from(*value) - exact).abs();
                    let rounding = f64::from(f32::EPSILON) * (1.0 + (size[1] as f64).sqrt());
                    assert!(error <= rounding * magnitude, "{size:?}: {error:e} of {magnitude}");
                }
            });
        }
    }

    /// The root mean square error is no larger than that of the same product on vectors.
    #[test]
    fn is_no_less_exact_than_vectors() {
        let [rows, inner, columns] = [64, 768, 64];
        let (left, right) = (values(rows * inner), values(inner * columns));
        let (left, right) = (Matrix::new(&left, rows, inner), Matrix::new(&right, inner, columns));
        let exact = exact(left, right, None);
        let error = |output: &[f32]| -> f64 {
            output
                .iter()
                .zip(&exact)
                .map(|(&value, (exact, _))| (f64::from(value) - exact).powi(2))
                .sum::<f64>()
                .sqrt()
        };
        let mut output = vec![0.0; rows * columns];
        product(&mut output, left, right, None, Precision::F32, Threads::All);
        let ours = error(&output);
        on_vectors(&mut output, left, right, None, Threads::All);
        assert!(ours <= error(&output), "{ours:e} against {:e}", error(&output));
    }

    #[test]
    fn what_is_not_finite_spreads_as_on_vectors() {
        let [rows, inner, columns] = [70, 96, 50];
        for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -3.39e38, 1e-40, -0.0]
        {
            let (mut left, mut right) = (values(rows * inner), values(inner * columns));
            for side in 0..2 {
                if side == 0 {
                    left[40 * inner + 7] = special;
                } else {
                    right[90 * columns + 3] = special;
                }
                let (left, right) =
                    (Matrix::new(&left, rows, inner), Matrix::new(&right, inner, columns));
                let (mut ours, mut theirs) = (vec![0.0; rows * columns], vec![0.0; rows * columns]);
                product(&mut ours, left, right, None, Precision::F32, Threads::All);
                on_vectors(&mut theirs, left, right, None, Threads::All);
                for (ours, theirs) in ours.into_iter().zip(theirs) {
                    let close = (ours - theirs).abs() <= 1e-4 * (1.0 + theirs.abs());
                    assert!(
                        ours == theirs || close || ours.is_nan() && theirs.is_nan(),
                        "{special}: {ours} {theirs}"
                    );
                }
            }
        }
    }

    #[test]
    fn half_precision_is_the_product_of_rounded_factors() {
        for [rows, inner, columns] in SIZES {
            let (left, right) = (values(rows * inner), values(inner * columns));
            let (left, right) =
                (Matrix::new(&left, rows, inner), Matrix::new(&right, inner, columns));
            let mut output = vec![f32::NAN; rows * columns];
            product(&mut output, left, right, None, Precision::Bf16, Threads::All);
            for (value, (exact, magnitude)) in output.iter().zip(exact(left, right, None)) {
                let error = (f64::from(*value) - exact).abs();
                // Each factor is rounded to 8 bits, by at most 2⁻⁸ of it.
                assert!(error <= 2.0f64.powi(-7) * 1.01 * magnitude, "{error:e} of {magnitude}");
            }
        }
    }

    #[test]
    fn a_scope_ends_where_its_body_does() {
        Precision::Bf16.scope(|| {
            assert_eq!(Precision::current(), Precision::Bf16);
            Precision::F32.scope(|| assert_eq!(Precision::current(), Precision::F32));
            assert_eq!(Precision::current(), Precision::Bf16);
        });
        assert_eq!(Precision::current(), Precision::F32);
    }

    #[test]
    fn keeps_the_scale_of_its_factors() {
        let [rows, inner, columns] = [32, 64, 32];
        let (left, right) = (values(rows * inner), values(inner * columns));
        let run = |factor: f32| {
            let scaled: Vec<f32> = left.iter().map(|value| value * factor).collect();
            let mut output = vec![0.0; rows * columns];
            let left = Matrix::new(&scaled, rows, inner);
            product(
                &mut output,
                left,
                Matrix::new(&right, inner, columns),
                None,
                Precision::F32,
                Threads::One,
            );
            output
        };
        let plain = run(1.0);
        // Powers of two change no digit, as long as the last of them stays a normal number.
        for power in [-60, 60, 90] {
            let factor = 2.0f32.powi(power);
            for (value, plain) in run(factor).into_iter().zip(&plain) {
                assert_eq!(value, plain * factor, "2^{power}");
            }
        }
    }

    #[test]
    fn the_bits_do_not_depend_on_the_number_of_threads() {
        for [rows, inner, columns] in SIZES {
            let (left, right) = (values(rows * inner), values(inner * columns));
            let (left, right) =
                (Matrix::new(&left, rows, inner), Matrix::new(&right, inner, columns));
            let on = |count: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
                let mut output = vec![f32::NAN; rows * columns];
                pool.install(|| {
                    product(&mut output, left, right, None, Precision::F32, Threads::All)
                });
                output.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let one = on(1);
            assert_eq!(one, on(3));
            assert_eq!(one, on(8));
        }
    }
}
