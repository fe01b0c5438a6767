//! Memory that tasks write in parallel.

use std::marker::PhantomData;

/// Values of which each task writes its own: what belongs to different tasks interleaves in memory, which no safe split
/// of a slice allows.
#[derive(Debug)]
pub(crate) struct Shared<'a> {
    start: *mut f32,
    length: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

#[expect(unsafe_code, reason = "a pointer to what tasks divide among themselves")]
// SAFETY: whoever takes values out promises that no two tasks have the same, and nothing else touches the memory while
// it is borrowed.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    /// Shares `values`.
    pub(crate) fn new(values: &'a mut [f32]) -> Self {
        Self { start: values.as_mut_ptr(), length: values.len(), borrow: PhantomData }
    }

    /// `length` values from `first` on.
    ///
    /// # Safety
    /// No two slices in use may overlap.
    #[expect(unsafe_code, clippy::mut_from_ref, reason = "see the type")]
    #[inline(always)]
    pub(crate) unsafe fn slice(&self, first: usize, length: usize) -> &mut [f32] {
        // SAFETY: the range lies inside the borrowed slice, and is not shared by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.pointer(first, length), length) }
    }

    /// Where value `first` lies, which at least `length - 1` others follow.
    #[inline(always)]
    pub(crate) fn pointer(&self, first: usize, length: usize) -> *mut f32 {
        assert!(first + length <= self.length, "values {first} and following lie outside");
        self.start.wrapping_add(first)
    }
}
