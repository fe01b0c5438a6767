//! What the JSON files beside a tokenizer say of it, put together as transformers 4.56.2 does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokenizers::{AddedToken, Tokenizer};

use super::super::SpecialTokens;
use super::super::lengths::{TRAINED_ANSWERS, TRAINED_TRUNCATION, TRAINED_WINDOWS};
use super::file;
use super::named_token::{NamedToken, read_token};
use crate::error::DataError;
use crate::trained::TrainedReading;
use crate::truncation::Keep;

/// The file of a tokenizer's settings.
pub(super) const CONFIG: &str = "tokenizer_config.json";
const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";
const ADDED_TOKENS: &str = "added_tokens.json";
/// The key of [`CONFIG`] that lists added words with their ids.
const ADDED_TOKENS_DECODER: &str = "added_tokens_decoder";

/// transformers' order of special tokens, in which those that a vocabulary lacks get their ids.
const ROLES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The settings of a tokenizer.
#[derive(Debug)]
pub(super) struct Settings {
    folder: PathBuf,
    /// `tokenizer_config.json`; `None` if there is none.
    config: Option<Map<String, Value>>,
    /// The same, with `special_tokens_map.json` laid over it where transformers reads that.
    keys: Map<String, Value>,
    /// Words with their ids: of `added_tokens_decoder`, or of `added_tokens.json`.
    added_tokens: BTreeMap<u32, AddedToken>,
    class: Option<String>,
}

impl Settings {
    /// Reads the files that are in `folder`.
    pub(super) fn read(folder: &Path) -> Result<Self, DataError> {
        let config = read_object(&folder.join(CONFIG))?;
        let mut keys = config.clone().unwrap_or_default();
        let mut added_tokens = BTreeMap::new();
        if let Some(listed) = keys.get(ADDED_TOKENS_DECODER) {
            let path = folder.join(CONFIG);
            let wrong = |problem: String| {
                DataError::tokenizer_at(&path, format!("`{ADDED_TOKENS_DECODER}`: {problem}"))
            };
            let listed = listed.as_object().ok_or_else(|| wrong("not an object".to_owned()))?;
            for (id, token) in listed {
                let number = id.parse().map_err(|_| wrong(format!("`{id}` is no id")))?;
                added_tokens.insert(number, read_token(token, false).map_err(&wrong)?);
            }
        } else {
            let map = read_object(&folder.join(SPECIAL_TOKENS_MAP))?.unwrap_or_default();
            lay_over(&mut keys, map);
        }
        let mut settings =
            Self { folder: folder.to_owned(), class: None, config, keys, added_tokens };
        settings.class = settings.find_class()?;
        if !settings.keys.contains_key(ADDED_TOKENS_DECODER) {
            settings.read_added_tokens()?;
        }
        Ok(settings)
    }

    /// `added_tokens.json`, the older form: only words and ids.
    fn read_added_tokens(&mut self) -> Result<(), DataError> {
        let path = self.folder.join(ADDED_TOKENS);
        let special: Vec<String> =
            self.named_tokens()?.into_iter().map(NamedToken::content).collect();
        for (content, id) in read_object(&path)?.unwrap_or_default() {
            let id = id.as_u64().and_then(|id| u32::try_from(id).ok()).ok_or_else(|| {
                DataError::tokenizer_at(&path, format!("`{id}` is no id for `{content}`"))
            })?;
            let is_special = special.contains(&content);
            self.added_tokens.insert(id, AddedToken::from(content, is_special));
        }
        Ok(())
    }

    /// transformers' class of the tokenizer, without `Fast`: as the settings name it, else as the
    /// model's `config.json` does, else that of the model's type.
    fn find_class(&self) -> Result<Option<String>, DataError> {
        if let Some(class) = self.text("tokenizer_class") {
            return Ok(Some(without_fast(class)));
        }
        let Some(model) = read_object(&self.folder.join("config.json"))? else { return Ok(None) };
        let text = |key: &str| model.get(key).and_then(Value::as_str);
        Ok(text("tokenizer_class").map(without_fast).or_else(|| {
            let class = match text("model_type")? {
                "bert" => "BertTokenizer",
                "distilbert" => "DistilBertTokenizer",
                "electra" => "ElectraTokenizer",
                "mobilebert" => "MobileBertTokenizer",
                "convbert" => "ConvBertTokenizer",
                "roberta" => "RobertaTokenizer",
                "longformer" => "LongformerTokenizer",
                "albert" | "nystromformer" => "AlbertTokenizer",
                _ => return None,
            };
            Some(class.to_owned())
        }))
    }

    /// Where the files lie, for messages.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// `tokenizer_config.json`, for messages.
    pub(super) fn config_path(&self) -> PathBuf {
        self.folder.join(CONFIG)
    }

    /// The keys of `tokenizer_config.json`; `None` if there is no such file.
    pub(super) fn config(&self) -> Option<&Map<String, Value>> {
        self.config.as_ref()
    }

    /// transformers' class of the tokenizer, without `Fast`.
    pub(super) fn class(&self) -> Option<&str> {
        self.class.as_deref()
    }

    /// Added words by id; those that the vocabulary's own file has are not among them.
    pub(super) fn added_tokens(&self) -> &BTreeMap<u32, AddedToken> {
        &self.added_tokens
    }

    /// Whether [`Self::added_tokens`] are all there are, also of those in a tokenizer.json.
    pub(super) fn lists_all_added_tokens(&self) -> bool {
        self.keys.contains_key(ADDED_TOKENS_DECODER)
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.keys.get(key)?.as_bool()
    }

