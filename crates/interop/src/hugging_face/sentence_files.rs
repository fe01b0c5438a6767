//! What sentence-transformers keeps beside an encoder: what becomes of its hidden states, and how texts are read.

use std::{fs, path::Path};

use nystromformer::Architecture;
use serde_json::{Value, json};

use super::json_file::{read_json, read_json_file};
use super::tokenizer_files::copy_file;
use crate::error::InteropError;

const POOLING: &str = "1_Pooling/config.json";
const MODULES: &str = "modules.json";
const READING: &str = "sentence_bert_config.json";
const PROMPTS: &str = "config_sentence_transformers.json";

/// Every file that is read, where it is there.
pub(super) const FILES: [&str; 4] = [POOLING, MODULES, READING, PROMPTS];

/// Largest list of modules read.
const MAX_MODULES_BYTES: u64 = 1 << 16;

/// The modules of sentence-transformers that need nothing but the encoder and its pooling, by the last part of their type.
const KNOWN_MODULES: [&str; 3] = ["Transformer", "Pooling", "Normalize"];

/// What becomes of a text's hidden states, by the words of sentence-transformers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SentencePooling {
    /// Their mean.
    #[default]
    Mean,
    /// That of the first token.
    Cls,
}

impl SentencePooling {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
        }
    }
}

/// What the files of sentence-transformers in a folder say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SentenceFiles {
    /// What becomes of hidden states; `None` if nothing is said, and then sentence-transformers takes the mean.
    pub pooling: Option<SentencePooling>,
    /// What they say besides and nothing here follows, a sentence each.
    pub left_out: Vec<String>,
}

impl SentenceFiles {
    /// Of a model's folder; nothing if it has none of the files.
    ///
    /// # Errors
    /// [`InteropError::Unsupported`] if they ask for another pooling or further modules, such as a dense layer: without them
    /// embeddings are others; [`InteropError::Damaged`] and [`InteropError::Read`].
    pub fn of_folder(folder: &Path) -> Result<Self, InteropError> {
        require_known_modules(&folder.join(MODULES))?;
        let pooling = pooling(&folder.join(POOLING))?;
        let mut left_out = Vec::new();
        let path = folder.join(READING);
        if path.is_file() {
            let keys = read_json(&path, "how texts are read")?;
            if let Some(length) = keys.get("max_seq_length").and_then(Value::as_u64) {
                left_out.push(format!(
                    "sentence-transformers reads the first {length} tokens of a text (`max_seq_length` of `{READING}`); here it is \
                     read as far as the model goes, or was trained"
                ));
            }
            if keys.get("do_lower_case") == Some(&Value::Bool(true)) {
                left_out.push(format!(
                    "sentence-transformers makes texts lower-case (`do_lower_case` of `{READING}`); here the tokenizer alone decides"
                ));
            }
        }
        let path = folder.join(PROMPTS);
        if path.is_file() {
            let keys = read_json(&path, "prompts")?;
            if let Some(name) = keys.get("default_prompt_name").and_then(Value::as_str) {
                left_out.push(format!(
                    "sentence-transformers puts its prompt `{name}` before each text (`default_prompt_name` of `{PROMPTS}`); here \
                     texts are read as they are"
                ));
            }
        }
        Ok(Self { pooling, left_out })
    }

    /// Whether the files in `folder` go along with a model of this class, and what is to be said of them: beside a head nobody reads
    /// them, and what is not computed here does not go along.
    pub(crate) fn going_along(folder: &Path, architecture: Architecture) -> (bool, Vec<String>) {
        if architecture != Architecture::Base {
            return (false, Vec::new());
        }
        match Self::of_folder(folder) {
            Ok(files) => (true, files.left_out),
            Err(error) => {
                (false, vec![format!("sentence-transformers' files do not go along: {error}")])
            }
        }
    }

    /// Copies the files of an encoder without a head into its new folder.
    pub(crate) fn copy(source: &Path, output: &Path) -> Result<(), InteropError> {
        for name in FILES {
            let (from, to) = (source.join(name), output.join(name));
            if from.is_file() {
                make_parent(&to)?;
                copy_file(&from, &to)?;
            }
        }
        Ok(())
    }
}

/// Refuses modules that nothing here computes.
fn require_known_modules(path: &Path) -> Result<(), InteropError> {
    if !path.is_file() {
        return Ok(());
    }
    let modules: Vec<Value> = read_json_file(path, MAX_MODULES_BYTES)?;
    for module in &modules {
        let kind = module.get("type").and_then(Value::as_str).unwrap_or_default();
        if !KNOWN_MODULES.contains(&kind.rsplit('.').next().unwrap_or(kind)) {
            let reason = format!(
                "the module `{kind}` behind the encoder is not computed, and without it embeddings are others: take a model without \
                 it, or delete this file, and embeddings are the encoder's"
            );
            return Err(InteropError::Unsupported { path: path.to_owned(), reason });
        }
    }
    Ok(())
}

