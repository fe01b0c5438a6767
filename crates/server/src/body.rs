//! The body of a request: bounded in bytes, in time, and in what all bodies hold together.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{StatusCode, header},
};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Duration, Instant, timeout, timeout_at},
};

use crate::{
    app::App,
    error::{ApiError, ErrorType},
};

/// KiB that the bodies of all requests may hold: 256 MiB.
pub(crate) const BODIES_KIB: usize = 256 * 1024;

/// What is read of a body that is refused, so that a client that writes all of it before it reads sees why.
const LINGER_BYTES: usize = 64 << 20;
const LINGER_TIME: Duration = Duration::from_secs(2);

/// A body. Its share of what all bodies may hold is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct ReadBody {
    bytes: Vec<u8>,
    share: Option<OwnedSemaphorePermit>,
}

impl ReadBody {
    /// Reads the body of `request`.
    ///
    /// # Errors
    /// 413 if it is too large, 408 if it comes too slowly, 429 if all bodies together hold too much, 415 if it is said to be
    /// something else than JSON, 400 if it is cut off.
    pub(crate) async fn read(app: &App, request: Request) -> Result<Self, ApiError> {
        let waits_for_consent = request.headers().contains_key(header::EXPECT);
        let said = request.headers().get(header::CONTENT_LENGTH);
        let said: Option<u64> = said.and_then(|length| length.to_str().ok()?.parse().ok());
        let content_type = request.headers().get(header::CONTENT_TYPE).cloned();
        let mut body = request.into_body();
        let most = app.limits.max_body_bytes;
        let is_json =
            content_type.as_ref().and_then(|value| value.to_str().ok()).is_some_and(is_json);
        let refusal = if said.is_some_and(|length| length > most as u64) {
            Some(too_large(most))
        } else if is_json {
            None
        } else {
            let message = "the body must be JSON: send `Content-Type: application/json`";
            Some(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorType::Validation, message))
        };
        if let Some(refusal) = refusal {
            if !waits_for_consent {
                linger(&mut body).await;
            }
            return Err(refusal.closing());
        }

        let deadline = Instant::now() + app.limits.body_timeout;
        let mut read = Self { bytes: Vec::new(), share: None };
        loop {
            let frame = timeout_at(deadline, body.frame()).await.map_err(|_| {
                let message = "the body came too slowly (`--body-timeout`)";
                ApiError::new(StatusCode::REQUEST_TIMEOUT, ErrorType::Timeout, message).closing()
            })?;
            let Some(frame) = frame else { return Ok(read) };
            let frame = frame.map_err(|_| ApiError::malformed("the body is cut off").closing())?;
            // Trailers say nothing.
            let Ok(data) = frame.into_data() else { continue };
            if read.bytes.len() + data.len() > most {
                read.bytes = Vec::new();
                linger(&mut body).await;
                return Err(too_large(most).closing());
            }
            read.grow(app, data.len())?;
            read.bytes.extend_from_slice(&data);
        }
    }

    /// Takes the share of so many bytes more.
    fn grow(&mut self, app: &App, bytes: usize) -> Result<(), ApiError> {
        let held = self.share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let needed = (self.bytes.len() + bytes).div_ceil(1024);
        if needed <= held {
            return Ok(());
        }
        let more = u32::try_from(needed - held).unwrap_or(u32::MAX);
        let more = Arc::clone(&app.bodies).try_acquire_many_owned(more).map_err(|_| {
            ApiError::overloaded("too many large bodies at once; ask again later").closing()
        })?;
        match &mut self.share {
            Some(share) => share.merge(more),
            None => self.share = Some(more),
        }
        Ok(())
    }

    /// The JSON object that it is.
    ///
    /// # Errors
    /// 400 if it is no JSON, 422 if it is of another shape.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let text = std::str::from_utf8(&self.bytes).map_err(|error| {
            let place = error.valid_up_to();
            ApiError::malformed(format!("the body is not UTF-8: byte `{place}`"))
        })?;
        // A list would be read by the order of the keys.
        let is_object = text.trim_start().starts_with('{');
        if !is_object && serde_json::from_str::<serde_json::Value>(text).is_ok() {
            return Err(ApiError::invalid("the body must be an object, `{…}`"));
        }
        serde_json::from_str(text).map_err(|error| match error.classify() {
            Category::Data => ApiError::invalid(error.to_string()),
            Category::Syntax | Category::Eof | Category::Io => {
                ApiError::malformed(format!("the body is not JSON: {error}"))
            }
        })
    }
}

fn too_large(most: usize) -> ApiError {
    ApiError::too_large(format!(
        "the body is larger than {most} bytes (`--max-body-bytes`); send less at once"
    ))
}

/// Whether a content type is JSON's, with whatever parameters.
fn is_json(content_type: &str) -> bool {
    let name = content_type.split(';').next().unwrap_or_default().trim();
    name.eq_ignore_ascii_case("application/json")
}

/// Reads on for a while, and forgets what it reads.
async fn linger(body: &mut Body) {
    let forget = async {
        let mut bytes = 0;
        while bytes < LINGER_BYTES
            && let Some(Ok(frame)) = body.frame().await
        {
            bytes += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    // The time is over, or the client is done: either way it is answered.
    let _ = timeout(LINGER_TIME, forget).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_by_hand() {
        for good in ["application/json", "Application/JSON; charset=utf-8", " application/json "] {
            assert!(is_json(good), "{good}");
        }
        for bad in ["", "text/json", "application/jsonl", "application/x-www-form-urlencoded"] {
            assert!(!is_json(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_no_json_is_400_and_json_of_another_shape_422() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Number {
            n: u32,
        }
        let parse = |bytes: &[u8]| {
            let body = ReadBody { bytes: bytes.to_vec(), share: None };
            body.json::<Number>().map_err(|error| error.status.as_u16())
        };
        assert_eq!(parse(b" {\"n\": 2}"), Ok(Number { n: 2 }));
        for bad in
            [&b""[..], b"{\"n\": 1", b"{\"n\": 2}}", b"\xff", b"{\"\xff\"}", b"nul", b"\"\\ud800\""]
        {
            assert_eq!(parse(bad), Err(400), "{bad:?}");
        }
        for bad in [&b"{\"n\": \"a\"}"[..], b"{}", b"[2]", b"null"] {
            assert_eq!(parse(bad), Err(422), "{bad:?}");
        }
    }
}
