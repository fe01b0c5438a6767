//! Failures on request: so that tests of what rests on durable writes can cut them off anywhere.

use std::cell::Cell;
use std::io;

thread_local! {
    static REMAINING: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Lets `operations` of this thread's durable operations pass and fails the rest as a full disk does; `None`, as at
/// the start, fails none.
pub fn allow(operations: Option<usize>) {
    REMAINING.set(operations);
}

/// Passed by each operation.
pub(super) fn point() -> io::Result<()> {
    match REMAINING.get() {
        None => Ok(()),
        Some(0) => Err(io::ErrorKind::StorageFull.into()),
        Some(remaining) => {
            REMAINING.set(Some(remaining - 1));
            Ok(())
        }
    }
}
