//! `GET /openapi.json`: all routes, for programs that make clients.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::{Listed, operations};
use crate::{error::ApiError, reply::Reply};

pub(super) async fn openapi() -> Result<Reply, ApiError> {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    Reply::json(DOCUMENT.get_or_init(document))
}

/// Codes that an operation refuses with.
const REFUSALS: &[(&str, &str)] = &[
    ("400", "Broken JSON, or no inputs"),
    ("404", "No such model"),
    ("408", "The body came too slowly"),
    ("413", "Too large, too many, or too long"),
    ("415", "Not application/json"),
    ("422", "JSON of another shape, or a text that the model cannot answer"),
    ("424", "The model has no such head"),
    ("429", "Overloaded"),
    ("500", "Internal fault"),
    ("504", "Not answered in time"),
];

fn document() -> Value {
    let mut paths = Map::new();
    for operation in operations() {
        paths.insert(operation.path.to_owned(), posted(operation));
    }
    for (path, summary, content_type) in [
        ("/health", "Whether the server answers", None),
        ("/info", "The models and the limits", Some("application/json")),
        ("/metrics", "What is counted, for Prometheus", Some("text/plain")),
        ("/openapi.json", "This document", Some("application/json")),
        ("/", "A page for people", Some("text/html")),
    ] {
        let content: Map<String, Value> =
            content_type.map(|name| (name.to_owned(), json!({}))).into_iter().collect();
        let mut answer = json!({"description": summary});
        if !content.is_empty() {
            answer["content"] = Value::Object(content);
        }
        let read = json!({"get": {"summary": summary, "responses": {"200": answer}}});
        paths.insert(path.to_owned(), read);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Nyströmformer",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "MIT OR Apache-2.0"}
        },
        "paths": paths,
        "components": {"schemas": {"Error": {
            "type": "object",
            "required": ["error", "error_type"],
            "properties": {
                "error": {"type": "string"},
                "error_type": {"enum": [
                    "validation", "empty", "tokenizer", "overloaded", "backend", "not_found", "timeout"
                ]}
            }
        }}}
    })
}

fn posted(Listed { path, summary, described, .. }: Listed) -> Value {
    let mut responses = Map::new();
    let answer = json!({"schema": described.answer, "example": described.answer_example});
    let answer = json!({"description": summary, "content": {"application/json": answer}});
    responses.insert("200".to_owned(), answer);
    for (code, description) in REFUSALS {
        let schema = json!({"schema": {"$ref": "#/components/schemas/Error"}});
        let refusal = json!({"description": description, "content": {"application/json": schema}});
        responses.insert((*code).to_owned(), refusal);
    }
    let id = path.trim_start_matches('/').replace(['/', '-'], "_");
    let asked = json!({"schema": described.request, "example": described.request_example});
    json!({"post": {
        "operationId": id,
        "summary": summary,
        "requestBody": {"required": true, "content": {"application/json": asked}},
        "responses": responses
    }})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_schemas_and_examples_that_it_reads_itself() {
        let document = document();
        for Listed { path, described, reads, .. } in operations() {
            let post = &document["paths"][path]["post"];
            assert_eq!(
                post["requestBody"]["content"]["application/json"]["example"],
                described.request_example
            );
            let properties = described.request["properties"].as_object().unwrap();
            for key in described.request_example.as_object().unwrap().keys() {
                assert!(properties.contains_key(key), "{path}: {key}");
            }
            for key in described.request["required"].as_array().unwrap() {
                assert!(properties.contains_key(key.as_str().unwrap()), "{path}: {key}");
            }
            assert!(post["responses"]["429"].is_object());
            assert!((reads)(described.request_example), "{path}");
        }
    }
}
