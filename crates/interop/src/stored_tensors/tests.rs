//! Files written by torch 2 (`tools/reference/make_torch_files.py`): each is read as torch wrote it, or refused
//! for what it holds.

use std::{collections::BTreeMap, fs, path::PathBuf};

use burn::{
    store::{bridge, burn_pack::Tensor},
    tensor::{BoolStore, DType},
};
use safetensors::SafeTensors;

use super::open_torch as open;
use crate::error::InteropError;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch").join(name)
}

/// A tensor's numbers; all in the fixtures are exact in `f64`.
fn numbers(tensor: &Tensor) -> Vec<f64> {
    bridge::to_data(tensor).unwrap().iter::<f64>().collect()
}

/// What went into the file `name`, by tensor: shape and numbers.
fn expected(name: &str) -> BTreeMap<String, (Vec<usize>, Vec<f64>)> {
    let bytes = fs::read(fixture("expected.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let of_file = file.iter().filter_map(|(key, view)| {
        let (_, tensor) = key.split_once(':').filter(|(file, _)| *file == name)?;
        let words = view.data().as_chunks().0.iter();
        let values = match view.dtype() {
            safetensors::Dtype::F64 => words.map(|word| f64::from_le_bytes(*word)).collect(),
            _ => words.map(|word| i64::from_le_bytes(*word) as f64).collect(),
        };
        Some((tensor.to_owned(), (view.shape().to_vec(), values)))
    });
    of_file.collect()
}

#[test]
fn files_hold_what_torch_put_into_them() {
    let mut files = 0;
    for entry in fs::read_dir(fixture("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with("refused_") || name == "expected.safetensors" {
            continue;
        }
        files += 1;
        let found: BTreeMap<_, _> = open(&fixture(&name))
            .expect(&name)
            .into_iter()
            .map(|(key, tensor)| {
                // `DataParallel` wrote some of them.
                let key = key.strip_prefix("module.").unwrap_or(&key).to_owned();
                (key, (tensor.shape.to_vec(), numbers(&tensor)))
            })
            .collect();
        assert!(!found.is_empty(), "{name}");
        assert_eq!(found, expected(&name), "{name}");
    }
    assert_eq!(files, 20);
}

/// The authors' two files of one state, and one that `DataParallel` wrote.
#[test]
fn checkpoints_of_the_original_repository_hold_the_same_model() {
    for (folder, other) in [("bert_style", "cp-0000.cp"), ("bert_style_shared", "parallel.model")] {
        let folder = fixture("../original").join(folder);
        let [model, other] = ["cp-0000.model", other].map(|name| open(&folder.join(name)).unwrap());
        assert!(model.len() > 20 && model.len() == other.len());
        for (name, tensor) in &other {
            let name = name.strip_prefix("module.").unwrap_or(name);
            assert_eq!(numbers(&model[name]), numbers(tensor), "{name}");
        }
    }
}

#[test]
fn types_are_kept() {
    for file in ["dtypes_zip.pt", "dtypes_legacy.pt"] {
        let tensors = open(&fixture(file)).unwrap();
        for (name, dtype) in [
            ("float64", DType::F64),
            ("float32", DType::F32),
            ("float16", DType::F16),
            ("bfloat16", DType::BF16),
            ("int64", DType::I64),
            ("int32", DType::I32),
            ("int16", DType::I16),
            ("int8", DType::I8),
            ("uint8", DType::U8),
            ("bool", DType::Bool(BoolStore::U8)),
        ] {
            assert_eq!(tensors[name].dtype, dtype, "{file}: {name}");
        }
    }
    assert_eq!(open(&fixture("untyped.pt")).unwrap()["positions"].dtype, DType::U16);
}

#[test]
fn what_is_no_state_dict_is_refused_with_advice() {
    for (name, words) in [
        ("refused_module.pt", "`__main__.Network`, not a state dict; save `model.state_dict()`"),
        ("refused_script.pt", "TorchScript"),
        ("refused_list.pt", "its top level is a list"),
        ("refused_no_tensors.pt", "it holds no state dict"),
        ("refused_two.pt", "two state dicts of `1` tensors, `first` and `second`"),
        ("refused_expanded.pt", "`weight`: its shape `[3, 4]` has more elements than the `3`"),
        ("refused_complex.pt", "`weight` is a product of `torch._utils._rebuild_tensor_v2`"),
        ("refused_big_endian.pt", "big-endian"),
        ("refused_compressed.pt", "is compressed"),
    ] {
        let error = open(&fixture(name)).expect_err(name);
        let text = error.to_string();
        assert!(matches!(error, InteropError::Unsupported { .. }), "{name}: {text}");
        assert!(text.contains(words), "{name}: {text}");
    }
}

#[test]
fn a_storage_of_another_length_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cp.model");
    let mut bytes = fs::read(fixture("cp_legacy.model")).unwrap();
    // Three numbers are the last storage; their number, which the pickle gives as well, is before them.
    let at = bytes.len() - 3 * 4 - 8;
    assert_eq!(bytes[at], 3);
    bytes[at] = 2;
    fs::write(&path, bytes).unwrap();
    let text = open(&path).unwrap_err().to_string();
    assert!(text.contains("claims `3` elements, has `2`"), "{text}");
}

#[test]
fn an_altered_number_is_noticed_where_there_is_a_checksum() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("protocol.pt");
    let mut bytes = fs::read(fixture("protocol_3_zip.pt")).unwrap();
    let intact = numbers(&open(&fixture("protocol_3_zip.pt")).unwrap()["weight"])[1] as f32;
    let at = bytes.windows(4).position(|window| window == intact.to_le_bytes()).unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let tensors = open(&path).unwrap();
    let text = bridge::to_data(&tensors["weight"]).unwrap_err().to_string();
    assert!(text.contains("do not have their checksum"), "{text}");
}
