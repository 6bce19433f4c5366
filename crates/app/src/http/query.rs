//! Query parameters: each wrong one is named, all at once (422). Read by the handler, so that the body is judged first.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use mass_domain::page::Limit;
use mass_domain::validation::{Stage, Violation};

use super::operations::{Operation, Parameter};
use super::problem::{Problem, ProblemKind};

/// The query of a request, to be taken apart parameter by parameter.
pub struct Query {
    given: BTreeMap<String, String>,
    violations: Vec<Violation>,
}

impl Query {
    /// Takes a parameter and reads it; `None` if it is absent or wrong. A wrong one is remembered.
    pub fn take<T>(&mut self, name: &str) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        self.take_with(name, |text| text.parse().map_err(|error: T::Err| error.to_string()))
    }

    /// Takes a parameter and reads it with a function that says what would have been right.
    pub fn take_with<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.given.remove(name)?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(detail) => {
                self.violations.push(violation(&format!("?{name}"), "parameter", detail));
                None
            }
        }
    }

    /// Takes a parameter that has to be there, and reads it as [`take_with`](Self::take_with) does.
    pub fn need_with<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        if !self.given.contains_key(name) {
            self.violations.push(violation(&format!("?{name}"), "missing_parameter", "Needed here.".to_owned()));
        }
        self.take_with(name, read)
    }

    /// Returns whether a parameter is given and has not been taken.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// Remembers that a parameter does not go with the others.
    pub fn refuse(&mut self, name: &str, detail: &str) {
        self.violations.push(violation(&format!("?{name}"), "parameter", detail.to_owned()));
    }

    /// Refuses the request if any parameter was wrong.
    ///
    /// # Errors
    /// A [`Problem`] that names every wrong parameter.
    pub fn finish(self) -> Result<(), Problem> {
        if self.violations.is_empty() { Ok(()) } else { Err(wrong(self.violations)) }
    }
}

impl FromRequest for Query {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let known = req.extensions().get::<&Operation>().map_or(&[][..], |operation| operation.query);
        let mut query = Self { given: BTreeMap::new(), violations: Vec::new() };
        let Ok(pairs) = web::Query::<Vec<(String, String)>>::from_query(req.query_string()) else {
            query.violations.push(violation("?", "parameter", "The query cannot be read.".to_owned()));
            return ready(Ok(query));
        };
        for (name, value) in pairs.into_inner() {
            let pointer = format!("?{name}");
            if !known.iter().any(|parameter| parameter.name == name) {
                query.violations.push(unknown(&pointer, known));
            } else if query.given.insert(name, value).is_some() {
                query.violations.push(violation(&pointer, "repeated_parameter", "Given more than once.".to_owned()));
            }
        }
        ready(Ok(query))
    }
}

/// Returns the problem that an operation with these parameters has with another one.
#[must_use]
pub fn unknown_parameter(name: &str, known: &[Parameter]) -> Problem {
    wrong(vec![unknown(&format!("?{name}"), known)])
}

fn unknown(pointer: &str, known: &[Parameter]) -> Violation {
    let names: Vec<&str> = known.iter().map(|parameter| parameter.name).collect();
    let detail = if names.is_empty() {
        "No query parameter is taken here.".to_owned()
    } else {
        format!("Not a parameter of this operation, which takes {}.", names.join(", "))
    };
    violation(pointer, "unknown_parameter", detail)
}

/// Reads `limit`.
///
/// # Errors
/// The expected value or form.
pub fn page_limit(text: &str) -> Result<Limit, String> {
    let limit = text.parse().ok().and_then(Limit::new);
    limit.ok_or_else(|| format!("A whole number from 1 to {}.", Limit::MAX))
}

/// Reads a short text, such as the name of a site.
///
/// # Errors
/// The expected value or form.
pub fn short_text(text: &str) -> Result<String, String> {
    match text.chars().count() {
        1..=128 if !text.contains('\0') => Ok(text.to_owned()),
        _ => Err("1 to 128 characters.".to_owned()),
    }
}

/// A problem for a parameter whose fault shows only when it is used.
#[must_use]
pub fn wrong_parameter(name: &str, detail: String) -> Problem {
    wrong(vec![violation(&format!("?{name}"), "parameter", detail)])
}

/// A problem for a parameter whose fault shows only when it is used, with what would have been right.
#[must_use]
pub fn unexpected_parameter(name: &str, detail: String, expected: String) -> Problem {
    let violation = violation(&format!("?{name}"), "parameter", detail);
    wrong(vec![Violation { expected: Some(expected), ..violation }])
}

/// A problem for an operation that needs any of its filters.
#[must_use]
pub fn unfiltered() -> Problem {
    wrong(vec![violation("?", "missing_parameter", "Expected at least one filter, found none.".to_owned())])
}

/// A problem for a header that cannot be read.
#[must_use]
pub fn wrong_header(name: &str, detail: String) -> Problem {
    wrong(vec![violation(&format!("header:{name}"), "header", detail)])
}

/// A problem for a cursor that belongs to another list.
#[must_use]
pub fn foreign_cursor(detail: String) -> Problem {
    wrong(vec![violation("?cursor", "parameter", detail)])
}

fn wrong(violations: Vec<Violation>) -> Problem {
    Problem::new(ProblemKind::InvalidParameter).violations(violations)
}

fn violation(pointer: &str, code: &str, detail: String) -> Violation {
    Violation {
        stage: Stage::Structural,
        pointer: pointer.to_owned(),
        code: code.to_owned(),
        detail,
        expected: None,
        actual: None,
    }
}
