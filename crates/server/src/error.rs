//! What a request is refused with, in text-embeddings-inference's form; and why a server does not start.

use std::{error::Error, io, net::SocketAddr};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use nystromformer_data::DataError;
use nystromformer_pipelines::PipelineError;
use serde::Serialize;

/// Why a server does not start, or ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on `{address}`; choose another with `--port` or `--host`")]
    Listen {
        /// As it was asked for.
        address: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The runtime of connections cannot be started.
    #[error("cannot start the threads of the server")]
    Runtime(#[source] io::Error),
    /// A model cannot be served.
    #[error("model `{name}`")]
    Model {
        /// What it is called.
        name: String,
        /// What is wrong with it: a [`PipelineError`].
        source: Box<dyn Error + Send + Sync>,
    },
    /// An origin is none.
    #[error("`--cors-origin {origin}` is no origin; write one as `https://example.org`, or `*`")]
    Origin {
        /// As it was given.
        origin: String,
    },
    /// The address is not to be had any more, after it was.
    #[error("`{address}` is taken since; choose another with `--port`")]
    Taken {
        /// The address.
        address: SocketAddr,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// What kind of refusal it is: text-embeddings-inference's `error_type`, and three more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ErrorType {
    /// The request is not as it must be.
    Validation,
    /// There are no inputs.
    Empty,
    /// A text cannot be tokenized.
    Tokenizer,
    /// There is too much to do.
    Overloaded,
    /// The model cannot answer, or a fault of ours.
    Backend,
    /// There is no such route or model.
    NotFound,
    /// The client or the model took too long.
    Timeout,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) error_type: ErrorType,
    /// One sentence: what, and what to do.
    pub(crate) message: String,
    /// Whether the connection can serve no further request.
    pub(crate) closes: bool,
}

/// The most characters of a message: it may quote what it is about.
const LONGEST_MESSAGE: usize = 600;

impl ApiError {
    pub(crate) fn new(
        status: StatusCode,
        error_type: ErrorType,
        message: impl Into<String>,
    ) -> Self {
        let mut message: String = message.into();
        if let Some((end, _)) = message.char_indices().nth(LONGEST_MESSAGE) {
            message.truncate(end);
            message.push('…');
        }
        Self { status, error_type, message, closes: false }
    }

    /// The body is no JSON: 400.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorType::Validation, message)
    }

    /// The JSON is of another shape, or a value is none that is known: 422.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorType::Validation, message)
    }

    /// Too much of something: 413.
    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorType::Validation, message)
    }

    /// No inputs: 400, as text-embeddings-inference.
    pub(crate) fn empty(key: &str) -> Self {
        let message = format!("`{key}` is empty; give at least one");
        Self::new(StatusCode::BAD_REQUEST, ErrorType::Empty, message)
    }

    /// Too much to do: 429.
    pub(crate) fn overloaded(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorType::Overloaded, message)
    }

    /// A fault of ours: 500.
    pub(crate) fn fault() -> Self {
        let message = "internal fault; the server's log says more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorType::Backend, message)
    }

    /// The same, and the connection is closed after it.
    pub(crate) fn closing(self) -> Self {
        Self { closes: true, ..self }
    }
}

impl From<PipelineError> for ApiError {
    /// Texts are not quoted: an answer would be as long as they are.
    fn from(error: PipelineError) -> Self {
        match error {
            PipelineError::Request(message) => Self::invalid(message),
            PipelineError::NoMask { mask_token, .. } => Self::invalid(format!(
                "no mask in the text: write `{mask_token}` where the model should predict"
            )),
            PipelineError::TooLongToFill { source, .. } => {
                Self::too_large(format!("cannot fill the text: {source}"))
            }
            PipelineError::Data(DataError::Windows { windows, most }) => Self::too_large(format!(
                "the context takes {windows} windows, and {most} rows are answered at once (`--max-client-batch-size`): \
                 shorten it, or a question that leaves it little room in each window"
            )),
            PipelineError::Data(error) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorType::Tokenizer, error.to_string())
            }
            PipelineError::Model(error) => Self::invalid(error.to_string()),
            PipelineError::TokenType { .. } => {
                Self::new(StatusCode::FAILED_DEPENDENCY, ErrorType::Backend, error.to_string())
            }
            error => {
                tracing::error!("cannot answer: {error}");
                Self::fault()
            }
        }
    }
}

#[derive(Serialize)]
struct Form<'a> {
    error: &'a str,
    error_type: ErrorType,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let form = Form { error: &self.message, error_type: self.error_type };
        let body = serde_json::to_vec(&form).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_between_characters_and_texts_are_not_quoted() {
        let long = ApiError::invalid("é".repeat(10_000));
        assert_eq!(long.message.chars().count(), LONGEST_MESSAGE + 1);
        let text = "secret ".repeat(1000);
        let error = PipelineError::NoMask { text, mask_token: "[MASK]".to_owned() };
        let error = ApiError::from(error);
        assert_eq!(error.status, 422);
        assert!(!error.message.contains("secret") && error.message.contains("`[MASK]`"));
    }

    #[test]
    fn the_form_is_that_of_text_embeddings_inference() {
        let response = ApiError::overloaded("busy").closing().into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        assert_eq!(response.headers()[header::CONNECTION], "close");
        let form = Form { error: "x", error_type: ErrorType::NotFound };
        let json = serde_json::to_string(&form).unwrap();
        assert_eq!(json, r#"{"error":"x","error_type":"not_found"}"#);
    }
}
