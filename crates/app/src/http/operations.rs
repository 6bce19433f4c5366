//! An operation of the API as one value: who may call it, what it takes and answers, and the route of its handler.
//!
//! Each domain lists its own, the row beside the handler. Routing mounts what is listed, the gate lets nothing else through,
//! the OpenAPI document is written from it, and tests walk it: a handler without a row cannot be reached, and a row without a
//! handler cannot be written.

use actix_web::Route;
use mass_domain::access::Permission;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use super::problem::ProblemKind;

/// The access rule of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without a token.
    Public,
    /// Anybody with a valid token.
    Authenticated,
    /// A caller with this permission.
    Needs(Permission),
}

/// What an operation asks of a user's second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Factor {
    /// Nothing, so that a user who has to enrol one can do so.
    Open,
    /// That it is enrolled, if the tenant demands one.
    Enrolled,
    /// That it was proved within the last minutes, of users who have one or must.
    Fresh,
}

/// Describes a body or an answer: gives the OpenAPI media type object, and leaves the schemas that it refers to with the
/// generator.
pub type Describe = fn(&mut SchemaGenerator) -> Value;

/// Describes a body or an answer that is a `T`.
pub fn model<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    json!({"schema": generator.subschema_for::<T>()})
}

/// Describes a body of lines (NDJSON), each of which is a JSON object as described.
///
/// The schema is a string, since that is how client libraries hand the body over; `contentSchema` describes the lines.
pub fn lines(line: &Value, description: &str, example: &[Value]) -> Value {
    let example: String = example.iter().map(|line| format!("{line}\n")).collect();
    json!({"schema": {
        "type": "string", "description": description, "contentMediaType": "application/x-ndjson",
        "contentSchema": {"type": "array", "items": line["schema"]}, "examples": [example],
    }})
}

/// The kind of body of a success.
#[derive(Debug, Clone, Copy)]
pub enum Produces {
    /// JSON, which the client has to accept.
    Json(Describe),
    /// One JSON object a line (`application/x-ndjson`), which the client has to accept.
    Ndjson(Describe),
    /// One JSON object a line, or rows of CSV (`text/csv`) or Parquet: what the client prefers.
    NdjsonOrCsv(Describe),
    /// One JSON document, or rows of CSV (`text/csv`) or Parquet: what the client prefers.
    JsonOrCsv(Describe),
    /// One JSON document, rows of CSV (`text/csv`), or a paper (`application/pdf`): what the client prefers.
    JsonCsvOrPdf(Describe),
    /// One JSON object a line, or one JSON document: what the client prefers. A failure can have lines, too.
    NdjsonOrJson(Describe, Describe),
    /// Plain text, which the client has to accept.
    Text,
    /// No body.
    Nothing,
    /// A file for a browser, whatever it says that it accepts.
    File,
}

impl Produces {
    /// The media types of which the client has to accept one, if there are any: the one to prefer first.
    #[must_use]
    pub const fn media_types(self) -> &'static [&'static str] {
        match self {
            Self::Json(_) => &["application/json"],
            Self::Ndjson(_) => &["application/x-ndjson"],
            // Parquet is not in every build, and no part of the document.
            Self::NdjsonOrCsv(_) => &["application/x-ndjson", "text/csv", "application/vnd.apache.parquet"],
            Self::JsonOrCsv(_) => &["application/json", "text/csv", "application/vnd.apache.parquet"],
            Self::JsonCsvOrPdf(_) => &["application/json", "text/csv", "application/pdf"],
            Self::NdjsonOrJson(..) => &["application/x-ndjson", "application/json"],
            Self::Text => &["text/plain"],
            Self::Nothing | Self::File => &[],
        }
    }
}

/// A group of operations in the OpenAPI document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub name: &'static str,
    /// Its meaning.
    pub description: &'static str,
}

/// Joins two lists of parameters; `N` is the sum of their lengths.
pub(super) const fn joined<const A: usize, const B: usize, const N: usize>(
    first: [Parameter; A],
    then: [Parameter; B],
) -> [Parameter; N] {
    let mut all = [first[0]; N];
    let mut index = 1;
    while index < A + B {
        all[index] = if index < A { first[index] } else { then[index - A] };
        index += 1;
    }
    all
}

/// A parameter in the path, the query or a header.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its meaning.
    pub description: &'static str,
    /// Its JSON Schema.
    pub schema: fn() -> Value,
    /// True if a request without it is refused.
    pub required: bool,
}

impl Parameter {
    /// A parameter that may be left out.
    #[must_use]
    pub const fn new(name: &'static str, description: &'static str, schema: fn() -> Value) -> Self {
        Self { name, description, schema, required: false }
    }

    /// The same parameter, which may not be left out.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// The same parameter, which may be left out.
    #[must_use]
    pub const fn optional(self) -> Self {
        Self { required: false, ..self }
    }
}

/// A header of an answer, besides those that all answers have.
#[derive(Debug, Clone, Copy)]
pub struct AnswerHeader {
    /// Its name.
    pub name: &'static str,
    /// Its meaning.
    pub description: &'static str,
    /// An example of its value.
    pub example: &'static str,
}

