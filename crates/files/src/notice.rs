//! What was guessed or left out, said once a process.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Says it, unless it was said already: a file is opened for its classes, its examples and its count, and what is guessed
/// about it is the same each time.
pub fn say_once(message: String) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    // A panic while the lock was held cannot have broken a set.
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if !said.contains(&message) {
        tracing::warn!("{message}");
        said.insert(message);
    }
}
