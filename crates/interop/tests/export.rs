//! Export and import, folder to folder.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::{
    module::Param,
    tensor::{Device, Int, Tensor},
};
use nystromformer::{
    Architecture, AttentionKind, FeedForwardKind, HiddenAct, LandmarkRule, Model, ModelClass,
    Nystromformer, NystromformerConfig, NystromformerForMaskedLm, NystromformerInput, Pooling,
    PositionEmbeddingType, PreTrainedModel,
};
use nystromformer_interop::{
    ExportOptions, ImportOptions, InteropError, SentenceFiles, SentencePooling, StorageType,
    export_model, import_model, load, read_config, save,
};
use serde_json::Value;

fn paper() -> NystromformerConfig {
    NystromformerConfig::default().with(|config| {
        config.embeddings.vocab_size = 20;
        config.shared.hidden_size = 8;
        config.encoder.num_hidden_layers = 1;
        config.shared.num_attention_heads = 2;
        config.feed_forward.intermediate_size = 12;
        config.embeddings.max_position_embeddings = 10;
        config.attention.nystrom.num_landmarks = 2;
        config.attention.convolution.conv_kernel_size = 3;
    })
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn fixture(form: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(form)
}

#[test]
fn a_paper_model_is_exported_with_a_length_that_fits() {
    let folder = tempfile::tempdir().unwrap();
    let (source, output) = (folder.path().join("checkpoint"), folder.path().join("exported"));
    let model = NystromformerForMaskedLm::init(&paper(), &Device::flex()).unwrap();
    save(&model, &source).unwrap();

    let options = ExportOptions { seq_len: Some(8), ..Default::default() };
    let exported = export_model(&source, &output, &options).unwrap();
    assert_eq!(
        exported.files,
        ["README.md", "config.json", "model.safetensors", "modeling_nystromformer_paper.py"]
    );
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
        model.config().clone().with(|config| config.attention.nystrom.segment_means_seq_len = 8)
    );
}

#[test]
fn exact_attention_stays_exact() {
    let folder = tempfile::tempdir().unwrap();
    let (source, output) = (folder.path().join("checkpoint"), folder.path().join("exported"));
    let config = paper().with(|config| config.attention.kind = AttentionKind::Softmax);
    save(&NystromformerForMaskedLm::init(&config, &Device::flex()).unwrap(), &source).unwrap();
    export_model(&source, &output, &ExportOptions::default()).unwrap();
    let written = json(&output.join("config.json"));
    assert_eq!(written["segment_means_seq_len"], written["num_landmarks"]);
}

/// Landmarks of patches of a picture of 2 x 5 pixels.
fn of_patches(config: &mut NystromformerConfig) {
    config.attention.nystrom.landmarks = LandmarkRule::Patches;
    config.attention.nystrom.num_landmarks = 5;
    config.embeddings.image_width = 5;
}

