//! `POST /fill-mask`: the likeliest tokens at each mask, in the form of transformers' pipeline.

use std::sync::Arc;

use nystromformer_pipelines::{FillMask, Pipeline, Served, Text};
use serde::Deserialize;
use serde_json::json;

use super::{
    Described, Operation,
    inputs::{Texts, object_schema, texts_schema},
};
use crate::{
    app::App,
    asking::{self, Scored},
    error::ApiError,
    lane::Lane,
    models::{HeadLane, MOST_CANDIDATES, ServedModel},
    reply::Reply,
};

pub(super) struct FillMasks;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    inputs: Texts,
    model: Option<String>,
    top_k: Option<usize>,
}

impl Operation for FillMasks {
    const PATH: &'static str = "/fill-mask";
    const SUMMARY: &'static str = "The likeliest tokens at each mask of a text";
    type Body = Body;

    fn is_served_by(model: &ServedModel) -> bool {
        lane(model).is_some()
    }

    fn described() -> Described {
        let properties = json!({
            "inputs": texts_schema(),
            "top_k": {"type": ["integer", "null"], "default": 5, "minimum": 1, "maximum": MOST_CANDIDATES}
        });
        let candidates = json!({"type": "array", "items": {"type": "object", "properties": {
            "score": {"type": "number"},
            "token": {"type": "integer"},
            "token_str": {"type": "string"},
            "sequence": {"type": "string"}
        }}});
        let masks = json!({"type": "array", "items": candidates});
        Described {
            request: object_schema(&["inputs"], properties),
            request_example: json!({"inputs": "A [MASK] sat on the mat.", "top_k": 2}),
            answer: json!({
                "description": "Of one mask its candidates, of several a list for each, of several texts a list for each",
                "oneOf": [candidates, masks, {"type": "array", "items": masks}]
            }),
            answer_example: json!([
                {"score": 0.4, "token": 17, "token_str": "cat", "sequence": "a cat sat on the mat."},
                {"score": 0.3, "token": 18, "token_str": "dog", "sequence": "a dog sat on the mat."}
            ]),
        }
    }

    async fn answer(app: Arc<App>, body: Body) -> Result<Reply, ApiError> {
        let name = body.model.as_deref();
        let (model, lane) = app.models.choose(Self::PATH, name, lane)?;
        let top_k = body.top_k.unwrap_or(5);
        if !(1..=MOST_CANDIDATES).contains(&top_k) {
            let message = format!("`top_k` is `{top_k}`; it can be 1 to {MOST_CANDIDATES}");
            return Err(ApiError::invalid(message));
        }
        let is_one = body.inputs.is_one();
        let texts: Vec<Text> =
            body.inputs.into_list().into_iter().map(|text| Text { text }).collect();
        asking::check_count(&app, "inputs", texts.len())?;
        let (most, mut candidates) = (app.limits.max_candidates, 0);
        let rows_of = move |served: &Served<FillMask>, text: &Text| {
            let rows = served.rows(text)?;
            let masks: usize = rows.iter().map(|row| served.pipeline().masks(row).len()).sum();
            candidates += masks * top_k;
            if candidates > most {
                return Err(ApiError::too_large(format!(
                    "the masks of the request take {candidates} candidates or more (masks × `top_k`), and {most} are given at \
                     once (`--max-candidates`): send fewer masks, or a lower `top_k`"
                )));
            }
            Ok(rows)
        };
        // A text that is too long is refused: its mask could be cut off.
        let scored = asking::scores_of_rows(&app, &model, &lane, texts, rows_of, false).await?;
        app.work(move |asker| {
            let filled = |mut scored: Scored<FillMask>| {
                asker.check()?;
                for candidates in scored.rows.iter_mut().flat_map(|(_, masks)| masks) {
                    candidates.truncate(top_k);
                }
                Ok::<_, ApiError>(
                    lane.served().pipeline().postprocess(scored.request, scored.rows)?,
                )
            };
            Reply::one_or_list(is_one, scored.into_iter().map(filled).collect::<Result<_, _>>()?)
        })
        .await?
    }
}

fn lane(model: &ServedModel) -> Option<Lane<FillMask>> {
    match &model.head {
        HeadLane::FillMask(lane) => Some(lane.clone()),
        _ => None,
    }
}
