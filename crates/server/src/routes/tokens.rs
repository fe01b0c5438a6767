//! `POST /tokens`: what is named where in a text, in the form of transformers' token classification pipeline.

use std::{collections::HashSet, sync::Arc};

use nystromformer_pipelines::{Aggregation, Sentence, TokenClassification};
use serde::Deserialize;
use serde_json::json;

use super::{
    Described, Operation,
    inputs::{Texts, object_schema, texts_schema, truncate_schema},
};
use crate::{
    app::App,
    asking::{self, Scored},
    error::ApiError,
    lane::Lane,
    models::{HeadLane, ServedModel},
    reply::Reply,
};

pub(super) struct Tokens;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    inputs: Texts,
    model: Option<String>,
    truncate: Option<bool>,
    aggregation_strategy: Option<Aggregation>,
    ignore_labels: Option<Vec<String>>,
}

/// The most labels that are left out.
const MOST_IGNORED: usize = 1000;

impl Operation for Tokens {
    const PATH: &'static str = "/tokens";
    const SUMMARY: &'static str = "What is named where in a text";
    type Body = Body;

    fn is_served_by(model: &ServedModel) -> bool {
        lane(model).is_some()
    }

    fn described() -> Described {
        let properties = json!({
            "inputs": texts_schema(),
            "truncate": truncate_schema(false),
            "aggregation_strategy": {
                "enum": ["none", "simple", "first", "average", "max", null], "default": "simple"
            },
            "ignore_labels": {
                "type": ["array", "null"], "items": {"type": "string"}, "maxItems": MOST_IGNORED, "default": ["O"]
            }
        });
        let entity = json!({"type": "object", "properties": {
            "entity_group": {"type": "string", "description": "With `none`: `entity`, and `index`"},
            "score": {"type": "number"},
            "word": {"type": "string"},
            "start": {"type": "integer", "description": "In characters (code points)"},
            "end": {"type": "integer"}
        }});
        let entities = json!({"type": "array", "items": entity});
        Described {
            request: object_schema(&["inputs"], properties),
            request_example: json!({"inputs": "Anna lives in Paris."}),
            answer: json!({"oneOf": [entities, {"type": "array", "items": entities}]}),
            answer_example: json!([
                {"entity_group": "PER", "score": 0.99, "word": "anna", "start": 0, "end": 4}
            ]),
        }
    }

    async fn answer(app: Arc<App>, body: Body) -> Result<Reply, ApiError> {
        let name = body.model.as_deref();
        let (model, lane) = app.models.choose(Self::PATH, name, lane)?;
        let is_one = body.inputs.is_one();
        let texts: Vec<Sentence> =
            body.inputs.into_list().into_iter().map(Sentence::Text).collect();
        asking::check_count(&app, "inputs", texts.len())?;
        let ignored = body.ignore_labels.unwrap_or_else(|| vec!["O".to_owned()]);
        if ignored.len() > MOST_IGNORED {
            return Err(ApiError::too_large(format!(
                "`ignore_labels` has {} entries; it can have {MOST_IGNORED}",
                ignored.len()
            )));
        }
        let ignored: HashSet<String> = ignored.into_iter().collect();
        let truncate = body.truncate.unwrap_or_default();
        let scored = asking::scores(&app, &model, &lane, texts, truncate).await?;
        let aggregation = body.aggregation_strategy.unwrap_or(Aggregation::Simple);
        app.work(move |asker| {
            let pipeline = lane.served().pipeline();
            let entities = |scored: &Scored<TokenClassification>| {
                asker.check()?;
                let mut found = pipeline.entities(&scored.request, &scored.rows, aggregation)?;
                found.retain(|entity| !ignored.contains(entity.label()));
                Ok::<_, ApiError>(found)
            };
            Reply::one_or_list(is_one, scored.iter().map(entities).collect::<Result<_, _>>()?)
        })
        .await?
    }
}

fn lane(model: &ServedModel) -> Option<Lane<TokenClassification>> {
    match &model.head {
        HeadLane::Tokens(lane) => Some(lane.clone()),
        _ => None,
    }
}
