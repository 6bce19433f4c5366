//! Passwords and other secrets: read, described, judged.

use std::time::Duration;

use mass_auth::{NewPassword, WeakPassword};
use mass_domain::users::Email;
use schemars::{Schema, SchemaGenerator, json_schema};
use secrecy::SecretString;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::body::{sentence, violation};
use super::problem::Problem;

/// Reads a secret. The error does not repeat what was sent, as serde's own would.
pub(super) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    optional_secret(deserializer)?.ok_or_else(|| Error::custom(NO_TEXT))
}

/// Reads a secret that may be absent or null; otherwise as [`secret`].
pub(super) fn optional_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.into())),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Err(Error::custom(NO_TEXT)),
    }
}

const NO_TEXT: &str = "expected a string";

/// The schema of a password that is to be set.
pub(super) fn password(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "format": "password", "writeOnly": true,
        "minLength": NewPassword::MIN_CHARACTERS, "maxLength": NewPassword::MAX_CHARACTERS,
    })
}

/// The schema of a password that is to be set, or of none.
pub(super) fn optional_password(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = password(generator);
    schema.insert("type".to_owned(), json!(["string", "null"]));
    schema
}

/// Judges a password that is to be set.
///
/// # Errors
/// The [`Problem`] at the pointer.
pub(super) fn new_password(pointer: &str, text: &SecretString, email: &Email) -> Result<NewPassword, Problem> {
    NewPassword::parse(text, email).map_err(|weak| weak_password(pointer, weak))
}

/// The problem of a password that is too weak to be set.
pub(super) fn weak_password(pointer: &str, weak: WeakPassword) -> Problem {
    violation(pointer.to_owned(), weak.code(), &sentence(&weak.to_string()))
}

/// The problem that too many passwords are being hashed.
pub(super) fn busy() -> Problem {
    Problem::unavailable("Too many people are logging in at once.", Duration::from_secs(2))
}
