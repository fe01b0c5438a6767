//! `GET /health`: whether the server answers. Models are loaded before it does.

use axum::http::StatusCode;

pub(super) async fn health() -> StatusCode {
    StatusCode::OK
}