/// There is nothing to export a model to that transformers' classes cannot be.
#[test]
fn what_transformers_has_no_class_for_is_refused_by_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("exported");
    let classifier = Architecture::SequenceClassification;
    for (architecture, config, named) in [
        (Architecture::DualEncoder, paper(), "architectures = `NystromformerDualEncoder`"),
        (
            Architecture::MaskedLm,
            paper().with(|config| config.attention.kind = AttentionKind::Performer),
            "attention = `performer`",
        ),
        (
            Architecture::MaskedLm,
            paper().with(|config| config.attention.nystrom.landmarks = LandmarkRule::KMeans),
            "landmarks = `k_means`",
        ),
        (
            Architecture::MaskedLm,
            paper().with(|config| config.shared.norm_first = true),
            "norm_first = `true`",
        ),
        (
            Architecture::MaskedLm,
            paper().with(|config| config.feed_forward.kind = FeedForwardKind::Gated),
            "feed_forward = `gated`",
        ),
        (
            classifier,
            paper().with(|config| config.classifier.pooling = Pooling::MeanPadded),
            "pooling = `\"mean_padded\"`",
        ),
        (
            classifier,
            paper().with(|config| config.classifier.classifier_act = Some(HiddenAct::Relu)),
            "classifier_act = `\"relu\"`",
        ),
        (
            classifier,
            paper().with(|config| config.classifier.classifier_hidden_size = 24),
            "classifier_hidden_size = `24`",
        ),
    ] {
        let source = folder.path().join("checkpoint");
        save(&Model::init(architecture, &config, &Device::flex()).unwrap(), &source).unwrap();
        let error = export_model(&source, &output, &ExportOptions::default()).unwrap_err();
        assert!(matches!(error, InteropError::Config { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains("config.json") && message.contains(named), "{named}: {message}");
        assert!(!output.exists(), "{named}");
    }
    // Said in other words, a model that transformers' class can be.
    let same = paper().with(|config| {
        config.classifier.classifier_hidden_size = 8;
        config.classifier.classifier_act = Some(paper().shared.hidden_act);
    });
    let source = folder.path().join("same");
    save(&Model::init(classifier, &same, &Device::flex()).unwrap(), &source).unwrap();
    export_model(&source, &output, &ExportOptions::default()).unwrap();
}

/// transformers 5 refuses a model without one.
#[test]
fn a_model_without_convolution_gets_one_that_adds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (source, output) = (folder.path().join("checkpoint"), folder.path().join("exported"));
    let config = paper().with(|config| {
        config.attention.convolution.conv_kernel_size = 0;
        config.shared.weights.initializer_range = 0.3;
    });
    let model = NystromformerForMaskedLm::init(&config, &Device::flex()).unwrap();
    save(&model, &source).unwrap();
    let exported = export_model(&source, &output, &ExportOptions::default()).unwrap();
    assert!(exported.notes.iter().any(|note| note.contains("no convolution")));
    assert_eq!(json(&output.join("config.json"))["conv_kernel_size"], 1);

    let back: NystromformerForMaskedLm = load(&output, &Device::flex()).unwrap();
    let logits = |model: &NystromformerForMaskedLm| {
        let input = Tensor::<2, Int>::from_ints([[3, 1, 4, 1, 5]], &Device::flex());
        model.forward(NystromformerInput::new(input)).unwrap().into_data()
    };
    assert_eq!(logits(&back), logits(&model));
}

#[test]
fn storage_in_16_bits_rounds_and_refuses_what_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("checkpoint");
    let mut model = NystromformerForMaskedLm::init(&paper(), &Device::flex()).unwrap();
    save(&model, &source).unwrap();
    for (storage, name, digits) in
        [(StorageType::F16, "float16", 11), (StorageType::Bf16, "bfloat16", 8)]
    {
        let output = folder.path().join(name);
        let options = ExportOptions { storage, ..Default::default() };
        export_model(&source, &output, &options).unwrap();
        assert_eq!(json(&output.join("config.json"))["torch_dtype"], name);
        let bytes = |folder: &Path| fs::metadata(folder.join("model.safetensors")).unwrap().len();
        assert!(bytes(&output) < bytes(&source));
        let back: NystromformerForMaskedLm = load(&output, &Device::flex()).unwrap();
        let words = |model: &NystromformerForMaskedLm| {
            let table =
                model.nystromformer.embeddings.tokens().unwrap().word_embeddings.weight.to_data();
            table.try_into_vec::<f32>().unwrap()
        };
        for (stored, value) in words(&back).into_iter().zip(words(&model)) {
            // The smallest numbers of f16 have fewer digits.
            let step = value.abs().max(6.2e-5) * 0.5f32.powi(digits);
            assert!((stored - value).abs() <= step, "{name}: {stored} for {value}");
        }
    }

    let bias = Tensor::<1>::full([20], 1e5, &Device::flex());
    model.cls.predictions.bias = Param::from_tensor(bias);
    save(&model, &source).unwrap();
    let options = ExportOptions { storage: StorageType::F16, ..Default::default() };
    let error = export_model(&source, &folder.path().join("large"), &options).unwrap_err();
    assert!(error.to_string().contains("`100000`, which float16 cannot hold"), "{error}");
}

/// The modeling file goes with `paper` models only, and our own readers know it.
#[test]
fn paper_models_carry_their_modeling_file() {
    let folder = tempfile::tempdir().unwrap();
    let (source, output) = (folder.path().join("checkpoint"), folder.path().join("exported"));
    let config = paper().with(|config| config.shared.weights.initializer_range = 0.3);
    save(&NystromformerForMaskedLm::init(&config, &Device::flex()).unwrap(), &source).unwrap();
    export_model(&source, &output, &ExportOptions::default()).unwrap();
    let class = "modeling_nystromformer_paper.NystromformerForMaskedLM";
    assert_eq!(json(&output.join("config.json"))["auto_map"]["AutoModelForMaskedLM"], class);
    assert!(output.join("modeling_nystromformer_paper.py").is_file());
    let card = fs::read_to_string(output.join("README.md")).unwrap();
    assert!(card.contains("trust_remote_code=True") && card.contains("differ by"), "{card}");
    load::<NystromformerForMaskedLm>(&output, &Device::flex()).unwrap();

    let output = folder.path().join("theirs");
    export_model(&fixture("safetensors"), &output, &ExportOptions::default()).unwrap();
    assert!(!output.join("modeling_nystromformer_paper.py").exists());
    assert_eq!(json(&output.join("config.json")).get("auto_map"), None);
}

