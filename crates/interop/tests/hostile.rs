//! Damaged and hostile files: always an error with the path in it, never a panic, and no memory asked for
//! on a file's word.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use burn::tensor::Device;
use nystromformer::NystromformerForMaskedLm;
use nystromformer_interop::{InteropError, load, load_weights, read_config, save};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

fn fixture(form: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(form)
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

fn with_weights(name: &str, form: &str, weights: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(fixture(form).join("config.json"), folder.path().join("config.json")).unwrap();
    fs::write(folder.path().join(name), weights).unwrap();
    folder
}

fn load_error(folder: &Path) -> String {
    let error = load::<NystromformerForMaskedLm>(folder, &Device::flex())
        .expect_err("the folder is spoiled");
    let text = error.to_string();
    assert!(text.contains(folder.to_str().unwrap()), "no path in: {text}");
    text
}

fn config_with(key: &str, value: Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read(fixture("safetensors").join("config.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&text).unwrap();
    config[key] = value;
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

#[test]
fn every_truncation_is_refused() {
    for (form, name) in [("safetensors", "model.safetensors"), ("bin", "pytorch_model.bin")] {
        let bytes = fs::read(fixture(form).join(name)).unwrap();
        for length in (0..bytes.len()).step_by(61).chain(bytes.len().saturating_sub(9)..bytes.len())
        {
            load_error(with_weights(name, form, &bytes[..length]).path());
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

fn safetensors_bytes() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| fs::read(fixture("safetensors").join("model.safetensors")).unwrap())
}

fn pickle_bytes() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| fs::read(fixture("bin").join("pytorch_model.bin")).unwrap())
}

proptest! {
    /// A flipped bit in a number is a number; anywhere else it is an error. Neither panics.
    #[test]
    fn flipped_bits_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..6),
        is_pickle: bool,
    ) {
        let (name, form, bytes) = if is_pickle {
            ("pytorch_model.bin", "bin", pickle_bytes())
        } else {
            ("model.safetensors", "safetensors", safetensors_bytes())
        };
        let mut bytes = bytes.to_vec();
        for (index, bit) in flips {
            let index = index.index(bytes.len());
            bytes[index] ^= 1 << bit;
        }
        let folder = with_weights(name, form, &bytes);
        if let Err(error) = load::<NystromformerForMaskedLm>(folder.path(), &Device::flex()) {
            prop_assert!(error.to_string().contains(folder.path().to_str().unwrap()));
        }
    }

    /// The header alone, where every byte matters.
    #[test]
    fn altered_headers_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = safetensors_bytes().to_vec();
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        for (index, byte) in edits {
            bytes[index.index(header)] = byte;
        }
        let folder = with_weights("model.safetensors", "safetensors", &bytes);
        if let Err(error) = load::<NystromformerForMaskedLm>(folder.path(), &Device::flex()) {
            prop_assert!(error.to_string().contains(folder.path().to_str().unwrap()));
        }
    }

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for name in ["model.safetensors", "pytorch_model.bin"] {
            load_error(with_weights(name, "safetensors", &bytes).path());
        }
    }
}

#[test]
fn a_header_longer_than_the_file_is_refused() {
    for length in [u64::MAX, 1 << 63, 100_000_001, 5_000] {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend_from_slice(b"{}");
        load_error(with_weights("model.safetensors", "safetensors", &bytes).path());
    }
}

#[test]
fn absurd_sizes_in_the_configuration_cost_nothing() {
    let absurd = json!(1u64 << 60);
    for key in [
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "intermediate_size",
        "max_position_embeddings",
        "type_vocab_size",
    ] {
        let folder = config_with(key, absurd.clone());
        fs::copy(
            fixture("safetensors").join("model.safetensors"),
            folder.path().join("model.safetensors"),
        )
        .unwrap();
        load_error(folder.path());
    }
}

#[test]
fn weights_of_another_size_are_listed() {
    let folder = copy_of("safetensors");
    let path = folder.path().join("config.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"intermediate_size\": 12", "\"intermediate_size\": 14"))
        .unwrap();
    let error = load::<NystromformerForMaskedLm>(folder.path(), &Device::flex()).unwrap_err();
    let InteropError::Keys { keys, .. } = error else { panic!("{error}") };
    let names: Vec<&str> = keys.mismatched.iter().map(|mismatch| mismatch.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "nystromformer.encoder.layer.0.intermediate.dense.weight",
            "nystromformer.encoder.layer.0.intermediate.dense.bias",
            "nystromformer.encoder.layer.0.output.dense.weight",
        ]
    );
    assert_eq!(keys.mismatched[0].found, "[12, 8] F32");
    assert_eq!(keys.mismatched[0].expected, [14, 8]);
}

/// Overwrites the first number of a stored tensor.
fn set_first(bytes: &mut [u8], name: &str, value: f32) {
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let table: Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let offset = table[name]["data_offsets"][0].as_u64().unwrap() as usize;
    let start = 8 + header + offset;
    bytes[start..start + 4].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn weights_that_are_not_numbers_are_refused() {
    let name = "cls.predictions.transform.dense.weight";
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut bytes = safetensors_bytes().to_vec();
        set_first(&mut bytes, name, value);
        let folder = with_weights("model.safetensors", "safetensors", &bytes);
        let text = load_error(folder.path());
        assert!(text.contains(&format!("element 0 of `{name}` is `{value}`")), "{text}");
    }
}

