//! Checkpoints of other families: the authors' own, BERT, RoBERTa and its relatives.

use std::{fs, path::Path};

use burn::tensor::Device;
use nystromformer::{Architecture, AttentionKind, Model, PreTrainedModel};
use nystromformer_interop::{
    FreshConvolution, ImportOptions, InteropError, PositionFill, export_for_authors, import_model,
    load_model,
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
        assert_eq!(model.config().attention.kind, attention, "{style}");
        let expected: &[&str] = if model.config().attention.convolution.conv_kernel_size == 0 {
            &["no convolution"]
        } else {
            &[]
        };
        assert_eq!(notes.len(), expected.len(), "{style}: {notes:?}");
        assert!(notes.iter().zip(expected).all(|(note, words)| note.contains(words)), "{notes:?}");

        let bytes = fs::read(folder.join("expected.safetensors")).unwrap();
        for prefix in ["unpadded", "padded"] {
            // Neither of our semantics has the authors' landmarks of partly padded segments.
            if prefix == "padded" && attention == AttentionKind::Nystrom {
                continue;
            }
            let batch = Batch::read(&bytes, prefix);
            let (tokens, order) = logits(&model, &batch);
            let expected = batch.floats("mlm_logits");
            let places = widened(&batch.valid(), model.config().embeddings.vocab_size);
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
fn bert_roberta_and_its_relatives_compute_what_they_did() {
    let exact = ImportOptions {
        overrides: overrides(json!({ "attention": "softmax", "conv_kernel_size": 0 })),
        ..ImportOptions::default()
    };
    for family in ["bert", "bert_pretraining", "roberta", "xlm_roberta", "camembert"] {
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
                let places = widened(&valid, model.config().shared.hidden_size);
                let error = relative_error(&values(state), &expected, &places);
                assert!(error <= TOLERANCE, "{family} {prefix} layer {layer}: {error:e}");
            }
            let places = widened(&valid, model.config().embeddings.vocab_size);
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
    assert!(notes.iter().all(|note| !note.contains("convolution is new")), "{notes:?}");
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
        let embeddings = model.nystromformer().embeddings.tokens().unwrap();
        let table = &embeddings.position_embeddings.as_ref().unwrap().weight;
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
        (json!({ "hidden_sise": 3 }), "`hidden_sise=3`: there is no such key"),
        (json!({ "num_landmarks": "many" }), "`num_landmarks=\"many\"`"),
        (json!({ "hidden_size": 32 }), "where config.json asks for"),
        (json!({ "num_attention_heads": 3 }), "`hidden_size=16`: must be a multiple"),
        (json!({ "max_position_embeddings": 1 << 30 }), "position table of that many rows"),
        (json!({ "max_position_embeddings": 1u64 << 40 }), "at most 2147483647"),
    ] {
        let options = ImportOptions { overrides: overrides(keys), ..Default::default() };
        let error =
            import_model(&fixture("bert"), &folder.path().join("out"), &options).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(
            matches!(error, InteropError::Override { .. } | InteropError::Keys { .. }),
            "{error}"
        );
    }
}

/// `config.json` of before transformers named families in it.
#[test]
fn a_bert_without_a_model_type_is_told_to_be_one() {
    for (family, told) in [("bert", "taken for BERT's"), ("roberta", "taken for RoBERTa's")] {
        let folder = with_config(family, &json!({ "model_type": null }));
        let (model, notes) = imported(folder.path(), &ImportOptions::default());
        assert!(notes.iter().any(|note| note.contains(told)), "{notes:?}");
        let (stated, notes) = imported(&fixture(family), &ImportOptions::default());
        assert!(notes.iter().all(|note| !note.contains("model_type")), "{notes:?}");
        assert_eq!(model.config(), stated.config());
    }
}

/// What a model of another family computes otherwise is refused or told.
#[test]
fn keys_that_no_import_reads_are_refused_or_told() {
    for (changes, words) in [
        (json!({ "auto_map": { "AutoModel": "modeling.py" } }), "never run"),
        (json!({ "quantization_config": { "bits": 8 } }), "unquantized"),
        (
            json!({ "model_type": "electra" }),
            "by `import` those of `bert`, `roberta`, `xlm-roberta` and `camembert`",
        ),
    ] {
        let source = with_config("bert", &changes);
        let output = source.path().join("out");
        let error = import_model(source.path(), &output, &ImportOptions::default()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    let changes = json!({ "embedding_size": 16, "alibi_starting_size": 8, "pooler_type": "x" });
    let (_, notes) = imported(with_config("bert", &changes).path(), &ImportOptions::default());
    let keys = "nothing here reads: `alibi_starting_size`, `embedding_size`.";
    assert!(notes.iter().any(|note| note.contains(keys)), "{notes:?}");
    for family in ["bert", "bert_pretraining", "roberta", "xlm_roberta", "camembert"] {
        let (_, notes) = imported(&fixture(family), &ImportOptions::default());
        assert!(notes.iter().all(|note| !note.contains("nothing here reads")), "{notes:?}");
    }
    let untied = with_config("bert", &json!({ "tie_word_embeddings": false }));
    let (_, notes) = imported(untied.path(), &ImportOptions::default());
    assert!(notes.iter().any(|note| note.contains("hold no decoder")), "{notes:?}");
}

/// A copy of a fixture's folder with keys of its configuration changed, those of the authors' in their section.
fn with_config(name: &str, changes: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = folder.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let section = if config.get("model").is_some() { &mut config["model"] } else { &mut config };
    for (key, value) in changes.as_object().unwrap() {
        section[key] = value.clone();
    }
    fs::remove_file(&path).unwrap();
    fs::write(&path, config.to_string()).unwrap();
    folder
}

/// Numbers that no model has, in the configurations of every family, are refused before anything is made of them.
#[test]
fn absurd_configurations_are_refused() {
    let huge = 1u64 << 60;
    let cases = [
        ("bert", json!({ "max_position_embeddings": 4 })),
        ("bert", json!({ "max_position_embeddings": 100 })),
        ("bert", json!({ "max_position_embeddings": 0 })),
        ("bert", json!({ "hidden_size": 0 })),
        ("bert", json!({ "num_attention_heads": 0 })),
        ("bert", json!({ "vocab_size": huge })),
        ("bert", json!({ "num_hidden_layers": huge })),
        ("bert", json!({ "num_labels": huge })),
        ("bert", json!({ "is_decoder": "yes" })),
        ("bert", json!({ "layer_norm_eps": "small" })),
        ("roberta", json!({ "max_position_embeddings": 1 })),
        ("roberta", json!({ "pad_token_id": 0 })),
        ("original/roberta_style", json!({ "max_seq_len": huge })),
        ("original/roberta_style", json!({ "num_landmarks": 48 })),
        ("original/roberta_style", json!({ "num_head": 0 })),
        ("original/roberta_style", json!({ "attn_type": "linformer" })),
        ("original/bert_style", json!({ "num_landmarks": 48 })),
        ("original/bert_style", json!({ "num_layers": 1_000_000 })),
        ("original/bert_style", json!({ "embedding_dim": 8 })),
        ("original/bert_style_shared", json!({ "num_layers": 10_000 })),
        ("safetensors", json!({ "num_labels": huge })),
        ("safetensors", json!({ "bos_token_id": u64::MAX })),
    ];
    for (name, changes) in cases {
        let source = with_config(name, &changes);
        let output = source.path().join("out");
        let error = import_model(source.path(), &output, &ImportOptions::default()).err();
        assert!(error.is_some(), "{name} {changes}");
        assert!(!output.exists(), "{name} {changes}");
    }
}

/// `run_glue.py` leaves `num_classes` in the configuration of models that are no BERTs.
#[test]
fn the_weights_say_which_generation_it_is() {
    let plain = imported(&fixture("original/roberta_style"), &ImportOptions::default()).0;
    let source = with_config("original/roberta_style", &json!({ "num_classes": 3 }));
    let named = imported(source.path(), &ImportOptions::default()).0;
    assert_eq!(named.config(), plain.config());
    let table = |model: &Model| {
        let embeddings = model.nystromformer().embeddings.tokens().unwrap();
        values(embeddings.position_embeddings.as_ref().unwrap().weight.val())
    };
    assert_eq!(table(&named), table(&plain));
}

#[test]
fn settings_of_the_authors_are_read_and_others_not_written() {
    let changes = json!({ "dropout_prob": 0.25, "inv_init_coeff_option": "exact", "inv_coeff_init_option": 1 });
    let source = with_config("original/roberta_style", &changes);
    let (model, _) = imported(source.path(), &ImportOptions::default());
    assert_eq!(model.config().shared.hidden_dropout_prob.to_bits(), 0.25f64.to_bits());
    assert_eq!(
        model.config().attention.softmax.attention_probs_dropout_prob.to_bits(),
        0.25f64.to_bits()
    );
    assert_eq!(model.config().attention.nystrom.pinv_init, nystromformer::PinvInit::Exact);

    let folder = tempfile::tempdir().unwrap();
    for (changes, words) in [
        (json!({ "layer_norm_eps": 1e-12 }), "layer_norm_eps"),
        (json!({ "pinv_iterations": 9 }), "pinv_iterations = 9"),
        (json!({ "num_landmarks": 7 }), "7 landmarks over 24 positions"),
        (json!({ "hidden_act": "relu" }), "Relu"),
    ] {
        let options = ImportOptions { overrides: overrides(changes), ..Default::default() };
        let changed = tempfile::tempdir().unwrap();
        let model = changed.path().join("model");
        import_model(&fixture("original/roberta_style"), &model, &options).unwrap();
        let error = export_for_authors(&model, &folder.path().join("out")).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_named_configuration_and_a_named_tokenizer_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let source = with_config("safetensors", &json!({ "layer_norm_eps": 0.5 }));
    let options = ImportOptions {
        config: Some(source.path().join("config.json")),
        tokenizer_dir: Some(fixture("bert")),
        ..ImportOptions::default()
    };
    let output = folder.path().join("out");
    import_model(&fixture("safetensors"), &output, &options).unwrap();
    let model = load_model(&output, &Device::flex()).unwrap();
    assert_eq!(model.config().shared.layer_norm_eps.to_bits(), 0.5f64.to_bits());
    let tokenizer = |folder: &Path| fs::read(folder.join("tokenizer.json")).unwrap();
    assert_eq!(tokenizer(&output), tokenizer(&fixture("bert")));
}
