//! `POST /qa`: the part of a text that answers a question, in the form of transformers' pipeline.

use std::{num::NonZeroUsize, sync::Arc};

use nystromformer_pipelines::{Question, QuestionAnswering, question_answering::Options};
use serde::Deserialize;
use serde_json::json;

use super::{Described, Operation, inputs::object_schema};
use crate::{
    app::App,
    asking,
    error::ApiError,
    lane::Lane,
    models::{HeadLane, ServedModel},
    reply::Reply,
};

pub(super) struct Answers;

/// The most answers, and tokens of one.
const MOST_ANSWERS: usize = 100;
const LONGEST_ANSWER: usize = 512;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    question: String,
    context: String,
    model: Option<String>,
    top_k: Option<NonZeroUsize>,
    max_answer_len: Option<NonZeroUsize>,
    handle_impossible_answer: Option<bool>,
}

impl Body {
    /// How answers are looked for.
    fn options(&self) -> Result<Options, ApiError> {
        let default = Options::default();
        let of = |key, asked: Option<NonZeroUsize>, default, most: usize| match asked {
            Some(asked) if asked.get() > most => {
                Err(ApiError::invalid(format!("`{key}` is `{asked}`; it can be 1 to {most}")))
            }
            asked => Ok(asked.unwrap_or(default)),
        };
        let longest = self
            .max_answer_len
            .map(|longest| of("max_answer_len", Some(longest), longest, LONGEST_ANSWER));
        Ok(Options {
            top_k: of("top_k", self.top_k, default.top_k, MOST_ANSWERS)?,
            max_answer_len: longest.transpose()?,
            handle_impossible_answer: self.handle_impossible_answer,
            ..default
        })
    }
}

impl Operation for Answers {
    const PATH: &'static str = "/qa";
    const SUMMARY: &'static str = "The part of a text that answers a question";
    type Body = Body;

    fn is_served_by(model: &ServedModel) -> bool {
        lane(model).is_some()
    }

    fn described() -> Described {
        let properties = json!({
            "question": {"type": "string"},
            "context": {"type": "string"},
            "top_k": {"type": ["integer", "null"], "minimum": 1, "maximum": MOST_ANSWERS, "default": 1},
            "max_answer_len": {
                "type": ["integer", "null"], "minimum": 1, "maximum": LONGEST_ANSWER,
                "description": "In tokens; by default as the model was trained, or else 15"
            },
            "handle_impossible_answer": {
                "type": ["boolean", "null"],
                "description": "Let \"no answer\" be an answer: an empty one; by default as the model was trained, or else false"
            }
        });
        let answer = json!({"type": "object", "properties": {
            "score": {"type": "number"},
            "start": {"type": "integer", "description": "In characters (code points) of the context"},
            "end": {"type": "integer"},
            "answer": {"type": "string"}
        }});
        Described {
            request: object_schema(&["question", "context"], properties),
            request_example: json!({"question": "Where does Anna live?", "context": "Anna lives in Paris."}),
            answer: json!({"oneOf": [answer, {"type": "array", "items": answer}]}),
            answer_example: json!({"score": 0.9, "start": 14, "end": 19, "answer": "Paris"}),
        }
    }

    async fn answer(app: Arc<App>, body: Body) -> Result<Reply, ApiError> {
        let (model, lane) = app.models.choose(Self::PATH, body.model.as_deref(), lane)?;
        let options = body.options()?;
        let asked = vec![Question { question: body.question, context: body.context, id: None }];
        let mut scored = asking::scores(&app, &model, &lane, asked, false).await?;
        let Some(scored) = scored.pop() else { return Err(ApiError::fault()) };
        app.work(move |_| {
            let pipeline = lane.served().pipeline();
            let answers = pipeline.answers(scored.request, &scored.rows, &options);
            Reply::one_or_list(options.top_k == NonZeroUsize::MIN, answers)
        })
        .await?
    }
}

fn lane(model: &ServedModel) -> Option<Lane<QuestionAnswering>> {
    match &model.head {
        HeadLane::QuestionAnswering(lane) => Some(lane.clone()),
        _ => None,
    }
}
