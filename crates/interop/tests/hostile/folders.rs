//! Hostile `config.json`, index and tokenizer files, and folders with files missing.

use std::fs;

use nystromformer_interop::{ImportOptions, import_model, read_config};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{MEMORY, copy_of, fixture, load_error, memory};

fn config_with(key: &str, value: Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read(fixture("safetensors").join("config.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&text).unwrap();
    config[key] = value;
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
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

/// A clone without Git LFS has pointers in the place of files.
#[test]
fn a_git_lfs_pointer_in_the_place_of_any_file_is_told_with_its_cure() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 4386\n";
    for (form, file) in [
        ("safetensors", "model.safetensors"),
        ("safetensors", "config.json"),
        ("bin", "pytorch_model.bin"),
        ("sharded", "model.safetensors.index.json"),
        ("sharded", "model-00002-of-00002.safetensors"),
    ] {
        let folder = copy_of(form);
        fs::write(folder.path().join(file), pointer).unwrap();
        let message = load_error(folder.path());
        assert!(message.contains(file) && message.contains("`git lfs pull`"), "{message}");
        assert!(!message.contains("damaged"), "{message}");
    }
}

#[test]
fn a_configuration_without_a_family_is_no_nystromformer_by_default() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), "{\"hidden_size\": 8}").unwrap();
    let message = read_config(folder.path()).unwrap_err().to_string();
    for words in ["model_type", "BERT", "`import --from`"] {
        assert!(message.contains(words), "{message}");
    }
    fs::write(folder.path().join("config.json"), "{\"num_landmarks\": 8}").unwrap();
    assert_eq!(read_config(folder.path()).unwrap().attention.nystrom.num_landmarks, 8);
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
        ("tie_word_embeddings", json!(false)),
        ("eos_token_id", json!(3)),
        ("position_embedding_type", json!("absolute")),
        ("label2id", json!({ "LABEL_0": 0 })),
        ("id2label", json!({ "0": "LABEL_0", "1": "LABEL_1" })),
        ("chunk_size_feed_forward", json!(0)),
        ("tokenizer_class", json!("AlbertTokenizer")),
    ] {
        assert_eq!(read_config(config_with(key, value).path()).expect(key), expected, "{key}");
    }
    let config = read_config(config_with("conv_kernel_size", Value::Null).path()).unwrap();
    assert_eq!(config.attention.convolution.conv_kernel_size, 0);
}

#[test]
fn hostile_configurations_are_refused() {
    let deep = |open: &str, close: &str| {
        format!("{{\"hidden_size\":{}{}}}", open.repeat(500_000), close.repeat(500_000))
    };
    for text in [
        deep("[", "]"),
        deep("{\"a\":", "}"),
        "[".repeat(900_000),
        format!("{{\"architectures\":[{}0]}}", "0,".repeat(500_000)),
        format!("{{{}\"model_type\":\"nystromformer\"}}", "\"a\":0,".repeat(100_000)),
        format!("{{\"x\":\"{}\"}}", "y".repeat(6_000_000)),
        "{\"hidden_size\":1e309}".to_owned(),
        "{\"hidden_size\":\u{0}}".to_owned(),
        "{\"num_hidden_layers\":1000000000}".to_owned(),
        "{\"num_hidden_layers\":-1}".to_owned(),
    ] {
        let folder = copy_of("safetensors");
        fs::write(folder.path().join("config.json"), text).unwrap();
        load_error(folder.path());
    }
    let folder = copy_of("safetensors");
    fs::remove_file(folder.path().join("config.json")).unwrap();
    fs::create_dir(folder.path().join("config.json")).unwrap();
    assert!(load_error(folder.path()).contains("not a regular file"));
}

#[test]
fn hostile_indices_are_refused() {
    let name = "model.safetensors.index.json";
    let many: Vec<String> = (0..50_000).map(|index| format!("\"{index}\":\"{index}\"")).collect();
    for text in [
        "{}".to_owned(),
        "{\"weight_map\":[]}".to_owned(),
        "{\"weight_map\":{\"a\":7}}".to_owned(),
        format!("{{\"weight_map\":{{\"a\":\"{name}\"}}}}"),
        format!("{{\"weight_map\":{{{}}}}}", many.join(",")),
        format!("{{\"weight_map\":{{\"a\":\"{}\"}}}}", "x".repeat(1_000_000)),
        "{\"weight_map\":{\"a\":\"\\u001b[2J\"}}".to_owned(),
        format!("{{\"weight_map\":{}{}}}", "{\"a\":".repeat(300_000), "}".repeat(300_000)),
    ] {
        let folder = copy_of("sharded");
        fs::write(folder.path().join(name), text).unwrap();
        load_error(folder.path());
    }
}

#[test]
fn hostile_tokenizers_are_refused() {
    for text in [
        "[".repeat(900_000),
        format!("{{\"added_tokens\":{}{}}}", "[".repeat(300_000), "]".repeat(300_000)),
        "{\"added_tokens\":[{}]}".to_owned(),
        "{\"added_tokens\":7}".to_owned(),
        format!("{{\"added_tokens\":[\"{}\"]}}", "x".repeat(40_000_000)),
        "{\"added_tokens\":".to_owned(),
        "\u{0}".to_owned(),
    ] {
        let folder = copy_of("safetensors");
        fs::remove_file(folder.path().join("tokenizer_config.json")).unwrap();
        fs::write(folder.path().join("tokenizer.json"), text).unwrap();
        let output = folder.path().join("output");
        let (result, growth) =
            memory::growth(|| import_model(folder.path(), &output, &ImportOptions::default()));
        let text = result.unwrap_err().to_string();
        assert!(text.contains("tokenizer.json"), "{text}");
        assert!(growth < MEMORY, "importing took {growth} bytes");
        assert!(!output.exists());
    }
}
