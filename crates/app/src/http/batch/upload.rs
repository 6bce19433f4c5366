//! A body of records before it is read: its type, its coding, its bytes.

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use mass_domain::records::Format;
use std::future::{Ready, ready};

use super::coding::Coding;
use crate::http::problem::{Problem, ProblemKind};

/// The media types of bodies that MASS reads by itself.
const TYPES: &str = "application/x-ndjson, application/json, text/csv";

/// The further media types of bodies that a mapping profile reads.
const MAPPED_TYPES: [&str; 3] = ["text/tab-separated-values", "text/plain", "application/octet-stream"];

/// A body of records that has not been read yet.
pub(super) struct Upload {
    pub(super) payload: Payload,
    /// The format by the media type; a mapping profile names its own.
    pub(super) format: Format,
    pub(super) coding: Coding,
}

impl FromRequest for Upload {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let judged = format(req).and_then(|format| Ok((format, coding(req.headers())?)));
        ready(judged.map(|(format, coding)| Self { payload: payload.take(), format, coding }))
    }
}

fn format(req: &HttpRequest) -> Result<Format, Problem> {
    let is_mapped = is_mapped(req.query_string());
    let mime = req.mime_type().ok().flatten().filter(|mime| {
        // A mapping profile names the encoding.
        is_mapped || mime.get_param("charset").is_none_or(|charset| charset.as_str().eq_ignore_ascii_case("utf-8"))
    });
    let mime = mime.filter(|_| req.headers().get_all(header::CONTENT_TYPE).count() == 1);
    match mime.as_ref().map(|mime| mime.essence_str()) {
        Some("application/x-ndjson") => Ok(Format::Ndjson),
        Some("application/json") => Ok(Format::Array),
        Some("text/csv") => Ok(Format::Csv),
        Some(other) if is_mapped && MAPPED_TYPES.contains(&other) => Ok(Format::Ndjson),
        Some(_) | None => Err(unsupported(is_mapped)),
    }
}

fn unsupported(is_mapped: bool) -> Problem {
    let types = if is_mapped { format!("{TYPES}, {}", MAPPED_TYPES.join(", ")) } else { TYPES.to_owned() };
    let encoding = if is_mapped { "" } else { " in UTF-8" };
    let detail = format!("Send records{encoding} with one of these as Content-Type: {types}.");
    let problem = Problem::new(ProblemKind::UnsupportedMediaType).detail(detail);
    match HeaderValue::try_from(types) {
        Ok(types) => problem.header(header::ACCEPT, types),
        Err(_) => problem,
    }
}

/// Returns true if the query names a mapping profile. The body is judged before the query.
fn is_mapped(query: &str) -> bool {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query);
    pairs.is_ok_and(|pairs| pairs.iter().any(|(name, _)| name == "map"))
}

fn coding(headers: &HeaderMap) -> Result<Coding, Problem> {
    let codings = "gzip, zstd, identity";
    let mut named = headers.get_all(header::CONTENT_ENCODING);
    let coding = named.next().map_or(Some(Coding::Identity), |value| Coding::named(value.to_str().ok()?));
    coding.filter(|_| named.next().is_none()).ok_or_else(|| {
        Problem::new(ProblemKind::UnsupportedMediaType)
            .detail(format!("Send the body in one of these as Content-Encoding: {codings}."))
            .header(header::ACCEPT_ENCODING, HeaderValue::from_static(codings))
    })
}
