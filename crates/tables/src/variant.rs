//! A kind of attention with options: `nystrom`, `nystrom:num_landmarks=32`, `nystrom:pinv=solve+landmarks=strided`.

use std::fmt;
use std::str::FromStr;

use nystromformer::component::Problems;
use nystromformer::{AttentionConfig, AttentionKind, ModelError, SharedConfig};
use serde_json::{Map, Value};

/// The convolution beside an attention of any kind.
const CONVOLUTION: &str = "conv_kernel_size";

/// A kind of attention and the keys of `[model]` that are not as they are by default.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    kind: AttentionKind,
    /// By key.
    options: Map<String, Value>,
}

impl Variant {
    /// A kind as it is by default.
    pub fn of(kind: AttentionKind) -> Self {
        Self { kind, options: Map::new() }
    }

    /// The kind.
    pub fn kind(&self) -> AttentionKind {
        self.kind
    }

    /// Sets a key, `key=value`.
    ///
    /// # Errors
    /// If it is no assignment, or no key that the kind reads.
    pub fn set(&mut self, assignment: &str) -> Result<(), String> {
        let (key, value) = assignment
            .split_once('=')
            .ok_or_else(|| format!("`{assignment}` is no KEY=VALUE, as in `num_landmarks=32`"))?;
        let keys = AttentionConfig::keys_of(self.kind);
        if key != CONVOLUTION && !keys.contains(&key) {
            let known: Vec<&str> = keys.iter().copied().chain([CONVOLUTION]).collect();
            return Err(format!(
                "`{key}` is no key of attention `{}`: it has `{}`",
                self.kind.name(),
                known.join("`, `")
            ));
        }
        // A word is a text without its quotes.
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        self.options.insert(key.to_owned(), value);
        Ok(())
    }

    /// Sets a key unless it is set, or unless the kind does not read it.
    #[must_use]
    pub fn or(mut self, key: &str, value: impl Into<Value>) -> Self {
        let is_read = key == CONVOLUTION || AttentionConfig::keys_of(self.kind).contains(&key);
        if is_read && !self.options.contains_key(key) {
            self.options.insert(key.to_owned(), value.into());
        }
        self
    }

    /// The options, as `key=value` each.
    pub fn assignments(&self) -> Vec<String> {
        let assignment = |(key, value): (&String, &Value)| match value {
            Value::String(text) => format!("{key}={text}"),
            other => format!("{key}={other}"),
        };
        self.options.iter().map(assignment).collect()
    }

    /// The configuration; keys that are not set have the model's defaults.
    ///
    /// # Errors
    /// If a value is of the wrong type, or out of its bounds, or the kind reads pictures.
    pub fn config(&self) -> Result<AttentionConfig, String> {
        let mut keys = self.options.clone();
        keys.insert("attention".to_owned(), self.kind.name().into());
        let config: AttentionConfig = serde_json::from_value(Value::Object(keys))
            .map_err(|error| format!("`{self}`: {error}"))?;
        match Problems::of(&config).into_errors().first() {
            None if config.options().reads_picture() => Err(format!(
                "`{self}`: it needs a picture whose pixels are the tokens, and a table's sequences are none: leave it out"
            )),
            None => Ok(config),
            Some(problem) => Err(format!("`{self}`: {problem}")),
        }
    }

    /// Refuses a key that changes nothing in a whole configuration: its row would be another's by another name.
    ///
    /// # Errors
    /// Names the key, and what would read it.
    pub fn require_read(
        &self,
        config: &AttentionConfig,
        shared: &SharedConfig,
    ) -> Result<(), String> {
        let unread = config.options().unread_keys(shared);
        match unread.into_iter().find(|(key, _)| self.options.contains_key(*key)) {
            None => Ok(()),
            Some((key, reader)) => Err(format!(
                "`{self}`: `{key}` changes nothing, for it is read with {reader} alone: leave it out, or set that too"
            )),
        }
    }

