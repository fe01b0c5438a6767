//! The tokenizer's files, which travel with the model.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use nystromformer::NystromformerConfig;
use nystromformer_files::git_lfs;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    json_file::{read_json, read_json_file},
    transformers::transformers_approximates,
};
use crate::error::InteropError;

/// The file that holds a whole tokenizer.
const TOKENIZER_NAME: &str = "tokenizer.json";

/// Largest one that is read. That of XLM-R, with 250,000 tokens, has 17 MB.
const MAX_TOKENIZER_BYTES: u64 = 32 << 20;

/// The file that tells transformers how to use it.
const TOKENIZER_CONFIG_NAME: &str = "tokenizer_config.json";

/// The file that names its special tokens once more, for older versions.
const SPECIAL_TOKENS_NAME: &str = "special_tokens_map.json";

/// Every file that a tokenizer of transformers can be made of.
pub(super) const FILES: [&str; 9] = [
    TOKENIZER_NAME,
    TOKENIZER_CONFIG_NAME,
    SPECIAL_TOKENS_NAME,
    "added_tokens.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
];

/// A special token: its role as transformers calls it (`mask_token`), and its text (`[MASK]`).
pub type SpecialToken<'a> = (&'static str, &'a str);

/// Special tokens by role, as BERT and ALBERT write them, and as RoBERTa does.
const ROLES: [(&str, [&str; 2]); 5] = [
    ("pad_token", ["[PAD]", "<pad>"]),
    ("unk_token", ["[UNK]", "<unk>"]),
    ("cls_token", ["[CLS]", "<s>"]),
    ("sep_token", ["[SEP]", "</s>"]),
    ("mask_token", ["[MASK]", "<mask>"]),
];

/// The key of `tokenizer_config.json` that says how the texts were cut that a model trained on, as the data crate
/// writes it: an object with the `max_length`.
const TRAINED_TRUNCATION: &str = "trained_truncation";

/// The key of `tokenizer_config.json` that says in which windows the model read texts that are longer, as the data crate writes it.
const TRAINED_WINDOWS: &str = "trained_windows";

/// Writes a tokenizer into `dir`, which must exist, so that transformers' `AutoTokenizer` reads it:
/// `tokenizer.json` with the content `tokenizer`, `tokenizer_config.json` and `special_tokens_map.json`.
///
/// `settings` are further keys of `tokenizer_config.json`. `model` is the model that it travels with, whose
/// positions bound the length of an input if `settings` has no `model_max_length`.
///
/// # Errors
/// [`InteropError::Write`] if a file cannot be written.
pub fn write_tokenizer(
    tokenizer: &str,
    special_tokens: &[SpecialToken],
    settings: Map<String, Value>,
    model: &NystromformerConfig,
    dir: &Path,
) -> Result<(), InteropError> {
    let mut config =
        tokenizer_config(special_tokens, model, model.embeddings.max_position_embeddings);
    config.extend(settings);
    let config = Value::Object(config);
    let map: Map<String, Value> =
        special_tokens.iter().map(|&(role, token)| (role.to_owned(), json!(token))).collect();
    write(&dir.join(TOKENIZER_NAME), tokenizer.as_bytes())?;
    write(&dir.join(TOKENIZER_CONFIG_NAME), format!("{config:#}\n").as_bytes())?;
    write(&dir.join(SPECIAL_TOKENS_NAME), format!("{:#}\n", Value::Object(map)).as_bytes())
}

/// Writes a `tokenizer.json` to a folder.
pub(crate) fn write_json(tokenizer: &str, dir: &Path) -> Result<(), InteropError> {
    write(&dir.join(TOKENIZER_NAME), tokenizer.as_bytes())
}

