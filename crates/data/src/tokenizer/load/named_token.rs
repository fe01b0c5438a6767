//! Tokens as the files beside a tokenizer name them.

use serde_json::Value;
use tokenizers::AddedToken;

/// A special token as the settings name it: by its text, or with all that there is to say of it.
#[derive(Debug, Clone)]
pub(super) enum NamedToken {
    Text(String),
    Full(AddedToken),
}

impl NamedToken {
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(Self::Text(text.clone())),
            value => read_token(value, true).map(Self::Full),
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Full(token) => &token.content,
        }
    }

    pub(super) fn content(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Full(token) => token.content,
        }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.text() == other.text()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text().is_empty()
    }
}

/// A token as a JSON object: its `content` and whether it is special, takes the blanks beside it, is
/// looked for in the normalised text, and must be a word by itself.
pub(super) fn read_token(value: &Value, special: bool) -> Result<AddedToken, String> {
    let content = value.get("content").and_then(Value::as_str);
    let content = content.ok_or_else(|| format!("`{value}` is no token: it has no `content`"))?;
    let flag = |key: &str| value.get(key).and_then(Value::as_bool);
    let token = AddedToken::from(content, flag("special").unwrap_or(special));
    let normalized = flag("normalized").unwrap_or(token.normalized);
    Ok(token
        .normalized(normalized)
        .lstrip(flag("lstrip").unwrap_or(false))
        .rstrip(flag("rstrip").unwrap_or(false))
        .single_word(flag("single_word").unwrap_or(false)))
}
