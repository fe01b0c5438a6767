//! Files of a finished cache as memory.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::error::DataError;

/// Maps a file that no one writes to any more.
pub(super) fn map_file(path: &Path) -> Result<Mmap, DataError> {
    let file = File::open(path).map_err(DataError::io("open", path))?;
    #[expect(
        unsafe_code,
        reason = "a map is unsound if the file changes under it; cache files are written once, under \
                  another name, and are never written again"
    )]
    // SAFETY: nothing in this crate writes to a file of a finished cache, as the reason says.
    let map = unsafe { Mmap::map(&file) };
    map.map_err(DataError::io("map", path))
}