/// One method on one path.
#[derive(Debug)]
pub struct Operation {
    /// `GET` also stands for `HEAD`.
    pub method: &'static str,
    /// The path's pattern, as it is routed.
    pub path: &'static str,
    /// Its access rule.
    pub access: Access,
    /// Makes the route to its handler.
    pub route: fn() -> Route,
    /// Its name for generated clients.
    pub id: &'static str,
    /// Its purpose in a few words.
    pub summary: &'static str,
    /// Its behaviour in a few sentences.
    pub description: &'static str,
    /// Its group in the OpenAPI document; none for what is served to browsers and no part of the API.
    pub tag: Option<Tag>,
    /// The parameters in the path, in their order.
    pub in_path: &'static [Parameter],
    /// The query parameters that it takes, and no others.
    pub query: &'static [Parameter],
    /// The headers that it honours, besides those that all do.
    pub headers: &'static [Parameter],
    /// The types that its body may have, the one to prefer first; none if it reads no body.
    pub body: &'static [(&'static str, Describe)],
    /// True if it may be called without a body.
    pub optional_body: bool,
    /// The kind of body of its successes.
    pub produces: Produces,
    /// Its successes: each status with its meaning.
    pub answers: &'static [(u16, &'static str)],
    /// The headers that every success with a representation has, besides those that follow from the other members.
    pub answer_headers: &'static [AnswerHeader],
    /// The problems that are its own, besides those that follow from access, body and parameters.
    pub problems: &'static [ProblemKind],
    /// True if a success tells of the rules that the body breaks, so that they are no problem.
    pub gives_verdicts: bool,
    /// True if it asks the database.
    pub store: bool,
    /// What it asks of a user's second factor.
    pub factor: Factor,
    /// True if it confirms a cached principal itself, in the transaction that it needs anyway.
    pub confirms: bool,
}

impl Operation {
    const fn on(method: &'static str, path: &'static str, access: Access, route: fn() -> Route) -> Self {
        Self {
            method,
            path,
            access,
            route,
            id: "",
            summary: "",
            description: "",
            tag: None,
            in_path: &[],
            query: &[],
            headers: &[],
            body: &[],
            optional_body: false,
            produces: Produces::Nothing,
            answers: &[],
            answer_headers: &[],
            problems: &[],
            gives_verdicts: false,
            store: true,
            factor: Factor::Enrolled,
            confirms: false,
        }
    }

    /// An operation that reads.
    #[must_use]
    pub const fn get(path: &'static str, access: Access, route: fn() -> Route) -> Self {
        Self::on("GET", path, access, route)
    }

    /// An operation that creates or does something.
    #[must_use]
    pub const fn post(path: &'static str, access: Access, route: fn() -> Route) -> Self {
        Self::on("POST", path, access, route)
    }

    /// An operation that replaces something.
    #[must_use]
    pub const fn put(path: &'static str, access: Access, route: fn() -> Route) -> Self {
        Self::on("PUT", path, access, route)
    }

    /// An operation that changes something.
    #[must_use]
    pub const fn patch(path: &'static str, access: Access, route: fn() -> Route) -> Self {
        Self::on("PATCH", path, access, route)
    }

    /// An operation that removes something.
    #[must_use]
    pub const fn delete(path: &'static str, access: Access, route: fn() -> Route) -> Self {
        Self::on("DELETE", path, access, route)
    }

    /// Returns whether a rate limit by address applies: it needs no token, but costs a password's or token's check.
    #[must_use]
    pub fn is_limited_by_address(&self) -> bool {
        self.access == Access::Public && self.reads_body()
    }

    /// Returns whether it reads a body.
    #[must_use]
    pub const fn reads_body(&self) -> bool {
        !self.body.is_empty()
    }

    /// Every problem that it can be answered with.
    #[must_use]
    pub fn all_problems(&self) -> Vec<ProblemKind> {
        use ProblemKind::{
            BadRequest, ContractViolation, Forbidden, Internal, InvalidParameter, MalformedJson, NotAcceptable,
            RateLimited, RequestTimeout, SecondFactorRequired, TenantSuspended, TooLarge, Unauthenticated, Unavailable,
            UnsupportedMediaType,
        };
        let mut kinds = vec![InvalidParameter];
        match self.access {
            Access::Public => {}
            Access::Authenticated => kinds.extend([Unauthenticated, TenantSuspended]),
            Access::Needs(_) => kinds.extend([Unauthenticated, Forbidden, TenantSuspended]),
        }
        if self.access != Access::Public && self.factor != Factor::Open {
            kinds.push(SecondFactorRequired);
        }
        if self.is_limited_by_address() || self.access != Access::Public {
            kinds.push(RateLimited);
        }
        if !self.produces.media_types().is_empty() {
            kinds.push(NotAcceptable);
        }
        if self.reads_body() {
            kinds.extend([MalformedJson, BadRequest, RequestTimeout, TooLarge, UnsupportedMediaType]);
        }
        if self.reads_body() && !self.gives_verdicts {
            kinds.push(ContractViolation);
        }
        // Also where an address has too many requests under way.
        kinds.push(Unavailable);
        if self.store || self.access != Access::Public {
            kinds.push(Internal);
        }
        kinds.extend(self.problems);
        kinds.sort_by_key(|kind| kind.status().as_u16());
        kinds.dedup();
        kinds
    }
}

/// The operations of the server, domain by domain.
#[derive(Debug, Clone, Copy)]
pub struct Operations(pub &'static [&'static [Operation]]);

impl Operations {
    /// Every operation.
    pub fn iter(self) -> impl Iterator<Item = &'static Operation> {
        self.0.iter().copied().flatten()
    }

    /// The operations on a path's pattern.
    pub fn on(self, pattern: &str) -> impl Iterator<Item = &'static Operation> {
        self.iter().filter(move |operation| operation.path == pattern)
    }
}
