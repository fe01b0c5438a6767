//! The product on the matrix unit.
//!
//! The unit multiplies `bf16`, sixteen times as fast as vectors multiply `f32`. For a product in `f32` both factors are
//! [split](MatrixUnit::lay_out_left) into three `bf16` parts without a rest, and six of the nine products of parts are added up in
//! `f32`: what is left out is below the rounding of a term, and the result comes sooner. A product in `bf16` is one of
//! high parts alone, added up in `f32`.
//!
//! Infinities, NaN and magnitudes from 2¹²⁷ in a factor send the product back to the vectors. The unit knows no
//! subnormal numbers: factors and terms below 2⁻¹⁰³ lose digits, down to 8, and below 2⁻¹²⁶ they become zero. A result
//! within 1 % of the largest `f32` may become infinite.
//!
//! The left factor is laid out once, for all threads; each task lays out some columns of the right one, which then stay
//! in its core's cache while all rows of the left pass by.

use std::{
    cell::Cell,
    marker::PhantomData,
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
};

use rayon::prelude::*;

use super::{
    Matrix, Threads,
    unit::{BLOCK, DEPTH, MatrixUnit, step_length},
};
use crate::{scratch::Scratch, shared::Shared, simd};

/// As [`super::product`], with each value in so many parts, if the unit can; otherwise `output` is arbitrary and the
/// result is `false`.
pub(super) fn product<U: MatrixUnit, const PARTS: usize>(
    output: &mut [f32],
    left: Matrix<'_>,
    right: Matrix<'_>,
    bias: Option<&[f32]>,
    threads: Threads,
) -> bool {
    let is_worth_it = left.rows >= BLOCK && right.columns >= BLOCK && left.columns >= DEPTH;
    if !is_worth_it || !U::is_available() {
        return false;
    }
    let inner = left.columns;
    let length = inner.div_ceil(inner.div_ceil(U::SIZES.depth)).next_multiple_of(DEPTH);
    for (index, output) in output.chunks_mut(U::SIZES.rows * right.columns).enumerate() {
        for start in (0..inner).step_by(length) {
            let depth = start..(start + length).min(inner);
            let first_row = index * U::SIZES.rows;
            let unit = PhantomData;
            let run = Run::<U, PARTS> { left, first_row, right, bias, depth, unit };
            if !run.add_to(output, threads) {
                return false;
            }
        }
    }
    true
}

/// The part of a product that one run of the inner dimension makes up, for some rows.
struct Run<'a, U, const PARTS: usize> {
    left: Matrix<'a>,
    first_row: usize,
    right: Matrix<'a>,
    bias: Option<&'a [f32]>,
    depth: Range<usize>,
    unit: PhantomData<fn() -> U>,
}

impl<U: MatrixUnit, const PARTS: usize> Run<'_, U, PARTS> {
    /// Adds this run to `output`, or starts it with the first run. Returns whether all values could be split.
    fn add_to(&self, output: &mut [f32], threads: Threads) -> bool {
        let columns = self.right.columns;
        let rows = output.len() / columns;
        let length = self.depth.len().div_ceil(DEPTH) * step_length(PARTS);
        let all_split = AtomicBool::new(true);
        Scratch::lend(&LEFT, rows.div_ceil(BLOCK) * length, |blocks| {
            let lay_out = |(index, block): (usize, &mut [u16])| {
                let row = self.first_row + index * BLOCK;
                if !U::lay_out_left::<PARTS>(block, self.left, row, self.depth.clone()) {
                    all_split.store(false, Ordering::Relaxed);
                }
            };
            match threads {
                Threads::All => blocks.par_chunks_exact_mut(length).enumerate().for_each(lay_out),
                Threads::One => blocks.chunks_exact_mut(length).enumerate().for_each(lay_out),
            }
            if !all_split.load(Ordering::Relaxed) {
                return;
            }
            let output = Output { values: Shared::new(output), rows, columns };
            let tasks = Tasks::new(rows, columns, U::SIZES.right / length, threads);
            let compute = |task: usize| {
                let (rows, columns) = tasks.part(task);
                if !self.compute(blocks, &output, rows, columns) {
                    all_split.store(false, Ordering::Relaxed);
                }
            };
            match threads {
                Threads::All => (0..tasks.count()).into_par_iter().for_each(compute),
                Threads::One => (0..tasks.count()).for_each(compute),
            }
        });
        all_split.into_inner()
    }

    /// One task: these rows and columns of the output. Returns whether all values could be split.
    fn compute(
        &self,
        left: &[u16],
        output: &Output<'_>,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> bool {
        let steps = self.depth.len().div_ceil(DEPTH);
        let length = steps * step_length(PARTS);
        let unit = U::new();
        Scratch::lend(&RIGHT_PART, columns.len().div_ceil(BLOCK) * length, |right| {
            if !self.lay_out_right(right, columns.clone()) {
                return false;
            }
            for row in rows.step_by(BLOCK) {
                let left = &left[row / BLOCK * length..][..length];
                for (column, panel) in
                    columns.clone().step_by(BLOCK).zip(right.chunks_exact(length))
                {
                    self.block(&unit, left, panel, steps, output, row, column);
                }
            }
            true
        })
    }

    /// Lays out these columns of the right factor, block by block. Returns whether all values could be split.
    fn lay_out_right(&self, target: &mut [u16], columns: Range<usize>) -> bool {
        let steps = self.depth.len().div_ceil(DEPTH);
        let blocks = columns.len().div_ceil(BLOCK);
        (0..blocks * steps).all(|place| {
            // In the order that the factor lies in memory.
            let (block, step) = if self.right.is_transposed() {
                (place / steps, place % steps)
            } else {
                (place % blocks, place / blocks)
            };
            let length = step_length(PARTS);
            let target = &mut target[(block * steps + step) * length..][..length];
            let (row, column) = (self.depth.start + step * DEPTH, columns.start + block * BLOCK);
            U::lay_out_right::<PARTS>(target, self.right, row, self.depth.end, column)
        })
    }

    /// One block of the output.
    #[expect(clippy::too_many_arguments, reason = "an inner loop")]
    fn block(
        &self,
        unit: &U,
        left: &[u16],
        right: &[u16],
        steps: usize,
        output: &Output<'_>,
        row: usize,
        column: usize,
    ) {
        let is_first = self.depth.start == 0;
        let (height, width) =
            ((output.rows - row).min(BLOCK), (output.columns - column).min(BLOCK));
        let mut start = [0.0; BLOCK];
        if is_first && let Some(bias) = self.bias {
            start[..width].copy_from_slice(&bias[column..column + width]);
        }
        if is_first && (height, width) == (BLOCK, BLOCK) {
            let target = output.block(row, column);
            #[expect(unsafe_code, reason = "the unit writes to the output itself")]
            // SAFETY: the block lies inside of the output, and of this task's part.
            unsafe {
                unit.block::<PARTS>(left, right, steps, &start, target, output.columns);
            }
            return;
        }
        let mut block = [[0.0f32; BLOCK]; BLOCK];
        let target = block.as_flattened_mut().as_mut_ptr();
        #[expect(unsafe_code, reason = "the unit writes through a pointer")]
        // SAFETY: `block` is 32 rows of 32 values.
        unsafe {
            unit.block::<PARTS>(left, right, steps, &start, target, BLOCK);
        }
        simd::vectorised(
            #[inline(always)]
            || {
                for (index, values) in block[..height].iter().enumerate() {
                    let first = (row + index) * output.columns + column;
                    #[expect(unsafe_code, reason = "tasks share the output")]
                    // SAFETY: `width` values from there on lie in one row of the output, and in this task's part.
                    let target = unsafe { output.values.slice(first, width) };
                    for (target, &value) in target.iter_mut().zip(values) {
                        *target = if is_first { value } else { *target + value };
                    }
                }
            },
        );
    }
}

