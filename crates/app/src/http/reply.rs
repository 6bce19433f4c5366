//! Answers with a body of a known model, and what a handler knows of its call.

use std::marker::PhantomData;

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, Responder, web};
use futures_util::Stream;
use mass_domain::access::{Permission, Principal};
use mass_domain::tenancy::CredentialsVersion;
use mass_domain::trace::Origin;
use serde::Serialize;
use std::future::{Ready, ready};

use super::context::RequestSpans;
use super::gate::{Unconfirmed, authenticate, confirm, recall, refused_midway};
use super::problem::Problem;

/// An answer whose body is a `T` in JSON.
pub struct Reply<T> {
    response: HttpResponse,
    model: PhantomData<T>,
}

impl<T: Serialize> Reply<T> {
    /// 200 with this body.
    ///
    /// # Errors
    /// A [`Problem`] if the model has no JSON form, which is a fault of the server.
    pub fn ok(model: &T) -> Result<Self, Problem> {
        Self::with_status(StatusCode::OK, model)
    }

    /// This status with this body.
    ///
    /// # Errors
    /// As [`ok`](Self::ok).
    pub fn with_status(status: StatusCode, model: &T) -> Result<Self, Problem> {
        let body = serde_json::to_vec(model).map_err(|error| Problem::internal(&error.into()))?;
        let response = HttpResponse::build(status).content_type("application/json").body(body);
        Ok(Self { response, model: PhantomData })
    }

    /// 304 without a body.
    #[must_use]
    pub fn not_modified() -> Self {
        Self { response: HttpResponse::new(StatusCode::NOT_MODIFIED), model: PhantomData }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.response.headers_mut().insert(name, value);
        }
        self
    }

    /// With a link to the page that follows, if one does (RFC 8288): the same query with the other cursor, which needs
    /// no escaping.
    #[must_use]
    pub fn next(self, call: &Call, cursor: Option<&str>) -> Self {
        let Some(cursor) = cursor else { return self };
        let is_cursor = |pair: &str| {
            let read = web::Query::<Vec<(String, String)>>::from_query(pair);
            read.is_ok_and(|pairs| pairs.iter().any(|(name, _)| name == "cursor"))
        };
        let others = call.query().split('&').filter(|pair| !pair.is_empty() && !is_cursor(pair));
        let cursor = format!("cursor={cursor}");
        let query: Vec<&str> = others.chain([cursor.as_str()]).collect();
        self.header(header::LINK, &format!("<{}?{}>; rel=\"next\"", call.path(), query.join("&")))
    }
}

impl<T> Responder for Reply<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.response
    }
}

/// An answer of lines, each a `T` in JSON, which are made while they are sent: no faster than the client reads.
pub struct Lines<T> {
    response: HttpResponse,
    model: PhantomData<T>,
}

impl<T> Lines<T> {
    /// 200 with these lines, to be kept in a file of this name. An error ends the connection without the answer's end.
    #[must_use]
    pub fn new<E>(file: &str, lines: impl Stream<Item = Result<Bytes, E>> + 'static) -> Self
    where
        E: std::error::Error + 'static,
    {
        let mut response = HttpResponse::Ok();
        response.content_type("application/x-ndjson");
        response.insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{file}\"")));
        Self { response: response.streaming(lines), model: PhantomData }
    }
}

impl<T> Responder for Lines<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.response
    }
}

/// 204.
pub struct NoContent;

impl Responder for NoContent {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::new(StatusCode::NO_CONTENT)
    }
}

/// An authenticated call. A handler of anything that is not public takes it: without the gate's principal there is none.
pub struct Call {
    /// The caller.
    pub principal: Principal,
    /// The call's origin.
    pub origin: Origin,
    /// Its spans, for work that goes on beside its handler.
    pub spans: RequestSpans,
    request: HttpRequest,
}

impl Call {
    /// The request as it was sent.
    #[must_use]
    pub const fn request(&self) -> &HttpRequest {
        &self.request
    }

    /// The headers that were sent.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// Returns the credentials version that the principal is valid for, if it comes from the cache.
    #[must_use]
    pub fn as_of(&self) -> Option<CredentialsVersion> {
        self.request.extensions().get::<Unconfirmed>().map(|Unconfirmed(as_of)| *as_of)
    }

    /// Returns the caller, confirmed by the store.
    ///
    /// # Errors
    /// The [`Problem`] if the credential is nobody's any more.
    pub async fn confirmed(&self) -> Result<Principal, Problem> {
        confirm(&self.request).await?;
        Ok(self.request.extensions().get().cloned().unwrap_or_else(|| self.principal.clone()))
    }

    /// Returns the cached principal of a long call, and the credentials version that it is valid for: the credential may
    /// have expired since the call began.
    ///
    /// # Errors
    /// The [`Problem`] of a credential that is no good whatever the store says.
    pub fn recalled(&self) -> Result<Option<(Principal, CredentialsVersion)>, Problem> {
        recall(&self.request)
    }

    /// Authenticates the caller of a long call anew.
    ///
    /// # Errors
    /// The [`Problem`] if the credential is nobody's any more.
    pub async fn recognised(&self) -> Result<Principal, Problem> {
        authenticate(&self.request).await
    }

    /// Checks in the middle of the call that its caller still has a permission, and tells the audit trail if not.
    ///
    /// # Errors
    /// The [`Problem`] that the call ends with.
    pub async fn require_still(&self, permission: Permission) -> Result<(), Problem> {
        let allowed = match self.recognised().await {
            Ok(principal) => principal.require(permission).map_err(Problem::from),
            Err(problem) => Err(problem),
        };
        match allowed {
            Ok(()) => Ok(()),
            Err(problem) => Err(self.refused(problem).await),
        }
    }

    /// Tells the audit trail of a refusal in the middle of the call: the problem that the call ends with.
    pub async fn refused(&self, problem: Problem) -> Problem {
        refused_midway(&self.request, problem).await
    }

    /// The path that was asked, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.request.path()
    }

    /// The query as it was sent.
    #[must_use]
    pub fn query(&self) -> &str {
        self.request.query_string()
    }
}

impl FromRequest for Call {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let known = extensions.get::<Origin>().cloned().zip(extensions.get::<RequestSpans>().cloned());
        ready(match (extensions.get::<Principal>().cloned(), known) {
            (Some(principal), Some((origin, spans))) => Ok(Self { principal, origin, spans, request: request.clone() }),
            (None, _) => Err(Problem::unauthenticated(None)),
            (_, None) => Err(Problem::internal(&anyhow::anyhow!("the context layer is not wired"))),
        })
    }
}
