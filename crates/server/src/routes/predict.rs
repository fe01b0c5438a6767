//! `POST /predict`: the classes of texts and pairs of texts, in text-embeddings-inference's form.

use std::sync::Arc;

use nystromformer_pipelines::{TextClassification, TextPair, text_classification::LabelScore};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Described, Operation,
    inputs::{Direction, object_schema, truncate_schema},
};
use crate::{
    app::App,
    asking,
    error::ApiError,
    lane::Lane,
    models::{HeadLane, ServedModel},
    reply::Reply,
};

pub(super) struct Predict;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    inputs: Inputs,
    model: Option<String>,
    truncate: Option<bool>,
    truncation_direction: Option<Direction>,
    raw_scores: Option<bool>,
}

/// One text or pair, or a list of such, each in a list of its own.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a text, a pair [\"a\", \"b\"], or a batch of lists [[\"a\"], [\"a\", \"b\"]]"
)]
enum Inputs {
    Text(String),
    Pair(Vec<String>),
    Batch(Vec<Vec<String>>),
}

impl Inputs {
    /// The texts, and whether they are a batch.
    fn into_pairs(self) -> Result<(Vec<TextPair>, bool), ApiError> {
        Ok(match self {
            Self::Text(text) => (vec![TextPair { text, text_pair: None }], false),
            Self::Pair(texts) if texts.is_empty() => return Err(ApiError::empty("inputs")),
            Self::Pair(texts) => (vec![pair(texts)?], false),
            Self::Batch(batch) => (batch.into_iter().map(pair).collect::<Result<_, _>>()?, true),
        })
    }
}

fn pair(texts: Vec<String>) -> Result<TextPair, ApiError> {
    let count = texts.len();
    let mut texts = texts.into_iter();
    match (texts.next(), texts.next()) {
        (Some(text), text_pair) if count <= 2 => Ok(TextPair { text, text_pair }),
        _ => Err(ApiError::invalid(format!(
            "`inputs`: a list of {count} texts is no pair; a batch is a list of lists, [[\"a\"], [\"b\"], [\"c\", \"d\"]]"
        ))),
    }
}

/// A class.
#[derive(Serialize)]
struct Prediction {
    score: f64,
    label: String,
}

impl From<LabelScore> for Prediction {
    fn from(LabelScore { label, score }: LabelScore) -> Self {
        Self { score, label }
    }
}

impl Operation for Predict {
    const PATH: &'static str = "/predict";
    const SUMMARY: &'static str = "The classes of a text or a pair of texts, likeliest first";
    type Body = Body;

    fn is_served_by(model: &ServedModel) -> bool {
        lane(model).is_some()
    }

    fn described() -> Described {
        let texts =
            json!({"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2});
        let properties = json!({
            "inputs": {"oneOf": [
                {"type": "string"},
                {"description": "A pair", "type": "array", "items": {"type": "string"}, "maxItems": 2},
                {"description": "A batch of texts and pairs", "type": "array", "items": texts}
            ]},
            "truncate": truncate_schema(false),
            "truncation_direction": {"enum": ["Left", "Right", null]},
            "raw_scores": {
                "type": ["boolean", "null"], "default": false,
                "description": "The head's outputs in place of probabilities"
            }
        });
        let one = json!({"type": "array", "items": {
            "type": "object",
            "properties": {"score": {"type": "number"}, "label": {"type": "string"}}
        }});
        Described {
            request: object_schema(&["inputs"], properties),
            request_example: json!({"inputs": "A film to remember."}),
            answer: json!({"oneOf": [one, {"type": "array", "items": one}]}),
            answer_example: json!([
                {"score": 0.9, "label": "positive"}, {"score": 0.1, "label": "negative"}
            ]),
        }
    }

    async fn answer(app: Arc<App>, body: Body) -> Result<Reply, ApiError> {
        let name = body.model.as_deref();
        let (model, lane) = app.models.choose(Self::PATH, name, lane)?;
        Direction::check(body.truncation_direction, lane.served().keep())?;
        let (pairs, is_batch) = body.inputs.into_pairs()?;
        asking::check_count(&app, "inputs", pairs.len())?;
        let [truncate, raw_scores] =
            [body.truncate, body.raw_scores].map(Option::unwrap_or_default);
        let scored = asking::scores(&app, &model, &lane, pairs, truncate).await?;
        app.work(move |_| {
            let pipeline = lane.served().pipeline();
            let mut answers = scored.iter().map(|scored| {
                let outputs = pipeline.outputs(&scored.rows);
                let ranked = pipeline.ranked(&outputs, raw_scores).into_iter();
                ranked.map(Prediction::from).collect::<Vec<_>>()
            });
            if is_batch {
                return Reply::json(&answers.collect::<Vec<_>>());
            }
            Reply::json(&answers.next().unwrap_or_default())
        })
        .await?
    }
}

/// The lane of a sequence classifier.
pub(super) fn lane(model: &ServedModel) -> Option<Lane<TextClassification>> {
    match &model.head {
        HeadLane::Classification(lane) => Some(lane.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_list_is_one_pair_and_a_batch_is_a_list_of_lists() {
        let parse = |json: &str| {
            let (pairs, is_batch) = serde_json::from_str::<Inputs>(json).unwrap().into_pairs()?;
            let texts = |pair: TextPair| [Some(pair.text), pair.text_pair].into_iter().flatten();
            let texts: Vec<String> =
                pairs.into_iter().map(|pair| texts(pair).collect::<Vec<_>>().join("+")).collect();
            Ok::<_, ApiError>((texts.join(" "), is_batch))
        };
        assert_eq!(parse(r#""a""#).unwrap(), ("a".to_owned(), false));
        assert_eq!(parse(r#"["a"]"#).unwrap(), ("a".to_owned(), false));
        assert_eq!(parse(r#"["a", "b"]"#).unwrap(), ("a+b".to_owned(), false));
        assert_eq!(parse(r#"[["a"], ["b", "c"]]"#).unwrap(), ("a b+c".to_owned(), true));
        assert_eq!(parse("[]").unwrap_err().status, 400);
        for bad in [r#"["a", "b", "c"]"#, r#"[["a"], []]"#, r#"[["a", "b", "c"]]"#] {
            let refused = parse(bad).unwrap_err();
            assert!(refused.status == 422 && refused.message.contains("list of lists"), "{bad}");
        }
        assert!(serde_json::from_str::<Inputs>("[[1]]").is_err());
    }
}
