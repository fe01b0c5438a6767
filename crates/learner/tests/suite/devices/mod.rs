//! What a GPU computes, and what it takes for that. `NYSTROMFORMER_TEST_DEVICE=wgpu` says that there is one; else nothing is asked.

#![expect(clippy::print_stdout, reason = "what was measured, shown by --nocapture")]

mod memory;
mod steps;

/// Whether there is a device to ask.
fn is_there() -> bool {
    std::env::var("NYSTROMFORMER_TEST_DEVICE").as_deref() == Ok("wgpu")
}