#[test]
fn an_untied_decoder_is_refused() {
    for (key, tied_to) in [
        ("cls.predictions.decoder.weight", "nystromformer.embeddings.word_embeddings.weight"),
        ("cls.predictions.decoder.bias", "cls.predictions.bias"),
    ] {
        let mut bytes = fs::read(fixture("tied_decoder").join("model.safetensors")).unwrap();
        set_first(&mut bytes, key, 0.25);
        let folder = with_weights("model.safetensors", "tied_decoder", &bytes);
        let text = load_error(folder.path());
        assert!(text.contains(&format!("`{key}` differs from `{tied_to}`")), "{text}");
    }
}

#[test]
fn a_failed_load_leaves_the_model_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut model =
        load::<NystromformerForMaskedLm>(&fixture("safetensors"), &Device::flex()).unwrap();
    let mut bytes = safetensors_bytes().to_vec();
    set_first(&mut bytes, "nystromformer.encoder.layer.0.output.dense.bias", 3.5);
    set_first(&mut bytes, "cls.predictions.bias", f32::NAN);
    let spoiled = with_weights("model.safetensors", "safetensors", &bytes);
    load_weights(&mut model, spoiled.path()).unwrap_err();
    save(&model, folder.path()).unwrap();
    let kept = load::<NystromformerForMaskedLm>(folder.path(), &Device::flex()).unwrap();
    let original =
        load::<NystromformerForMaskedLm>(&fixture("safetensors"), &Device::flex()).unwrap();
    let bias = |model: &NystromformerForMaskedLm| {
        model.nystromformer.encoder.layer[0].output.dense.bias.val().to_data()
    };
    assert_eq!(bias(&kept), bias(&original));
}

#[test]
fn an_index_cannot_point_outside_its_folder() {
    for name in ["../model.safetensors", "/etc/passwd", "a/b.safetensors", "", ".."] {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(fixture("sharded").join("config.json"), folder.path().join("config.json"))
            .unwrap();
        let index = json!({ "weight_map": { "cls.predictions.bias": name } });
        fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
        assert!(load_error(folder.path()).contains("not a file name"));
    }
}

#[test]
fn a_missing_shard_is_named() {
    let folder = copy_of("sharded");
    let shard = "model-00002-of-00002.safetensors";
    fs::remove_file(folder.path().join(shard)).unwrap();
    assert!(load_error(folder.path()).contains(shard));
}

#[test]
fn a_tensor_in_two_shards_is_refused() {
    let folder = copy_of("sharded");
    let [first, second] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    fs::copy(folder.path().join(first), folder.path().join(second)).unwrap();
    assert!(load_error(folder.path()).contains("brings a second"));
}

#[test]
fn a_folder_without_weights_says_what_it_looked_for() {
    let folder = copy_of("safetensors");
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    assert!(load_error(folder.path()).contains("pytorch_model.bin.index.json"));
    let empty = tempfile::tempdir().unwrap();
    assert!(load_error(empty.path()).contains("config.json"));
}

#[test]
fn values_that_would_change_the_model_are_refused() {
    for (key, value, words) in [
        ("is_decoder", json!(true), "cannot be causal"),
        ("add_cross_attention", json!(true), "encoder"),
        ("model_type", json!("bert"), "nystromformer"),
        ("hidden_act", json!("mish"), "gelu_new"),
        ("position_embedding_type", json!("relative_key"), "absolute"),
        ("inv_coeff_init_option", json!(true), "pinv_init"),
        ("tie_word_embeddings", json!(false), "tied"),
        ("pruned_heads", json!({ "0": [1] }), "unpruned"),
        ("hidden_size", json!("8"), "invalid type"),
        ("hidden_size", json!(-8), "invalid value"),
        ("pad_token_id", Value::Null, "invalid type"),
        ("num_attention_heads", json!(3), "multiple"),
        ("num_landmark", json!(4), "unknown key"),
        ("semantics", json!("torch"), "paper"),
    ] {
        let text = read_config(config_with(key, value).path()).expect_err(key).to_string();
        assert!(text.contains(key) || key == "num_attention_heads", "{key}: {text}");
        assert!(text.contains(words), "{key}: {text}");
    }
}

#[test]
fn values_without_effect_are_accepted() {
    let expected = read_config(&fixture("safetensors")).unwrap();
    for (key, value) in [
        ("torch_dtype", json!("float16")),
        ("transformers_version", json!("4.17.0.dev0")),
        ("pruned_heads", json!({})),
        ("tie_word_embeddings", json!(true)),
        ("eos_token_id", json!(3)),
        ("position_embedding_type", json!("absolute")),
        ("label2id", json!({ "LABEL_0": 0 })),
        ("chunk_size_feed_forward", json!(0)),
        ("tokenizer_class", json!("AlbertTokenizer")),
    ] {
        assert_eq!(read_config(config_with(key, value).path()).expect(key), expected, "{key}");
    }
    let config = read_config(config_with("conv_kernel_size", Value::Null).path()).unwrap();
    assert_eq!(config.conv_kernel_size, 0);
}
