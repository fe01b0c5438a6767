//! Where the rows of a tensor of heads lie: the values of a row one after the other, all else at any distance.

use burn::tensor::Shape;
use burn_cubecl::{
    cubecl::{self, prelude::*},
    kernel::into_contiguous,
    tensor::CubeTensor,
};

use super::room;

/// The first value, and distances, in values.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) first: usize,
    pub(crate) batch: usize,
    pub(crate) head: usize,
    pub(crate) row: usize,
}

/// The first value of a row.
#[cube]
pub(crate) fn row_start(place: &Place, batch: usize, head: usize, row: usize) -> usize {
    place.first + batch * place.batch + head * place.head + row * place.row
}

/// Where the rows of a tensor lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Distances {
    first: usize,
    batch: usize,
    head: usize,
    row: usize,
}

impl Distances {
    /// Of `[batch, rows, heads · width]`: heads side by side in each row.
    pub(crate) fn of_tokens(rows: usize, heads: usize, width: usize) -> Self {
        let row = heads * width;
        Self { first: 0, batch: rows * row, head: width, row }
    }

    /// Of `[batch, heads, rows, width]`, one after the other.
    pub(crate) fn of_heads(heads: usize, rows: usize, width: usize) -> Self {
        Self { first: 0, batch: heads * rows * width, head: rows * width, row: width }
    }

    /// Of a [`readable`] tensor.
    pub(crate) fn of(tensor: &CubeTensor) -> Self {
        let strides = tensor.meta.strides();
        Self { first: 0, batch: strides[0], head: strides[1], row: strides[2] }
    }

    /// The same further on in the tensor.
    pub(crate) fn starting_at(self, first: usize) -> Self {
        Self { first, ..self }
    }

    /// As an argument of a kernel.
    pub(crate) fn launch(self) -> PlaceLaunch {
        PlaceLaunch::new(self.first, self.batch, self.head, self.row)
    }
}

/// A tensor `[batch, heads, rows, width]`, copied only if the values of a row do not follow each other.
pub(crate) fn readable(tensor: CubeTensor) -> CubeTensor {
    let (shape, strides) = (tensor.meta.shape(), tensor.meta.strides());
    if strides[3] == 1 || shape[3] == 1 { tensor } else { into_contiguous(tensor) }
}

/// Room for `[batch, heads, rows, width]` that lies in memory as `[batch, rows, heads, width]`: merging heads moves nothing.
pub(crate) fn room_of_tokens(like: &CubeTensor, shape: Shape) -> CubeTensor {
    let [batch, heads, rows, width] = shape.dims();
    let mut tensor = room(like, [batch, rows, heads, width]);
    tensor.meta.swap(1, 2);
    tensor
}
