//! One call to the engine over HTTP (docs/engine.md).
//!
//! A call is never repeated here: retries belong to the queue, which outlives the process.

use std::error::Error as _;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use mass_domain::delivery::{Failure, FailureCode};
use mass_domain::recommendation::MAX_ANSWER_BYTES;
use mass_domain::trace::TraceParent;
use mass_service::{Answer, Question, RecommenderError};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Request, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::value::RawValue;
use tower::Service;
use tracing::{Instrument, Span};

use super::EngineOptions;
use super::resolver::{AllRefused, FilteringResolver};
use crate::retry_after::retry_after;
use crate::telemetry::spans;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The timeout of connecting to the engine.
const CONNECT: Duration = Duration::from_secs(5);

/// The maximum timeout of a call, regardless of the document, because a hanging call blocks a slot.
const LONGEST_CALL: Duration = Duration::from_secs(120);

/// The bearer token for the engine. It is never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineToken(HeaderValue);

impl EngineToken {
    /// Parses a bearer token.
    ///
    /// # Errors
    /// [`UnusableToken`].
    pub fn parse(token: &SecretString) -> Result<Self, UnusableToken> {
        let token = token.expose_secret();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UnusableToken);
        }
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| UnusableToken)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

/// The token is not a valid header value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a token of printable ASCII characters")]
pub struct UnusableToken;

/// The HTTP client of the engine. Clones share the connections.
#[derive(Clone)]
pub(super) struct EngineClient {
    http: Client,
    recommend: Url,
    timeout: Duration,
}

/// A call to make.
pub(super) struct EngineCall {
    request: Request,
    /// The trace context of the API call that queued the request.
    sender: Option<TraceParent>,
}

/// The body of a call.
#[derive(Serialize)]
struct Body<'a> {
    request_id: String,
    tenant_id: &'a str,
    contract: String,
    fingerprint: String,
    mode: &'static str,
    document: &'a RawValue,
}

impl EngineClient {
    pub(super) fn new(options: &EngineOptions) -> reqwest::Result<Self> {
        let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        if let Some(EngineToken(token)) = &options.token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        let http = Client::builder()
            .user_agent(concat!("mass/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            // The configuration alone decides the address: neither redirects nor proxy variables of the environment
            // apply.
            .redirect(Policy::none())
            .dns_resolver(FilteringResolver)
            .no_proxy()
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(options.concurrency.into())
            .build()?;
        Ok(Self { http, recommend: options.url.recommend(), timeout: options.timeout })
    }

    /// Returns the status with which the engine answers a request without a document.
    pub(super) async fn probe(&self) -> Result<StatusCode, String> {
        let request = self.http.head(self.recommend.clone()).timeout(CONNECT);
        let answer = request.send().await.map_err(|error| match unanswered(&error) {
            RecommenderError::Failed { failure, .. } => failure.detail,
            error => error.to_string(),
        })?;
        Ok(answer.status())
    }

    /// Builds the call for a question.
    pub(super) fn prepare(&self, question: &Question) -> Result<EngineCall, RecommenderError> {
        let mut request = Request::new(Method::POST, self.recommend.clone());
        *request.timeout_mut() = Some(self.time_for(question));
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, text) in
            [(IDEMPOTENCY_KEY, question.idempotency_key.clone()), (REQUEST_ID, question.request_id.to_string())]
        {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        }
        *request.body_mut() = Some(body(question)?.into());
        Ok(EngineCall { request, sender: question.trace })
    }

    /// Returns the timeout of a call.
    fn time_for(&self, question: &Question) -> Duration {
        let own = question.timeout_ms.and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis);
        own.unwrap_or(self.timeout).min(LONGEST_CALL)
    }

    /// Makes a call, and passes the trace context on if the span is exported.
    async fn ask(self, call: EngineCall) -> Result<Answer, RecommenderError> {
        let EngineCall { mut request, sender } = call;
        let span = spans::engine_call(request.url(), sender);
        let place = spans::place(&span).or_else(|| sender?.child(rand::random()));
        if let Some(value) = place.and_then(|place| HeaderValue::try_from(place.to_string()).ok()) {
            request.headers_mut().insert(TRACEPARENT, value);
        }
        let result = self.exchange(request, &span).instrument(span.clone()).await;
        if let Err(RecommenderError::Failed { failure, .. }) = &result {
            spans::unanswered(&span, failure.code);
        }
        result
    }

    async fn exchange(&self, request: Request, span: &Span) -> Result<Answer, RecommenderError> {
        let begun = Instant::now();
        let response = self.http.execute(request).await.map_err(|error| unanswered(&error))?;
        span.record("http.response.status_code", response.status().as_u16());
        if response.status() != StatusCode::OK {
            return Err(refusal(response.status(), response.headers()));
        }
        let body = read(response).await?;
        Ok(Answer { body, latency: begun.elapsed() })
    }
}

