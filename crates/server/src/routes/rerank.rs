//! `POST /rerank`: texts by how well each goes with a query, in text-embeddings-inference's form.
//!
//! A sequence classifier with one class scores each text by itself; a multiple-choice model says which of the texts it is.

use std::sync::Arc;

use nystromformer_pipelines::{
    Choices, MultipleChoice, Pipeline, Served, TextClassification, TextPair,
};
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

pub(super) struct Rerank;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    query: String,
    texts: Vec<String>,
    model: Option<String>,
    truncate: Option<bool>,
    truncation_direction: Option<Direction>,
    raw_scores: Option<bool>,
    return_text: Option<bool>,
}

/// A text's place among those asked, and its score.
#[derive(Debug, Serialize)]
struct Rank {
    index: usize,
    score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// Who can rank.
enum Ranker {
    Classifier(Lane<TextClassification>),
    Choice(Lane<MultipleChoice>),
}

impl Operation for Rerank {
    const PATH: &'static str = "/rerank";
    const SUMMARY: &'static str = "Texts by how well they go with a query, best first";
    type Body = Body;

    fn is_served_by(model: &ServedModel) -> bool {
        ranker(model).is_some()
    }

    fn described() -> Described {
        let flag = |description| json!({"type": ["boolean", "null"], "default": false, "description": description});
        let properties = json!({
            "query": {"type": "string"},
            "texts": {"type": "array", "items": {"type": "string"}},
            "truncate": truncate_schema(false),
            "truncation_direction": {"enum": ["Left", "Right", null]},
            "raw_scores": flag("The head's outputs in place of probabilities"),
            "return_text": flag("With each text in the answer")
        });
        let rank = json!({
            "type": "object",
            "properties": {
                "index": {"type": "integer"}, "score": {"type": "number"}, "text": {"type": "string"}
            }
        });
        Described {
            request: object_schema(&["query", "texts"], properties),
            request_example: json!({"query": "Where does Anna live?", "texts": ["In Paris.", "Yes."]}),
            answer: json!({"type": "array", "items": rank}),
            answer_example: json!([{"index": 0, "score": 0.9}, {"index": 1, "score": 0.1}]),
        }
    }

    async fn answer(app: Arc<App>, body: Body) -> Result<Reply, ApiError> {
        let name = body.model.as_deref();
        let (model, ranker) = app.models.choose(Self::PATH, name, ranker)?;
        let keep = match &ranker {
            Ranker::Classifier(lane) => lane.served().keep(),
            Ranker::Choice(lane) => lane.served().keep(),
        };
        Direction::check(body.truncation_direction, keep)?;
        asking::check_count(&app, "texts", body.texts.len())?;
        asking::check_shared(&app, "query", &body.query, body.texts.len())?;
        let Body { query, texts, .. } = body;
        let [truncate, raw_scores, return_text] =
            [body.truncate, body.raw_scores, body.return_text].map(Option::unwrap_or_default);
        let kept = return_text.then(|| texts.clone());
        let scores: Vec<f64> = match ranker {
            Ranker::Classifier(lane) => {
                let mut pair = TextPair { text: query, text_pair: None };
                let rows_of = move |served: &Served<TextClassification>, text: &String| {
                    pair.text_pair = Some(text.clone());
                    Ok(served.rows(&pair)?)
                };
                let scored =
                    asking::scores_of_rows(&app, &model, &lane, texts, rows_of, truncate).await?;
                let pipeline = lane.served().pipeline();
                let score = |outputs: Vec<f32>| pipeline.ranked(&outputs, raw_scores)[0].score;
                scored.iter().map(|scored| score(pipeline.outputs(&scored.rows))).collect()
            }
            Ranker::Choice(lane) => {
                let choices = vec![Choices { prompt: query, choices: texts }];
                let scored = asking::scores(&app, &model, &lane, choices, truncate).await?;
                let Some(scored) = scored.into_iter().next() else { return Err(ApiError::fault()) };
                if raw_scores {
                    scored.rows.iter().map(|(_, logit)| f64::from(*logit)).collect()
                } else {
                    lane.served().pipeline().postprocess(scored.request, scored.rows)?.scores
                }
            }
        };
        app.work(move |_| Reply::json(&ranks(&scores, kept))).await?
    }
}

/// Best first; of equals the first.
fn ranks(scores: &[f64], texts: Option<Vec<String>>) -> Vec<Rank> {
    let mut texts: Vec<Option<String>> = match texts {
        Some(texts) => texts.into_iter().map(Some).collect(),
        None => vec![None; scores.len()],
    };
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&left, &right| scores[right].total_cmp(&scores[left]));
    let rank = |index: usize| Rank { index, score: scores[index], text: texts[index].take() };
    order.into_iter().map(rank).collect()
}

fn ranker(model: &ServedModel) -> Option<Ranker> {
    match &model.head {
        HeadLane::Classification(lane) if lane.served().pipeline().labels().len() == 1 => {
            Some(Ranker::Classifier(lane.clone()))
        }
        HeadLane::Choice(lane) => Some(Ranker::Choice(lane.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_first_and_of_equals_the_first() {
        let texts = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let ranked = ranks(&[0.1, -2.0, 0.5, 0.1], Some(texts));
        let found: Vec<_> = ranked.iter().map(|rank| rank.text.clone().unwrap()).collect();
        assert_eq!(found.concat(), "cadb");
        let json = serde_json::to_string(&ranks(&[1.0], None)).unwrap();
        assert_eq!(json, r#"[{"index":0,"score":1.0}]"#);
    }
}
