//! Folders written by transformers 4.56.2 (`tools/reference/make_hf_checkpoint.py`): each loads and computes
//! the logits stored beside it.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::tensor::{Device, Int, Tensor, TensorData};
use nystromformer::{
    Architecture, ModelClass, Nystromformer, NystromformerForMaskedLm, NystromformerInput,
};
use nystromformer_interop::{
    InteropError, load, load_weights, read_architecture, read_config, save,
};
use safetensors::{SafeTensors, tensor::TensorView};

/// Every form that holds a whole masked language model.
const COMPLETE: [&str; 6] =
    ["safetensors", "sharded", "bin", "position_ids", "tied_decoder", "bare_with_head"];

fn fixture(form: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(form)
}

/// A stored batch, and the output that transformers computed for it.
struct Expected {
    input: NystromformerInput,
    output: Vec<f32>,
}

fn expected(form: &str, output: &str) -> Expected {
    let bytes = fs::read(fixture(form).join("expected_logits.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let ids = |name: &str| {
        let view = file.tensor(name).unwrap();
        let values = little_endian(&view, i64::from_le_bytes);
        let data = TensorData::new(values, [view.shape()[0], view.shape()[1]]);
        Tensor::<2, Int>::from_data(data, &Device::flex())
    };
    Expected {
        input: NystromformerInput::new(ids("input_ids")).with_attention_mask(ids("attention_mask")),
        output: little_endian(&file.tensor(output).unwrap(), f32::from_le_bytes),
    }
}

fn little_endian<T, const BYTES: usize>(view: &TensorView, parse: fn([u8; BYTES]) -> T) -> Vec<T> {
    view.data().chunks_exact(BYTES).map(|bytes| parse(bytes.try_into().unwrap())).collect()
}

/// Largest difference, relative to the largest expected value.
fn relative_error(got: Tensor<3>, expected: &[f32]) -> f32 {
    let got: Vec<f32> = got.into_data().try_into_vec().unwrap();
    assert_eq!(got.len(), expected.len());
    let scale = expected.iter().fold(0.0f32, |scale, value| scale.max(value.abs()));
    let difference = got.iter().zip(expected).map(|(got, expected)| (got - expected).abs());
    difference.fold(0.0, f32::max) / scale
}

#[test]
fn every_form_computes_what_transformers_computes() {
    for form in COMPLETE {
        let model = load::<NystromformerForMaskedLm>(&fixture(form), &Device::flex()).expect(form);
        let expected = expected(form, "logits");
        let error = relative_error(model.forward(expected.input).unwrap(), &expected.output);
        assert!(error < 1e-5, "{form}: logits differ by {error:e}");
    }
}

#[test]
fn every_form_is_saved_as_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let written: Vec<Vec<u8>> = COMPLETE
        .iter()
        .map(|form| {
            let model = load::<NystromformerForMaskedLm>(&fixture(form), &Device::flex()).unwrap();
            save(&model, folder.path()).unwrap();
            fs::read(folder.path().join("model.safetensors")).unwrap()
        })
        .collect();
    for (form, bytes) in COMPLETE.iter().zip(&written) {
        assert!(*bytes == written[0], "{form}");
    }
}

/// transformers' own file, tensor by tensor: names, types, shapes and bits.
#[test]
fn saved_weights_are_those_that_transformers_saved() {
    let folder = tempfile::tempdir().unwrap();
    let source = fixture("safetensors");
    save(&load::<NystromformerForMaskedLm>(&source, &Device::flex()).unwrap(), folder.path())
        .unwrap();

    let theirs = fs::read(source.join("model.safetensors")).unwrap();
    let ours = fs::read(folder.path().join("model.safetensors")).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&ours).unwrap();
    assert_eq!(metadata.metadata().as_ref().unwrap()["format"], "pt");
    let (theirs, ours) =
        (SafeTensors::deserialize(&theirs).unwrap(), SafeTensors::deserialize(&ours).unwrap());
    assert_eq!(ours.len(), theirs.len());
    for (name, theirs) in theirs.iter() {
        let ours = ours.tensor(name).expect(name);
        assert_eq!(ours.dtype(), theirs.dtype(), "{name}");
        assert_eq!(ours.shape(), theirs.shape(), "{name}");
        assert_eq!(ours.data(), theirs.data(), "{name}");
    }
}

