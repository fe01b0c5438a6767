//! `POST /embed`: a vector for each text, in text-embeddings-inference's form.

use std::sync::Arc;

use nystromformer_pipelines::{FeatureExtraction, Pipeline, Text, feature_extraction::Features};
use serde::Deserialize;
use serde_json::json;

use super::{
    Described, Operation,
    inputs::{Direction, Texts, object_schema, texts_schema, truncate_schema},
};
use crate::{
    app::App,
    asking::{self, Scored},
    error::ApiError,
    lane::Lane,
    models::ServedModel,
    reply::Reply,
};

pub(super) struct Embed;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    inputs: Texts,
    model: Option<String>,
    truncate: Option<bool>,
    truncation_direction: Option<Direction>,
    normalize: Option<bool>,
    /// Only to be refused: no model here has prompts.
    prompt_name: Option<String>,
    dimensions: Option<usize>,
}

impl Operation for Embed {
    const PATH: &'static str = "/embed";
    const SUMMARY: &'static str = "A vector for each text";
    type Body = Body;

    fn is_served_by(_: &ServedModel) -> bool {
        true
    }

    fn described() -> Described {
        let properties = json!({
            "inputs": texts_schema(),
            "truncate": truncate_schema(false),
            "truncation_direction": {"enum": ["Left", "Right", null]},
            "normalize": {"type": ["boolean", "null"], "default": true, "description": "To length 1"},
            "prompt_name": {"type": "null", "description": "No model here has prompts"},
            "dimensions": {"type": ["integer", "null"], "description": "The model's own, or none"}
        });
        let vector = json!({"type": "array", "items": {"type": "number"}});
        Described {
            request: object_schema(&["inputs"], properties),
            request_example: json!({"inputs": ["A text.", "Another."], "truncate": true}),
            answer: json!({"type": "array", "items": vector}),
            answer_example: json!([[0.6, 0.8], [0.0, 1.0]]),
        }
    }

    async fn answer(app: Arc<App>, body: Body) -> Result<Reply, ApiError> {
        let name = body.model.as_deref();
        let (model, lane) = app.models.choose(Self::PATH, name, lane)?;
        Direction::check(body.truncation_direction, lane.served().keep())?;
        if let Some(prompt) = &body.prompt_name {
            let message = format!("`prompt_name` is `{prompt}`, and no model here has prompts");
            return Err(ApiError::invalid(message));
        }
        check_dimensions(body.dimensions, &model)?;
        let texts = body.inputs.into_list();
        asking::check_count(&app, "inputs", texts.len())?;
        let (truncate, normalize) =
            (body.truncate.unwrap_or_default(), body.normalize.unwrap_or(true));
        let scored = scores(&app, &model, &lane, texts, truncate).await?;
        app.work(move |_| Reply::json(&vectors(&lane, scored, normalize)?)).await?
    }
}

/// The lane of every model's hidden states.
#[expect(clippy::unnecessary_wraps, reason = "other routes' lanes are not of every model")]
pub(super) fn lane(model: &ServedModel) -> Option<Lane<FeatureExtraction>> {
    Some(model.features.clone())
}

/// Refuses another width than the model's.
///
/// # Errors
/// 422.
pub(super) fn check_dimensions(asked: Option<usize>, model: &ServedModel) -> Result<(), ApiError> {
    let width = model.config.shared.hidden_size;
    match asked {
        Some(asked) if asked != width => Err(ApiError::invalid(format!(
            "`dimensions` is `{asked}`, and `{}` gives {width}; leave the key out",
            model.name
        ))),
        _ => Ok(()),
    }
}

/// The hidden states of each text, pooled.
///
/// # Errors
/// As [`asking::scores`].
pub(super) async fn scores(
    app: &App,
    model: &Arc<ServedModel>,
    lane: &Lane<FeatureExtraction>,
    texts: Vec<String>,
    truncate: bool,
) -> Result<Vec<Scored<FeatureExtraction>>, ApiError> {
    let texts = texts.into_iter().map(|text| Text { text }).collect();
    asking::scores(app, model, lane, texts, truncate).await
}

/// The vector of each.
///
/// # Errors
/// None of these.
pub(super) fn vectors(
    lane: &Lane<FeatureExtraction>,
    scored: Vec<Scored<FeatureExtraction>>,
    normalize: bool,
) -> Result<Vec<Vec<f32>>, ApiError> {
    let vector = |scored: Scored<FeatureExtraction>| {
        let vector = match lane.served().pipeline().postprocess(scored.request, scored.rows)? {
            Features::Pooled(vector) => vector,
            Features::Tokens(vectors) => vectors.concat(),
        };
        Ok(if normalize { normalized(vector) } else { vector })
    };
    scored.into_iter().map(vector).collect()
}

/// The vector at length 1; zeros stay.
fn normalized(mut vector: Vec<f32>) -> Vec<f32> {
    let square: f64 = vector.iter().map(|&value| f64::from(value).powi(2)).sum();
    if square > 0.0 {
        let length = square.sqrt();
        for value in &mut vector {
            *value = (f64::from(*value) / length) as f32;
        }
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_by_hand() {
        assert_eq!(normalized(vec![3.0, -4.0]), [0.6, -0.8]);
        assert_eq!(normalized(vec![0.0, 0.0]), [0.0, 0.0]);
        // Its square is beyond single precision.
        assert_eq!(normalized(vec![1e30, 0.0]), [1.0, 0.0]);
    }
}