/// Copies the tokenizer's files and returns their names, none if there is no tokenizer.
///
/// A `tokenizer.json` without its `tokenizer_config.json` gets one: transformers would otherwise take the
/// tokenizer for ALBERT's and add that one's special tokens. One that is there is made to fit the model: how
/// long its inputs are, which is no more than the model trained on unless transformers reads one length only, and
/// whether it knows more than one token type.
pub(crate) fn copy(
    source: &Path,
    output: &Path,
    config: &NystromformerConfig,
    model_max_length: usize,
) -> Result<Vec<String>, InteropError> {
    let mut copied = Vec::new();
    for name in FILES {
        let from = source.join(name);
        if from.is_file() {
            copy_file(&from, &output.join(name))?;
            copied.push(name.to_owned());
        }
    }
    if !copied.iter().any(|name| name == TOKENIZER_NAME) && output.join(TOKENIZER_NAME).is_file() {
        copied.push(TOKENIZER_NAME.to_owned());
    }
    let has = |name: &str| copied.iter().any(|copied| copied == name);
    if has(TOKENIZER_CONFIG_NAME) {
        let path = output.join(TOKENIZER_CONFIG_NAME);
        let mut keys = read_json(&path, "it was there a moment ago")?;
        let trained = trained_length(&keys);
        let length = match trained {
            Some(trained) if !transformers_approximates(config) => trained.min(model_max_length),
            _ => model_max_length,
        };
        keys.insert("model_max_length".to_owned(), json!(length));
        keys.insert("model_input_names".to_owned(), json!(model_input_names(config)));
        write(&path, format!("{:#}\n", Value::Object(keys)).as_bytes())?;
    } else if has(TOKENIZER_NAME) {
        let tokenizer: TokenizerFile =
            read_json_file(&output.join(TOKENIZER_NAME), MAX_TOKENIZER_BYTES)?;
        let text = tokenizer_config(&guess_roles(&tokenizer), config, model_max_length);
        let text = Value::Object(text);
        write(&output.join(TOKENIZER_CONFIG_NAME), format!("{text:#}\n").as_bytes())?;
        copied.push(TOKENIZER_CONFIG_NAME.into());
    }
    Ok(copied)
}

/// Tokens of the longest text that the model in `dir` trained on, if a run of ours trained it and says so.
pub(crate) fn trained_length_in(dir: &Path) -> Option<usize> {
    let path = dir.join(TOKENIZER_CONFIG_NAME);
    trained_length(&read_json(&path, "the settings of a tokenizer").ok()?)
}

/// What is to be said of a model that read long texts in windows, if the tokenizer in `dir` says so: other programs do not.
pub(crate) fn windows_note(dir: &Path) -> Option<String> {
    let keys = read_json(&dir.join(TOKENIZER_CONFIG_NAME), "the settings of a tokenizer").ok()?;
    let windows = keys.get(TRAINED_WINDOWS)?;
    let length = trained_length(&keys)?;
    Some(format!(
        "The model read a text of more than {length} tokens in overlapping windows and pooled their logits; `{TRAINED_WINDOWS}` of \
         `tokenizer_config.json` says how ({windows}). Other programs read the beginning of such a text alone, unless they are told to \
         do the same."
    ))
}

fn trained_length(keys: &Map<String, Value>) -> Option<usize> {
    let length = keys.get(TRAINED_TRUNCATION)?.get("max_length")?.as_u64()?;
    usize::try_from(length).ok()
}

/// How to use a `tokenizer.json`: which of its special tokens has which role, and what the model reads.
fn tokenizer_config(
    special_tokens: &[SpecialToken],
    config: &NystromformerConfig,
    model_max_length: usize,
) -> Map<String, Value> {
    let keys = [
        ("clean_up_tokenization_spaces", json!(false)),
        // transformers 5 leaves token_type_ids out unless told.
        ("model_input_names", json!(model_input_names(config))),
        ("model_max_length", json!(model_max_length)),
        ("tokenizer_class", json!("PreTrainedTokenizerFast")),
    ];
    let roles = special_tokens.iter().map(|(role, token)| (*role, json!(token)));
    keys.into_iter().chain(roles).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// What is read of a `tokenizer.json`; the rest is passed over.
#[derive(Deserialize)]
struct TokenizerFile {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
}

#[derive(Deserialize)]
struct AddedToken {
    content: String,
}

/// The special tokens of a `tokenizer.json` that says no roles, by their usual spellings.
fn guess_roles(tokenizer: &TokenizerFile) -> Vec<SpecialToken<'static>> {
    let added: Vec<&str> =
        tokenizer.added_tokens.iter().map(|token| token.content.as_str()).collect();
    ROLES
        .iter()
        .filter_map(|(role, spellings)| {
            let token = spellings.iter().find(|spelling| added.contains(spelling))?;
            Some((*role, *token))
        })
        .collect()
}

