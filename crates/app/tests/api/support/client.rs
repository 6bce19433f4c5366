//! A client that checks every answer against the OpenAPI document.

use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use mass_domain::trace::TraceParent;
use reqwest::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::operations::{self, Operation};

/// A client of the API.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    address: SocketAddr,
    token: Option<String>,
}

/// Without a trust store, which is slow to load and not needed; and with an idle timeout well below the server's
/// keep-alive, so that no closing connection is used.
pub(super) fn http() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .tls_certs_only([])
        .pool_idle_timeout(Duration::from_secs(2))
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { http: http().build().unwrap(), address, token: None }
    }

    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same client at another address: on Linux all addresses of 127.0.0.0/8 are local.
    pub(crate) fn coming_from(&self, address: &str) -> Self {
        let http = http().local_address(Some(address.parse().unwrap())).build().unwrap();
        Self { http, ..self.clone() }
    }

    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub(crate) fn head(&self, path: &str) -> Call {
        self.call(Method::HEAD, path)
    }

    pub(crate) fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    pub(crate) fn patch(&self, path: &str) -> Call {
        self.call(Method::PATCH, path)
    }

    pub(crate) fn put(&self, path: &str) -> Call {
        self.call(Method::PUT, path)
    }

    pub(crate) fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }

    /// A call of a documented operation, with ids filled in and a body that its schema allows.
    pub(crate) fn operation(&self, operation: &Operation, id: &str) -> Call {
        let call = self.call(operation.method.clone(), &operation.target(id));
        match operation.body() {
            Some(body) => call.json(&body),
            None => call,
        }
    }

    /// A request with only the token.
    pub(crate) fn call(&self, method: Method, path: &str) -> Call {
        let request = self.http.request(method.clone(), format!("http://{}{path}", self.address));
        let call = Call { method, path: path.split('?').next().unwrap_or_default().to_owned(), request };
        match &self.token {
            Some(token) => call.header(AUTHORIZATION.as_str(), &format!("Bearer {token}")),
            None => call,
        }
    }
}

/// A request that is sent when it is awaited.
pub(crate) struct Call {
    method: Method,
    path: String,
    request: RequestBuilder,
}

impl Call {
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        Self { request: self.request.header(name, value), ..self }
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("Idempotency-Key", key)
    }

    pub(crate) fn json(self, document: &Value) -> Self {
        self.body(document.to_string())
    }

    /// Sets a body with the media type of JSON.
    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        self.header(CONTENT_TYPE.as_str(), "application/json").bytes(body)
    }

    /// Sets a body without a media type.
    pub(crate) fn bytes(self, body: impl Into<Vec<u8>>) -> Self {
        Self { request: self.request.body(body.into()), ..self }
    }
}

impl IntoFuture for Call {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { method, path, request } = self;
            let response = request.send().await.unwrap();
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let answer = Answer { method, path, status, headers, body: response.bytes().await.unwrap().to_vec() };
            answer.check();
            answer
        })
    }
}

/// An answer that matches the document.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    method: Method,
    path: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Returns the answer if it has this status, and panics otherwise.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} {}: {}", self.method, self.path, String::from_utf8_lossy(&self.body));
        self
    }

    /// Returns the answer if it is this problem, and panics otherwise.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, slug: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.text("/type"), format!("/problems/{slug}"));
        answer
    }

    /// Returns the answer if it is this problem with exactly these violations, given as `pointer code`.
    #[track_caller]
    pub(crate) fn expect_violations(self, slug: &str, violations: &[&str]) -> Self {
        let answer = self.expect_problem(422, slug);
        assert_eq!(answer.violations(), violations);
        answer
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Returns the value at a JSON Pointer.
    #[track_caller]
    pub(crate) fn at(&self, pointer: &str) -> Value {
        self.json().pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {}", self.json())).clone()
    }

    /// Returns the string at a JSON Pointer.
    #[track_caller]
    pub(crate) fn text(&self, pointer: &str) -> String {
        self.at(pointer).as_str().unwrap().to_owned()
    }

    pub(crate) fn id(&self) -> String {
        self.text("/id")
    }

    /// Returns the violations as `pointer code`.
    pub(crate) fn violations(&self) -> Vec<String> {
        let violations = self.json()["violations"].as_array().cloned().unwrap_or_default();
        let in_short = |violation: &Value| {
            format!("{} {}", violation["pointer"].as_str().unwrap(), violation["code"].as_str().unwrap())
        };
        violations.iter().map(in_short).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Returns the names of the headers in alphabetical order, without the connection's own.
    pub(crate) fn header_names(&self) -> Vec<&str> {
        let names = self.headers.keys().filter(|name| *name != CONNECTION);
        let mut names: Vec<_> = names.map(|name| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// Returns the body of a problem without the parts that vary per occurrence.
    pub(crate) fn without_ids(&self) -> String {
        let body = String::from_utf8(self.body.clone()).unwrap();
        body.replace(&self.text("/request_id"), "…").replace(&self.path, "…")
    }

    fn check(&self) {
        let request_id = self.header("x-request-id").expect("X-Request-Id is missing");
        self.header("traceparent").expect("traceparent is missing").parse::<TraceParent>().unwrap();
        let media_type = self.header("content-type").and_then(|value| value.split(';').next()).unwrap_or_default();
        if self.status >= 400 && media_type == "application/x-ndjson" {
            // A strict batch: its last line has the problem.
            let last = self.body.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap();
            let last: Value = serde_json::from_slice(last).unwrap();
            assert_eq!(last["error"]["status"], self.status, "{self:?}");
        } else if self.status >= 400 && self.method != Method::HEAD {
            assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
            assert!(self.text("/type").starts_with("/problems/"), "{self:?}");
            assert!(!self.text("/title").is_empty(), "{self:?}");
            assert_eq!(self.at("/status"), self.status, "{self:?}");
            assert_eq!(self.text("/instance"), self.path, "{self:?}");
            assert_eq!(self.text("/request_id"), request_id, "{self:?}");
        }
        let is_bare = ["text/csv", "application/vnd.apache.parquet"].contains(&media_type);
        if !is_bare && self.header("content-encoding").is_none() {
            operations::check(&self.method, &self.path, self.status, media_type, &self.body);
        }
    }
}
