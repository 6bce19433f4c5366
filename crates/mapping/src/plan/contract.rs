//! The contract's side of a profile: which members there are, of which types, and which must be given.

use std::collections::HashMap;

use mass_domain::contracts::{self, ContractId, Row};
use mass_domain::validation::Code;

use crate::errors::ProfileError;
use crate::profile::{ValueType, escaped};

/// Splits a path at its dots. For `simple/1.0` the prefix `payload.` may be left out, and the result is below the
/// payload.
pub(super) fn segments(contract: ContractId, path: &str) -> Vec<String> {
    let path = if contract == contracts::SIMPLE_1_0 { path.strip_prefix("payload.").unwrap_or(path) } else { path };
    if path.is_empty() { Vec::new() } else { path.split('.').map(str::to_owned).collect() }
}

/// Returns the path of the time of a report.
pub(super) fn time_path(contract: ContractId) -> Option<&'static str> {
    match contract.name() {
        "device" | "simple" => Some("timestamp"),
        "enterprise" => Some("request.timestamp_utc"),
        _ => None,
    }
}

/// Returns the path of the object of metrics.
pub(super) fn metrics_path(contract: ContractId) -> Option<&'static str> {
    match contract.name() {
        "device" => Some("metrics"),
        "simple" => Some(""),
        _ => None,
    }
}

fn rows(contract: ContractId) -> HashMap<String, Row> {
    let contract = contracts::find(contract.name(), contract.version());
    contract
        .map(|contract| contract.rows())
        .unwrap_or_default()
        .into_iter()
        .map(|row| (row.pointer.clone(), row))
        .collect()
}

fn pointer_of(segments: &[String]) -> String {
    segments.iter().flat_map(|segment| ["/".to_owned(), escaped(segment)]).collect()
}

/// Returns the type that the contract has for a member; `None` if it does not name the member.
pub(super) fn value_type(contract: ContractId, segments: &[String]) -> Option<ValueType> {
    if contract == contracts::SIMPLE_1_0 {
        return None;
    }
    let rows = rows(contract);
    match rows.get(&pointer_of(segments)) {
        Some(row) => match row.noun {
            "a number" | "an integer" | "a number or null" => Some(ValueType::Number),
            "true or false" => Some(ValueType::Boolean),
            "a string" => Some(ValueType::Text),
            _ => None,
        },
        None if segments.first().is_some_and(|first| first == "metrics") => Some(ValueType::Number),
        None => None,
    }
}

/// Checks the paths of all members against the contract: those that it does not have, and required ones that nothing
/// gives.
pub(super) fn check_paths(
    contract: ContractId,
    paths: &[(String, Vec<String>)],
    mut objects: Vec<Vec<String>>,
    device_given: bool,
) -> Vec<ProfileError> {
    let mut errors = Vec::new();
    for (pointer, path) in paths {
        if path.is_empty() || path.iter().any(String::is_empty) {
            errors.push(ProfileError::new(pointer, "expected a path such as device.id"));
        }
    }
    if contract == contracts::SIMPLE_1_0 {
        return errors;
    }
    let rows = rows(contract);
    for (pointer, path) in paths {
        if let Some(closed) = undeclared(&rows, path) {
            errors.push(ProfileError::new(pointer, format!("{contract} has no member {closed}")));
        }
    }
    objects.extend(paths.iter().map(|(_, path)| path.clone()));
    if device_given {
        objects.push(vec!["device".to_owned(), "id".to_owned()]);
    }
    let given: Vec<String> = objects.iter().map(|path| pointer_of(path)).collect();
    let marker = |row: &Row| row.rules.iter().any(|rule| rule.code == Code::Version);
    let mut missing: Vec<&Row> =
        rows.values().filter(|row| row.required && !row.pointer.is_empty() && !marker(row)).collect();
    missing.sort_by(|one, other| one.pointer.cmp(&other.pointer));
    for row in missing {
        let covered = given.iter().any(|path| below(&row.pointer, path) || below(path, &row.pointer));
        // A member of an optional object is only required if the object is there.
        let wanted = ancestors(&row.pointer).all(|pointer| {
            rows.get(pointer).is_none_or(|parent| parent.required) || given.iter().any(|path| below(path, pointer))
        });
        if wanted && !covered {
            errors.push(ProfileError::new(
                "/members",
                format!("expected a source for {}, which {contract} requires", row.pointer),
            ));
        }
    }
    errors
}

/// Tells whether one pointer is the other or leads through it.
fn below(pointer: &str, parent: &str) -> bool {
    pointer.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Lists the pointers to the objects around a member, without the document.
fn ancestors(pointer: &str) -> impl Iterator<Item = &str> {
    pointer.match_indices('/').skip(1).filter_map(|(at, _)| pointer.get(..at))
}

/// Returns the pointer to the part of a path that its closed object does not declare.
fn undeclared(rows: &HashMap<String, Row>, path: &[String]) -> Option<String> {
    (1..=path.len()).find_map(|length| {
        let member = pointer_of(path.get(..length)?);
        let parent = rows.get(&pointer_of(path.get(..length - 1)?))?;
        let closed = parent.rules.iter().any(|rule| rule.code == Code::UnknownMember);
        (closed && !rows.contains_key(&member)).then_some(member)
    })
}
