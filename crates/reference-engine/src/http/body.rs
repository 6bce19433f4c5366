//! Incoming requests: the idempotency key and the body.

use actix_web::http::header::{self, HeaderMap};
use actix_web::rt::time::timeout;
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpMessage, HttpRequest};

use crate::limits::{BODY_BYTES, BODY_TIMEOUT, KEY_CHARACTERS};
use crate::request_error::RequestError;

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Reads the idempotency key, if there is one, and the body.
///
/// # Errors
/// [`RequestError`] if either is invalid.
pub(super) async fn receive(req: &HttpRequest, payload: Payload) -> Result<(Option<String>, Bytes), RequestError> {
    let key = key(req.headers())?;
    if !is_json(req) {
        return Err(RequestError::NoJsonType);
    }
    match timeout(BODY_TIMEOUT, payload.to_bytes_limited(BODY_BYTES)).await {
        Ok(Ok(Ok(body))) => Ok((key, body)),
        Ok(Ok(Err(_))) => Err(RequestError::Broken),
        Ok(Err(_)) => Err(RequestError::TooLong),
        Err(_) => Err(RequestError::TooSlow),
    }
}

fn is_json(req: &HttpRequest) -> bool {
    let is_json = matches!(req.mime_type(), Ok(Some(mime)) if mime.essence_str() == "application/json"
        && mime.get_param("charset").is_none_or(|charset| charset.as_str().eq_ignore_ascii_case("utf-8")));
    let mut codings = req.headers().get_all(header::CONTENT_ENCODING);
    is_json && codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn key(headers: &HeaderMap) -> Result<Option<String>, RequestError> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY);
    let Some(key) = keys.next() else { return Ok(None) };
    let is_short = (1..=KEY_CHARACTERS).contains(&key.len());
    let is_printable = key.as_bytes().iter().all(|byte| (b' '..=b'~').contains(byte));
    match key.to_str() {
        Ok(key) if is_short && is_printable && keys.next().is_none() => Ok(Some(key.to_owned())),
        _ => Err(RequestError::NoKey),
    }
}
