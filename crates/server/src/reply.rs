//! An answer.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::error::ApiError;

/// What is answered with 200.
pub(crate) struct Reply {
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// A value as JSON.
    ///
    /// # Errors
    /// None for what this crate answers with.
    pub(crate) fn json(value: &impl Serialize) -> Result<Self, ApiError> {
        let body = serde_json::to_vec(value).map_err(|error| {
            tracing::error!("an answer cannot be written: {error}");
            ApiError::fault()
        })?;
        Ok(Self { content_type: "application/json", body })
    }

    /// The answers as JSON: the only one by itself if one was asked for, else a list.
    ///
    /// # Errors
    /// As [`Self::json`].
    pub(crate) fn one_or_list<T: Serialize>(
        is_one: bool,
        answers: Vec<T>,
    ) -> Result<Self, ApiError> {
        match &answers[..] {
            [answer] if is_one => Self::json(answer),
            answers => Self::json(&answers),
        }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        let content_type = HeaderValue::from_static(self.content_type);
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response
    }
}