    /// Whether it reads a sequence of `seq_len` tokens.
    ///
    /// # Errors
    /// As [`Self::config`], and what the kind says of the length.
    pub fn check_len(&self, seq_len: usize, shared: &SharedConfig) -> Result<(), String> {
        let of_kind = |error: ModelError| format!("`{self}`: {error}");
        self.config()?.options().check_len(seq_len, shared).map_err(of_kind)
    }
}

/// The name of a row.
impl fmt::Display for Variant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.kind.name())?;
        for (place, assignment) in self.assignments().iter().enumerate() {
            write!(formatter, "{}{assignment}", if place == 0 { ':' } else { '+' })?;
        }
        Ok(())
    }
}

impl FromStr for Variant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, options) = text.split_once(':').unwrap_or((text, ""));
        let found = AttentionKind::ALL.iter().find(|kind| kind.name() == name);
        let kind = found.ok_or_else(|| {
            let names: Vec<&str> = AttentionKind::ALL.iter().map(|kind| kind.name()).collect();
            format!("`{name}` is no kind of attention: there are `{}`", names.join("`, `"))
        })?;
        let mut variant = Self::of(*kind);
        for assignment in options.split('+').filter(|assignment| !assignment.is_empty()) {
            variant.set(assignment)?;
        }
        variant.config()?;
        Ok(variant)
    }
}

#[cfg(test)]
mod tests {
    use nystromformer::{LandmarkRule, PinvMethod};

    use super::*;

    #[test]
    fn a_row_is_named_as_it_is_typed() {
        for text in ["softmax", "nystrom:num_landmarks=32", "nystrom:landmarks=k_means+pinv=solve"]
        {
            assert_eq!(text.parse::<Variant>().unwrap().to_string(), text);
        }
        let variant: Variant = "nystrom:landmarks=k_means+pinv=solve".parse().unwrap();
        let config = variant.or("num_landmarks", 8).or("linformer_k", 3).config().unwrap();
        assert_eq!(config.nystrom.landmarks, LandmarkRule::KMeans);
        assert_eq!((config.nystrom.pinv, config.nystrom.num_landmarks), (PinvMethod::Solve, 8));
        assert_eq!(config.linformer.linformer_k, 256);
    }

    #[test]
    fn what_a_kind_does_not_read_is_refused_by_name() {
        for (text, part) in [
            ("fourier", "`fourier` is no kind of attention: there are `nystrom`"),
            ("softmax:num_landmarks=3", "`num_landmarks` is no key of attention `softmax`"),
            ("nystrom:num_landmarks", "no KEY=VALUE"),
            ("nystrom:num_landmarks=0", "must be at least 1"),
            ("nystrom:num_landmarks=many", "num_landmarks"),
            ("nystrom:landmarks=patches", "needs a picture"),
        ] {
            let error = text.parse::<Variant>().unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_changes_nothing_beside_the_other_options_is_refused() {
        let shared = SharedConfig::default();
        let read = |text: &str| {
            let variant: Variant = text.parse().unwrap();
            variant.require_read(&variant.config().unwrap(), &shared)
        };
        for (text, part) in [
            ("nystrom:k_means_steps=8", "`k_means_steps` changes nothing"),
            ("nystrom:pinv_ridge=0.1", "read with pinv = \"solve\""),
            ("nystrom:pinv=solve+pinv_iterations=20", "read with pinv = \"iterative\""),
            ("nystrom:segment_means_seq_len=512", "read with semantics = \"hf\""),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(read("nystrom:k_means_steps=8+landmarks=k_means"), Ok(()));
        // What is read may be said elsewhere.
        let variant: Variant = "nystrom:pinv_ridge=0.1".parse().unwrap();
        let config = variant.clone().or("pinv", "solve").config().unwrap();
        assert_eq!(variant.require_read(&config, &shared), Ok(()));
    }
}
