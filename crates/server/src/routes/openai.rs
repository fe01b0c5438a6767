//! `POST /v1/embeddings`: vectors in `OpenAI`'s form.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Described, Operation, embed,
    inputs::{Texts, object_schema, texts_schema},
};
use crate::{
    app::App,
    asking::{self, Scored},
    error::ApiError,
    models::ServedModel,
    reply::Reply,
};

pub(super) struct Embeddings;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    input: Texts,
    model: Option<String>,
    encoding_format: Option<Format>,
    dimensions: Option<usize>,
    /// Who asks, for `OpenAI`'s own records; nothing is made of it here.
    #[serde(rename = "user")]
    _user: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Float,
    /// Little-endian single precision.
    Base64,
}

#[derive(Serialize)]
struct Answer<'a> {
    object: &'static str,
    data: Vec<Embedding>,
    model: &'a str,
    usage: Usage,
}

#[derive(Serialize)]
struct Embedding {
    object: &'static str,
    #[serde(rename = "embedding")]
    vector: Vector,
    index: usize,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector {
    Float(Vec<f32>),
    Base64(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: usize,
    total_tokens: usize,
}

impl Operation for Embeddings {
    const PATH: &'static str = "/v1/embeddings";
    const SUMMARY: &'static str = "A vector for each text, in OpenAI's form";
    type Body = Body;

    fn is_served_by(_: &ServedModel) -> bool {
        true
    }

    fn described() -> Described {
        let properties = json!({
            "input": texts_schema(),
            "encoding_format": {"enum": ["float", "base64", null], "default": "float"},
            "dimensions": {"type": ["integer", "null"], "description": "The model's own, or none"},
            "user": {"type": ["string", "null"], "description": "Not read"}
        });
        let vector = json!({"oneOf": [
            {"type": "array", "items": {"type": "number"}}, {"type": "string", "contentEncoding": "base64"}
        ]});
        let entry = json!({"type": "object", "properties": {
            "object": {"const": "embedding"}, "embedding": vector, "index": {"type": "integer"}
        }});
        let answer = json!({"type": "object", "properties": {
            "object": {"const": "list"},
            "data": {"type": "array", "items": entry},
            "model": {"type": "string"},
            "usage": {"type": "object", "properties": {
                "prompt_tokens": {"type": "integer"}, "total_tokens": {"type": "integer"}
            }}
        }});
        Described {
            request: object_schema(&["input"], properties),
            request_example: json!({"input": "A text."}),
            answer,
            answer_example: json!({
                "object": "list",
                "data": [{"object": "embedding", "embedding": [0.6, 0.8], "index": 0}],
                "model": "model",
                "usage": {"prompt_tokens": 5, "total_tokens": 5}
            }),
        }
    }

    async fn answer(app: Arc<App>, body: Body) -> Result<Reply, ApiError> {
        let (model, lane) = app.models.choose(Self::PATH, body.model.as_deref(), embed::lane)?;
        embed::check_dimensions(body.dimensions, &model)?;
        let texts = body.input.into_list();
        asking::check_count(&app, "input", texts.len())?;
        let scored = embed::scores(&app, &model, &lane, texts, false).await?;
        app.work(move |_| {
            let tokens = scored.iter().map(Scored::tokens).sum();
            let entry = |(index, values): (usize, Vec<f32>)| {
                let vector = match body.encoding_format.unwrap_or_default() {
                    Format::Float => Vector::Float(values),
                    Format::Base64 => Vector::Base64(base64(&values)),
                };
                Embedding { object: "embedding", vector, index }
            };
            let vectors = embed::vectors(&lane, scored, true)?.into_iter();
            Reply::json(&Answer {
                object: "list",
                data: vectors.enumerate().map(entry).collect(),
                model: &model.name,
                usage: Usage { prompt_tokens: tokens, total_tokens: tokens },
            })
        })
        .await?
    }
}

/// RFC 4648's base64 of the values' bytes, least significant first.
fn base64(values: &[f32]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |place: usize| u32::from(three.get(place).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for sixth in 0..4 {
            let is_there = sixth <= three.len();
            let digit = ALPHABET[(bits >> (18 - 6 * sixth) & 63) as usize];
            text.push(if is_there { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By Python: `base64.b64encode(numpy.array([…], "<f4"))`.
    #[test]
    fn base64_is_pythons() {
        assert_eq!(base64(&[]), "");
        assert_eq!(base64(&[1.0]), "AACAPw==");
        assert_eq!(base64(&[1.0, -2.5]), "AACAPwAAIMA=");
        assert_eq!(base64(&[1.0, -2.5, 0.1]), "AACAPwAAIMDNzMw9");
    }
}
