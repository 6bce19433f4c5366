//! Bodies: media type (415), coding (415), size (413), syntax (400), and for typed bodies their rules (422).

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::{self, BytesMut};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use garde::Validate;
use mass_domain::contracts;
use mass_domain::faults::Fault;
use mass_domain::json::{self, SyntaxError, Value};
use mass_domain::trace::SPANS;
use mass_domain::validation::{Stage, Violation};
use serde::de::DeserializeOwned;
use tracing::Instrument;

use super::problem::{Problem, ProblemKind};

/// The time limit for receiving a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The detail of the violation by a body that is no JSON object.
pub(super) const NOT_AN_OBJECT: &str = "Expected a JSON object.";

/// The longest body of a single request, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimit(pub usize);

/// A JSON document, read strictly but under no contract yet.
pub struct Document {
    /// The document, unless the text is no JSON that MASS accepts.
    pub value: Result<Value, SyntaxError>,
    /// Its text as it was sent.
    pub text: BytesMut,
}

impl FromRequest for Document {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = receive(req, payload);
        let span = tracing::info_span!(target: SPANS, "read document");
        let reading = async move {
            let text = body.await?;
            Ok(Self { value: json::parse(&text), text })
        };
        Box::pin(reading.instrument(span))
    }
}

/// A JSON document or nothing: a request without a body needs no type.
pub struct OptionalDocument(pub Option<(Value, BytesMut)>);

impl FromRequest for OptionalDocument {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let headers = req.headers();
        let has_body = headers.contains_key(header::TRANSFER_ENCODING) || announced(headers).is_some_and(|it| it > 0);
        if !has_body && !headers.contains_key(header::CONTENT_TYPE) {
            return Box::pin(std::future::ready(Ok(Self(None))));
        }
        let body = receive(req, payload);
        Box::pin(async move {
            let body = body.await?;
            let document = if body.is_empty() { None } else { Some((json::parse(&body)?, body)) };
            Ok(Self(document))
        })
    }
}

/// A body of a fixed shape, valid by its own rules.
pub struct Valid<T>(pub T);

impl<T> FromRequest for Valid<T>
where
    T: DeserializeOwned + Validate<Context = ()> + 'static,
{
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = receive(req, payload);
        Box::pin(async move {
            let body = body.await?;
            // Read strictly first: serde would keep the last of two equal keys, or take an array for an object.
            let document = json::parse(&body)?;
            let hazards = contracts::hazards(&document);
            if !hazards.is_empty() {
                return Err(broken(hazards));
            }
            if !matches!(document, Value::Object(_)) {
                return Err(violation(String::new(), "type", NOT_AN_OBJECT));
            }
            let mut reader = serde_json::Deserializer::from_slice(&body);
            let value: T = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
                let reason = error.inner().to_string();
                let reason = reason.split(" at line ").next().unwrap_or_default();
                violation(pointer_of(error.path()), "shape", &sentence(reason))
            })?;
            value.validate().map_err(|report| {
                let violations = report.iter().map(|(path, error)| Violation {
                    stage: Stage::Structural,
                    pointer: rule_pointer(&path.to_string()),
                    code: "rule".to_owned(),
                    detail: sentence(error.message()),
                    expected: None,
                    actual: None,
                });
                broken(violations.collect())
            })?;
            Ok(Self(value))
        })
    }
}

fn receive(req: &HttpRequest, payload: &mut Payload) -> impl Future<Output = Result<BytesMut, Problem>> + 'static {
    let limit = req.app_data::<web::Data<BodyLimit>>().map_or(1 << 20, |limit| limit.0);
    let detail = format!("A body has at most {limit} bytes (MASS_BODY_LIMIT_BYTES).");
    let types = "application/json";
    let received = receive_as(req, payload, types, limit, detail);
    async move { received.await.map(|(_, body)| body) }
}

