//! `GET /info`: the models, what each answers, and the limits. Keys beside `models` and `limits` are
//! text-embeddings-inference's, of the first model.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use nystromformer_pipelines::FeaturePooling;
use serde_json::{Value, json};

use crate::{
    app::{App, threads},
    error::ApiError,
    models::{HeadLane, ServedModel},
    reply::Reply,
};

pub(super) async fn info(State(app): State<Arc<App>>) -> Result<Reply, ApiError> {
    Reply::json(&described(&app))
}

fn described(app: &App) -> Value {
    let limits = &app.limits;
    let mut info = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "models": app.models.iter().map(|model| of_model(model)).collect::<Vec<_>>(),
        "limits": {
            "max_body_bytes": limits.max_body_bytes,
            "max_client_batch_size": limits.max_client_batch_size,
            "max_candidates": limits.max_candidates,
            "max_batch_tokens": limits.max_batch_tokens,
            "max_batch_requests": limits.max_batch_requests,
            "max_queue": limits.max_queue,
            "max_connections": limits.max_connections,
            "request_timeout_s": limits.request_timeout.as_secs_f64(),
        },
        "max_concurrent_requests": limits.max_connections,
        "max_batch_tokens": limits.max_batch_tokens,
        "max_batch_requests": limits.max_batch_requests,
        "max_client_batch_size": limits.max_client_batch_size,
        "auto_truncate": false,
        "tokenization_workers": threads(),
    });
    if let Some(first) = app.models.iter().next() {
        info["model_id"] = json!(first.name);
        info["model_sha"] = Value::Null;
        info["model_dtype"] = json!("float32");
        info["model_type"] = model_type(first);
        info["max_input_length"] = json!(first.features.served().max_length());
    }
    info
}

fn of_model(model: &ServedModel) -> Value {
    let config = &model.config;
    json!({
        "name": model.name,
        "architecture": model.architecture.name(),
        "routes": super::of_model(model),
        "max_input_length": model.features.served().max_length(),
        "hidden_size": config.shared.hidden_size,
        "layers": config.encoder.num_hidden_layers,
        "heads": config.shared.num_attention_heads,
        "attention": config.attention.kind.name(),
        "semantics": config.shared.semantics,
        "pooling": pooling(model),
        "labels": model.labels(),
        "problem_type": config.classifier.problem_type,
        "mask_token": model.mask_token(),
    })
}

fn pooling(model: &ServedModel) -> &'static str {
    match model.pooling {
        FeaturePooling::Cls => "cls",
        FeaturePooling::Mean | FeaturePooling::None => "mean",
    }
}

/// As text-embeddings-inference says what a model is.
fn model_type(model: &ServedModel) -> Value {
    let HeadLane::Classification(lane) = &model.head else {
        return json!({"embedding": {"pooling": pooling(model)}});
    };
    let labels = lane.served().pipeline().labels();
    let kind = if labels.len() == 1 { "reranker" } else { "classifier" };
    let by_id: BTreeMap<String, &String> =
        labels.iter().enumerate().map(|(id, label)| (id.to_string(), label)).collect();
    let by_label: BTreeMap<&String, usize> =
        labels.iter().enumerate().map(|(id, label)| (label, id)).collect();
    json!({kind: {"id2label": by_id, "label2id": by_label}})
}
