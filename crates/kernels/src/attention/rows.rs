//! Rows of strided arrays: where the numeric core reads and writes.

use std::marker::PhantomData;

/// Which batch element and which head.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) batch: usize,
    pub(super) head: usize,
}

/// A `[batch, heads, rows, width]` array of any strides whose rows are contiguous.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) values: &'a [f32],
    /// Distances between batch elements, heads and rows.
    pub(super) strides: [usize; 3],
    pub(super) rows: usize,
    pub(super) width: usize,
}

impl<'a> View<'a> {
    #[inline(always)]
    pub(super) fn row(&self, place: Place, row: usize) -> &'a [f32] {
        let [batch, head, stride] = self.strides;
        let start = place.batch * batch + place.head * head + row * stride;
        &self.values[start..start + self.width]
    }
}

/// A `[batch, heads, rows, width]` array that tasks write in parallel, each its own rows.
#[derive(Debug)]
pub(super) struct Sink<'a> {
    start: *mut f32,
    length: usize,
    strides: [usize; 3],
    width: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

#[expect(
    unsafe_code,
    reason = "rows of different tasks interleave in memory, which no safe split of a slice allows"
)]
// SAFETY: `row` asks its callers for disjoint rows, and nothing else touches the memory while it is borrowed.
unsafe impl Sync for Sink<'_> {}

impl<'a> Sink<'a> {
    /// Rows that lie in memory as `[batch, rows, heads, width]`: merging the heads later moves nothing.
    pub(super) fn heads_inside(
        values: &'a mut [f32],
        heads: usize,
        rows: usize,
        width: usize,
    ) -> Self {
        Self::new(values, [rows * heads * width, width, heads * width], width)
    }

    /// Rows that lie in memory as `[batch, heads, rows, width]`.
    pub(super) fn heads_outside(
        values: &'a mut [f32],
        heads: usize,
        rows: usize,
        width: usize,
    ) -> Self {
        Self::new(values, [heads * rows * width, rows * width, width], width)
    }

    fn new(values: &'a mut [f32], strides: [usize; 3], width: usize) -> Self {
        Self {
            start: values.as_mut_ptr(),
            length: values.len(),
            strides,
            width,
            borrow: PhantomData,
        }
    }

    /// # Safety
    /// No two rows handed out and still in use may be the same.
    #[expect(unsafe_code, clippy::mut_from_ref, reason = "see the type")]
    #[inline(always)]
    pub(super) unsafe fn row(&self, place: Place, row: usize) -> &mut [f32] {
        let [batch, head, stride] = self.strides;
        let start = place.batch * batch + place.head * head + row * stride;
        assert!(start + self.width <= self.length, "row {row} lies outside of the array");
        // SAFETY: the range lies inside the borrowed slice, and is not shared by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), self.width) }
    }
}
