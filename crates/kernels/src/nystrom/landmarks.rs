//! What one head computes of its landmarks alone: small products that stay in a core's own cache.

use pulp::{Simd, WithSimd};

use crate::{
    attention::tile::{self, BLOCK, Left, Right},
    scratch::Scratch,
    softmax,
    view::{Head, HeadIndex, View},
};

/// `left · right` of `[rows, depth, columns]`: `write` gets every row of it, a few columns at a time.
#[inline(always)]
fn multiply<'a, S: Simd>(
    simd: S,
    [rows, depth, columns]: [usize; 3],
    left: Left<'_>,
    right: impl Fn(usize) -> Right<'a>,
    mut write: impl FnMut(usize, usize, &[f32]),
) {
    for column in (0..columns).step_by(tile::panel::<S>()) {
        for row in (0..rows).step_by(BLOCK) {
            let left = Left { values: &left.values[row * left.row_stride..], ..left };
            let block = tile::product(simd, depth, left, right(column), tile::zeros(simd));
            for (row, pair) in (row..rows).zip(&block) {
                let values: &[f32] = pulp::bytemuck::cast_slice(pair);
                write(row, column, &values[..values.len().min(columns - column)]);
            }
        }
    }
}

/// A `size × size` matrix, row by row, as one head.
#[inline(always)]
fn square(matrix: &[f32], size: usize) -> Head<'_> {
    View::of_heads(matrix, [1, size, size]).head(HeadIndex { batch: 0, head: 0 })
}

/// Kernel 2, `softmax(scale · query · keyᵀ)`.
pub(super) struct Kernel2<'a> {
    pub(super) query: Head<'a>,
    pub(super) key: Head<'a>,
    pub(super) scale: f32,
    /// `[landmarks, landmarks]`.
    pub(super) output: &'a mut [f32],
    pub(super) scratch: &'a mut Scratch,
}

impl WithSimd for Kernel2<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { query, key, scale, output, scratch } = self;
        let (count, width) = (query.rows, query.width);
        let (panel, lanes) = (tile::panel::<S>(), tile::lanes::<S>(count));
        let [query_rows, key_rows, key_panels] = scratch.pieces([lanes * width; 3]);
        tile::pack(query_rows, width, query, 0..count, |_| scale);
        tile::pack(key_rows, width, key, 0..count, |_| 1.0);
        tile::transpose(key_panels, panel, key_rows, width, width);
        multiply(
            simd,
            [count, width, count],
            Left { values: query_rows, row_stride: width, depth_stride: 1 },
            |column| Right { values: &key_panels[column * width..], stride: panel },
            |row, column, values| {
                output[row * count + column..][..values.len()].copy_from_slice(values);
            },
        );
        output.chunks_exact_mut(count).for_each(softmax::normalise);
    }
}

/// The derivative of [`Kernel2`].
pub(super) struct Kernel2Gradient<'a> {
    pub(super) query: Head<'a>,
    pub(super) key: Head<'a>,
    pub(super) scale: f32,
    /// What [`Kernel2`] wrote.
    pub(super) kernel: &'a [f32],
    /// The gradient of that; it is overwritten.
    pub(super) gradient: &'a mut [f32],
    /// `[landmarks, head_dim]`.
    pub(super) query_gradient: &'a mut [f32],
    /// `[landmarks, head_dim]`.
    pub(super) key_gradient: &'a mut [f32],
    pub(super) scratch: &'a mut Scratch,
}

