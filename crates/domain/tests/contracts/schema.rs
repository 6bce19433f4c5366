//! Checks that the published schemas and the validator agree: on the rules of the structural and contract stages that a
//! schema can express, and on the bounds of single numbers.

use std::collections::{BTreeMap, BTreeSet};

use mass_domain::canonical;
use mass_domain::contracts::{self, Contract, ValidationContext};
use mass_domain::json::{self, Value};
use mass_domain::validation::{Code, Stage, Violation};

use super::{alter, count, now, tenant};

/// SplitMix64: a deterministic random generator, so that every run tries the same mutations.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ mixed >> 31) % limit as u64).unwrap()
    }

    fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

/// Values on both sides of the rules.
fn replacements() -> Vec<Value> {
    let texts = [
        "",
        " ",
        "x",
        " x ",
        "a b",
        "é",
        "日本",
        "A:b._-9",
        "a/b",
        "a\u{7f}",
        "line\nbreak",
        "\u{feff}",
        "\u{200b}x",
        "x\u{202e}y",
        "\u{200f}x",
        "x\u{61c}",
        "x\u{2066}y",
        "x\u{2028}y",
        "\u{2029} x",
        "x\ty",
        "x\u{9f}y",
        "1",
        " 1 ",
        "0.50",
        "1e3",
        "-0",
        "1.5",
        "007",
        "+1",
        "1_000",
        "nan",
        "1e",
        "0x10",
        "-1",
        "70000",
        "5.0",
        ".5",
        "true",
        "false",
        "1.1",
        " 1.1\t",
        "1.10",
        "2.0",
        "dev",
        " prod\u{3000}",
        "Dev",
        "shadow",
        "control",
        "metric",
        "imperial",
        "EUR",
        "eur",
        "INTERNAL",
        "Internal ",
        "PUBLIC",
        "site-7",
        "-site",
        "Site",
        "site.7",
        "2026-11-24T18:00:00Z",
        " 2026-11-24t18:00:00.5z ",
        "2026-11-24T18:00:00.123456000+01:00",
        "2026-11-24T18:00:00.1234567Z",
        "2026-11-24T18:00:00.1234567891Z",
        " 2026-11-24 18:00:00.123456789000+0100",
        "2026-11-24T18:00-01",
        "2026-11-24 18:00z",
        "2026-11-24 18:00 Z",
        "2026-11-24T18:00.5Z",
        "2026-11-24T18:00:00+1",
        "2026-11-24T18:00:00+01:60",
        "2026-11-24T18:00:00+24",
        "2026-11-24T18:00:00.Z",
        "2026-11-24 18:00:00Z",
        "2026-11-24T18:00:00",
        "2026-13-24T18:00:00Z",
        "2026-04-31T18:00:00Z",
        "2026-11-24T24:00:00Z",
        "2026-11-24T18:60:00Z",
        "2026-11-24T18:00:60Z",
        "2026-11-24T18:00:00+24:00",
        "2026-11-24T18:00:00+23:59",
        "2026-11-24",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff ",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
    ];
    let lengths = [63, 64, 65, 128, 129, 255, 256, 257, 2000, 2001];
    let long = lengths.into_iter().flat_map(|length| {
        let text = "a".repeat(length);
        [format!(" {text} "), "é".repeat(length), text]
    });
    let others = [
        "null",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "0.5",
        "1.5",
        "5.0",
        "100",
        "100.5",
        "-60",
        "-61",
        "150",
        "151",
        "299",
        "300",
        "1100",
        "70000",
        "86400",
        "86401",
        "9007199254740991",
        "[]",
        "{}",
        "[1]",
        "[\"x\"]",
        "[\"\"]",
        "[\" x \", 3]",
        r#"{"x": 1}"#,
        r#"{"site_id": "s", "x": [null]}"#,
        r#"{"hard": {"no_control_actions": true}}"#,
    ];
    let others = others.into_iter().map(|text| json::parse(text.as_bytes()).unwrap());
    texts.into_iter().map(str::to_owned).chain(long).map(Value::String).chain(others).collect()
}

/// Changes one place of a document: replaces the value, or removes, adds or renames a member.
fn mutate(document: &mut Value, dice: &mut Dice, replacements: &[Value]) {
    let mut place = dice.below(count(document));
    alter(document, &mut place, &mut |here| match (here, dice.below(5)) {
        (Value::Object(members), 0) if !members.is_empty() => drop(members.remove(dice.below(members.len()))),
        (Value::Object(members), 1) if !members.is_empty() => {
            let index = dice.below(members.len());
            members[index].0.push('_');
        }
        (Value::Object(members), 2 | 3) if members.iter().all(|(key, _)| key != "extra") => {
            members.push(("extra".to_owned(), dice.one_of(replacements).clone()));
        }
        (here, _) => *here = dice.one_of(replacements).clone(),
    });
}

/// Tells whether a schema can express the violated rule.
fn expressible(violation: &Violation, document: &Value) -> bool {
    let in_a_string = matches!(document.pointer(&violation.pointer), Some(Value::String(_)));
    match (violation.stage, violation.code.as_str()) {
        (Stage::Semantic | Stage::Business, _) => false,
        (_, "nul" | "key_collision" | "number_precision" | "number_range") => false,
        (_, "integer") => !in_a_string,
        _ => true,
    }
}

