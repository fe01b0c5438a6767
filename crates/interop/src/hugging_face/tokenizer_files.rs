//! The tokenizer's files, which travel with the model.

use std::{fs, path::Path};

use nystromformer::NystromformerConfig;
use serde_json::{Map, Value, json};

use super::weights::read_json;
use crate::error::InteropError;

/// The file that holds a whole tokenizer.
const TOKENIZER_NAME: &str = "tokenizer.json";

/// The file that tells transformers how to use it.
const TOKENIZER_CONFIG_NAME: &str = "tokenizer_config.json";

/// Every file that a tokenizer of transformers can be made of.
const FILES: [&str; 9] = [
    TOKENIZER_NAME,
    TOKENIZER_CONFIG_NAME,
    "special_tokens_map.json",
    "added_tokens.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
];

/// Special tokens by role, as BERT and ALBERT write them, and as RoBERTa does.
const ROLES: [(&str, [&str; 2]); 5] = [
    ("pad_token", ["[PAD]", "<pad>"]),
    ("unk_token", ["[UNK]", "<unk>"]),
    ("cls_token", ["[CLS]", "<s>"]),
    ("sep_token", ["[SEP]", "</s>"]),
    ("mask_token", ["[MASK]", "<mask>"]),
];

/// Copies the tokenizer's files and returns their names, none if there is no tokenizer.
///
/// A `tokenizer.json` without its `tokenizer_config.json` gets one: transformers would otherwise take the
/// tokenizer for ALBERT's and add that one's special tokens. One that is there is made to fit the model: how
/// long its inputs are, and whether it knows more than one token type.
pub(super) fn copy(
    source: &Path,
    output: &Path,
    config: &NystromformerConfig,
    model_max_length: usize,
) -> Result<Vec<String>, InteropError> {
    let mut copied = Vec::new();
    for name in FILES {
        let from = source.join(name);
        if from.is_file() {
            let contents = fs::read(&from)
                .map_err(|error| InteropError::Read { path: from, source: error })?;
            write(&output.join(name), &contents)?;
            copied.push(name.to_owned());
        }
    }
    let has = |name: &str| copied.iter().any(|copied| copied == name);
    if has(TOKENIZER_CONFIG_NAME) {
        let path = output.join(TOKENIZER_CONFIG_NAME);
        let mut keys = read_json(&path, "it was there a moment ago")?;
        keys.insert("model_max_length".to_owned(), json!(model_max_length));
        keys.insert("model_input_names".to_owned(), json!(model_input_names(config)));
        write(&path, format!("{:#}\n", Value::Object(keys)).as_bytes())?;
    } else if has(TOKENIZER_NAME) {
        let tokenizer = read_json(&source.join(TOKENIZER_NAME), "it was there a moment ago")?;
        let text = tokenizer_config(&tokenizer, config, model_max_length);
        write(&output.join(TOKENIZER_CONFIG_NAME), format!("{text:#}\n").as_bytes())?;
        copied.push(TOKENIZER_CONFIG_NAME.into());
    }
    Ok(copied)
}

/// How to use a `tokenizer.json`: which of its special tokens has which role, and what the model reads.
fn tokenizer_config(
    tokenizer: &Map<String, Value>,
    config: &NystromformerConfig,
    model_max_length: usize,
) -> Value {
    let added: Vec<&str> = tokenizer
        .get("added_tokens")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|token| token.get("content").and_then(Value::as_str))
        .collect();
    let mut keys = json!({
        "clean_up_tokenization_spaces": false,
        "model_input_names": model_input_names(config),
        "model_max_length": model_max_length,
        "tokenizer_class": "PreTrainedTokenizerFast",
    });
    for (role, spellings) in ROLES {
        if let Some(token) = spellings.iter().find(|spelling| added.contains(spelling)) {
            keys[role] = json!(token);
        }
    }
    keys
}

/// What the tokenizer should hand to the model: types only if there is more than one.
fn model_input_names(config: &NystromformerConfig) -> &'static [&'static str] {
    if config.type_vocab_size > 1 {
        &["input_ids", "token_type_ids", "attention_mask"]
    } else {
        &["input_ids", "attention_mask"]
    }
}

fn write(path: &Path, contents: &[u8]) -> Result<(), InteropError> {
    fs::write(path, contents)
        .map_err(|source| InteropError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_found_in_both_spellings() {
        let config = NystromformerConfig { type_vocab_size: 1, ..Default::default() };
        let tokens = json!([{ "content": "<pad>" }, { "content": "[MASK]" }, { "content": "x" }]);
        let tokenizer = Map::from_iter([("added_tokens".to_owned(), tokens)]);
        let keys = tokenizer_config(&tokenizer, &config, 128);
        assert_eq!(keys["pad_token"], "<pad>");
        assert_eq!(keys["mask_token"], "[MASK]");
        assert_eq!(keys.get("unk_token"), None);
        assert_eq!(keys["model_input_names"], json!(["input_ids", "attention_mask"]));
        assert_eq!(keys["model_max_length"], 128);
    }
}
