//! Checkpoints of other families: the authors' own, BERT and RoBERTa.

use std::{fs, path::Path};

use burn::tensor::Device;
use nystromformer::{Architecture, AttentionKind, Model, PreTrainedModel};
use nystromformer_interop::{
    FreshConvolution, ImportOptions, PositionFill, export_for_authors, import_model, load_model,
};
use serde_json::{Map, Value, json};

use crate::batch::{Batch, fixture, relative_error, values, widened};

const TOLERANCE: f32 = 2e-5;

/// An imported checkpoint.
fn imported(from: &Path, options: &ImportOptions) -> (Model, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("imported");
    let imported = import_model(from, &output, options).unwrap();
    let once = fs::read(output.join("model.safetensors")).unwrap();

    // What was imported is imported again to the same bits.
    let again = folder.path().join("again");
    import_model(&output, &again, &ImportOptions::default()).unwrap();
    assert_eq!(fs::read(again.join("model.safetensors")).unwrap(), once);
    (load_model(&output, &Device::flex()).unwrap(), imported.notes)
}

fn overrides(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(keys) => keys,
        other => panic!("{other} is no table"),
    }
}

/// Logits of masked language modelling, and of sentence order if the model has them.
fn logits(model: &Model, batch: &Batch) -> (Vec<f32>, Option<Vec<f32>>) {
    match model {
        Model::MaskedLm(model) => (values(model.forward(batch.input()).unwrap()), None),
        Model::PreTraining(model) => {
            let (predictions, order) = model.forward(batch.input()).unwrap();
            (values(predictions), Some(values(order)))
        }
        other => panic!("{} has no logits of tokens", other.architecture()),
    }
}

#[test]
fn the_authors_checkpoints_compute_what_their_models_compute() {
    let styles = [
        ("roberta_style", "cp-0000.model", Architecture::MaskedLm, AttentionKind::Nystrom),
        (
            "reorganized_roberta_style",
            "cp-0000.model",
            Architecture::MaskedLm,
            AttentionKind::Softmax,
        ),
        ("bert_style", "cp-0000.model", Architecture::PreTraining, AttentionKind::Nystrom),
        ("bert_style", "cp-0000.cp", Architecture::PreTraining, AttentionKind::Nystrom),
        ("bert_style_shared", "cp-0000.model", Architecture::PreTraining, AttentionKind::Softmax),
        ("bert_style_shared", "parallel.model", Architecture::PreTraining, AttentionKind::Softmax),
    ];
    for (style, file, architecture, attention) in styles {
        let folder = fixture("original").join(style);
        let (model, notes) = imported(&folder.join(file), &ImportOptions::default());
        assert_eq!(model.architecture(), architecture, "{style}");
        assert_eq!(model.config().attention, attention, "{style}");
        assert!(notes.is_empty(), "{style}: {notes:?}");

        let bytes = fs::read(folder.join("expected.safetensors")).unwrap();
        for prefix in ["unpadded", "padded"] {
            // Neither of our semantics has the authors' landmarks of partly padded segments.
            if prefix == "padded" && attention == AttentionKind::Nystrom {
                continue;
            }
            let batch = Batch::read(&bytes, prefix);
            let (tokens, order) = logits(&model, &batch);
            let expected = batch.floats("mlm_logits");
            let places = widened(&batch.valid(), model.config().vocab_size);
            let error = relative_error(&tokens, &expected, &places);
            assert!(error <= TOLERANCE, "{style} {prefix}: {error:e}");
            if let Some(order) = order {
                let error = relative_error(&order, &batch.floats("sen_logits"), &[]);
                assert!(error <= TOLERANCE, "{style} {prefix} order: {error:e}");
            }
        }
    }
}

/// Out in the authors' form and in again: the same configuration, the same bits.
#[test]
fn the_authors_form_is_written_as_it_is_read() {
    for style in ["roberta_style", "reorganized_roberta_style", "bert_style", "bert_style_shared"] {
        let folder = tempfile::tempdir().unwrap();
        let [first, authors, second] =
            ["first", "authors", "second"].map(|name| folder.path().join(name));
        let file = fixture("original").join(style).join("cp-0000.model");
        import_model(&file, &first, &ImportOptions::default()).unwrap();
        export_for_authors(&first, &authors).unwrap();
        import_model(&authors.join("cp-0000.model"), &second, &ImportOptions::default()).unwrap();
        for name in ["model.safetensors", "config.json"] {
            let [first, second] =
                [&first, &second].map(|folder| fs::read(folder.join(name)).unwrap());
            assert!(first == second, "{style} {name}");
        }
        let theirs: Value =
            serde_json::from_slice(&fs::read(file.with_file_name("config.json")).unwrap()).unwrap();
        let ours: Value =
            serde_json::from_slice(&fs::read(authors.join("config.json")).unwrap()).unwrap();
        for (key, value) in theirs["model"].as_object().unwrap() {
            if !key.ends_with("grad_checkpointing") {
                assert_eq!(ours["model"][key], *value, "{style} {key}");
            }
        }
    }
}

