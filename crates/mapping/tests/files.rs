//! The corpus in `tests/data/files`: files as sites have them. Beside `NAME.csv` (or another ending) stands the profile
//! `NAME.toml`, and in `NAME.expected.ndjson` every result in its order, one a line:
//!
//! - `line`, `document` and, if there are several, `rows`: a record. `violations` lists the rules that the contract
//!   finds broken, as code and pointer; without it, the contract accepts the document.
//! - `line`, `original` and `refused`: a row that is no record, with code and source of every reason.
//! - `line` and `broken`: the end of an input that cannot be read on.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and so do its helpers")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mass_domain::canonical;
use mass_domain::contracts::{self, ValidationContext};
use mass_domain::json::{self, Value};
use mass_mapping::{BrokenInput, Mapper, Outcome, Profile};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/files")
}

/// Maps an input that arrives in chunks of this size. Returns one line of canonical JSON for each result.
fn map(profile: &Profile, input: &[u8], chunk: usize) -> Vec<String> {
    let mut mapper = Mapper::new(profile).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let mut lines = Vec::new();
    let mut each = |outcome: Outcome<'_>| lines.push(shown(&outcome));
    let pushed = input.chunks(chunk).try_for_each(|chunk| mapper.push(chunk, &mut each));
    if let Err(BrokenInput { detail, line }) = pushed.and_then(|()| mapper.finish(&mut each)) {
        lines.push(object(vec![("broken", text(&detail)), ("line", number(line))]));
    }
    lines
}

fn shown(outcome: &Outcome<'_>) -> String {
    match outcome {
        Outcome::Record(record) => {
            let mut members = vec![("document", record.document.clone()), ("line", number(record.line))];
            if record.rows != 1 {
                members.push(("rows", number(record.rows)));
            }
            let now = "2026-11-24T18:00:00Z".parse().unwrap();
            if let Err(invalid) = contracts::validate(&record.document, &ValidationContext { now, body_bytes: 0 }) {
                let broken =
                    invalid.violations.iter().map(|violation| format!("{} {}", violation.code, violation.pointer));
                members.push(("violations", Value::Array(broken.map(|broken| text(&broken)).collect())));
            }
            object(members)
        }
        Outcome::Refused(row) => {
            let reason = |refusal: &mass_mapping::Refusal| {
                text(format!("{} {}", refusal.code.as_str(), refusal.source_name).trim_end())
            };
            let refused = Value::Array(row.refusals.iter().map(reason).collect());
            object(vec![("line", number(row.line)), ("original", text(&row.original.to_text())), ("refused", refused)])
        }
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn number(number: u64) -> Value {
    json::parse(number.to_string().as_bytes()).unwrap()
}

fn object(members: Vec<(&str, Value)>) -> String {
    canonical::write_as_sent(&Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()))
}

/// Lists the inputs: all files that are neither a profile nor an expectation.
fn inputs() -> Vec<PathBuf> {
    let mut inputs: Vec<_> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.retain(|path| {
        let name = path.to_string_lossy();
        !name.ends_with(".toml") && !name.ends_with(".expected.ndjson")
    });
    inputs.sort();
    inputs
}

fn profile_of(input: &Path) -> Profile {
    let text = fs::read_to_string(input.with_extension("toml")).unwrap();
    Profile::from_toml(&text).unwrap_or_else(|error| panic!("{}: {error}", input.display()))
}

#[test]
fn every_file_gives_exactly_the_expected_results() {
    let inputs = inputs();
    assert!(inputs.len() >= 40, "{}", inputs.len());
    let mut wrong = Vec::new();
    for input in inputs {
        let profile = profile_of(&input);
        let bytes = fs::read(&input).unwrap();
        let expected = fs::read_to_string(input.with_extension("expected.ndjson")).unwrap();
        let expected: Vec<_> =
            expected.lines().map(|line| canonical::write_as_sent(&json::parse(line.as_bytes()).unwrap())).collect();
        for chunk in [bytes.len(), 1, 7] {
            let found = map(&profile, &bytes, chunk);
            if found != expected {
                let name = input.file_name().unwrap().to_string_lossy().into_owned();
                wrong.push(format!(
                    "{name} in {chunk}s\n   found {}\nexpected {}",
                    found.join("\n         "),
                    expected.join("\n         ")
                ));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_profile_is_the_same_in_json_and_toml_and_conforms_to_the_schema() {
    let schema = jsonschema::draft202012::new(&Profile::schema()).unwrap();
    for input in inputs() {
        let profile = profile_of(&input);
        let wire = serde_json::to_value(&profile).unwrap();
        assert_eq!(Profile::from_json(wire.to_string().as_bytes()), Ok(profile.clone()), "{}", input.display());
        assert_eq!(Profile::from_toml(&profile.to_toml().unwrap()), Ok(profile), "{}", input.display());
        let errors: Vec<_> = schema.iter_errors(&wire).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", input.display());
    }
}

#[test]
fn every_file_has_a_profile_and_an_expectation_and_no_file_is_left_over() {
    let stem = |path: &Path| path.with_extension("").file_name().unwrap().to_string_lossy().into_owned();
    let inputs: BTreeSet<String> = inputs().iter().map(|input| stem(input)).collect();
    let profiles: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .map(|path| stem(&path))
        .collect();
    assert_eq!(inputs, profiles);
}

#[test]
fn every_file_has_a_suggestion_that_is_a_valid_profile() {
    for input in inputs() {
        let text = mass_mapping::suggest(&fs::read(&input).unwrap());
        let profile = Profile::from_toml(&text).unwrap_or_else(|error| panic!("{}: {error}\n{text}", input.display()));
        assert!(Mapper::new(&profile).is_ok(), "{}: {:?}\n{text}", input.display(), Mapper::new(&profile).err());
    }
}
