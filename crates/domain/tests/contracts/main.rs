//! Tests of the contracts through their public interface: documents in, validation results out.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and so do its helpers")]

mod documentation;
mod golden;
mod properties;
mod schema;

use mass_domain::contracts::{self, InvalidDocument, ValidDocument, ValidationContext};
use mass_domain::json::{self, Value};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

/// The clock of all tests.
fn now() -> Timestamp {
    "2026-11-24T18:00:00Z".parse().unwrap()
}

fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

fn validate(text: &str) -> Result<ValidDocument, InvalidDocument> {
    let document = json::parse(text.as_bytes()).unwrap();
    contracts::validate(&document, &ValidationContext { now: now(), body_bytes: text.len() })
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.iter().map(|(_, member)| member).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// Counts the values in a document, including nested ones.
fn count(value: &Value) -> usize {
    1 + children(value).into_iter().map(count).sum::<usize>()
}

/// Applies a change to the n-th value in document order.
fn alter(value: &mut Value, place: &mut usize, change: &mut dyn FnMut(&mut Value)) {
    if *place == 0 {
        change(value);
        *place = usize::MAX;
        return;
    }
    *place -= 1;
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| alter(item, place, change)),
        Value::Object(members) => members.iter_mut().for_each(|(_, member)| alter(member, place, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
