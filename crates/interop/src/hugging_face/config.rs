//! `config.json`: Hugging Face's keys, and those that it does not have.
//!
//! Their values mean what they mean to transformers. A file without the key `semantics` was written by
//! transformers, so its model computes the `hf` semantics. Keys that change nothing here are accepted and
//! ignored; values that would change the model into one that this library does not have are refused.

use std::path::Path;

use nystromformer::component::Component as _;
use nystromformer::{
    AttentionConfig, AttentionKind, ClassInfo, Labels, NystromformerConfig, PinvInit, Semantics,
    VectorEmbeddingsConfig,
};
use nystromformer_files::say_once;
use serde_json::{Map, Value, json};

use super::{
    json_file::read_json, model_path::require_model_folder, paper_code, storage::StorageType,
};
use crate::error::InteropError;

/// Name of the file in a model folder.
pub const CONFIG_NAME: &str = "config.json";

/// Keys that have one value for which a model exists here: the key, that value, and why no other.
const FIXED: [(&str, Value, &str); 6] = [
    ("add_cross_attention", Value::Bool(false), "the model is an encoder without cross-attention"),
    ("is_encoder_decoder", Value::Bool(false), "the model is an encoder"),
    (
        "inv_coeff_init_option",
        Value::Bool(false),
        "transformers itself fails on any other value; the choice is called pinv_init here",
    ),
    ("tie_encoder_decoder", Value::Bool(false), "there is no decoder to tie"),
    ("pruned_heads", Value::Null, "pruned heads are not supported; save the model unpruned"),
    ("quantization_config", Value::Null, "save the weights unquantized"),
];

/// Keys that describe the file, the run, a tokenizer, text generation or another head, but not the encoder's
/// or the masked-language-modelling head's computation.
const IGNORED: [&str; 65] = [
    "_attn_implementation_autoset",
    "_commit_hash",
    "_name_or_path",
    "_num_labels",
    "architectures",
    "attn_implementation",
    "bad_words_ids",
    "begin_suppress_tokens",
    "classifier_dropout",
    "cls_token_id",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "label2id",
    "length_penalty",
    "mask_token_id",
    "max_length",
    "min_length",
    "model_type",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "output_scores",
    "prefix",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "temperature",
    "tf_legacy_loss",
    // Only a prediction head can be untied, and then its weights tell.
    "tie_word_embeddings",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "typical_p",
    "unk_token_id",
    "use_bfloat16",
    "use_cache",
    "use_return_dict",
    "xla_device",
    "language",
];

/// Keys of ours that are not written where they have their defaults.
const UNWRITTEN_DEFAULTS: [&str; 5] = [
    "conv_per_channel",
    "image_width",
    "position_embedding_type",
    "stem_kernel_size",
    "stem_layers",
];

/// Keys that a Nyströmformer has and no BERT: the first three are transformers', which writes them always.
const OWN_KEYS: [&str; 6] = [
    "num_landmarks",
    "segment_means_seq_len",
    "conv_kernel_size",
    "attention",
    "semantics",
    "pinv_iterations",
];

/// Whether a `config.json` names no family, and has nothing that only a Nyströmformer's has.
pub(crate) fn lacks_model_type(keys: &Map<String, Value>) -> bool {
    keys.get("model_type").is_none_or(Value::is_null)
        && !OWN_KEYS.iter().any(|key| keys.contains_key(*key))
}

/// Reads `dir/config.json`.
///
/// Keys that are absent have transformers' defaults. Without the key `semantics`, the model has transformers'
/// behaviour: `semantics = hf`, `pinv_init = original`, `attention = nystrom`. A `conv_kernel_size` of
/// `null` is 0, no convolution.
///
/// # Errors
/// If the file is absent, not JSON, of another architecture, has a key that is not known or a value that no
/// model here computes.
pub fn read_config(dir: &Path) -> Result<NystromformerConfig, InteropError> {
    require_model_folder(dir)?;
    read_config_file(&dir.join(CONFIG_NAME))
}

