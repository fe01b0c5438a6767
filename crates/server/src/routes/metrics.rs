//! `GET /metrics`: what is counted, for Prometheus.

use std::sync::Arc;

use axum::extract::State;

use crate::{app::App, reply::Reply};

pub(super) async fn metrics(State(app): State<Arc<App>>) -> Reply {
    let models = app.models.iter().map(|model| (&*model.metrics, model.queue.rows()));
    let body = app.metrics.render(models).into_bytes();
    Reply { content_type: "text/plain; version=0.0.4", body }
}
