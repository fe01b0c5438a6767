//! Matrix products.
//!
//! Most of a model's time goes here. On a CPU with a matrix unit (`tiles`) products run there, to the precision of an
//! `f32`; everywhere else, and where a size is below 32, in the library `gemm`, on vectors.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
#[cfg(test)]
mod emulation;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod split;
#[cfg(test)]
mod tests;
#[cfg(any(test, all(target_arch = "x86_64", target_os = "linux")))]
mod tiles;
#[cfg(any(test, all(target_arch = "x86_64", target_os = "linux")))]
mod unit;

use std::cell::Cell;

use gemm::Parallelism;
use rayon::prelude::*;

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
    /// With factors rounded to `bf16` (halves away from zero) and sums in single precision, where the CPU has a matrix
    /// unit for it. Elsewhere as [`Precision::F32`], and so are products with a size below 32, or with a factor that is
    /// not finite or reaches 2¹²⁷.
    Bf16,
}

thread_local! {
    static PRECISION: Cell<Precision> = const { Cell::new(Precision::F32) };
}

impl Precision {
    /// Runs `body` with the products of [`linear`](crate::linear()) in this precision, if they are called on this thread,
    /// and later differentiates them in it. Inputs, outputs, weights and all other operations stay in `f32`.
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
            Self::Bf16 => <amx::Amx as unit::MatrixUnit>::is_available(),
            #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
            Self::Bf16 => false,
        }
    }
}

/// Rows from which on their number does not decide who computes a product, or how, if it has more than 64 columns: the matrix
/// unit takes 32 or more, and `gemm` has paths of their own for one row and for up to 256 values.
pub(crate) fn fewest_alike_rows() -> usize {
    #[cfg(test)]
    if let Some(asked) = instructions::asked() {
        return if asked.products == Products::Vectors { 4 } else { 32 };
    }
    if Precision::Bf16.is_available() { 32 } else { 4 }
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
    if !on_the_unit(output, left, right, bias, precision, threads) {
        on_vectors(output, left, right, bias, threads);
    }
}

/// The product on the CPU's matrix unit, if it has one and can compute it; otherwise `output` is arbitrary and the result
/// is `false`.
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
