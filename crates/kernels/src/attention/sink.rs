//! Rows of strided arrays that the numeric core writes.

use crate::{shared::Shared, view::HeadIndex};

/// A `[batch, heads, rows, width]` array that tasks write in parallel, each its own rows.
#[derive(Debug)]
pub(super) struct Sink<'a> {
    values: Shared<'a>,
    /// Distances between batch elements, heads and rows.
    strides: [usize; 3],
    width: usize,
}

impl<'a> Sink<'a> {
    /// Rows that lie in memory as `[batch, rows, heads, width]`: merging the heads later moves nothing.
    pub(super) fn heads_inside(
        values: &'a mut [f32],
        heads: usize,
        rows: usize,
        width: usize,
    ) -> Self {
        let strides = [rows * heads * width, width, heads * width];
        Self { values: Shared::new(values), strides, width }
    }

    /// Rows that lie in memory as `[batch, heads, rows, width]`.
    pub(super) fn heads_outside(
        values: &'a mut [f32],
        heads: usize,
        rows: usize,
        width: usize,
    ) -> Self {
        let strides = [heads * rows * width, rows * width, width];
        Self { values: Shared::new(values), strides, width }
    }

    /// # Safety
    /// No two rows handed out and still in use may be the same.
    #[expect(unsafe_code, clippy::mut_from_ref, reason = "see `Shared`")]
    #[inline(always)]
    pub(super) unsafe fn row(&self, place: HeadIndex, row: usize) -> &mut [f32] {
        let [batch, head, stride] = self.strides;
        let first = place.batch * batch + place.head * head + row * stride;
        // SAFETY: rows do not overlap, and no two are the same by the caller's promise.
        unsafe { self.values.slice(first, self.width) }
    }
}