/// Receives a body of one of these media types in UTF-8, with its type. `too_large` says how long it may be.
pub(super) fn receive_as(
    req: &HttpRequest,
    payload: &mut Payload,
    types: &'static str,
    limit: usize,
    too_large: String,
) -> impl Future<Output = Result<(&'static str, BytesMut), Problem>> + 'static {
    let judged = judge_headers(req, types);
    let payload = payload.take();
    let announced = announced(req.headers());
    async move {
        let media_type = judged?;
        let too_large = Problem::new(ProblemKind::TooLarge).detail(too_large).member("limit_bytes", limit);
        if announced.is_some_and(|length| length > limit) {
            return Err(too_large);
        }
        Ok((media_type, read(payload, limit, too_large).await?))
    }
}

/// The length of the body by its `Content-Length`, if it has one.
fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse::<u64>().ok()?.try_into().ok()
}

/// Returns the media type of a body, which is one of these, in UTF-8 and without a coding.
fn judge_headers(req: &HttpRequest, types: &'static str) -> Result<&'static str, Problem> {
    let mime =
        req.mime_type().ok().flatten().filter(|mime| {
            mime.get_param("charset").is_none_or(|charset| charset.as_str().eq_ignore_ascii_case("utf-8"))
        });
    let mime = mime.filter(|_| req.headers().get_all(header::CONTENT_TYPE).count() == 1);
    let media_type = mime.and_then(|mime| types.split(", ").find(|media_type| mime.essence_str() == *media_type));
    let Some(media_type) = media_type else {
        let detail = match types {
            "application/json" => "Send JSON in UTF-8 with the header Content-Type: application/json.".to_owned(),
            types => format!("Send one of these as Content-Type, in UTF-8: {types}."),
        };
        return Err(Problem::new(ProblemKind::UnsupportedMediaType)
            .detail(detail)
            .header(header::ACCEPT, HeaderValue::from_static(types)));
    };
    if !is_uncoded(req.headers()) {
        return Err(Problem::new(ProblemKind::UnsupportedMediaType)
            .detail("Send the body without a Content-Encoding.")
            .header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity")));
    }
    Ok(media_type)
}

fn is_uncoded(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).all(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

async fn read(mut payload: Payload, limit: usize, too_large: Problem) -> Result<BytesMut, Problem> {
    let whole = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| {
                tracing::info!(%error, "a body broke off");
                Problem::new(ProblemKind::BadRequest).detail("The body ended before it was complete.")
            })?;
            if body.len() + chunk.len() > limit {
                return Err(too_large);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    };
    tokio::time::timeout(BODY_TIMEOUT, whole).await.unwrap_or_else(|_| {
        let seconds = BODY_TIMEOUT.as_secs();
        Err(Problem::new(ProblemKind::RequestTimeout).detail(format!("A body has to arrive within {seconds} seconds.")))
    })
}

/// A problem for broken rules.
#[must_use]
pub fn broken(violations: Vec<Violation>) -> Problem {
    let rules = if violations.len() == 1 {
        "1 rule is broken.".to_owned()
    } else {
        format!("{} rules are broken.", violations.len())
    };
    Problem::new(ProblemKind::ContractViolation).detail(rules).violations(violations)
}

/// A problem for values that break rules of the domain.
#[must_use]
pub fn broken_rules(faults: Vec<Fault>) -> Problem {
    let violation = |Fault { pointer, expected }: Fault| Violation {
        stage: Stage::Semantic,
        pointer,
        code: "rule".to_owned(),
        detail: format!("Expected {expected}."),
        expected: Some(expected),
        actual: None,
    };
    Problem::new(ProblemKind::ContractViolation).violations(faults.into_iter().map(violation).collect())
}

/// A problem for one broken rule.
#[must_use]
pub fn violation(pointer: String, code: &str, detail: &str) -> Problem {
    broken(vec![Violation {
        stage: Stage::Structural,
        pointer,
        code: code.to_owned(),
        detail: detail.to_owned(),
        expected: None,
        actual: None,
    }])
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => format!("/{variant}"),
            Segment::Unknown => String::new(),
        })
        .collect()
}

/// Writes the path of a rule (`rules[0].days`) as a JSON pointer.
fn rule_pointer(path: &str) -> String {
    format!("/{}", path.replace('[', "/").replace(']', "").replace('.', "/"))
}

/// A message as a sentence: with a capital letter and a full stop.
#[must_use]
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    let end = if text.ends_with('.') { "" } else { "." };
    first.into_iter().flatten().chain(letters).collect::<String>() + end
}
