//! Sound files with the wrong weights.

use std::fs;

use burn::tensor::Device;
use nystromformer::NystromformerForMaskedLm;
use nystromformer_interop::{InteropError, load, load_weights, save};
use serde_json::Value;

use crate::{copy_of, fixture, load_error, safetensors_bytes, with_weights};

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
