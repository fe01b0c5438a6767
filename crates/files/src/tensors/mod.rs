//! Tensors in files: safetensors, NumPy's `.npy`, and what `torch.save` writes.
//!
//! Opening reads headers alone: what tensors there are, of which type and shape. Their numbers are read when they are asked
//! for. Files are read as data: nothing in them is executed, and nothing is allocated on a file's word alone.
//!
//! | module | idea |
//! |---|---|
//! | [`safetensors`] | Hugging Face's format |
//! | [`npy`] | an array of NumPy's `save` |
//! | [`torch`] | what `torch.save` wrote: state dicts, tensors alone |
//! | `element` | types of numbers |
//! | `view` | a tensor as a view of numbers that lie in a file |
//! | `source_file` | a file that is read in pieces, and what can be wrong with it |

mod element;
pub mod npy;
pub mod safetensors;
mod source_file;
pub mod torch;
mod view;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use half::{bf16, f16};

pub use self::element::Element;
use self::source_file::SourceFile;
pub use self::source_file::{Flaw, MAX_TENSORS, brief};
use self::view::{Extent, View};
use crate::error::FileError;

/// A tensor in a file: its type and shape, and where its numbers lie.
#[derive(Debug, Clone)]
pub struct StoredTensor {
    view: View,
    extent: Extent,
    file: Arc<SourceFile>,
}

impl StoredTensor {
    /// All the numbers of `bytes` from byte `start` of the file on, row by row; shape and type are known to need as many.
    fn plain(
        element: Element,
        shape: Vec<usize>,
        file: Arc<SourceFile>,
        start: u64,
        bytes: u64,
    ) -> Self {
        let extent = Extent { start, bytes, checksum: None };
        Self { view: View::whole(element, shape), extent, file }
    }

    /// A view of numbers that lie in an extent of the file.
    fn viewed(view: View, extent: Extent, file: Arc<SourceFile>) -> Self {
        Self { view, extent, file }
    }

    /// The type of its numbers.
    pub fn element(&self) -> Element {
        self.view.element
    }

    /// Its shape.
    pub fn shape(&self) -> &[usize] {
        &self.view.shape
    }

    /// Its numbers as they are stored, little-endian, in row-major order.
    ///
    /// # Errors
    /// If the file cannot be read any more, or its numbers do not have their checksum.
    pub fn read(&self) -> Result<Vec<u8>, Flaw> {
        self.view.read(&self.file, self.extent)
    }

    /// The numbers of its first `rows` (of its first axis; all if there are fewer) as 32-bit floats, each the nearest.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_floats(&self, rows: usize) -> Result<Vec<f32>, Flaw> {
        let bytes = self.view.first_rows(rows).read(&self.file, self.extent)?;
        Ok(match self.view.element {
            Element::F32 => floats(&bytes, f32::from_le_bytes),
            Element::F64 => floats(&bytes, |word| f64::from_le_bytes(word) as f32),
            Element::F16 => floats(&bytes, |word| f16::from_le_bytes(word).to_f32()),
            Element::BF16 => floats(&bytes, |word| bf16::from_le_bytes(word).to_f32()),
            Element::I64 => floats(&bytes, |word| i64::from_le_bytes(word) as f32),
            Element::I32 => floats(&bytes, |word| i32::from_le_bytes(word) as f32),
            Element::I16 => floats(&bytes, |word| i16::from_le_bytes(word).into()),
            Element::I8 => floats(&bytes, |word| i8::from_le_bytes(word).into()),
            Element::U64 => floats(&bytes, |word| u64::from_le_bytes(word) as f32),
            Element::U32 => floats(&bytes, |word| u32::from_le_bytes(word) as f32),
            Element::U16 => floats(&bytes, |word| u16::from_le_bytes(word).into()),
            Element::U8 | Element::Bool => floats(&bytes, |word| u8::from_le_bytes(word).into()),
        })
    }
}

fn floats<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (words, _) = bytes.as_chunks::<N>();
    words.iter().map(|word| number(*word)).collect()
}

