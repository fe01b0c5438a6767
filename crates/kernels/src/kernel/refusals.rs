//! What kernels of a device are too small for, told to whoever asked.

use std::sync::OnceLock;

static LISTENER: OnceLock<fn(String)> = OnceLock::new();

/// Tells `listener`, each time, why an operation for which a device has a kernel is composed of Burn's own all the same: it is too
/// large for that device. Who asks first is told, and nobody else.
pub fn hear_refusals(listener: fn(String)) {
    // Somebody else listens already.
    let _ = LISTENER.set(listener);
}

/// Tells the listener.
#[cfg(all(feature = "cube", not(feature = "fused")))]
pub(crate) fn refuse(reason: impl FnOnce() -> String) {
    if let Some(listener) = LISTENER.get() {
        listener(reason());
    }
}
