//! The answer to a batch: lines or one JSON document, and the status.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::web::Bytes;
use futures_util::Stream;

use crate::http::accept;
use crate::http::problem::Problem;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A line for each result, and one with the totals.
    Lines,
    /// One JSON document of results and totals.
    Document,
}

impl Form {
    /// Returns the form that the client prefers; lines, if it has no preference.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let weight = |media_type| accept::media_type(headers, media_type);
        if weight("application/json") > weight("application/x-ndjson") { Self::Document } else { Self::Lines }
    }

    const fn media_type(self, is_problem: bool) -> &'static str {
        match (self, is_problem) {
            (Self::Lines, _) => "application/x-ndjson",
            (Self::Document, true) => "application/problem+json",
            (Self::Document, false) => "application/json",
        }
    }
}

/// The status of a batch, and the headers of the problem that it ends with.
pub(super) struct Conclusion {
    status: StatusCode,
    headers: HeaderMap,
    is_problem: bool,
}

impl Conclusion {
    /// A batch that was read, or stored.
    pub(super) fn of_success(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), is_problem: false }
    }

    /// A batch that ended with this problem, if any.
    pub(super) fn of(problem: Option<&Problem>) -> Self {
        let failed = |problem: &Problem| Self {
            status: problem.kind().status(),
            headers: problem.headers().clone(),
            is_problem: true,
        };
        problem.map_or_else(|| Self::of_success(StatusCode::OK), failed)
    }

    /// Builds the answer. An error among the results ends the connection without the answer's end.
    pub(super) fn answer<E>(&self, form: Form, results: impl Stream<Item = Result<Bytes, E>> + 'static) -> HttpResponse
    where
        E: std::error::Error + 'static,
    {
        let mut response = HttpResponse::build(self.status);
        for header in &self.headers {
            response.insert_header(header);
        }
        response.content_type(form.media_type(self.is_problem)).streaming(results)
    }
}