    /// The text at `key` (`mask_token` …), which is a string or an object with `content`.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        let value = self.keys.get(key)?;
        value.as_str().or_else(|| value.get("content")?.as_str())
    }

    /// The special tokens that the settings name, in transformers' order, each once.
    pub(super) fn named_tokens(&self) -> Result<Vec<NamedToken>, DataError> {
        let list = self.keys.get("additional_special_tokens").and_then(Value::as_array);
        let extra = self.keys.get("extra_special_tokens");
        // transformers 5 writes a list, 4 an object of roles.
        let extra: Vec<&Value> = match extra {
            Some(Value::Object(roles)) => roles.values().collect(),
            Some(Value::Array(tokens)) => tokens.iter().collect(),
            _ => Vec::new(),
        };
        let roles = ROLES.iter().filter_map(|role| self.keys.get(*role));
        let values = roles.chain(list.into_iter().flatten()).chain(extra);
        let mut named: Vec<NamedToken> = Vec::new();
        for value in values.filter(|value| !value.is_null()) {
            let token = NamedToken::read(value)
                .map_err(|problem| DataError::tokenizer_at(&self.folder, problem))?;
            if !token.is_empty() && !named.iter().any(|other| other.is(&token)) {
                named.push(token);
            }
        }
        Ok(named)
    }

    /// The five tokens of a masked language model by the settings, or else by the names that the
    /// families of BERT and RoBERTa give them.
    pub(super) fn special_tokens(
        &self,
        tokenizer: &Tokenizer,
        families: [SpecialTokens<&'static str>; 2],
    ) -> Result<SpecialTokens<String>, String> {
        let known = |token: &str| tokenizer.token_to_id(token).is_some();
        let usual = SpecialTokens {
            pad: families.each_ref().map(|family| family.pad),
            unk: families.each_ref().map(|family| family.unk),
            cls: families.each_ref().map(|family| family.cls),
            sep: families.each_ref().map(|family| family.sep),
            mask: families.each_ref().map(|family| family.mask),
        };
        usual.try_map(|role, usual| {
            let named = self.text(&format!("{role}_token"));
            let mut candidates = named.into_iter().chain(usual.iter().copied());
            candidates.find(|token| known(token)).map(str::to_owned).ok_or_else(|| {
                format!(
                    "it has no {role} token; name one as `{role}_token` in special_tokens_map.json"
                )
            })
        })
    }

    /// Whether `model_input_names` leaves `token_type_ids` out.
    pub(super) fn lacks_types(&self) -> bool {
        let names = self.keys.get("model_input_names").and_then(Value::as_array);
        names.is_some_and(|names| !names.iter().any(|name| name == "token_type_ids"))
    }

    /// `model_max_length`, or `max_len` as it was once called; without a limit transformers writes a
    /// number beyond all integers.
    pub(super) fn model_max_length(&self) -> Option<usize> {
        let length = self.keys.get("model_max_length").or_else(|| self.keys.get("max_len"))?;
        let length = length.as_u64().and_then(|length| usize::try_from(length).ok())?;
        (length > 0).then_some(length)
    }

    /// What is kept of a text that is too long, by `truncation_side`.
    pub(super) fn keep(&self) -> Result<Keep, DataError> {
        match self.text("truncation_side") {
            None | Some("right") => Ok(Keep::Head),
            Some("left") => Ok(Keep::Tail),
            Some(side) => Err(DataError::tokenizer_at(
                &self.config_path(),
                format!("`truncation_side` is `{side}`; it is \"right\" or \"left\""),
            )),
        }
    }

    /// How a run of ours trained the model.
    pub(super) fn trained(&self) -> Result<TrainedReading, DataError> {
        Ok(TrainedReading {
            truncation: self.of_training(TRAINED_TRUNCATION)?,
            windows: self.of_training(TRAINED_WINDOWS)?,
            answers: self.of_training(TRAINED_ANSWERS)?,
        })
    }

    fn of_training<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, DataError> {
        let Some(value) = self.keys.get(key) else { return Ok(None) };
        serde_json::from_value(value.clone()).map(Some).map_err(|error| {
            DataError::tokenizer_at(&self.config_path(), format!("`{key}`: {error}"))
        })
    }
}

/// `special_tokens_map.json` over `tokenizer_config.json`: its tokens win, and the lists of further
/// special tokens are joined.
fn lay_over(keys: &mut Map<String, Value>, map: Map<String, Value>) {
    for (key, value) in map {
        let value = match value {
            Value::Array(tokens) if key == "additional_special_tokens" => {
                let mut all = match keys.remove(&key) {
                    Some(Value::Array(all)) => all,
                    _ => Vec::new(),
                };
                all.extend(tokens);
                Value::Array(all)
            }
            value => value,
        };
        keys.insert(key, value);
    }
}

fn without_fast(class: &str) -> String {
    class.strip_suffix("Fast").unwrap_or(class).to_owned()
}

/// The object in a JSON file; `None` if there is no such file.
fn read_object(path: &Path) -> Result<Option<Map<String, Value>>, DataError> {
    if !fs::exists(path).map_err(DataError::io("read", path))? {
        return Ok(None);
    }
    let text = file::read_text(path)?;
    let object = serde_json::from_slice(&text).map_err(|error| {
        DataError::tokenizer_at(path, format!("not an object of JSON: {error}"))
    })?;
    Ok(Some(object))
}
