//! What an importer knows of a family of checkpoints.

use std::{collections::BTreeMap, path::Path};

use burn::store::burn_pack::Tensor;
use nystromformer::NystromformerConfig;
use serde_json::{Map, Value};

use crate::error::InteropError;

/// What becomes of a tensor.
pub(super) enum Renamed {
    /// It is the parameter of this published name.
    To(String),
    /// Nothing here computes with it.
    LeftOut,
}

/// Where a family's position table begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PositionOffset {
    /// The first token has row 2, as here: the table has two rows more than positions.
    Two,
    /// The first token has row 0.
    Zero,
}

/// Name and shape of every tensor of a file.
pub(super) type Shapes = BTreeMap<String, Vec<usize>>;

/// A checkpoint of some family, read as a Nyströmformer.
pub(super) struct ForeignModel {
    /// The model it becomes, before anything is overridden.
    pub(super) config: NystromformerConfig,
    /// Where its position table begins.
    pub(super) positions: PositionOffset,
    /// Whether its layers have the convolution; if not, it is fresh.
    pub(super) has_convolution: bool,
    /// From stored names to published ones.
    pub(super) rename: Box<dyn Fn(&str) -> Renamed>,
    /// What to call the model it was, on the model card; `None` if it is a Nyströmformer of transformers, whose
    /// own card is kept.
    pub(super) family: Option<&'static str>,
    /// What to know of the result, a sentence or two each.
    pub(super) notes: Vec<String>,
}

impl ForeignModel {
    /// The tensors under their published names, and the names of those that are left out.
    pub(super) fn rename_all(
        &self,
        path: &Path,
        tensors: BTreeMap<String, Tensor>,
    ) -> Result<(BTreeMap<String, Tensor>, Vec<String>), InteropError> {
        let mut renamed = BTreeMap::new();
        let mut left_out = Vec::new();
        for (stored, tensor) in tensors {
            match (self.rename)(&stored) {
                Renamed::LeftOut => left_out.push(stored),
                Renamed::To(name) => {
                    if renamed.insert(name.clone(), tensor).is_some() {
                        let reason = format!("`{stored}` is a second `{name}`");
                        return Err(InteropError::Damaged { path: path.to_owned(), reason });
                    }
                }
            }
        }
        Ok((renamed, left_out))
    }
}

/// The keys of a foreign configuration, each of which is read once.
pub(super) struct Keys<'a> {
    path: &'a Path,
    keys: &'a Map<String, Value>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(path: &'a Path, keys: &'a Map<String, Value>) -> Self {
        Self { path, keys }
    }

    /// A size or an id, which must be there.
    pub(super) fn size(&self, key: &str) -> Result<usize, InteropError> {
        match self.keys.get(key) {
            Some(_) => self.size_or(key, 0),
            None => Err(self.refuse(key, &Value::Null, "the key is missing")),
        }
    }

    /// A size or an id; `default` if there is none.
    pub(super) fn size_or(&self, key: &str, default: usize) -> Result<usize, InteropError> {
        match self.keys.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => value
                .as_u64()
                .and_then(|value| usize::try_from(value).ok())
                .ok_or_else(|| self.refuse(key, value, "it must be a whole number, 0 or more")),
        }
    }

    /// A number; `default` if there is none.
    pub(super) fn number_or(&self, key: &str, default: f64) -> Result<f64, InteropError> {
        match self.keys.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => {
                value.as_f64().ok_or_else(|| self.refuse(key, value, "it must be a number"))
            }
        }
    }

    /// A text; `default` if there is none.
    pub(super) fn text_or(&self, key: &str, default: &'a str) -> Result<&'a str, InteropError> {
        match self.keys.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => {
                value.as_str().ok_or_else(|| self.refuse(key, value, "it must be a text"))
            }
        }
    }

    /// Whether a switch is on; off if it is absent.
    pub(super) fn is_on(&self, key: &str) -> Result<bool, InteropError> {
        self.parsed_or(key, false)
    }

    /// Whether the key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// A value of the key that no model here has.
    pub(super) fn refuse(&self, key: &str, value: &Value, reason: &str) -> InteropError {
        InteropError::Config {
            path: self.path.to_owned(),
            key: key.to_owned(),
            value: value.to_string(),
            reason: reason.to_owned(),
        }
    }

    /// A value of our type, read from the key's; `default` if there is none.
    pub(super) fn parsed_or<T: serde::de::DeserializeOwned>(
        &self,
        key: &str,
        default: T,
    ) -> Result<T, InteropError> {
        match self.keys.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => serde_json::from_value(value.clone())
                .map_err(|error| self.refuse(key, value, &error.to_string())),
        }
    }
}
