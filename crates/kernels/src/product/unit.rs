//! What a matrix unit is: it lays factors out as it reads them, and multiplies blocks of them.
//!
//! Factors are laid out in steps of 32 along the inner dimension, in blocks of 32 rows of the left factor or columns of the
//! right one. A step holds tiles of `bf16`: of three parts, a step of the left factor holds the high, middle and low ones,
//! two tiles each, and one of the right factor the low, middle and high ones.

use std::ops::Range;

use super::Matrix;

/// Rows and columns of a block of the output: two by two tiles.
pub(super) const BLOCK: usize = 32;

/// Depth of one step.
pub(super) const DEPTH: usize = 32;

/// Values of one tile of `bf16`: 16 rows of 32.
pub(super) const TILE: usize = 512;

/// Values that one step reads of each factor: two tiles of each part.
pub(super) const fn step_length(parts: usize) -> usize {
    parts * 2 * TILE
}

/// How much is laid out at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// The largest depth that is added up in one go.
    pub(super) depth: usize,
    /// Rows of the left factor.
    pub(super) rows: usize,
    /// Values of a task's part of the right factor.
    pub(super) right: usize,
}

/// A matrix unit, set up on this thread for as long as it lives.
pub(super) trait MatrixUnit {
    /// How much of a product it works on at a time.
    const SIZES: Sizes;

    /// Whether this machine has one.
    fn is_available() -> bool;

    /// Sets up the unit.
    ///
    /// # Panics
    /// If it is not available.
    fn new() -> Self;

    /// Lays out rows `row..row + 32` and columns `columns` of a left factor: for each step of 32 columns the parts, high
    /// to low, each as two tiles of 16 rows. Rows and columns behind the last become zero.
    ///
    /// Returns whether all values could be split: not infinities and NaN, which leave no rest, and not magnitudes from
    /// 2¹²⁷, so that rounding up never overflows.
    fn lay_out_left<const PARTS: usize>(
        target: &mut [u16],
        matrix: Matrix<'_>,
        row: usize,
        columns: Range<usize>,
    ) -> bool;

    /// Lays out one step of a right factor: 32 rows from `row` on (up to but without `end`), and 32 columns from `column`
    /// on. The parts follow each other low to high, each as two tiles of 16 columns, whose rows hold two rows of the
    /// factor in turn.
    ///
    /// Returns the same.
    fn lay_out_right<const PARTS: usize>(
        target: &mut [u16],
        matrix: Matrix<'_>,
        row: usize,
        end: usize,
        column: usize,
    ) -> bool;

    /// `target = start + left · right` for one block, where `start` is one row of 32 values for all rows, and those of
    /// `target` lie `stride` values apart.
    ///
    /// Of the nine products of three parts the three smallest are left out: together they are below 2⁻²⁴ of a term, half a
    /// unit in the last place of an `f32`.
    ///
    /// # Safety
    /// `left` and `right` hold `steps · step_length(PARTS)` values each, `steps > 0`, and at `target` lie 32 rows of 32
    /// values that nobody else accesses.
    #[expect(unsafe_code, reason = "a unit writes through a pointer, to what tasks share")]
    unsafe fn block<const PARTS: usize>(
        &self,
        left: &[u16],
        right: &[u16],
        steps: usize,
        start: &[f32; BLOCK],
        target: *mut f32,
        stride: usize,
    );
}