/// With exact attention and no convolution, the import is the model it came from.
#[test]
fn bert_and_roberta_compute_what_they_did() {
    let exact = ImportOptions {
        overrides: overrides(json!({ "attention": "softmax", "conv_kernel_size": 0 })),
        ..ImportOptions::default()
    };
    for family in ["bert", "bert_pretraining", "roberta"] {
        let folder = fixture(family);
        let (model, _) = imported(&folder, &exact);
        assert_eq!(model.architecture(), Architecture::MaskedLm);
        let bytes = fs::read(folder.join("expected.safetensors")).unwrap();
        for prefix in ["unpadded", "padded"] {
            let batch = Batch::read(&bytes, prefix);
            let valid = batch.valid();
            let states = model.nystromformer().hidden_states(batch.input()).unwrap();
            for (layer, state) in states.into_iter().enumerate() {
                let expected = batch.floats(&format!("hidden_states.{layer}"));
                let places = widened(&valid, model.config().hidden_size);
                let error = relative_error(&values(state), &expected, &places);
                assert!(error <= TOLERANCE, "{family} {prefix} layer {layer}: {error:e}");
            }
            let places = widened(&valid, model.config().vocab_size);
            let error = relative_error(&logits(&model, &batch).0, &batch.floats("logits"), &places);
            assert!(error <= TOLERANCE, "{family} {prefix}: {error:e}");
        }
    }
}

#[test]
fn a_convolution_that_starts_at_zero_changes_nothing() {
    let with = |keys: Value, convolution| {
        let options =
            ImportOptions { overrides: overrides(keys), convolution, ..Default::default() };
        let (model, notes) = imported(&fixture("bert"), &options);
        let bytes = fs::read(fixture("bert").join("expected.safetensors")).unwrap();
        (logits(&model, &Batch::read(&bytes, "unpadded")).0, notes)
    };
    let (without, notes) = with(json!({ "conv_kernel_size": 0 }), FreshConvolution::Zero);
    assert!(notes.iter().all(|note| !note.contains("convolution")), "{notes:?}");
    let (zero, notes) = with(json!({ "conv_kernel_size": 3 }), FreshConvolution::Zero);
    assert!(notes.iter().any(|note| note.contains("starts at zero")), "{notes:?}");
    assert_eq!(zero, without);
    let seeded = |seed| with(json!({ "conv_kernel_size": 3 }), FreshConvolution::Normal(seed)).0;
    assert_ne!(seeded(1), without);
    assert_eq!(seeded(1), seeded(1));
    assert_ne!(seeded(1), seeded(2));
}

#[test]
fn longer_positions_keep_the_first_ones() {
    let rows = |fill, max_position_embeddings: usize| {
        let options = ImportOptions {
            overrides: overrides(json!({ "max_position_embeddings": max_position_embeddings })),
            position_fill: fill,
            ..ImportOptions::default()
        };
        let (model, _) = imported(&fixture("bert"), &options);
        let table = &model.nystromformer().embeddings.position_embeddings.weight;
        let [rows, width] = table.dims();
        assert_eq!(rows, max_position_embeddings + 2);
        values(table.val()).chunks(width).map(<[f32]>::to_vec).collect::<Vec<_>>()
    };
    let trained = rows(PositionFill::Tile, 16);
    let tiled = rows(PositionFill::Tile, 48);
    for copy in 0..3 {
        assert_eq!(tiled[2 + 16 * copy..2 + 16 * (copy + 1)], trained[2..]);
    }
    let stretched = rows(PositionFill::Interpolate, 31);
    assert_eq!(stretched[2], trained[2]);
    assert_eq!(stretched[32], trained[17]);
    assert_eq!(stretched[4], trained[3]);
}

#[test]
fn what_cannot_be_asked_for_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for (keys, words) in [
        (json!({ "hidden_sise": 3 }), "hidden_sise = `3`: there is no such key"),
        (json!({ "num_landmarks": "many" }), "num_landmarks = `\"many\"`"),
        (json!({ "hidden_size": 32 }), "has shape"),
        (json!({ "num_attention_heads": 3 }), "hidden_size = `16`: must be a multiple"),
        (json!({ "max_position_embeddings": 1u64 << 40 }), "filled up to"),
    ] {
        let options = ImportOptions { overrides: overrides(keys), ..Default::default() };
        let error =
            import_model(&fixture("bert"), &folder.path().join("out"), &options).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}
