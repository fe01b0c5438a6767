//! `POST /attention`: what the first token of a text takes of each, in every layer and head.

use std::sync::Arc;

use nystromformer_pipelines::{AttentionMaps, Pipeline, TextPair};
use serde::Deserialize;
use serde_json::json;

use super::{
    Described, Operation,
    inputs::{object_schema, truncate_schema},
};
use crate::{app::App, asking, error::ApiError, lane::Lane, models::ServedModel, reply::Reply};

pub(super) struct Attention;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    inputs: Input,
    model: Option<String>,
    truncate: Option<bool>,
    layer: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a text or a pair [\"a\", \"b\"]")]
enum Input {
    Text(String),
    Pair([String; 2]),
}

impl Operation for Attention {
    const PATH: &'static str = "/attention";
    const SUMMARY: &'static str =
        "What the first token of a text takes of each, in every layer and head";
    type Body = Body;

    fn is_served_by(_: &ServedModel) -> bool {
        true
    }

    fn described() -> Described {
        let pair =
            json!({"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2});
        let properties = json!({
            "inputs": {"oneOf": [{"type": "string"}, pair]},
            "truncate": truncate_schema(true),
            "layer": {"type": ["integer", "null"], "minimum": 0, "description": "All when left out"}
        });
        let heads =
            json!({"type": "array", "items": {"type": "array", "items": {"type": "number"}}});
        let layer =
            json!({"type": "object", "properties": {"layer": {"type": "integer"}, "heads": heads}});
        let answer = json!({"type": "object", "properties": {
            "tokens": {"type": "array", "items": {"type": "string"}},
            "attention": {"type": "array", "items": layer}
        }});
        Described {
            request: object_schema(&["inputs"], properties),
            request_example: json!({"inputs": "Anna lives.", "layer": 0}),
            answer,
            answer_example: json!({
                "tokens": ["[CLS]", "anna", "lives", ".", "[SEP]"],
                "attention": [{"layer": 0, "heads": [[0.2, 0.3, 0.3, 0.1, 0.1]]}]
            }),
        }
    }

    async fn answer(app: Arc<App>, body: Body) -> Result<Reply, ApiError> {
        let (model, lane) = app.models.choose(Self::PATH, body.model.as_deref(), lane)?;
        let layers = model.config.encoder.num_hidden_layers;
        if let Some(layer) = body.layer.filter(|layer| *layer >= layers) {
            let message = format!("`layer` is `{layer}`; the model has {layers}, counted from 0");
            return Err(ApiError::invalid(message));
        }
        let input = match body.inputs {
            Input::Text(text) => TextPair { text, text_pair: None },
            Input::Pair([text, pair]) => TextPair { text, text_pair: Some(pair) },
        };
        let truncate = body.truncate.unwrap_or(true);
        let mut scored = asking::scores(&app, &model, &lane, vec![input], truncate).await?;
        let Some(mut scored) = scored.pop() else { return Err(ApiError::fault()) };
        app.work(move |_| {
            if let Some(wanted) = body.layer {
                for layers in scored.rows.iter_mut().map(|(_, layers)| layers) {
                    layers.retain(|found| found.layer == wanted);
                }
            }
            Reply::json(&lane.served().pipeline().postprocess(scored.request, scored.rows)?)
        })
        .await?
    }
}

#[expect(clippy::unnecessary_wraps, reason = "other routes' lanes are not of every model")]
fn lane(model: &ServedModel) -> Option<Lane<AttentionMaps>> {
    Some(model.attention.clone())
}