/// The output, shared by tasks of which each writes to its own rows and columns.
struct Output<'a> {
    values: Shared<'a>,
    rows: usize,
    columns: usize,
}

impl Output<'_> {
    /// Where the block at this row and column starts, all of which lies inside.
    fn block(&self, row: usize, column: usize) -> *mut f32 {
        assert!(row + BLOCK <= self.rows && column + BLOCK <= self.columns);
        self.values.pointer(row * self.columns + column, (BLOCK - 1) * self.columns + BLOCK)
    }
}

/// The parts that tasks compute: as many columns as stay in a core's cache, and all rows, unless that is too few for the
/// threads. Which part a value belongs to does not change it.
struct Tasks {
    rows: usize,
    columns: usize,
    rows_each: usize,
    columns_each: usize,
}

impl Tasks {
    /// `blocks` of the right factor stay in a core's cache.
    fn new(rows: usize, columns: usize, blocks: usize, threads: Threads) -> Self {
        let most = blocks.max(1) * BLOCK;
        let columns_each = columns.div_ceil(columns.div_ceil(most)).next_multiple_of(BLOCK);
        let wanted = match threads {
            Threads::All => 2 * rayon::current_num_threads(),
            Threads::One => 1,
        };
        let row_parts = wanted.div_ceil(columns.div_ceil(columns_each));
        let rows_each = rows.div_ceil(row_parts).max(8 * BLOCK).next_multiple_of(BLOCK);
        // Still too few: narrower parts, at the price of reading the left factor more often.
        let column_parts = wanted.div_ceil(rows.div_ceil(rows_each));
        let columns_each = columns_each.min(columns.div_ceil(column_parts).next_multiple_of(BLOCK));
        Self { rows, columns, rows_each, columns_each }
    }

    fn count(&self) -> usize {
        self.rows.div_ceil(self.rows_each) * self.columns.div_ceil(self.columns_each)
    }

    /// Rows and columns of one task.
    fn part(&self, task: usize) -> (Range<usize>, Range<usize>) {
        let row_parts = self.rows.div_ceil(self.rows_each);
        let (row, column) =
            (task % row_parts * self.rows_each, task / row_parts * self.columns_each);
        (
            row..(row + self.rows_each).min(self.rows),
            column..(column + self.columns_each).min(self.columns),
        )
    }
}

thread_local! {
    /// The left factor as the thread that asked for a product lays it out for all.
    static LEFT: Cell<Scratch<u16>> = const { Cell::new(Scratch::new()) };
    /// The columns of the right factor that a task works on.
    static RIGHT_PART: Cell<Scratch<u16>> = const { Cell::new(Scratch::new()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_output_once() {
        for (rows, columns, threads) in
            [(1, 1, Threads::One), (500, 70, Threads::All), (4096, 3072, Threads::All)]
        {
            let tasks = Tasks::new(rows, columns, 5, threads);
            let mut seen = vec![0; rows * columns];
            for task in 0..tasks.count() {
                let (rows, part) = tasks.part(task);
                for row in rows {
                    seen[row * columns..][part.clone()].iter_mut().for_each(|seen| *seen += 1);
                }
            }
            assert!(seen.iter().all(|&seen| seen == 1), "{rows} × {columns}");
        }
    }
}