/// Extensions of the files that [`open`] reads.
pub const EXTENSIONS: [&str; 4] = ["safetensors", "npy", "pt", "pth"];

/// The tensors of a file, its format told by its extension; one that stands alone has the name `""`.
///
/// # Errors
/// [`FileError::Content`] if the extension is none of [`EXTENSIONS`], the file is damaged, or it holds something else;
/// [`FileError::Io`].
pub fn open(path: &Path) -> Result<BTreeMap<String, StoredTensor>, FileError> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let tensors = match extension {
        "safetensors" => safetensors::open(path),
        "npy" => npy::open(path).map(|tensor| BTreeMap::from([(String::new(), tensor)])),
        "pt" | "pth" => torch::open(path),
        _ => {
            let problem = "unknown extension";
            let cure = "name a .safetensors, .npy, .pt or .pth file";
            return Err(FileError::file(path, problem).with_cure(cure));
        }
    };
    tensors.map_err(|flaw| flaw.of(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tensors").join(name)
    }

    /// Files of `tools/reference/make_bag_files.py`, written by NumPy and torch.
    #[test]
    fn files_hold_what_numpy_and_torch_put_into_them() {
        let table: Vec<f32> =
            (0..12u8).map(|i| f32::from(i / 3) - f32::from(i % 3) / 4.0).collect();
        let whole: Vec<f32> =
            (0..12u8).map(|i| f32::from(3 * (i / 3)) - f32::from(i % 3)).collect();
        for (file, name, element) in [
            ("rows.npy", "", Element::F32),
            ("columns.npy", "", Element::F64),
            ("half.npy", "", Element::F16),
            ("whole.npy", "", Element::I32),
            ("alone.pt", "", Element::F32),
            ("alone_legacy.pt", "", Element::F32),
            ("transposed.pt", "", Element::F32),
            ("parameter.pt", "", Element::BF16),
            ("named.pt", "features", Element::F32),
        ] {
            let tensors = open(&fixture(file)).expect(file);
            let tensor = &tensors[name];
            assert_eq!((tensor.shape(), tensor.element()), (&[4, 3][..], element), "{file}");
            let expected = if element == Element::I32 { &whole } else { &table };
            assert_eq!(tensor.read_floats(4).unwrap(), *expected, "{file}");
            assert_eq!(tensor.read_floats(2).unwrap(), expected[..6], "{file}");
        }
        let named = open(&fixture("named.pt")).unwrap();
        assert_eq!(named.keys().collect::<Vec<_>>(), ["coords", "features"]);
        assert_eq!(named["coords"].read_floats(2).unwrap(), [0.0, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn what_holds_no_tensors_is_refused_in_words() {
        for (file, part) in [
            ("refused_list.pt", "its top level is a list, neither a tensor nor a dict of tensors"),
            ("refused_objects.npy", "`|O`"),
            ("none.h5", "name a .safetensors, .npy, .pt or .pth file"),
        ] {
            let message = open(&fixture(file)).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        assert!(matches!(open(&fixture("none.npy")), Err(FileError::Io { .. })));
    }

    /// Whatever a byte of a small file becomes, the result is an error or numbers, and never a panic.
    #[test]
    fn damage_is_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["rows.npy", "alone.pt", "named.pt", "alone_legacy.pt"] {
            let intact = std::fs::read(fixture(name)).unwrap();
            let path = folder.path().join(name);
            for place in (0..intact.len()).step_by(1 + intact.len() / 400) {
                for byte in [0, 0xff, intact[place] ^ 1] {
                    let mut damaged = intact.clone();
                    damaged[place] = byte;
                    std::fs::write(&path, damaged).unwrap();
                    for tensor in open(&path).into_iter().flat_map(BTreeMap::into_values) {
                        let _ = tensor.read_floats(3);
                    }
                }
                std::fs::write(&path, &intact[..place]).unwrap();
                let _ = open(&path);
            }
        }
    }
}
