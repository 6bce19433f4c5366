//! The request headers that carry meaning: `Idempotency-Key`, `If-Match`, `If-None-Match`; and the entity tag.

use actix_web::HttpMessage;
use actix_web::http::header::{self, EntityTag, Header, HeaderMap, HeaderName, IfMatch, IfNoneMatch};
use mass_domain::canonical::Fingerprint;
use mass_domain::mass_request::IdempotencyKey;
use mass_domain::precondition::{Digests, Precondition};
use mass_service::SentKey;
use serde_json::json;

use super::operations::Parameter;
use super::problem::Problem;
use super::query::wrong_header;

/// Marks an answer that repeats the first one to its idempotency key.
pub const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The header of a change to one version.
pub(super) const IF_MATCH: Parameter = Parameter::new(
    "If-Match",
    "The entity tag that the client knows; another one at the server gives 412.",
    entity_tags,
);

/// The header of a read that the client may know the answer of.
pub(super) const IF_NONE_MATCH: Parameter = Parameter::new(
    "If-None-Match",
    "The entity tag that the client knows; the same one at the server gives 304.",
    entity_tags,
);

/// The header of a change that is to create something, and replace nothing.
pub(super) const UNLESS_MATCH: Parameter = Parameter::new(
    "If-None-Match",
    "`*` to create one and replace none, or the entity tag of one not to be replaced; otherwise 412.",
    entity_tags,
);

fn entity_tags() -> serde_json::Value {
    json!({"type": "string", "examples": ["\"v1\""]})
}

/// The entity tag of a version (RFC 9110, section 8.8.3): strong, since a version has exactly one representation.
#[must_use]
pub fn entity_tag(version: i64) -> EntityTag {
    EntityTag::new_strong(format!("v{version}"))
}

/// Reads `Idempotency-Key`: the draft's quoted string or a bare token, which mean the same key.
///
/// # Errors
/// A [`Problem`] when it is there more than once or is not a key.
pub fn idempotency_key(headers: &HeaderMap) -> Result<SentKey, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY);
    let Some(value) = values.next() else { return Ok(SentKey::None) };
    let refuse = |detail: String| wrong_header("Idempotency-Key", detail);
    if values.next().is_some() {
        return Err(refuse("Given more than once.".to_owned()));
    }
    let text = value.to_str().ok().map(str::trim).and_then(unquoted);
    let text = text.ok_or_else(|| refuse("Neither a quoted string nor a bare key.".to_owned()))?;
    IdempotencyKey::parse(&text).map(SentKey::Header).map_err(|error| refuse(error.to_string()))
}

/// A structured-field string (RFC 9651, section 3.3.3) without its quotes, or the bare text.
fn unquoted(text: &str) -> Option<String> {
    let Some(inner) = text.strip_prefix('"') else { return Some(text.to_owned()) };
    let mut unquoted = String::new();
    let mut letters = inner.chars();
    loop {
        match letters.next()? {
            '"' => return letters.next().is_none().then_some(unquoted),
            '\\' => unquoted.push(letters.next().filter(|letter| matches!(letter, '"' | '\\'))?),
            letter => unquoted.push(letter),
        }
    }
}

/// Reads the versions in `If-Match`, which are compared strongly; `None` without the header, or if any will do.
#[must_use]
pub fn if_match(request: &impl HttpMessage) -> Option<Vec<i64>> {
    if !request.headers().contains_key(header::IF_MATCH) {
        return None;
    }
    match IfMatch::parse(request) {
        Ok(IfMatch::Any) => None,
        Ok(IfMatch::Items(tags)) => Some(tags.iter().filter(|tag| !tag.weak).filter_map(version).collect()),
        Err(_) => Some(Vec::new()),
    }
}

/// Returns true if `If-None-Match`, which compares weakly, names this version.
#[must_use]
pub fn if_none_match(request: &impl HttpMessage, version: i64) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.weak_eq(&entity_tag(version))),
        Err(_) => false,
    }
}

/// The entity tag of a content: strong, since equal digests have equal representations.
#[must_use]
pub fn digest_tag(digest: Fingerprint) -> EntityTag {
    EntityTag::new_strong(digest.to_string())
}

