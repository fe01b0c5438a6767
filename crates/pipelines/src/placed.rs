//! A request, and where it was read.

use std::{fmt, path::Path, sync::Arc};

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, or `stdin`.
    pub file: Arc<Path>,
    /// The line (of Parquet: the row), from 1.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file.display(), self.line)
    }
}

/// A request and where it was read, for messages about it.
#[derive(Debug, Clone)]
pub struct Placed<T> {
    /// The line; `None` for a request that was not read from a file.
    pub place: Option<Place>,
    /// The request.
    pub request: T,
    /// Where the elements of its list stand in the file, from 0, if places before the last of them are empty.
    pub(crate) list_places: Option<Vec<usize>>,
}

impl<T> From<T> for Placed<T> {
    fn from(request: T) -> Self {
        Self { place: None, request, list_places: None }
    }
}
