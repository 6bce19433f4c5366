//! Properties of all documents. `PROPTEST_CASES=100000` tries more of them.

use mass_domain::canonical;
use mass_domain::contracts::{self, ValidationContext};
use mass_domain::json::{self, Number, Value};
use proptest::prelude::*;

use super::{alter, count, now, tenant, validate};

/// Generates text with the characters that the rules check: white space, digits, marks, U+0000 and surrogate pairs.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ \\t\u{85}\u{a0}]{0,2}[-+0-9.eE_]{0,6}[ \u{3000}]{0,2}",
        "[a-zA-Z_ -]{0,8}",
        "(true|FALSE|yes|NaN|1\\.1|e\u{301}|\u{130}\u{307}|\u{1D400}a)",
        "[\u{0}a\u{10FFFF}\u{300}-\u{310}\u{1F600}]{0,3}",
        any::<String>(),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    let double = prop_oneof![any::<f64>(), (-1_000_000_i32..1_000_000).prop_map(f64::from), -200.0..200.0];
    double.prop_filter_map("JSON has no such number", |value| Number::new(value).map(Value::Number))
}

/// Removes members with repeated keys, except the first of each.
fn object(mut members: Vec<(String, Value)>) -> Value {
    let mut seen = std::collections::HashSet::new();
    members.retain(|(key, _)| seen.insert(key.clone()));
    Value::Object(members)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::Bool), number(), text().prop_map(Value::String)];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((text(), inner), 0..6).prop_map(object),
        ]
    })
}

/// Generates an example of any contract with one value replaced or one member added.
fn nearly_valid() -> impl Strategy<Value = Value> {
    let examples = (0..contracts::all().len()).prop_map(|index| {
        let example = contracts::all()[index].example(&tenant(), now()).to_string();
        json::parse(example.as_bytes()).unwrap()
    });
    (examples, any::<prop::sample::Index>(), value(), text(), any::<bool>()).prop_map(
        |(mut document, place, value, key, add)| {
            let places = count(&document);
            alter(&mut document, &mut place.index(places), &mut |here| {
                if let (Value::Object(members), true) = (&mut *here, add) {
                    members.push((key.clone(), value.clone()));
                    *here = object(std::mem::take(members));
                } else {
                    *here = value.clone();
                }
            });
            document
        },
    )
}