/// Reads `If-Match`, which compares strongly, and `If-None-Match`, which compares weakly, as digests.
#[must_use]
pub fn precondition(request: &impl HttpMessage) -> Precondition {
    let digests = |tags: &[EntityTag], takes_weak: bool| {
        let tags = tags.iter().filter(|tag| takes_weak || !tag.weak);
        Digests::OneOf(tags.filter_map(|tag| tag.tag().parse().ok()).collect())
    };
    let sends = |name| request.headers().contains_key(name);
    let matches = sends(header::IF_MATCH).then(|| match IfMatch::parse(request) {
        Ok(IfMatch::Any) => Digests::Any,
        Ok(IfMatch::Items(tags)) => digests(&tags, false),
        Err(_) => Digests::OneOf(Vec::new()),
    });
    let differs = sends(header::IF_NONE_MATCH).then(|| match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => Digests::Any,
        Ok(IfNoneMatch::Items(tags)) => digests(&tags, true),
        Err(_) => Digests::OneOf(Vec::new()),
    });
    Precondition { matches, differs }
}

/// The version that a tag stands for. Tags are compared letter by letter: `"v01"` and `"v+1"` are other ones than `"v1"`.
fn version(tag: &EntityTag) -> Option<i64> {
    let version = tag.tag().strip_prefix('v')?.parse().ok()?;
    tag.weak_eq(&entity_tag(version)).then_some(version)
}

#[cfg(test)]
mod tests {
    use actix_web::HttpRequest;
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn digests_are_compared_strongly_or_weakly_as_the_header_asks() {
        let digest = Fingerprint::of("a");
        let tags = format!("W/\"{digest}\", \"v1\"");
        let (strong, any) = (digest_tag(digest).to_string(), Some(Digests::Any));
        let of = |name, value: &str| precondition(&with(name, value));
        assert_eq!(precondition(&plain()), Precondition::default());
        assert_eq!(of(header::IF_MATCH, "*"), Precondition { matches: any.clone(), differs: None });
        assert_eq!(of(header::IF_NONE_MATCH, "*"), Precondition { matches: None, differs: any });
        assert_eq!(of(header::IF_MATCH, &tags).matches, Some(Digests::OneOf(Vec::new())));
        assert_eq!(of(header::IF_MATCH, &strong).matches, Some(Digests::OneOf(vec![digest])));
        assert_eq!(of(header::IF_NONE_MATCH, &tags).differs, Some(Digests::OneOf(vec![digest])));
    }

    fn plain() -> HttpRequest {
        TestRequest::default().to_http_request()
    }

    fn with(name: HeaderName, value: &str) -> HttpRequest {
        TestRequest::default().insert_header((name, value)).to_http_request()
    }

    #[test]
    fn a_quoted_and_a_bare_key_are_the_same() {
        let key = |value: &str| idempotency_key(with(IDEMPOTENCY_KEY, value).headers()).ok();
        let expected = Some(SentKey::Header(IdempotencyKey::parse("k-1").unwrap()));
        assert_eq!(key("k-1"), expected);
        assert_eq!(key("\"k-1\""), expected);
        assert_eq!(key(r#""k\"\\""#), Some(SentKey::Header(IdempotencyKey::parse(r#"k"\"#).unwrap())));
        assert_eq!(idempotency_key(&HeaderMap::new()).ok(), Some(SentKey::None));
        for bad in ["", "\"\"", "\"k", "\"k\"x", r#""\n""#, &"k".repeat(256)] {
            assert_eq!(key(bad), None, "{bad}");
        }
    }

    #[test]
    fn entity_tags_are_compared_strongly_or_weakly_as_the_header_asks() {
        assert_eq!(if_match(&plain()), None);
        assert_eq!(if_match(&with(header::IF_MATCH, "*")), None);
        assert_eq!(if_match(&with(header::IF_MATCH, "\"v1\", W/\"v2\", \"x\"")), Some(vec![1]));
        assert_eq!(if_match(&with(header::IF_MATCH, "\"v01\", \"v+1\", \"v9223372036854775808\"")), Some(vec![]));
        assert!(if_none_match(&with(header::IF_NONE_MATCH, "\"x\", W/\"v2\""), 2));
        assert!(if_none_match(&with(header::IF_NONE_MATCH, "*"), 2));
        assert!(!if_none_match(&with(header::IF_NONE_MATCH, "\"v1\""), 2));
        assert!(!if_none_match(&plain(), 2));
    }
}