/// What transformers' own class is not, the modeling file computes, and the notes say that nothing else does.
#[test]
fn models_that_the_modeling_file_alone_computes_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let paper = |change: fn(&mut NystromformerConfig)| paper().with(change);
    for (name, config) in [
        (
            "conv_per_channel = true",
            paper(|config| config.attention.convolution.conv_per_channel = true),
        ),
        ("local_window = 4", paper(|config| config.attention.nystrom.local_window = 4)),
        ("landmarks = \"patches\"", paper(of_patches)),
        (
            "position_embedding_type = \"rotary\"",
            paper(|config| {
                config.shared.position_embedding_type = PositionEmbeddingType::Rotary;
            }),
        ),
        ("stem_layers = 2", paper(|config| config.embeddings.stem.stem_layers = 2)),
        (
            "pooling = \"first_last\"",
            paper(|config| config.classifier.pooling = Pooling::FirstLast),
        ),
    ] {
        let (source, output) = (folder.path().join("checkpoint"), folder.path().join(name));
        let model =
            Model::init(Architecture::SequenceClassification, &config, &Device::flex()).unwrap();
        save(&model, &source).unwrap();
        let exported = export_model(&source, &output, &ExportOptions::default()).unwrap();
        let [note] = &exported.notes[..] else { panic!("{name}: {:?}", exported.notes) };
        assert!(note.contains(name) && note.contains("trust_remote_code=True"), "{note}");
        assert!(output.join("modeling_nystromformer_paper.py").is_file());
        let read = read_config(&output).unwrap();
        let (key, _) = name.split_once(' ').unwrap();
        let value =
            |config: &NystromformerConfig| serde_json::to_value(config).unwrap()[key].clone();
        assert_eq!(value(&read), value(&config));
        // Where they are not chosen, these keys are not written.
        let written = json(&output.join("config.json"));
        let others = ["conv_per_channel", "position_embedding_type", "stem_layers", "image_width"];
        assert_eq!(
            others.iter().filter(|key| written.get(**key).is_some()).count(),
            usize::from(others.contains(&key) || key == "landmarks"),
            "{written}"
        );
    }
}

#[test]
fn a_git_lfs_pointer_does_not_travel_as_a_tokenizer() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("checkpoint");
    save(&NystromformerForMaskedLm::init(&paper(), &Device::flex()).unwrap(), &source).unwrap();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 438\n";
    for name in ["tokenizer.json", "tokenizer_config.json", "spiece.model", "vocab.txt"] {
        fs::write(source.join(name), pointer).unwrap();
        let output = folder.path().join("exported");
        let error =
            export_model(&source, &output, &ExportOptions::default()).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("`git lfs pull`"), "{error}");
        assert!(!output.exists());
        fs::remove_file(source.join(name)).unwrap();
    }
}

#[test]
fn the_tokenizer_travels_along() {
    let folder = tempfile::tempdir().unwrap();
    let (source, tokenizer) = (folder.path().join("checkpoint"), folder.path().join("tokenizer"));
    save(&NystromformerForMaskedLm::init(&paper(), &Device::flex()).unwrap(), &source).unwrap();
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

/// A checkpoint of a training holds none of the files of the encoder that it began with.
#[test]
fn sentence_files_come_from_the_folder_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (source, start) = (folder.path().join("checkpoint"), folder.path().join("start"));
    save(&Nystromformer::init(&paper(), &Device::flex()).unwrap(), &source).unwrap();
    fs::create_dir_all(start.join("1_Pooling")).unwrap();
    fs::write(start.join("1_Pooling/config.json"), "{\"pooling_mode_cls_token\": true}").unwrap();
    let pooling = |sentence_dir: Option<PathBuf>, name: &str| {
        let output = folder.path().join(name);
        let options = ExportOptions { seq_len: Some(8), sentence_dir, ..Default::default() };
        export_model(&source, &output, &options).unwrap();
        SentenceFiles::of_folder(&output).unwrap().pooling
    };
    assert_eq!(pooling(None, "without"), None);
    assert_eq!(pooling(Some(start.clone()), "with"), Some(SentencePooling::Cls));
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