/// What the tokenizer should hand to the model: types only if there is more than one.
fn model_input_names(config: &NystromformerConfig) -> &'static [&'static str] {
    if config.embeddings.type_vocab_size > 1 {
        &["input_ids", "token_type_ids", "attention_mask"]
    } else {
        &["input_ids", "attention_mask"]
    }
}

/// Copies the contents alone: permissions are those of any new file. A Git LFS pointer is refused, and not handed on.
pub(super) fn copy_file(from: &Path, to: &Path) -> Result<(), InteropError> {
    git_lfs::check(from)?;
    let mut source =
        File::open(from).map_err(|source| InteropError::Read { path: from.to_owned(), source })?;
    File::create(to)
        .and_then(|mut target| io::copy(&mut source, &mut target))
        .map_err(|source| InteropError::Write { path: to.to_owned(), source })?;
    Ok(())
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
        let config =
            NystromformerConfig::default().with(|config| config.embeddings.type_vocab_size = 1);
        let tokens = json!([{ "content": "<pad>" }, { "content": "[MASK]" }, { "content": "x" }]);
        let tokenizer = json!({ "version": "1.0", "added_tokens": tokens });
        let tokenizer = serde_json::from_value(tokenizer).unwrap();
        let keys = tokenizer_config(&guess_roles(&tokenizer), &config, 128);
        assert_eq!(keys["pad_token"], "<pad>");
        assert_eq!(keys["mask_token"], "[MASK]");
        assert_eq!(keys.get("unk_token"), None);
        assert_eq!(keys["model_input_names"], json!(["input_ids", "attention_mask"]));
        assert_eq!(keys["model_max_length"], 128);
    }

    #[test]
    fn a_model_is_given_no_longer_texts_than_it_trained_on() {
        let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let copied = |keys: Value, model: &NystromformerConfig| {
            fs::write(source.path().join(TOKENIZER_CONFIG_NAME), keys.to_string()).unwrap();
            copy(source.path(), output.path(), model, 512).unwrap();
            let keys = read_json(&output.path().join(TOKENIZER_CONFIG_NAME), "").unwrap();
            (keys["model_max_length"].as_u64().unwrap(), trained_length_in(output.path()))
        };
        let exact = NystromformerConfig::default();
        let trained = json!({ TRAINED_TRUNCATION: { "max_length": 16, "keep": "head" } });
        assert_eq!(copied(trained.clone(), &exact), (16, Some(16)));
        assert_eq!(copied(json!({ "model_max_length": 16 }), &exact), (512, None));
        assert_eq!(windows_note(output.path()), None);
        let windows = json!({
            TRAINED_TRUNCATION: { "max_length": 16, "keep": "head" },
            TRAINED_WINDOWS: { "stride": 4, "max_windows": 9, "pooling": "mean" }
        });
        assert_eq!(copied(windows, &exact), (16, Some(16)));
        let note = windows_note(output.path()).unwrap();
        assert!(note.contains("more than 16 tokens") && note.contains("\"stride\":4"), "{note}");
        let longer = json!({ TRAINED_TRUNCATION: { "max_length": 600, "keep": "head" } });
        assert_eq!(copied(longer, &exact), (512, Some(600)));
        // transformers' approximation reads one length only.
        let fixed = exact.with(|config| config.attention.nystrom.segment_means_seq_len = 512);
        assert_eq!(copied(trained, &fixed), (512, Some(16)));
    }
}