fn pooling(path: &Path) -> Result<Option<SentencePooling>, InteropError> {
    if !path.is_file() {
        return Ok(None);
    }
    let keys = read_json(path, "the pooling of hidden states")?;
    let asked: Vec<&str> = keys
        .iter()
        .filter(|(key, value)| key.starts_with("pooling_mode_") && **value == Value::Bool(true))
        .map(|(key, _)| key.as_str())
        .collect();
    match asked[..] {
        ["pooling_mode_cls_token"] => Ok(Some(SentencePooling::Cls)),
        ["pooling_mode_mean_tokens"] => Ok(Some(SentencePooling::Mean)),
        [] => Ok(None),
        _ => {
            let reason = format!(
                "`{}` is not computed; `pooling_mode_mean_tokens` and `pooling_mode_cls_token` are, one of them",
                asked.join("`, `")
            );
            Err(InteropError::Unsupported { path: path.to_owned(), reason })
        }
    }
}

/// Writes the pooling of an encoder.
pub(crate) fn write_pooling(
    pooling: SentencePooling,
    hidden_size: usize,
    dir: &Path,
) -> Result<(), InteropError> {
    let keys = json!({
        "word_embedding_dimension": hidden_size,
        "pooling_mode_cls_token": pooling == SentencePooling::Cls,
        "pooling_mode_mean_tokens": pooling == SentencePooling::Mean,
        "pooling_mode_max_tokens": false,
        "pooling_mode_mean_sqrt_len_tokens": false,
        "pooling_mode_weightedmean_tokens": false,
        "pooling_mode_lasttoken": false,
        "include_prompt": true,
    });
    let path = dir.join(POOLING);
    make_parent(&path)?;
    fs::write(&path, format!("{keys:#}\n")).map_err(|source| InteropError::Write { path, source })
}

fn make_parent(path: &Path) -> Result<(), InteropError> {
    let Some(parent) = path.parent() else { return Ok(()) };
    fs::create_dir_all(parent)
        .map_err(|source| InteropError::Write { path: parent.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, text: &str) -> Result<SentenceFiles, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        make_parent(&path).unwrap();
        fs::write(path, text).unwrap();
        SentenceFiles::of_folder(folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn one_pooling_is_taken_and_others_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(SentenceFiles::of_folder(folder.path()).unwrap(), SentenceFiles::default());
        let pooling = |text: &str| with(POOLING, text).map(|files| files.pooling);
        let cls = r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#;
        assert_eq!(pooling(cls), Ok(Some(SentencePooling::Cls)));
        let mean = r#"{"word_embedding_dimension": 8, "pooling_mode_mean_tokens": true}"#;
        assert_eq!(pooling(mean), Ok(Some(SentencePooling::Mean)));
        assert_eq!(pooling("{}"), Ok(None));
        let max = pooling(r#"{"pooling_mode_max_tokens": true}"#).unwrap_err();
        assert!(max.contains("`pooling_mode_max_tokens`") && max.contains("config.json"), "{max}");
        let both = r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}"#;
        assert!(pooling(both).is_err() && pooling("[1").is_err());
    }

    #[test]
    fn what_is_not_computed_is_refused_or_named() {
        let module = |kind: &str| {
            format!(r#"[{{"idx": 0, "type": "sentence_transformers.models.{kind}"}}]"#)
        };
        for known in KNOWN_MODULES {
            assert_eq!(with(MODULES, &module(known)), Ok(SentenceFiles::default()));
        }
        let dense = with(MODULES, &module("Dense")).unwrap_err();
        assert!(dense.contains("models.Dense` behind the encoder is not computed"), "{dense}");
        let reading = with(READING, r#"{"max_seq_length": 6, "do_lower_case": true}"#).unwrap();
        assert!(reading.left_out[0].contains("first 6 tokens"), "{reading:?}");
        assert!(reading.left_out[1].contains("`do_lower_case`"), "{reading:?}");
        let prompts = with(PROMPTS, r#"{"default_prompt_name": "query"}"#).unwrap();
        assert!(prompts.left_out[0].contains("`query`"), "{prompts:?}");
        let usual = with(PROMPTS, r#"{"prompts": {}, "default_prompt_name": null}"#).unwrap();
        assert_eq!(usual, SentenceFiles::default());
    }
}
