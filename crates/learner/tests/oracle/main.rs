//! What a run needs of the device that `NYSTROMFORMER_TEST_DEVICE` names, beside what is said of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "what was measured, shown by --nocapture")]

#[cfg(feature = "wgpu")]
mod device_memory;
