//! The id in a path.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpRequest, web};
use serde_json::json;

use super::operations::Parameter;
use super::problem::{Problem, ProblemKind};

/// An id that a path can name.
pub trait InPath: FromStr {
    /// The parameter in the path.
    const PARAMETER: Parameter;

    /// The problem that nothing has this id.
    #[must_use]
    fn absent() -> Problem {
        no_such_object()
    }
}

/// The only id in a path, as it was sent.
pub struct PathId<T> {
    text: String,
    id: PhantomData<T>,
}

impl<T: InPath> PathId<T> {
    /// Reads the id. The handler does that, not the extractor, so that the body is judged first.
    ///
    /// # Errors
    /// The same [`Problem`] for a malformed id as for an unknown one.
    pub fn read(&self) -> Result<T, Problem> {
        self.text.parse().map_err(|_| T::absent())
    }
}

impl<T> FromRequest for PathId<T> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let text = web::Path::<String>::from_request(request, payload).into_inner();
        ready(text.map(|text| Self { text: text.into_inner(), id: PhantomData }))
    }
}

/// The problem that there is nothing under a name that was sent.
#[must_use]
pub fn no_such_object() -> Problem {
    Problem::new(ProblemKind::NotFound).detail("There is no such object.")
}

/// The parameter of an id that is a UUID.
#[must_use]
pub const fn uuid(description: &'static str) -> Parameter {
    Parameter::new("id", description, || json!({"type": "string", "format": "uuid"})).required()
}