fn reversed(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(reversed).collect()),
        Value::Object(members) => {
            Value::Object(members.iter().rev().map(|(key, member)| (key.clone(), reversed(member))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Validates a document: returns the canonical text, or the violations without their order.
fn judged(document: &Value) -> Result<(String, Vec<String>), Vec<String>> {
    match contracts::validate(document, &ValidationContext { now: now(), body_bytes: 0 }) {
        Ok(examined) => Ok((examined.canonical, examined.warnings.iter().map(|found| format!("{found:?}")).collect())),
        Err(refused) => {
            assert!(!refused.violations.is_empty());
            assert!(refused.violations.is_sorted_by_key(|violation| violation.stage));
            for violation in &refused.violations {
                let shown = [&violation.actual, &violation.expected].into_iter().flatten();
                assert!(shown.clone().all(|text| !text.contains(char::is_control)), "{violation:?}");
            }
            let mut violations: Vec<_> = refused.violations.iter().map(|found| format!("{found:?}")).collect();
            violations.sort();
            Err(violations)
        }
    }
}

/// Parses a text with `serde_json`, if MASS and `serde_json` agree that it is JSON.
fn read_by_serde_json(text: &[u8]) -> Option<serde_json::Value> {
    serde_json::from_slice(text).ok()
}

/// Writes a value as MASS writes it.
fn canonical_text(value: &serde_json::Value) -> String {
    canonical::write(&json::parse(value.to_string().as_bytes()).unwrap())
}

proptest! {
    #[test]
    fn normalisation_is_idempotent(document in nearly_valid()) {
        if let Ok((canonical, _)) = judged(&document) {
            let again = validate(&canonical).unwrap();
            prop_assert_eq!(again.canonical, canonical);
        }
    }

    #[test]
    fn any_object_with_distinct_keys_is_a_valid_payload(payload in value()) {
        let document = Value::Object(vec![("payload".to_owned(), payload)]);
        if let Ok((canonical, _)) = judged(&document) {
            let again = validate(&canonical).unwrap();
            prop_assert_eq!(again.canonical, canonical);
        }
    }

    #[test]
    fn payload_strings_change_only_by_trimming_and_nfc(sent in text()) {
        let document = Value::Object(vec![(
            "payload".to_owned(),
            Value::Object(vec![("a".to_owned(), Value::String(sent.clone()))]),
        )]);
        if let Ok((normal, _)) = judged(&document) {
            let normal = serde_json::from_str::<serde_json::Value>(&normal).unwrap();
            let value = normal.pointer("/payload/a").unwrap();
            let printed = value.as_str().map_or_else(|| canonical_text(value), str::to_owned);
            prop_assert_eq!(printed, mass_domain::normalisation::text(&sent));
        }
    }

    #[test]
    fn order_of_members_does_not_matter(document in nearly_valid()) {
        let (one, other) = (judged(&document), judged(&reversed(&document)));
        // Of two colliding keys the second is refused. The order of members decides which one that is.
        let collided = |judged: &Result<_, Vec<String>>| {
            judged.as_ref().is_err_and(|found| found.iter().any(|found| found.contains("key_collision")))
        };
        prop_assert!(one == other || (collided(&one) && collided(&other)), "{one:?} {other:?}");
    }

    #[test]
    fn validation_never_panics(document in value()) {
        let _ = judged(&document);
    }

    #[test]
    fn parser_never_panics(text in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(document) = json::parse(&text) {
            let _ = judged(&document);
        }
    }

    #[test]
    fn written_documents_survive_a_round_trip(value in value()) {
        let text = canonical::write(&value);
        let read = json::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(canonical::write(&read), text);
    }

    #[test]
    fn serde_json_reads_the_same_document(value in value()) {
        let text = canonical::write(&value);
        let theirs = read_by_serde_json(text.as_bytes()).unwrap();
        prop_assert_eq!(canonical::write(&json::parse(theirs.to_string().as_bytes()).unwrap()), text);
    }

    #[test]
    fn agrees_with_serde_json_except_for_known_differences(
        text in r#"[\[\]{}:,"\\0-9.eE+\-truefalsn u/bd \n\t]{0,12}"#
    ) {
        match json::parse(text.as_bytes()) {
            Ok(_) => prop_assert!(read_by_serde_json(text.as_bytes()).is_some(), "{text}"),
            Err(error) if error.code == "duplicate_key" => {}
            Err(_) => prop_assert!(read_by_serde_json(text.as_bytes()).is_none(), "{text}"),
        }
    }

    #[test]
    fn agrees_with_serde_json_after_one_changed_byte(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = contracts::all()[0].example(&tenant(), now()).to_string().into_bytes();
        let place = place.index(text.len());
        text[place] = byte;
        match json::parse(&text) {
            Ok(_) => prop_assert!(read_by_serde_json(&text).is_some()),
            Err(error) if error.code == "duplicate_key" => {}
            Err(_) => prop_assert!(read_by_serde_json(&text).is_none()),
        }
    }

    #[test]
    fn compares_numbers_independently_of_their_spelling(
        digits in "[1-9][0-9]{0,14}", shift in 0_usize..20, zeros in 0_usize..5
    ) {
        // Tests three spellings of one value: plain, with a decimal point, with an exponent.
        let plain = Number::parse(&format!("{digits}e{shift}")).unwrap();
        let zeros = "0".repeat(zeros);
        let long = Number::parse(&format!("{digits}{}.{zeros}0", "0".repeat(shift))).unwrap();
        let scaled = Number::parse(&format!("0.{zeros}{digits}e+{}", shift + digits.len() + zeros.len())).unwrap();
        prop_assert_eq!(plain.fault(), long.fault());
        prop_assert_eq!(plain.fault(), scaled.fault());
        prop_assert_eq!(plain.value().to_bits(), scaled.value().to_bits());
    }
}
