//! Outgoing responses, with their injected faults.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::{CACHE_CONTROL, ContentType, RETRY_AFTER};
use actix_web::rt::time::sleep;
use actix_web::web::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::faults::{Garbage, InjectedFault};
use crate::limits::{ANSWER_SECONDS, LONGEST_HANG};

/// Builds a response that must not be cached.
pub(super) fn fresh(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(body)
}

/// Sends an answer, or the fault injected into the request with this index. The answer is computed and cached in any
/// case, as if it were lost in transit.
pub(super) async fn reply(engine: &Engine, place: u64, answer: Bytes) -> HttpResponse {
    match engine.options.faults.at(place) {
        None => {
            engine.count(|it| it.recommended += 1);
            sound().body(answer)
        }
        Some(InjectedFault::Error) => {
            engine.count(|it| it.errors += 1);
            error(engine.options.faults.retry_after)
        }
        Some(InjectedFault::Garbage(kind)) => {
            engine.count(|it| it.garbage += 1);
            sound().body(garbage(kind, &answer))
        }
        Some(InjectedFault::Hang) => {
            engine.count(|it| it.hung += 1);
            sleep(LONGEST_HANG).await;
            error(None)
        }
        Some(InjectedFault::Truncation) => {
            engine.count(|it| it.truncated += 1);
            sound().body(TruncatedBody::of(answer))
        }
    }
}

fn sound() -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.content_type(ContentType::json());
    response.insert_header((CACHE_CONTROL, format!("private, max-age={ANSWER_SECONDS}")));
    response
}

fn error(retry_after: Option<u32>) -> HttpResponse {
    let (mut response, error) = match retry_after {
        Some(seconds) => {
            let mut response = HttpResponse::ServiceUnavailable();
            response.insert_header((RETRY_AFTER, seconds.to_string()));
            (response, "injected fault: unavailable")
        }
        None => (HttpResponse::InternalServerError(), "injected fault: internal error"),
    };
    response.insert_header((CACHE_CONTROL, "no-store")).json(json!({"error": error}))
}

fn garbage(kind: Garbage, answer: &Bytes) -> Bytes {
    match kind {
        Garbage::Page => Bytes::from_static(b"<!doctype html><title>Welcome</title><p>It works!"),
        Garbage::Bytes => Bytes::from_static(b"\xff\xfe\x00\xc3\x28{\x80"),
        Garbage::OtherShape => Bytes::from_static(br#"{"status":"ok","actions":"none"}"#),
        Garbage::OutOfRange => changed(answer, "confidence", json!(17)),
        Garbage::OtherInput => changed(answer, "input_fingerprint", json!(format!("sha256:{}", "0".repeat(64)))),
    }
}

/// Replaces the value of one member of the answer.
fn changed(answer: &Bytes, member: &str, value: Value) -> Bytes {
    let Ok(mut answer) = serde_json::from_slice::<Value>(answer) else { return Bytes::new() };
    if let Some(answer) = answer.as_object_mut() {
        answer.insert(member.to_owned(), value);
    }
    Bytes::from(answer.to_string())
}

/// A response body that ends before its announced length.
struct TruncatedBody {
    announced: u64,
    half: Option<Bytes>,
    is_flushed: bool,
}

impl TruncatedBody {
    fn of(mut body: Bytes) -> Self {
        Self { announced: body.len() as u64, half: Some(body.split_to(body.len() / 2)), is_flushed: false }
    }
}

impl MessageBody for TruncatedBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.announced)
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, io::Error>>> {
        if let Some(half) = self.half.take() {
            return Poll::Ready(Some(Ok(half)));
        }
        if !self.is_flushed {
            // Returns once without data, so that actix flushes the first half.
            self.is_flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "injected fault: truncated"))))
    }
}
