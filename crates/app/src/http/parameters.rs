//! The parameters that operations of several domains take.

use serde_json::{Value, json};

use super::operations::Parameter;

/// The number of rows of a page.
pub const LIMIT: Parameter = Parameter::new(
    "limit",
    "How many rows a page has.",
    || json!({"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
);

/// The cursor at which a page begins.
pub const CURSOR: Parameter =
    Parameter::new("cursor", "`next_cursor` of the page before, with the same filters.", || json!({"type": "string"}));

/// The parameters of a list without filters.
pub const PAGE: &[Parameter] = &[LIMIT, CURSOR];

/// The schema of a contract's name with its version.
pub fn contract_name() -> Value {
    let names: Vec<String> = mass_domain::contracts::all().iter().map(|contract| contract.id().to_string()).collect();
    json!({"type": "string", "enum": names})
}

/// The schema of a short text, such as the name of a site.
pub fn short_text() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 128})
}

/// The schema of an instant.
pub fn instant() -> Value {
    json!({"type": "string", "format": "date-time", "examples": ["2026-11-24T18:00:00Z"]})
}
