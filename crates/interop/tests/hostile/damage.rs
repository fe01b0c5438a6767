//! Files cut short, altered, or replaced by noise.

use std::fs;

use nystromformer_interop::{read_config, save};
use proptest::prelude::*;

use crate::{attempt, fixture, load_error, pickle_bytes, safetensors_bytes, with_weights};

#[test]
fn every_truncation_is_refused() {
    for (form, name) in [("safetensors", "model.safetensors"), ("bin", "pytorch_model.bin")] {
        let bytes = fs::read(fixture(form).join(name)).unwrap();
        let folder = with_weights(name, form, &bytes);
        attempt(folder.path()).unwrap();
        let last = bytes.len().saturating_sub(70)..bytes.len();
        for length in (0..bytes.len()).step_by(13).chain(last) {
            fs::write(folder.path().join(name), &bytes[..length]).unwrap();
            load_error(folder.path());
        }
    }
    let bytes = fs::read(fixture("safetensors").join("config.json")).unwrap();
    for length in 0..bytes.len() - 1 {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), &bytes[..length]).unwrap();
        let error = read_config(folder.path()).expect_err("the file is cut short");
        assert!(error.to_string().contains("not JSON"), "{error}");
    }
}

proptest! {
    /// A flipped bit in a number is a number, where there is no checksum; anywhere else it is an error.
    #[test]
    fn flipped_bits_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..6),
    ) {
        let bytes = flipped(safetensors_bytes(), &flips);
        let _ = attempt(with_weights("model.safetensors", "safetensors", &bytes).path());
    }

    /// torch's archives have checksums: one that is altered holds the same model, or none.
    #[test]
    fn flipped_bits_in_an_archive_never_alter_a_model(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..6),
    ) {
        let folder = with_weights("pytorch_model.bin", "bin", &flipped(pickle_bytes(), &flips));
        if let Ok(model) = attempt(folder.path()) {
            let intact = attempt(&fixture("bin")).unwrap();
            let [altered, intact] = [model, intact].map(|model| {
                save(&model, folder.path()).unwrap();
                fs::read(folder.path().join("model.safetensors")).unwrap()
            });
            prop_assert!(altered == intact);
        }
    }

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for name in ["model.safetensors", "pytorch_model.bin"] {
            load_error(with_weights(name, "safetensors", &bytes).path());
        }
    }
}

fn flipped(bytes: &[u8], flips: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (index, bit) in flips {
        let index = index.index(bytes.len());
        bytes[index] ^= 1 << bit;
    }
    bytes
}
