//! The model against independent statements of the same mathematics.
//!
//! `NYSTROMFORMER_TEST_DEVICE` chooses the device: `flex` (default) or, with the cargo feature, `ndarray` or `wgpu`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "worst errors, shown by --nocapture")]

mod attention_rows;
mod class_losses;
#[cfg(feature = "wgpu")]
mod dropout;
mod fixture;
mod fresh_weights;
mod gated_feed_forward;
mod kinds;
#[cfg(feature = "wgpu")]
mod launches;
mod lra;
mod no_chosen_tokens;
mod parity;
mod properties;
mod vectors;

use burn::tensor::Device;

/// The device under test.
fn device() -> Device {
    match std::env::var("NYSTROMFORMER_TEST_DEVICE").as_deref() {
        Err(_) | Ok("flex") => Device::flex(),
        #[cfg(feature = "ndarray")]
        #[expect(deprecated, reason = "kept selectable; the default is `flex`")]
        Ok("ndarray") => Device::ndarray(),
        #[cfg(feature = "wgpu")]
        Ok("wgpu") => Device::wgpu(Default::default()),
        Ok(other) => panic!("NYSTROMFORMER_TEST_DEVICE = `{other}`: not built in"),
    }
}
