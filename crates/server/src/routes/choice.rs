//! `POST /choice`: which of some texts goes with another.

use std::sync::Arc;

use nystromformer_pipelines::{Choices, MultipleChoice, Pipeline};
use serde::Deserialize;
use serde_json::json;

use super::{
    Described, Operation,
    inputs::{object_schema, truncate_schema},
};
use crate::{
    app::App,
    asking,
    error::ApiError,
    lane::Lane,
    models::{HeadLane, ServedModel},
    reply::Reply,
};

pub(super) struct Choose;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    prompt: String,
    choices: Vec<String>,
    model: Option<String>,
    truncate: Option<bool>,
}

impl Operation for Choose {
    const PATH: &'static str = "/choice";
    const SUMMARY: &'static str = "Which of some texts goes with another";
    type Body = Body;

    fn is_served_by(model: &ServedModel) -> bool {
        lane(model).is_some()
    }

    fn described() -> Described {
        let properties = json!({
            "prompt": {"type": "string"},
            "choices": {"type": "array", "items": {"type": "string"}},
            "truncate": truncate_schema(false)
        });
        let answer = json!({"type": "object", "properties": {
            "choice": {"type": "integer", "description": "Its place among the choices, from 0"},
            "label": {"type": "string"},
            "score": {"type": "number"},
            "scores": {"type": "array", "items": {"type": "number"}}
        }});
        Described {
            request: object_schema(&["prompt", "choices"], properties),
            request_example: json!({"prompt": "Anna opens the door.", "choices": ["She goes out.", "It rains."]}),
            answer,
            answer_example: json!({
                "choice": 0, "label": "She goes out.", "score": 0.8, "scores": [0.8, 0.2]
            }),
        }
    }

    async fn answer(app: Arc<App>, body: Body) -> Result<Reply, ApiError> {
        let name = body.model.as_deref();
        let (model, lane) = app.models.choose(Self::PATH, name, lane)?;
        let Body { prompt, choices, truncate, .. } = body;
        asking::check_count(&app, "choices", choices.len())?;
        asking::check_shared(&app, "prompt", &prompt, choices.len())?;
        let (asked, truncate) = (vec![Choices { prompt, choices }], truncate.unwrap_or_default());
        let mut scored = asking::scores(&app, &model, &lane, asked, truncate).await?;
        let Some(scored) = scored.pop() else { return Err(ApiError::fault()) };
        Reply::json(&lane.served().pipeline().postprocess(scored.request, scored.rows)?)
    }
}

fn lane(model: &ServedModel) -> Option<Lane<MultipleChoice>> {
    match &model.head {
        HeadLane::Choice(lane) => Some(lane.clone()),
        _ => None,
    }
}
