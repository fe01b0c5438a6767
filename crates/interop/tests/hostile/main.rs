//! Damaged and hostile files: always an error with the path in it, never a panic, and no memory asked for
//! on a file's word.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod archives;
mod damage;
mod folders;
mod memory;
mod pickles;
mod safetensors;
mod values;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use burn::tensor::Device;
use nystromformer::NystromformerForMaskedLm;
use nystromformer_interop::{InteropError, load};
use tempfile::TempDir;

/// More than any file may make a load take, in bytes.
const MEMORY: usize = 100 << 20;

fn fixture(form: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(form)
}

fn safetensors_bytes() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| fs::read(fixture("safetensors").join("model.safetensors")).unwrap())
}

fn pickle_bytes() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| fs::read(fixture("bin").join("pytorch_model.bin")).unwrap())
}

/// A folder with a fixture's files, to be spoiled.
fn copy_of(form: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(form)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

/// A folder with a fixture's configuration and the weight file `name`.
fn with_weights(name: &str, form: &str, weights: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(fixture(form).join("config.json"), folder.path().join("config.json")).unwrap();
    fs::write(folder.path().join(name), weights).unwrap();
    folder
}

/// Loads a folder that may be spoiled. Whatever is in it, memory stays bounded and an error names the path.
fn attempt(folder: &Path) -> Result<NystromformerForMaskedLm, InteropError> {
    let (result, growth) =
        memory::growth(|| load::<NystromformerForMaskedLm>(folder, &Device::flex()));
    assert!(growth < MEMORY, "loading took {growth} bytes");
    if let Err(error) = &result {
        let text = error.to_string();
        assert!(text.contains(folder.to_str().unwrap()), "no path in: {text}");
        assert!(text.len() < 4000, "{} bytes of message", text.len());
        assert!(!text.contains('\u{1b}'), "a file's own escape sequence is in the message");
    }
    result
}

fn load_error(folder: &Path) -> String {
    attempt(folder).expect_err("the folder is spoiled").to_string()
}