/// The same of a file of any name.
pub(crate) fn read_config_file(path: &Path) -> Result<NystromformerConfig, InteropError> {
    let path = path.to_owned();
    let refuse = |key: &str, value: &Value, reason: String| InteropError::Config {
        path: path.clone(),
        key: key.into(),
        value: value.to_string(),
        reason,
    };

    let found = read_json(&path, "a model folder holds config.json and the weights")?;
    match found.get("model_type").filter(|value| !value.is_null()) {
        None if lacks_model_type(&found) => {
            let reason = format!(
                "the key is missing, and so is every key of a Nyströmformer's own ({}): it looks like BERT's; make a \
                 Nyströmformer of it with `import --from`, or add `\"model_type\": \"nystromformer\"` if it is one",
                OWN_KEYS.join(", ")
            );
            return Err(refuse("model_type", &Value::Null, reason));
        }
        None => {}
        Some(Value::String(name)) if name == "nystromformer" => {}
        Some(Value::String(name))
            if ["bert", "roberta", "xlm-roberta", "camembert"].contains(&name.as_str()) =>
        {
            let reason =
                "only `nystromformer` models can be read; make one of it with `import --from`";
            return Err(refuse("model_type", &found["model_type"], reason.to_owned()));
        }
        Some(other) => {
            let reason = "only `nystromformer` models can be read, and by `import` those of `bert`, `roberta`, `xlm-roberta` and \
                          `camembert`; choose such a folder";
            return Err(refuse("model_type", other, reason.to_owned()));
        }
    }
    let labels = stated_labels(&path, &found)?;
    let mut ours = Map::new();
    for (key, value) in found {
        if let Some(reason) = refusal(&key, &value) {
            return Err(refuse(&key, &value, reason));
        }
        if is_fixed(&key) {
            continue;
        }
        if NystromformerConfig::keys().contains(&key.as_str()) {
            let value = match (key.as_str(), value) {
                ("conv_kernel_size", Value::Null) => json!(0),
                // An absent id is any id, not being part of the computation; absent classes are the default.
                ("bos_token_id" | "eos_token_id" | "id2label", Value::Null) => continue,
                (_, value) => value,
            };
            let single = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
            if let Err(error) = serde_json::from_value::<NystromformerConfig>(single) {
                return Err(refuse(&key, &value, error.to_string()));
            }
            ours.insert(key, value);
        } else if key == "task_specific_params" {
            let tasks: Vec<&str> =
                value.as_object().into_iter().flatten().map(|(task, _)| task.as_str()).collect();
            if !tasks.is_empty() {
                say_once(format!(
                    "`{}`: `task_specific_params` is not followed: transformers' pipelines put its keys for `{}` in the place of those \
                     of this file; write those that hold at its top",
                    path.display(),
                    tasks.join("`, `")
                ));
            }
        } else if !IGNORED.contains(&key.as_str()) {
            let reason = "unknown key; remove it if the model does not depend on it".into();
            return Err(refuse(&key, &value, reason));
        }
    }

    if let Some(labels) = labels {
        ours.insert("id2label".into(), json!(labels));
    }
    let is_hf = ours.get("semantics").is_none_or(|semantics| semantics == "hf");
    for (key, default) in [
        ("semantics", json!(Semantics::Hf)),
        ("attention", json!(AttentionKind::Nystrom)),
        ("pinv_init", if is_hf { json!(PinvInit::Original) } else { json!(PinvInit::Exact) }),
    ] {
        ours.entry(key).or_insert(default);
    }
    let config: NystromformerConfig = serde_json::from_value(Value::Object(ours))
        .map_err(|error| InteropError::Damaged { path: path.clone(), reason: error.to_string() })?;
    config.validate().map_err(|source| InteropError::Model { path, source })?;
    Ok(config)
}

/// Whether a key has one value at most for which a model exists here.
fn is_fixed(key: &str) -> bool {
    key == "auto_map" || FIXED.iter().any(|(fixed, ..)| *fixed == key)
}

/// Why such a key cannot have the value; `None` if it can.
fn refusal(key: &str, value: &Value) -> Option<String> {
    if key == "auto_map" {
        let is_run = !(value.is_null() || paper_code::is_ours(value));
        return is_run
            .then(|| "code that comes with a model is never run; remove the key".to_owned());
    }
    let (_, allowed, reason) = FIXED.iter().find(|(fixed, ..)| *fixed == key)?;
    let is_empty = value.as_object().is_some_and(Map::is_empty);
    let is_allowed = value == allowed || (allowed.is_null() && is_empty);
    (!is_allowed).then(|| format!("must be `{allowed}`: {reason}"))
}

/// Keys of another family's `config.json` that are neither `read` nor known to change nothing here.
///
/// # Errors
/// If a key has a value for which no model exists here, whatever the family.
pub(crate) fn unread_keys<'a>(
    path: &Path,
    keys: &'a Map<String, Value>,
    read: &[&str],
) -> Result<Vec<&'a str>, InteropError> {
    /// Those of other families that change nothing here: of poolers, of losses, of the memory that is taken.
    const CHANGE_NOTHING: [&str; 3] = ["chunk_size_feed_forward", "directionality", "problem_type"];
    let mut unread = Vec::new();
    for (key, value) in keys {
        if let Some(reason) = refusal(key, value) {
            let (path, key, value) = (path.to_owned(), key.clone(), value.to_string());
            return Err(InteropError::Config { path, key, value, reason });
        }
        let key = key.as_str();
        let is_known = is_fixed(key) || key.starts_with("pooler_");
        if !(is_known || [read, &IGNORED, &CHANGE_NOTHING].iter().any(|all| all.contains(&key))) {
            unread.push(key);
        }
    }
    Ok(unread)
}

/// More classes than a head has: their names would be listed one by one.
pub(crate) const MAX_LABELS: usize = 10_000;

