//! Parts of requests that several routes share.

use nystromformer_data::Keep;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;

/// A text, or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
pub(super) enum Texts {
    /// One, whose answer stands alone where the route says so.
    One(String),
    /// A list, answered by a list.
    Many(Vec<String>),
}

impl Texts {
    pub(super) fn is_one(&self) -> bool {
        matches!(self, Self::One(_))
    }

    pub(super) fn into_list(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

/// Which end of a text that is too long is cut off; names are text-embeddings-inference's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Direction {
    /// Its beginning.
    #[serde(alias = "left")]
    Left,
    /// Its end.
    #[serde(alias = "right")]
    Right,
}

impl Direction {
    /// Refuses another direction than the model's own.
    ///
    /// # Errors
    /// 422.
    pub(super) fn check(asked: Option<Self>, keep: Keep) -> Result<(), ApiError> {
        match (asked, keep) {
            (None, _) | (Some(Self::Right), Keep::Head) | (Some(Self::Left), Keep::Tail) => Ok(()),
            (Some(_), keep) => {
                let kept = match keep {
                    Keep::Head => "the beginning",
                    Keep::Tail => "the end",
                    Keep::HeadTail => "both ends",
                };
                Err(ApiError::invalid(format!(
                    "`truncation_direction`: this model keeps {kept} of a text; leave the key out"
                )))
            }
        }
    }
}

/// The schema of [`Texts`].
pub(super) fn texts_schema() -> Value {
    json!({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
}

/// The schema of an object with these properties. `model` is one of every request's.
pub(super) fn object_schema(required: &[&str], mut properties: Value) -> Value {
    properties["model"] = json!({
        "type": ["string", "null"],
        "description": "Which model, where several answer this route"
    });
    json!({
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": false
    })
}

/// The schema of `truncate`.
pub(super) fn truncate_schema(default: bool) -> Value {
    json!({
        "type": ["boolean", "null"],
        "default": default,
        "description": "Cut texts that are too long, in place of 413"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_one_or_a_list() {
        let parse =
            |json: &str| serde_json::from_str::<Texts>(json).map_err(|error| error.to_string());
        assert_eq!(parse(r#""a""#), Ok(Texts::One("a".to_owned())));
        assert_eq!(parse("[]"), Ok(Texts::Many(Vec::new())));
        for bad in ["3", "[3]", r#"[["a"]]"#, "{}", "null"] {
            let message = parse(bad).unwrap_err();
            assert!(message.contains("a text or a list of texts"), "{message}");
        }
    }

    #[test]
    fn another_direction_than_the_models_is_refused() {
        assert!(Direction::check(None, Keep::HeadTail).is_ok());
        assert!(Direction::check(Some(Direction::Right), Keep::Head).is_ok());
        assert!(Direction::check(Some(Direction::Left), Keep::Tail).is_ok());
        let refused = Direction::check(Some(Direction::Left), Keep::Head).unwrap_err();
        assert!(refused.message.contains("the beginning"), "{}", refused.message);
    }
}