impl Service<EngineCall> for EngineClient {
    type Response = Answer;
    type Error = RecommenderError;
    type Future = BoxFuture<'static, Result<Answer, RecommenderError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), RecommenderError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: EngineCall) -> Self::Future {
        Box::pin(self.clone().ask(call))
    }
}

fn body(question: &Question) -> Result<Vec<u8>, RecommenderError> {
    let document: Result<&RawValue, _> = serde_json::from_str(&question.document);
    let body = document.and_then(|document| {
        serde_json::to_vec(&Body {
            request_id: question.request_id.to_string(),
            tenant_id: question.tenant_id.as_str(),
            contract: question.contract.to_string(),
            fingerprint: question.fingerprint.to_string(),
            mode: "shadow",
            document,
        })
    });
    body.map_err(|_| failed(FailureCode::Refused, "The stored document is no JSON.", false, None))
}

/// Reads the body of an answer, up to the limit.
async fn read(mut response: Response) -> Result<Vec<u8>, RecommenderError> {
    let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !media_type.split(';').next().is_some_and(|it| it.trim().eq_ignore_ascii_case("application/json")) {
        return Err(failed(FailureCode::Malformed, "The answer's Content-Type is not application/json.", true, None));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken_off(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            let detail = format!("The answer has more than {MAX_ANSWER_BYTES} bytes.");
            return Err(failed(FailureCode::Malformed, detail, true, None));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn failed(
    code: FailureCode,
    detail: impl Into<String>,
    retryable: bool,
    retry_after: Option<Duration>,
) -> RecommenderError {
    RecommenderError::Failed { failure: Failure { code, detail: detail.into() }, retryable, retry_after }
}

/// Maps an error without an answer. The client's own message is not stored, because it shows the URL and the resolver's
/// output.
fn unanswered(error: &reqwest::Error) -> RecommenderError {
    tracing::debug!(error = format!("{error:?}"), "the engine did not answer");
    if error.is_timeout() && !error.is_connect() {
        return failed(FailureCode::Timeout, "The engine did not answer in time.", true, None);
    }
    let mut causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let refused = causes.any(|cause| match cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => inner.is::<AllRefused>(),
        None => cause.is::<AllRefused>(),
    });
    let detail = match (refused, error.is_connect()) {
        (true, _) => "The engine's name has only special-purpose addresses, which are never called.",
        (false, true) => "No connection to the engine can be made.",
        (false, false) => "The connection to the engine ended before an answer came.",
    };
    failed(FailureCode::Unreachable, detail, true, None)
}

/// Maps an error in the middle of an answer.
fn broken_off(error: &reqwest::Error) -> RecommenderError {
    if error.is_timeout() {
        return failed(FailureCode::Timeout, "The engine's answer did not end in time.", true, None);
    }
    failed(FailureCode::Unreachable, "The connection to the engine ended within its answer.", true, None)
}

/// Maps a status other than 200. The body is not stored, because it may quote the document.
fn refusal(status: StatusCode, headers: &HeaderMap) -> RecommenderError {
    let retry_after = retry_after(headers);
    let (code, retryable) = match status {
        StatusCode::REQUEST_TIMEOUT => (FailureCode::Timeout, true),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => (FailureCode::Busy, true),
        status if status.is_server_error() => (FailureCode::EngineFault, true),
        status if status.is_client_error() => (FailureCode::Refused, false),
        _ => (FailureCode::Malformed, false),
    };
    failed(code, format!("The engine answered with status {}.", status.as_u16()), retryable, retry_after)
}

#[cfg(test)]
mod tests {
    use reqwest::header::RETRY_AFTER;

    use super::*;

    #[test]
    fn a_status_tells_whether_to_ask_again() {
        for (status, code, retryable) in [
            (301, FailureCode::Malformed, false),
            (204, FailureCode::Malformed, false),
            (400, FailureCode::Refused, false),
            (401, FailureCode::Refused, false),
            (408, FailureCode::Timeout, true),
            (422, FailureCode::Refused, false),
            (429, FailureCode::Busy, true),
            (500, FailureCode::EngineFault, true),
            (502, FailureCode::EngineFault, true),
            (503, FailureCode::Busy, true),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("3"))]);
            let error = refusal(StatusCode::from_u16(status).unwrap(), &headers);
            let detail = format!("The engine answered with status {status}.");
            assert_eq!(error, failed(code, detail, retryable, Some(Duration::from_secs(3))), "{status}");
        }
    }

    #[test]
    fn a_token_is_one_word_and_is_not_shown() {
        let token = EngineToken::parse(&SecretString::from("s3cret")).unwrap();
        assert_eq!(token.0, "Bearer s3cret");
        assert!(!format!("{token:?}").contains("s3cret"));
        for text in ["", "a b", "a\nb", "ä"] {
            assert_eq!(EngineToken::parse(&SecretString::from(text)), Err(UnusableToken), "{text}");
        }
    }
}
