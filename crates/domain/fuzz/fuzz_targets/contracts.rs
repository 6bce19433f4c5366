//! Fuzzes the contracts with their examples, one value replaced: validation never panics, and the normal form of a
//! valid document is valid and normalises to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mass_domain::contracts::{self, ValidationContext};
use mass_domain::json::{self, Value};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

fuzz_target!(|input: (u8, u8, &str)| {
    let (contract, place, replacement) = input;
    let contract = contracts::all()[usize::from(contract) % contracts::all().len()];
    let now = Timestamp::from_unix_micros(1_795_543_200_000_000).expect("an instant of 2026");
    let tenant = TenantId::parse("default").expect("a slug");
    let example = contract.example(&tenant, now).to_string();
    let mut document = json::parse(example.as_bytes()).expect("examples are JSON");
    let replacement = json::parse(replacement.as_bytes()).unwrap_or_else(|_| Value::String(replacement.to_owned()));
    replace(&mut document, &mut usize::from(place), &replacement);
    let context = ValidationContext { now, body_bytes: 0 };
    if let Ok(examined) = contracts::validate(&document, &context) {
        let normal = json::parse(examined.canonical.as_bytes()).expect("canonical text is JSON");
        let again = contracts::validate(&normal, &context).expect("a normal form passes");
        assert_eq!(again.canonical, examined.canonical);
    }
});

/// Replaces the n-th value in document order.
fn replace(value: &mut Value, place: &mut usize, replacement: &Value) {
    let Some(next) = place.checked_sub(1) else {
        *value = replacement.clone();
        *place = usize::MAX;
        return;
    };
    *place = next;
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, place, replacement)),
        Value::Object(members) => members.iter_mut().for_each(|(_, member)| replace(member, place, replacement)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
