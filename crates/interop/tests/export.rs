//! Export and import, folder to folder.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::{fs, path::Path};

use burn::tensor::Device;
use nystromformer::{
    AttentionKind, NystromformerConfig, NystromformerForMaskedLm, PreTrainedModel,
};
use nystromformer_interop::{
    ExportOptions, ImportOptions, InteropError, export_model, import_model, load, read_config, save,
};
use serde_json::Value;

fn paper() -> NystromformerConfig {
    NystromformerConfig {
        vocab_size: 20,
        hidden_size: 8,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        intermediate_size: 12,
        max_position_embeddings: 10,
        num_landmarks: 2,
        conv_kernel_size: 3,
        ..NystromformerConfig::default()
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn fixture(form: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(form)
}

#[test]
fn a_paper_model_is_exported_with_a_length_that_fits() {
    let folder = tempfile::tempdir().unwrap();
    let (source, output) = (folder.path().join("checkpoint"), folder.path().join("exported"));
    let model = paper().init_masked_lm(&Device::flex()).unwrap();
    save(&model, &source).unwrap();

    let options = ExportOptions { seq_len: Some(8), ..Default::default() };
    let exported = export_model(&source, &output, &options).unwrap();
    assert_eq!(exported.files, ["README.md", "config.json", "model.safetensors"]);
    assert!(exported.notes[0].contains("`paper` semantics"));

    let config = json(&output.join("config.json"));
    assert_eq!(config["segment_means_seq_len"], 8);
    assert_eq!(config["semantics"], "paper");
    assert_eq!(config["architectures"][0], "NystromformerForMaskedLM");
    let weights = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
    assert_eq!(weights(&source), weights(&output));
    let card = fs::read_to_string(output.join("README.md")).unwrap();
    assert!(card.starts_with("---\n") && card.contains(&exported.notes[0]));

    // An export is a model folder again, of the same model.
    let back = load::<NystromformerForMaskedLm>(&output, &Device::flex()).unwrap();
    assert_eq!(
        *back.config(),
        NystromformerConfig { segment_means_seq_len: 8, ..model.config().clone() }
    );
}

#[test]
fn exact_attention_stays_exact() {
    let folder = tempfile::tempdir().unwrap();
    let (source, output) = (folder.path().join("checkpoint"), folder.path().join("exported"));
    let config = NystromformerConfig { attention: AttentionKind::Softmax, ..paper() };
    save(&config.init_masked_lm(&Device::flex()).unwrap(), &source).unwrap();
    export_model(&source, &output, &ExportOptions::default()).unwrap();
    let written = json(&output.join("config.json"));
    assert_eq!(written["segment_means_seq_len"], written["num_landmarks"]);
}

#[test]
fn the_tokenizer_travels_along() {
    let folder = tempfile::tempdir().unwrap();
    let (source, tokenizer) = (folder.path().join("checkpoint"), folder.path().join("tokenizer"));
    save(&paper().init_masked_lm(&Device::flex()).unwrap(), &source).unwrap();
    fs::create_dir(&tokenizer).unwrap();
    fs::copy(fixture("safetensors").join("tokenizer.json"), tokenizer.join("tokenizer.json"))
        .unwrap();

    // Without a tokenizer_config.json, one is written.
    let options = ExportOptions {
        seq_len: Some(8),
        tokenizer_dir: Some(tokenizer.clone()),
        ..Default::default()
    };
    let output = folder.path().join("made");
    export_model(&source, &output, &options).unwrap();
    let made = json(&output.join("tokenizer_config.json"));
    assert_eq!(made["tokenizer_class"], "PreTrainedTokenizerFast");
    assert_eq!(made["mask_token"], "[MASK]");
    assert_eq!(made["pad_token"], "[PAD]");
    assert_eq!(made["model_max_length"], 8);

    // With one, all files are copied, and what depends on the model is made to fit it.
    let output = folder.path().join("copied");
    let options = ExportOptions { tokenizer_dir: Some(fixture("safetensors")), ..options };
    export_model(&source, &output, &options).unwrap();
    for name in ["tokenizer.json", "special_tokens_map.json", "vocab.txt"] {
        let read = |folder: &Path| fs::read(folder.join(name)).unwrap();
        assert_eq!(read(&output), read(&fixture("safetensors")), "{name}");
    }
    let mut expected = json(&fixture("safetensors").join("tokenizer_config.json"));
    expected["model_max_length"] = 8.into();
    expected["model_input_names"] = made["model_input_names"].clone();
    assert_eq!(json(&output.join("tokenizer_config.json")), expected);
}

#[test]
fn foreign_forms_are_imported() {
    let folder = tempfile::tempdir().unwrap();
    for form in ["bin", "sharded", "tied_decoder"] {
        let output = folder.path().join(form);
        let imported = import_model(&fixture(form), &output, &ImportOptions::default()).unwrap();
        assert_eq!(imported.files, ["config.json", "model.safetensors"]);
        assert!(imported.notes.is_empty());
        assert_eq!(read_config(&output).unwrap(), read_config(&fixture(form)).unwrap());
        load::<NystromformerForMaskedLm>(&output, &Device::flex()).unwrap();
    }
}

#[test]
fn the_default_of_transformers_is_pointed_out() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::copy(fixture("bin").join("pytorch_model.bin"), source.join("pytorch_model.bin")).unwrap();
    let mut config = json(&fixture("bin").join("config.json"));
    config["segment_means_seq_len"] = config["num_landmarks"].clone();
    fs::write(source.join("config.json"), config.to_string()).unwrap();
    let imported =
        import_model(&source, &folder.path().join("output"), &ImportOptions::default()).unwrap();
    assert!(imported.notes[0].contains("exact attention"), "{:?}", imported.notes);
}

#[test]
fn nothing_is_written_where_something_is_or_from_a_bad_source() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("notes.txt"), "mine").unwrap();
    let error = import_model(&fixture("bin"), &taken, &ImportOptions::default()).unwrap_err();
    assert!(matches!(error, InteropError::OutputExists { .. }), "{error}");

    let output = folder.path().join("output");
    let absent = folder.path().join("absent");
    import_model(&absent, &output, &ImportOptions::default()).unwrap_err();
    export_model(folder.path(), &output, &ExportOptions::default()).unwrap_err();
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(left, [taken]);
}