impl WithSimd for Kernel2Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { query, key, scale, kernel, gradient, query_gradient, key_gradient, scratch } =
            self;
        let (count, width) = (query.rows, query.width);
        let (panel, lanes) = (tile::panel::<S>(), tile::lanes::<S>(count));
        let stride = width.next_multiple_of(panel);
        for (kernel, gradient) in kernel.chunks_exact(count).zip(gradient.chunks_exact_mut(count)) {
            softmax::differentiate(kernel, gradient);
        }
        let [slopes, query_rows, key_rows] =
            scratch.pieces([lanes * lanes, lanes * stride, lanes * stride]);
        tile::pack(slopes, lanes, square(gradient, count), 0..count, |_| 1.0);
        tile::pack(query_rows, stride, query, 0..count, |_| scale);
        tile::pack(key_rows, stride, key, 0..count, |_| 1.0);
        let sizes = [count, count, width];
        multiply(
            simd,
            sizes,
            Left { values: slopes, row_stride: lanes, depth_stride: 1 },
            |column| Right { values: &key_rows[column..], stride },
            |row, column, values| {
                let target = &mut query_gradient[row * width + column..];
                for (target, value) in target.iter_mut().zip(values) {
                    *target = value * scale;
                }
            },
        );
        multiply(
            simd,
            sizes,
            Left { values: slopes, row_stride: 1, depth_stride: lanes },
            |column| Right { values: &query_rows[column..], stride },
            |row, column, values| {
                key_gradient[row * width + column..][..values.len()].copy_from_slice(values);
            },
        );
    }
}

/// The inverse of kernel 2 times what kernel 3 gathered.
pub(super) struct Product<'a> {
    /// `[landmarks, landmarks]`.
    pub(super) inverse: &'a [f32],
    pub(super) summary: Head<'a>,
    /// `[landmarks, head_dim]`.
    pub(super) output: &'a mut [f32],
    pub(super) scratch: &'a mut Scratch,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { inverse, summary, output, scratch } = self;
        let (count, width) = (summary.rows, summary.width);
        let lanes = tile::lanes::<S>(count);
        let stride = width.next_multiple_of(tile::panel::<S>());
        let [inverse_rows, summary_rows] = scratch.pieces([lanes * count, lanes * stride]);
        tile::pack(inverse_rows, count, square(inverse, count), 0..count, |_| 1.0);
        tile::pack(summary_rows, stride, summary, 0..count, |_| 1.0);
        multiply(
            simd,
            [count, count, width],
            Left { values: inverse_rows, row_stride: count, depth_stride: 1 },
            |column| Right { values: &summary_rows[column..], stride },
            |row, column, values| {
                output[row * width + column..][..values.len()].copy_from_slice(values);
            },
        );
    }
}

/// The derivative of [`Product`].
pub(super) struct ProductGradient<'a> {
    /// `[landmarks, landmarks]`.
    pub(super) inverse: &'a [f32],
    pub(super) summary: Head<'a>,
    pub(super) gradient: Head<'a>,
    /// `[landmarks, landmarks]`.
    pub(super) inverse_gradient: &'a mut [f32],
    /// `[landmarks, head_dim]`.
    pub(super) summary_gradient: &'a mut [f32],
    pub(super) scratch: &'a mut Scratch,
}

impl WithSimd for ProductGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { inverse, summary, gradient, inverse_gradient, summary_gradient, scratch } = self;
        let (count, width) = (summary.rows, summary.width);
        let (panel, lanes) = (tile::panel::<S>(), tile::lanes::<S>(count));
        let stride = width.next_multiple_of(panel);
        let [gradient_rows, summary_rows, summary_panels, inverse_rows] =
            scratch.pieces([lanes * stride, lanes * width, lanes * width, lanes * lanes]);
        tile::pack(gradient_rows, stride, gradient, 0..count, |_| 1.0);
        tile::pack(summary_rows, width, summary, 0..count, |_| 1.0);
        tile::transpose(summary_panels, panel, summary_rows, width, width);
        tile::pack(inverse_rows, lanes, square(inverse, count), 0..count, |_| 1.0);
        multiply(
            simd,
            [count, width, count],
            Left { values: gradient_rows, row_stride: stride, depth_stride: 1 },
            |column| Right { values: &summary_panels[column * width..], stride: panel },
            |row, column, values| {
                inverse_gradient[row * count + column..][..values.len()].copy_from_slice(values);
            },
        );
        multiply(
            simd,
            [count, count, width],
            Left { values: inverse_rows, row_stride: 1, depth_stride: lanes },
            |column| Right { values: &gradient_rows[column..], stride },
            |row, column, values| {
                summary_gradient[row * width + column..][..values.len()].copy_from_slice(values);
            },
        );
    }
}
