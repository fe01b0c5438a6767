//! Matrix products.
//!
//! Most of a model's time goes here. On a CPU with a matrix unit (`tiles`) products run there, to the precision of an
//! `f32`; everywhere else, and where a size is below 32, in the library `gemm`, on vectors.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
#[cfg(test)]
mod emulation;
pub(crate) mod rounding;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod split;
#[cfg(test)]
mod tests;
#[cfg(any(test, all(target_arch = "x86_64", target_os = "linux")))]
mod tiles;
#[cfg(any(test, all(target_arch = "x86_64", target_os = "linux")))]
mod unit;

use gemm::Parallelism;
use rayon::prelude::*;

use crate::precision::Precision;
#[cfg(test)]
use crate::testing::instructions::{self, Products};

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

    /// Other values that lie in the same way.
    fn with_values(self, values: &[f32]) -> Matrix<'_> {
        assert_eq!(values.len(), self.values.len(), "the matrix keeps its size");
        Matrix { values, rows: self.rows, columns: self.columns, transposed: self.transposed }
    }

    pub(crate) fn is_transposed(&self) -> bool {
        self.transposed
    }

    /// Distance in memory of neighbouring columns, and of neighbouring rows.
    fn strides(&self) -> (isize, isize) {
        if self.transposed { (self.rows as isize, 1) } else { (1, self.columns as isize) }
    }
}

/// Whether the CPU has a matrix unit that products run on.
pub(crate) fn has_matrix_unit() -> bool {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    return <amx::Amx as unit::MatrixUnit>::is_available();
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    return false;
}

/// Rows from which on their number does not decide who computes a product, or how, if it has more than 64 columns: the matrix
/// unit takes 32 or more, and `gemm` has paths of their own for one row and for up to 256 values.
pub(crate) fn fewest_alike_rows() -> usize {
    #[cfg(test)]
    if let Some(asked) = instructions::asked() {
        return if asked.products == Products::Vectors { 4 } else { 32 };
    }
    if has_matrix_unit() { 32 } else { 4 }
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
///
/// In half precision factors are rounded: by the matrix unit, as it reads them, where it takes the product, and else before it. Either way
/// the terms are exact, and are summed up in `f32`.
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
    if on_the_unit(output, left, right, bias, precision, threads) {
        return;
    }
    rounding::with_rounded(left, right, precision, threads, |left, right| {
        let may_fit = precision == Precision::F16; // Else it was asked already.
        if !(may_fit && on_the_unit(output, left, right, bias, Precision::F32, threads)) {
            on_vectors(output, left, right, bias, threads);
        }
    });
}

/// The product on the CPU's matrix unit, if it has one and can compute it; otherwise `output` is arbitrary and the result
/// is `false`. The unit does not round to `f16`.
#[cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux")),
    allow(unused_variables, reason = "elsewhere there is no unit that we know of")
)]
fn on_the_unit(
    output: &mut [f32],
    left: Matrix<'_>,
    right: Matrix<'_>,
    bias: Option<&[f32]>,
    precision: Precision,
    threads: Threads,
) -> bool {
    #[cfg(test)]
    match instructions::asked().map(|asked| asked.products) {
        Some(Products::Vectors) => return false,
        Some(Products::Emulation) => {
            return on::<emulation::Emulated>(output, left, right, bias, precision, threads);
        }
        Some(Products::Unit) | None => {}
    }
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if on::<amx::Amx>(output, left, right, bias, precision, threads) {
        return true;
    }
    false
}

/// The same for one kind of unit.
#[cfg(any(test, all(target_arch = "x86_64", target_os = "linux")))]
fn on<U: unit::MatrixUnit>(
    output: &mut [f32],
    left: Matrix<'_>,
    right: Matrix<'_>,
    bias: Option<&[f32]>,
    precision: Precision,
    threads: Threads,
) -> bool {
    match precision {
        Precision::F32 => tiles::product::<U, 3>(output, left, right, bias, threads),
        Precision::Bf16 => tiles::product::<U, 1>(output, left, right, bias, threads),
        Precision::F16 => false,
    }
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
            rows.chunks_exact_mut(bias.len().max(1)).for_each(|row| row.copy_from_slice(bias));
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
