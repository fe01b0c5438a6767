//! A tensor as a view of its storage: a first element, and for each dimension how far it is from one index to
//! the next. Parameters are mostly whole storages; transposed, sliced and tied ones are not.

use super::Element;
use super::source_file::{Flaw, SourceFile, damaged, unsupported};

/// Dimensions of a tensor. No parameter has more than five.
pub(super) const MAX_RANK: usize = 8;

/// Where a storage's numbers lie in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) start: u64,
    pub(super) bytes: u64,
    /// CRC-32 of the bytes, where the container has one.
    pub(super) checksum: Option<u32>,
}

/// A view that lies in its storage.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) element: Element,
    pub(super) shape: Vec<usize>,
    strides: Vec<u64>,
    /// First element.
    offset: u64,
    /// Elements from the first to the last, both included; 0 if there are none.
    span: u64,
}

impl View {
    /// Checks a view of sizes and strides in elements, from the element `offset` on, against a storage of `bytes`.
    pub(super) fn new(
        element: Element,
        shape: Vec<u64>,
        strides: Vec<u64>,
        offset: u64,
        bytes: u64,
    ) -> Result<Self, Flaw> {
        let available = bytes / element.bytes();
        if shape.len() != strides.len() {
            return damaged(format!("it has the shape `{shape:?}` and the strides `{strides:?}`"));
        }
        let elements = shape.iter().try_fold(1u64, |product, size| product.checked_mul(*size));
        let Some(elements) = elements.filter(|elements| *elements <= available) else {
            return unsupported(format!(
                "its shape `{shape:?}` has more elements than the `{available}` of its storage; save it with \
                 `.contiguous()` if it is an expanded tensor"
            ));
        };
        let span = if elements == 0 { Some(0) } else { span(&shape, &strides) };
        let end = span.and_then(|span| span.checked_add(offset)).filter(|end| *end <= available);
        let (Some(span), Some(_)) = (span, end) else {
            return damaged(format!(
                "its view from element `{offset}` with the shape `{shape:?}` and the strides `{strides:?}` \
                 leaves its storage of `{available}` elements"
            ));
        };
        // Each dimension is bounded by the elements, unless there are none.
        let shape = shape.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>();
        let Ok(shape) = shape else { return damaged("its shape is beyond this machine") };
        Ok(Self { element, shape, strides, offset, span })
    }

    /// A view of all of a storage, row by row; `shape` is known to fit it.
    pub(super) fn whole(element: Element, shape: Vec<usize>) -> Self {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis] as u64;
        }
        let span = shape.iter().map(|size| *size as u64).product();
        Self { element, shape, strides, offset: 0, span }
    }

    /// The first `rows` of the first axis, or all if there are fewer.
    pub(super) fn first_rows(&self, rows: usize) -> Self {
        let mut view = self.clone();
        if let Some(size) = view.shape.first_mut() {
            *size = rows.min(*size);
            let shape: Vec<u64> = view.shape.iter().map(|size| *size as u64).collect();
            view.span = if shape.contains(&0) {
                0
            } else {
                span(&shape, &view.strides).unwrap_or(self.span)
            };
        }
        view
    }

    /// The elements in row-major order.
    pub(super) fn read(&self, file: &SourceFile, storage: Extent) -> Result<Vec<u8>, Flaw> {
        let size = self.element.bytes();
        let start = storage.start + self.offset * size; // `new` has shown that it lies in the file
        let bytes = self.span * size;
        let extent = if bytes == storage.bytes {
            storage
        } else {
            Extent { start, bytes, checksum: None } // of the whole storage only
        };
        let stored = extent.read(file)?;
        Ok(if self.is_contiguous() { stored } else { self.gather(&stored) })
    }

    /// Whether the elements lie in row-major order without gaps.
    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(size, stride)| {
            let fits = *size == 1 || *stride == expected;
            expected *= *size as u64;
            fits
        }) || self.span == 0
    }

    /// Picks the elements of the view from those between its first and its last.
    fn gather(&self, stored: &[u8]) -> Vec<u8> {
        let size = self.element.bytes() as usize;
        let elements = self.shape.iter().product::<usize>();
        let mut gathered = Vec::with_capacity(elements * size);
        let mut index = vec![0; self.shape.len()];
        let mut position = 0;
        for _ in 0..elements {
            gathered.extend_from_slice(&stored[position * size..][..size]);
            // The last dimension whose index can grow does; those behind it begin again.
            for (axis, at) in index.iter_mut().enumerate().rev() {
                let stride = self.strides[axis] as usize;
                *at += 1;
                position += stride;
                if *at < self.shape[axis] {
                    break;
                }
                position -= stride * *at;
                *at = 0;
            }
        }
        gathered
    }
}

impl Extent {
    /// All its bytes, checked if there is a checksum.
    pub(super) fn read(self, file: &SourceFile) -> Result<Vec<u8>, Flaw> {
        let bytes = file.read(self.start, self.bytes)?;
        match self.checksum {
            Some(checksum) if crc32fast::hash(&bytes) != checksum => damaged(format!(
                "the `{}` bytes at byte `{}` do not have their checksum",
                self.bytes, self.start
            )),
            _ => Ok(bytes),
        }
    }
}

/// Elements from the first to the last of a view that has some.
fn span(shape: &[u64], strides: &[u64]) -> Option<u64> {
    shape
        .iter()
        .zip(strides)
        .try_fold(1u64, |span, (size, stride)| span.checked_add((size - 1).checked_mul(*stride)?))
}