#[test]
fn a_bare_encoder_leaves_the_head_fresh() {
    let source = fixture("bare");
    let error = load::<NystromformerForMaskedLm>(&source, &Device::flex()).unwrap_err();
    assert!(matches!(error, InteropError::NoHead { .. }), "{error}");

    let config = read_config(&source).unwrap();
    let mut model = NystromformerForMaskedLm::init(&config, &Device::flex()).unwrap();
    let head = model.cls.predictions.transform.dense.weight.to_data();
    let report = load_weights(&mut model, &source).unwrap();
    assert_eq!(report.fresh.len(), 5);
    assert!(report.fresh.iter().all(|name| name.starts_with("cls.")));
    assert_eq!(model.cls.predictions.transform.dense.weight.to_data(), head);

    let expected = expected("bare", "last_hidden_state");
    let states = model.nystromformer.forward(expected.input).unwrap();
    assert!(relative_error(states, &expected.output) < 1e-5);
}

#[test]
fn a_bare_encoder_computes_what_transformers_computes() {
    let source = fixture("bare");
    assert_eq!(read_architecture(&source).unwrap(), Architecture::Base);
    let model = load::<Nystromformer>(&source, &Device::flex()).unwrap();
    let expected = expected("bare", "last_hidden_state");
    assert!(relative_error(model.forward(expected.input).unwrap(), &expected.output) < 1e-5);
}

#[test]
fn the_encoder_of_a_model_with_a_head_is_that_models() {
    for form in COMPLETE {
        let source = fixture(form);
        assert_eq!(read_architecture(&source).unwrap(), Architecture::MaskedLm, "{form}");
        let whole =
            load::<NystromformerForMaskedLm>(&source, &Device::flex()).unwrap().nystromformer;
        let encoder = load::<Nystromformer>(&source, &Device::flex()).unwrap();
        let input = expected(form, "logits").input;
        let [whole, encoder] =
            [whole, encoder].map(|model| model.forward(input.clone()).unwrap().into_data());
        assert_eq!(whole, encoder, "{form}");
    }
}

#[test]
fn a_folder_without_our_keys_has_the_semantics_of_transformers() {
    let config = read_config(&fixture("safetensors")).unwrap();
    assert_eq!(config.shared.semantics, nystromformer::Semantics::Hf);
    assert_eq!(config.attention.nystrom.pinv_init, nystromformer::PinvInit::Original);
    assert_eq!(config.attention.kind, nystromformer::AttentionKind::Nystrom);
    assert_eq!(
        (config.attention.nystrom.segment_means_seq_len, config.attention.nystrom.num_landmarks),
        (8, 2)
    );
}

/// Writes tensors of a fixture under other names.
fn rename(form: &str, file: &str, to: &Path, name: impl Fn(&str) -> String) {
    let bytes = fs::read(fixture(form).join(file)).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let renamed: Vec<(String, TensorView)> =
        tensors.iter().map(|(stored, view)| (name(stored), view)).collect();
    fs::write(to, safetensors::serialize(renamed, None).unwrap()).unwrap();
}

#[test]
fn wrapped_models_are_the_models_that_they_wrap() {
    let device = Device::flex();
    let bytes = |model: &NystromformerForMaskedLm| {
        let folder = tempfile::tempdir().unwrap();
        save(model, folder.path()).unwrap();
        fs::read(folder.path().join("model.safetensors")).unwrap()
    };
    let expected = bytes(&load(&fixture("safetensors"), &device).unwrap());
    let old_names = |name: &str| {
        name.replace("LayerNorm.weight", "LayerNorm.gamma")
            .replace("LayerNorm.bias", "LayerNorm.beta")
    };
    let wrappers: [&dyn Fn(&str) -> String; 4] = [
        &|name| format!("_orig_mod.{name}"),
        &|name| format!("module._orig_mod.{name}"),
        &|name| name.replace("encoder.layer.0.", "encoder.layer.0._checkpoint_wrapped_module."),
        &|name| format!("model.{}", old_names(name)),
    ];
    for (number, wrap) in wrappers.into_iter().enumerate() {
        for (form, files) in [
            ("safetensors", &["model.safetensors"][..]),
            ("sharded", &["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            for entry in fs::read_dir(fixture(form)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "json") {
                    fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
                }
            }
            for file in files {
                rename(form, file, &folder.path().join(file), wrap);
            }
            let model = load(folder.path(), &device).unwrap();
            assert!(bytes(&model) == expected, "wrapper {number}, {form}");
        }
    }
}
