//! What a format must give.

use crate::error::Result;

use super::nested::ColumnPath;
use super::row::Cell;

/// The rows of an opened file of some format.
pub(super) trait RowReader: Send {
    /// Says which columns are wanted; once, before the first row.
    fn select(&mut self, wanted: &[ColumnPath]) -> Result<()>;

    /// Whether the values of a column may have a field of this name, or path of names, within them.
    fn has_within(&self, _column: usize, _path: &str) -> bool {
        false
    }

    /// The number of columns, where it is known without names.
    fn width(&self) -> Option<usize> {
        None
    }

    /// The next row, its line and its wanted cells, or `None` at the end.
    fn next(&mut self) -> Result<Option<(u64, Vec<Cell>)>>;

    /// The names of a column's classes, where the file has them.
    fn class_names(&self, _column: usize) -> Option<&[String]> {
        None
    }

    /// Rows passed over so far because they were too short.
    fn passed_over(&self) -> u64 {
        0
    }
}
