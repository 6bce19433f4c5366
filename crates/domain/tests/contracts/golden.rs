//! The golden corpus in `tests/data/contracts`. `<name>-<version>/<valid|invalid|warn>/<case>.json` is a document exactly as
//! sent. `<case>.expected.json` beside it describes the case and the expected result.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use mass_domain::contracts::{self, Index, InvalidDocument, ValidDocument, ValidationContext};
use mass_domain::json;
use mass_domain::validation::Warning;
use serde::Deserialize;
use serde_json::Value;

use super::now;

/// The expected result of a case. Absent members are not checked, with two exceptions: a case of `invalid` must have
/// exactly the listed violations, and the other cases exactly the listed warnings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// The rule that the case is about.
    #[serde(rename = "why")]
    _why: String,
    contract: Option<String>,
    /// The claimed size of the document, if it differs from the actual size.
    body_bytes: Option<usize>,
    /// The position of the syntax error: code, line and column.
    unreadable: Option<(String, usize, usize)>,
    #[serde(default)]
    violations: Vec<Finding>,
    #[serde(default)]
    warnings: Vec<Finding>,
    normalised: Option<Value>,
    fingerprint: Option<String>,
    index: Option<BTreeMap<String, String>>,
}

/// A violation or warning, without its sentence.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Finding {
    stage: Option<String>,
    pointer: String,
    code: String,
    expected: Option<String>,
    actual: Option<String>,
}

#[test]
fn every_golden_case_gives_the_expected_result() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/contracts");
    let mut wrong = Vec::new();
    for contract in contracts::all() {
        let contract = contract.id().to_string().replace('/', "-");
        let mut cases = 0;
        for outcome in ["valid", "invalid", "warn"] {
            for case in documents_in(&root.join(&contract).join(outcome)) {
                cases += 1;
                wrong.extend(check(&case, outcome).err().map(|error| format!("{}: {error}", case.display())));
            }
        }
        assert!(cases >= 25, "{contract} has {cases} cases");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn documents_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut documents: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    documents.retain(|path| !path.to_string_lossy().ends_with(".expected.json"));
    documents.sort();
    documents
}

fn check(case: &Path, outcome: &str) -> Result<(), String> {
    let body = fs::read(case).map_err(|error| error.to_string())?;
    let expected = fs::read(case.with_extension("expected.json")).map_err(|error| error.to_string())?;
    let expected: Expected = serde_json::from_slice(&expected).map_err(|error| error.to_string())?;
    let document = match json::parse(&body) {
        Ok(document) => document,
        Err(error) => {
            same("outcome", &"invalid", &outcome)?;
            let found = (error.code.to_owned(), error.line, error.column);
            return same("syntax error", &Some(found), &expected.unreadable);
        }
    };
    same("syntax error", &None, &expected.unreadable)?;
    let context = ValidationContext { now: now(), body_bytes: expected.body_bytes.unwrap_or(body.len()) };
    match contracts::validate(&document, &context) {
        Ok(examined) => {
            same("outcome", &(if examined.warnings.is_empty() { "valid" } else { "warn" }), &outcome)?;
            check_examined(&examined, &expected)
        }
        Err(refused) => {
            same("outcome", &"invalid", &outcome)?;
            check_refused(&refused, &expected)
        }
    }
}

fn same<T: Debug + PartialEq>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}\n   found {found:?}\nexpected {expected:?}")) }
}

fn check_examined(examined: &ValidDocument, expected: &Expected) -> Result<(), String> {
    same("contract", &Some(examined.contract.to_string()), &expected.contract)?;
    same("warnings", &warnings(&examined.warnings), &expected.warnings)?;
    if let Some(normalised) = &expected.normalised {
        same("normal form", &examined.canonical, &canonical(normalised))?;
    }
    if let Some(fingerprint) = &expected.fingerprint {
        same("fingerprint", &examined.fingerprint.to_string(), fingerprint)?;
    }
    expected.index.as_ref().map_or(Ok(()), |index| same("index", &found_by(&examined.index), index))
}

fn check_refused(refused: &InvalidDocument, expected: &Expected) -> Result<(), String> {
    same("contract", &refused.contract.map(|contract| contract.to_string()), &expected.contract)?;
    let found = refused.violations.iter().map(|violation| Finding {
        stage: Some(violation.stage.to_string()),
        pointer: violation.pointer.clone(),
        code: violation.code.clone(),
        expected: violation.expected.clone(),
        actual: violation.actual.clone(),
    });
    same("violations", &found.collect(), &expected.violations)?;
    same("warnings", &warnings(&refused.warnings), &expected.warnings)
}

fn warnings(warnings: &[Warning]) -> Vec<Finding> {
    let finding = |warning: &Warning| Finding {
        stage: None,
        pointer: warning.pointer.clone(),
        code: warning.code.clone(),
        expected: None,
        actual: None,
    };
    warnings.iter().map(finding).collect()
}

fn canonical(value: &Value) -> String {
    mass_domain::canonical::write(&json::parse(value.to_string().as_bytes()).unwrap())
}

fn found_by(index: &Index) -> BTreeMap<String, String> {
    let fields = [
        ("site_id", index.site_id.clone()),
        ("device_id", index.device_id.clone()),
        ("observed_at", index.observed_at.map(|time| time.to_string())),
        ("correlation_id", index.correlation_id.clone()),
        ("batch_id", index.batch_id.clone()),
        ("natural_key", index.natural_key.clone()),
        ("idempotency_key", index.idempotency_key.as_ref().map(|key| key.as_str().to_owned())),
        ("tenant", index.tenant.clone()),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
