//! Tensors `[batch, heads, seq_len, head_dim]` in memory.
//!
//! A projection writes the heads of one token side by side, so such a tensor is usually a view of
//! `[batch, seq_len, heads, head_dim]`. Kernels read it as it lies, and write what is as long as the sequence the
//! same way: merging the heads afterwards then moves nothing.

use burn_flex::FlexTensor;

use crate::{rows::Rows, simd};

/// A tensor to be read head by head.
#[derive(Debug)]
pub(crate) struct HeadView {
    tensor: FlexTensor,
    strides: [usize; 3],
    pub(crate) batch: usize,
    pub(crate) num_heads: usize,
    pub(crate) seq_len: usize,
    pub(crate) head_dim: usize,
}

impl HeadView {
    /// Reads `tensor`; copies it only if rows are not consecutive values.
    pub(crate) fn new(tensor: FlexTensor) -> Self {
        let tensor = readable(tensor);
        let shape = tensor.layout().shape();
        let [batch, num_heads, seq_len, head_dim] = std::array::from_fn(|axis| shape[axis]);
        let strides = tensor.layout().strides();
        let strides = std::array::from_fn(|axis| strides[axis] as usize);
        Self { tensor, strides, batch, num_heads, seq_len, head_dim }
    }

    /// The tensor.
    pub(crate) fn into_tensor(self) -> FlexTensor {
        self.tensor
    }

    /// Values of one token, all heads together.
    pub(crate) fn hidden_size(&self) -> usize {
        self.num_heads * self.head_dim
    }

    /// The sequence of one head.
    pub(crate) fn rows(&self, batch: usize, head: usize) -> Rows<'_> {
        let first = self.tensor.layout().start_offset();
        let first = first + batch * self.strides[0] + head * self.strides[1];
        Rows {
            values: &self.tensor.storage()[first..],
            stride: self.strides[2],
            count: self.seq_len,
            width: self.head_dim,
        }
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

/// The view `[batch, heads, seq_len, head_dim]` of values `[batch, seq_len, heads, head_dim]`.
pub(crate) fn from_tokens(
    values: Vec<f32>,
    [batch, heads, seq_len, head_dim]: [usize; 4],
) -> FlexTensor {
    simd::tensor(values, [batch, seq_len, heads, head_dim].into()).transpose(1, 2)
}

/// The values of a tensor `[batch, heads, seq_len, head_dim]` as `[batch, seq_len, heads, head_dim]`, if they lie so
/// and nobody else holds them.
pub(crate) fn own_tokens(tensor: &mut FlexTensor) -> Option<&mut [f32]> {
    let length = tensor.layout().num_elements();
    let lies_so = tensor.layout().transpose(1, 2).is_contiguous();
    let values = tensor.try_storage_mut()?;
    (lies_so && values.len() == length).then_some(values)
}