fn to_serde(document: &Value) -> serde_json::Value {
    serde_json::from_str(&canonical::write(document)).unwrap()
}

fn example(contract: &Contract) -> Value {
    json::parse(contract.example(&tenant(), now()).to_string().as_bytes()).unwrap()
}

#[test]
fn every_schema_is_valid_and_its_example_conforms() {
    for contract in contracts::all() {
        let schema = contract.schema();
        assert!(jsonschema::draft202012::meta::is_valid(&schema), "{}", contract.id());
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        assert!(validator.is_valid(&to_serde(&example(contract))));
        assert!(validator.is_valid(&schema["examples"][0]));
        assert_eq!(schema["title"], format!("MASS {}", contract.id()).replace('/', " "));
        assert!(schema["description"].as_str().unwrap().starts_with(contract.summary()));
    }
}

#[test]
fn schema_and_validator_agree_on_thousands_of_mutated_documents() {
    let replacements = replacements();
    let mut dice = Dice(20_261_124);
    for contract in contracts::all() {
        let validator = jsonschema::draft202012::new(&contract.schema()).unwrap();
        let mut met = BTreeMap::<String, usize>::new();
        for _ in 0..5_000 {
            let mut document = example(contract);
            for _ in 0..=dice.below(2) {
                mutate(&mut document, &mut dice, &replacements);
            }
            let conforms = validator.is_valid(&to_serde(&document));
            let violations = match contracts::validate(&document, &ValidationContext { now: now(), body_bytes: 0 }) {
                // With the version of another contract, a document can be valid under that one.
                Ok(examined) if examined.contract != contract.id() => {
                    assert!(!conforms, "{}", canonical::write(&document));
                    continue;
                }
                Ok(_) => {
                    assert!(conforms, "the schema refuses what the validator accepts: {}", canonical::write(&document));
                    *met.entry("valid".to_owned()).or_default() += 1;
                    continue;
                }
                // Without its marker, a document is validated against another contract, or against none.
                Err(refused) if refused.contract != Some(contract.id()) => {
                    assert!(!conforms, "{}", canonical::write(&document));
                    continue;
                }
                Err(refused) => refused.violations,
            };
            let refused = violations.iter().any(|violation| expressible(violation, &document));
            let out_of_range = violations.iter().any(|violation| violation.code == "range");
            assert!(
                conforms != refused || (!conforms && out_of_range),
                "the schema {} {}: {violations:#?}",
                if conforms { "accepts" } else { "refuses" },
                canonical::write(&document)
            );
            violations.into_iter().for_each(|violation| *met.entry(violation.code).or_default() += 1);
        }
        assert!(met["valid"] > 100 && met["type"] > 100, "{}: {met:?}", contract.id());
    }
}

#[test]
fn every_violation_is_listed_in_the_contract_table() {
    let replacements = replacements();
    let mut dice = Dice(7);
    for contract in contracts::all() {
        let rows = contract.rows();
        let listed = |pointer: &str, code: Code| {
            rows.iter().filter(|row| row.pointer == pointer).any(|row| {
                let rule = row.rules.iter().any(|rule| rule.code == code);
                rule || code == Code::Type || (code == Code::Required && row.required)
            })
        };
        for _ in 0..2_000 {
            let mut document = example(contract);
            mutate(&mut document, &mut dice, &replacements);
            let Err(refused) = contracts::validate(&document, &ValidationContext { now: now(), body_bytes: 0 }) else {
                continue;
            };
            if refused.contract != Some(contract.id()) {
                continue;
            }
            for violation in refused.violations {
                let code = violation.code.parse().unwrap();
                // An undeclared member is reported in its object's row, and an item in its array's row.
                let (parent, _) = violation.pointer.rsplit_once('/').unwrap_or_default();
                let found =
                    contracts::EVERYWHERE.contains(&code) || listed(&violation.pointer, code) || listed(parent, code);
                assert!(found, "{}: {violation:?}", contract.id());
            }
        }
    }
}

/// Appends U+202E to each string of each contract's example in turn.
#[test]
fn refuses_and_names_text_reordering_characters_except_in_notes_and_free_data() {
    let (mut named, mut let_in) = (BTreeSet::new(), 0);
    for contract in contracts::all() {
        for place in 0..count(&example(contract)) {
            let (mut document, mut place, mut altered) = (example(contract), place, false);
            alter(&mut document, &mut place, &mut |value| {
                if let Value::String(text) = value {
                    *text = format!("{text}\u{202e}x");
                    altered = true;
                }
            });
            let examined = contracts::validate(&document, &ValidationContext { now: now(), body_bytes: 0 });
            let_in += usize::from(altered && examined.is_ok());
            for violation in examined.err().into_iter().flat_map(|refused| refused.violations) {
                if violation.detail.contains("U+202E") {
                    named.insert(violation.pointer);
                }
            }
        }
    }
    for pointer in ["/device/type", "/device/location", "/metadata/operator", "/correlation_id", "/request/request_id"]
    {
        assert!(named.contains(pointer), "{pointer}: {named:?}");
    }
    assert!(named.contains("/request/assets/site_id") && let_in > 0, "{named:?}");
}
