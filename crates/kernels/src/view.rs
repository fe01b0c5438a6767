//! Tensors `[batch, heads, rows, width]` in memory.
//!
//! A projection writes the heads of one token side by side, so such a tensor is usually a view of
//! `[batch, rows, heads, width]`. Kernels read it as it lies, and write what is as long as the sequence the same way:
//! merging the heads afterwards then moves nothing.

use std::ops::Range;

use burn_flex::FlexTensor;

use crate::simd;

/// Which batch element and which head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadIndex {
    pub(crate) batch: usize,
    pub(crate) head: usize,
}

/// A tensor to be read head by head, of any strides, whose rows are consecutive values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    values: &'a [f32],
    /// Distances between batch elements, heads and rows.
    strides: [usize; 3],
    pub(crate) batch: usize,
    pub(crate) heads: usize,
    pub(crate) rows: usize,
    pub(crate) width: usize,
}

impl<'a> View<'a> {
    /// Reads a [`readable`] tensor.
    pub(crate) fn new(tensor: &'a FlexTensor) -> Self {
        let layout = tensor.layout();
        let (shape, strides) = (layout.shape(), layout.strides());
        Self {
            values: &tensor.storage()[layout.start_offset()..],
            strides: [strides[0], strides[1], strides[2]].map(isize::unsigned_abs),
            batch: shape[0],
            heads: shape[1],
            rows: shape[2],
            width: shape[3],
        }
    }

    /// Reads `rows` rows of one sequence, `stride` values apart, in which the heads lie side by side.
    pub(crate) fn of_tokens(
        values: &'a [f32],
        stride: usize,
        [heads, rows, width]: [usize; 3],
    ) -> Self {
        Self { values, strides: [0, width, stride], batch: 1, heads, rows, width }
    }

    /// Reads values `[heads, rows, width]`.
    pub(crate) fn of_heads(values: &'a [f32], [heads, rows, width]: [usize; 3]) -> Self {
        Self { values, strides: [0, rows * width, width], batch: 1, heads, rows, width }
    }

    /// Some of the rows.
    pub(crate) fn narrow(self, rows: Range<usize>) -> Self {
        let first = (rows.start * self.strides[2]).min(self.values.len());
        Self { values: &self.values[first..], rows: rows.len(), ..self }
    }

    /// Values of one row, all heads together.
    pub(crate) fn hidden_size(&self) -> usize {
        self.heads * self.width
    }

    /// The shape.
    pub(crate) fn shape(&self) -> [usize; 4] {
        [self.batch, self.heads, self.rows, self.width]
    }

    /// The rows of one head.
    #[inline(always)]
    pub(crate) fn head(&self, place: HeadIndex) -> Head<'a> {
        let [batch, head, stride] = self.strides;
        // Without rows there are no values to begin with.
        let first = (place.batch * batch + place.head * head).min(self.values.len());
        Head { values: &self.values[first..], stride, rows: self.rows, width: self.width }
    }
}

/// The rows of one head, at equal distances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    /// From the first row on.
    values: &'a [f32],
    /// Values from one row to the next.
    stride: usize,
    pub(crate) rows: usize,
    pub(crate) width: usize,
}

impl<'a> Head<'a> {
    /// One row.
    #[inline(always)]
    pub(crate) fn row(self, index: usize) -> &'a [f32] {
        &self.values[index * self.stride..][..self.width]
    }
}

/// The tensor, copied only if its rows are not consecutive values, or an axis runs backwards.
pub(crate) fn readable(tensor: FlexTensor) -> FlexTensor {
    let layout = tensor.layout();
    let strides = layout.strides();
    let is_readable =
        strides.iter().all(|&stride| stride >= 0) && (strides[3] == 1 || layout.shape()[3] == 1);
    if is_readable { tensor } else { tensor.to_contiguous() }
}

/// The view `[batch, heads, rows, width]` of values `[batch, rows, heads, width]`.
pub(crate) fn from_rows(values: Vec<f32>, [batch, heads, rows, width]: [usize; 4]) -> FlexTensor {
    simd::tensor(values, [batch, rows, heads, width].into()).transpose(1, 2)
}

/// The values of a tensor `[batch, heads, rows, width]` as `[batch, rows, heads, width]`, if they lie so and nobody else
/// holds them.
pub(crate) fn own_rows(tensor: &mut FlexTensor) -> Option<&mut [f32]> {
    let length = tensor.layout().num_elements();
    let lies_so = tensor.layout().transpose(1, 2).is_contiguous();
    let values = tensor.try_storage_mut()?;
    (lies_so && values.len() == length).then_some(values)
}
