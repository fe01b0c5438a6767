//! The sequence of one head, wherever its rows lie.

/// Rows at equal distances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// From the first row on.
    pub(crate) values: &'a [f32],
    /// Values from one row to the next.
    pub(crate) stride: usize,
    /// Number of rows.
    pub(crate) count: usize,
    /// Values in a row.
    pub(crate) width: usize,
}

impl<'a> Rows<'a> {
    /// One row.
    #[inline(always)]
    pub(crate) fn row(self, index: usize) -> &'a [f32] {
        &self.values[index * self.stride..][..self.width]
    }
}
