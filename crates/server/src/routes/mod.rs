//! The routes: a file each.
//!
//! What a model answers is an [`Operation`]; to add one, write its file and add it to the list here. The list makes the
//! router, `/openapi.json`, and what `/info` and refusals say of a model.

mod attention;
mod choice;
mod embed;
mod fill_mask;
mod health;
mod info;
mod inputs;
mod metrics;
mod openai;
mod openapi;
mod page;
mod predict;
mod qa;
mod rerank;
mod tokens;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    app::App,
    body::ReadBody,
    error::{ApiError, ErrorType},
    models::ServedModel,
    reply::Reply,
};

/// What a model answers, if it has the head for it: `POST` with JSON.
pub(crate) trait Operation: Send + Sync + 'static {
    /// Where.
    const PATH: &'static str;
    /// What it does, in one line.
    const SUMMARY: &'static str;
    /// What it is asked.
    type Body: DeserializeOwned + Send + 'static;

    /// Whether this model answers it.
    fn is_served_by(model: &ServedModel) -> bool;

    /// Question and answer, for `/openapi.json`.
    fn described() -> Described;

    /// The answer.
    fn answer(
        app: Arc<App>,
        body: Self::Body,
    ) -> impl Future<Output = Result<Reply, ApiError>> + Send;
}

/// JSON schemas and examples.
pub(crate) struct Described {
    pub(crate) request: Value,
    pub(crate) request_example: Value,
    pub(crate) answer: Value,
    pub(crate) answer_example: Value,
}

/// An operation as `/openapi.json` shows it.
struct Listed {
    path: &'static str,
    summary: &'static str,
    described: Described,
    /// Whether it takes such a request.
    #[cfg(test)]
    reads: fn(Value) -> bool,
}

macro_rules! operations {
    ($($operation:ty),+ $(,)?) => {
        fn with_operations(router: Router<Arc<App>>) -> Router<Arc<App>> {
            router$(.route(<$operation>::PATH, post(operate::<$operation>)))+
        }

        fn operations() -> Vec<Listed> {
            vec![$(Listed {
                path: <$operation>::PATH,
                summary: <$operation>::SUMMARY,
                described: <$operation>::described(),
                #[cfg(test)]
                reads: |body| serde_json::from_value::<<$operation as Operation>::Body>(body).is_ok(),
            }),+]
        }

        /// The paths of all operations.
        const OPERATIONS: &[&str] = &[$(<$operation>::PATH),+];

        /// The paths that a model answers, its head's own first.
        pub(crate) fn of_model(model: &ServedModel) -> Vec<&'static str> {
            let mut paths = Vec::new();
            $(if <$operation>::is_served_by(model) {
                paths.push(<$operation>::PATH);
            })+
            paths
        }
    };
}

// A model's head is what it is for: its routes stand before those of every model.
operations!(
    predict::Predict,
    fill_mask::FillMasks,
    tokens::Tokens,
    qa::Answers,
    choice::Choose,
    rerank::Rerank,
    embed::Embed,
    attention::Attention,
    openai::Embeddings,
);

/// Paths that are read, beside those of the page.
const READ: &[&str] = &["/health", "/info", "/metrics", "/openapi.json"];

/// All routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    let router = Router::new()
        .route("/health", get(health::health))
        .route("/info", get(info::info))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::openapi));
    page::with_files(with_operations(router))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .with_state(app)
}

/// The route of a path as a metric's label.
pub(crate) fn label(path: &str) -> &'static str {
    let mut known = OPERATIONS.iter().chain(READ).copied().chain(page::paths());
    known.find(|known| *known == path).unwrap_or("unmatched")
}

async fn operate<T: Operation>(State(app): State<Arc<App>>, request: Request) -> Response {
    let answered = async {
        let read = ReadBody::read(&app, request).await?;
        let body: T::Body = read.json()?;
        let answer = timeout(app.limits.request_timeout, T::answer(Arc::clone(&app), body)).await;
        // Until here the body counts among those that are held.
        drop(read);
        answer.unwrap_or_else(|_| {
            let message =
                "not answered in time (`--request-timeout`); ask for less at once, or later";
            Err(ApiError::new(StatusCode::GATEWAY_TIMEOUT, ErrorType::Timeout, message))
        })
    };
    answered.await.into_response()
}

async fn unknown(request: Request) -> Response {
    // `OPTIONS *` asks of the server itself.
    if request.method() == Method::OPTIONS && request.uri().path() == "*" {
        return StatusCode::NO_CONTENT.into_response();
    }
    let message = format!("no route `{}`; /openapi.json lists them", request.uri().path());
    ApiError::new(StatusCode::NOT_FOUND, ErrorType::NotFound, message).into_response()
}

/// The header `Allow` is the router's.
async fn not_allowed(request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let message = format!(
        "`{}` does not take {}; the header `Allow` says what it takes",
        request.uri().path(),
        request.method()
    );
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, ErrorType::Validation, message).into_response()
}
