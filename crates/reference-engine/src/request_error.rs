//! Errors of requests.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;

use crate::limits::{BODY_BYTES, BODY_TIMEOUT, KEY_CHARACTERS};

/// Maximum length of a message in characters, because it may quote the request.
const LONGEST_SENTENCE: usize = 300;

/// Reason why a request gets no recommendation.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    /// The path does not exist, or does not support the method.
    #[error("unknown path or method: expected POST /recommend, GET /health, GET /version or GET /statistics")]
    NothingHere,
    /// The body is not JSON, or is compressed.
    #[error("expected uncompressed JSON with the header Content-Type: application/json")]
    NoJsonType,
    /// The body is too large.
    #[error("the body has more than {BODY_BYTES} bytes")]
    TooLong,
    /// The body was not received in time.
    #[error("the body did not arrive within {} seconds", BODY_TIMEOUT.as_secs())]
    TooSlow,
    /// The body ended before its announced length.
    #[error("the body ended before it was complete")]
    Broken,
    /// The body is not valid JSON.
    #[error("the body is not valid JSON: {0}")]
    NoJson(String),
    /// The idempotency key is invalid.
    #[error("expected one Idempotency-Key header of 1 to {KEY_CHARACTERS} printable ASCII characters")]
    NoKey,
    /// The idempotency key was used with another request.
    #[error("the Idempotency-Key was used for another request")]
    KeyReused,
    /// The body is JSON, but not a valid request.
    #[error("{0}")]
    Unworkable(String),
}

impl RequestError {
    /// Builds the error for invalid JSON.
    pub(crate) fn no_json(why: &str) -> Self {
        Self::NoJson(shortened(why))
    }

    /// Builds the error for an invalid request.
    pub(crate) fn unworkable(why: &str) -> Self {
        Self::Unworkable(shortened(why))
    }
}

fn shortened(sentence: &str) -> String {
    sentence.chars().take(LONGEST_SENTENCE).collect()
}

impl ResponseError for RequestError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NothingHere => StatusCode::NOT_FOUND,
            Self::NoJsonType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken | Self::NoJson(_) | Self::NoKey => StatusCode::BAD_REQUEST,
            Self::KeyReused | Self::Unworkable(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        HttpResponse::build(self.status_code())
            .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
            .json(json!({"error": self.to_string()}))
    }
}