/// The classes that a `config.json` of transformers states: by name, or by number alone, as older releases wrote
/// them where they were not two.
pub(crate) fn stated_labels(
    path: &Path,
    keys: &Map<String, Value>,
) -> Result<Option<Labels>, InteropError> {
    let refuse = |key: &str, value: String, reason: String| InteropError::Config {
        path: path.to_owned(),
        key: key.to_owned(),
        value,
        reason,
    };
    let too_many = |key: &str, count: u64| {
        refuse(key, count.to_string(), format!("more than {MAX_LABELS} classes are not read"))
    };
    if let Some(value) = keys.get("id2label").filter(|value| !value.is_null()) {
        let count = value.as_object().map_or(0, Map::len);
        if count > MAX_LABELS {
            return Err(too_many("id2label", count as u64));
        }
        let labels = serde_json::from_value(value.clone());
        return labels
            .map(Some)
            .map_err(|error| refuse("id2label", value.to_string(), error.to_string()));
    }
    let count = keys.get("num_labels").or(keys.get("_num_labels")).and_then(Value::as_u64);
    match count {
        Some(count) if count > MAX_LABELS as u64 => Err(too_many("num_labels", count)),
        Some(count) => Ok(Some(Labels::numbered(count as usize))),
        None => Ok(None),
    }
}

/// Writes `dir/config.json`, which [`read_config`] and transformers read; the folder must exist.
///
/// # Errors
/// If the configuration is not valid or the file cannot be written.
pub fn write_config(
    config: &NystromformerConfig,
    class: &ClassInfo,
    storage: StorageType,
    dir: &Path,
) -> Result<(), InteropError> {
    let path = dir.join(CONFIG_NAME);
    config.validate().map_err(|source| InteropError::Model { path: path.clone(), source })?;
    let text = format!("{:#}\n", to_json(config, class, storage));
    std::fs::write(&path, text).map_err(|source| InteropError::Write { path, source })
}

/// Adds to `dir/config.json` which classes of the modeling file beside it compute this model.
///
/// # Errors
/// If the file cannot be read or written.
pub(super) fn name_modeling_classes(class: &ClassInfo, dir: &Path) -> Result<(), InteropError> {
    let path = dir.join(CONFIG_NAME);
    let mut keys = read_json(&path, "it was written a moment ago")?;
    keys.insert("auto_map".into(), paper_code::auto_map(class));
    std::fs::write(&path, format!("{:#}\n", Value::Object(keys)))
        .map_err(|source| InteropError::Write { path, source })
}

/// The configuration as transformers writes it, with our keys among theirs, sorted.
fn to_json(config: &NystromformerConfig, class: &ClassInfo, storage: StorageType) -> Value {
    let mut keys = keys_of(config);
    for optional in ["problem_type", "label_mean", "label_std"] {
        if keys.get(optional).is_some_and(Value::is_null) {
            keys.remove(optional);
        }
    }
    let defaults = keys_of(&NystromformerConfig::default());
    for key in UNWRITTEN_DEFAULTS {
        if keys.get(key) == defaults.get(key) {
            keys.remove(key);
        }
    }
    if !config.vectors.is_used() {
        keys.retain(|key, _| !VectorEmbeddingsConfig::keys().contains(&key.as_str()));
    }
    // Those of the Nyström method are transformers' own, and those of exact attention too.
    let is_kept = |kind: AttentionKind| {
        [AttentionKind::Nystrom, AttentionKind::Softmax, config.attention.kind].contains(&kind)
    };
    for kind in AttentionKind::ALL.iter().filter(|kind| !is_kept(**kind)) {
        keys.retain(|key, _| !AttentionConfig::keys_of(*kind).contains(&key.as_str()));
    }
    if class.has_labels() || config.classifier.id2label != Labels::default() {
        let label2id: Map<String, Value> = config
            .classifier
            .id2label
            .names()
            .iter()
            .enumerate()
            .map(|(id, name)| (name.clone(), json!(id)))
            .collect();
        keys.insert("label2id".into(), Value::Object(label2id));
    } else {
        keys.remove("id2label");
    }
    if config.attention.convolution.conv_kernel_size == 0 {
        keys.insert("conv_kernel_size".into(), Value::Null);
    }
    for (key, value) in [
        ("add_cross_attention", json!(false)),
        ("architectures", json!([class.name])),
        ("inv_coeff_init_option", json!(false)),
        ("model_type", json!("nystromformer")),
        ("tie_word_embeddings", json!(true)),
        ("torch_dtype", json!(storage.name())),
    ] {
        keys.insert(key.into(), value);
    }
    let sorted: std::collections::BTreeMap<String, Value> = keys.into_iter().collect();
    json!(sorted)
}

fn keys_of(config: &NystromformerConfig) -> Map<String, Value> {
    match serde_json::to_value(config) {
        Ok(Value::Object(keys)) => keys,
        other => unreachable!("a struct of plain fields serialises to an object, got {other:?}"),
    }
}
