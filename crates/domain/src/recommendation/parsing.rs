//! The strict parser of an answer. It repairs nothing, and refuses members that MASS does not know.
//!
//! It also reads stored answers. Later versions may therefore accept more, but never less.

use std::ops::RangeInclusive;

use uuid::Uuid;

use super::{Action, Advice, Expectation, Explanation, Guardrails, Impact, Model};
use crate::canonical::Fingerprint;
use crate::json::{self, Value};

/// Maximum size of an answer in bytes.
pub const MAX_ANSWER_BYTES: usize = 256 * 1024;

const MAX_ACTIONS: usize = 64;
const MAX_REASONS: usize = 64;
const NAME: usize = 128;
const TARGET: usize = 512;
const NARRATIVE: usize = 8_192;

/// The range of plausible figures in any unit: a larger one exceeds the daily energy of every data centre.
const FIGURE: RangeInclusive<f64> = -1e12..=1e12;
const SHARE: RangeInclusive<f64> = 0.0..=1.0;

/// Maximum length of a reported pointer in characters. Its names come from the engine.
const POINTER_LENGTH: usize = 256;

/// Error for an answer that does not follow the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer at \"{pointer}\": {detail}")]
pub struct MalformedAnswer {
    /// The position (JSON Pointer, RFC 6901); empty for the whole answer.
    pub pointer: String,
    /// The value that was expected, and the type that was found. Never quotes the answer.
    pub detail: String,
}

impl Advice {
    /// Parses the engine's answer to the document with this fingerprint.
    ///
    /// # Errors
    /// [`MalformedAnswer`] for the first violation.
    pub fn read(body: &[u8], input: Fingerprint) -> Result<Self, MalformedAnswer> {
        if body.len() > MAX_ANSWER_BYTES {
            return Err(wrong("", format!("expected at most {MAX_ANSWER_BYTES} bytes, found {}", body.len())));
        }
        let answer = json::parse(body).map_err(|error| wrong("", error.detail))?;
        let advice = Object::of(&answer, String::new(), &MEMBERS)?.advice()?;
        if advice.input_fingerprint == input {
            Ok(advice)
        } else {
            Err(wrong("/input_fingerprint", "expected the fingerprint of the sent document, found another one"))
        }
    }
}

const MEMBERS: [&str; 10] = [
    "decision_id",
    "model",
    "input_fingerprint",
    "confidence",
    "risk_score",
    "estimated_impact_24h",
    "actions",
    "expected_impact",
    "explanation",
    "guardrails",
];

fn wrong(pointer: impl Into<String>, detail: impl Into<String>) -> MalformedAnswer {
    let pointer: String = pointer.into();
    MalformedAnswer { pointer: pointer.chars().take(POINTER_LENGTH).collect(), detail: detail.into() }
}

/// Builds the error for an unexpected value. Names only its type, because the value is the engine's.
fn unexpected(pointer: String, expected: &str, found: &Value) -> MalformedAnswer {
    let other = if expected.starts_with(found.noun()) { "another one" } else { found.noun() };
    wrong(pointer, format!("expected {expected}, found {other}"))
}

/// An object and the pointer to it.
struct Object<'a> {
    value: &'a Value,
    pointer: String,
}

impl<'a> Object<'a> {
    /// Reads an object that has no members except these.
    fn of(value: &'a Value, pointer: String, members: &[&str]) -> Result<Self, MalformedAnswer> {
        let Value::Object(present) = value else { return Err(unexpected(pointer, "an object", value)) };
        match present.iter().find(|(name, _)| !members.contains(&name.as_str())) {
            Some((unknown, _)) => {
                let unknown = unknown.replace('~', "~0").replace('/', "~1").escape_debug().to_string();
                Err(wrong(format!("{pointer}/{unknown}"), "unknown member"))
            }
            None => Ok(Self { value, pointer }),
        }
    }

    fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.pointer)
    }

    fn member(&self, name: &str) -> Result<&'a Value, MalformedAnswer> {
        self.value.get(name).ok_or_else(|| wrong(self.at(name), "missing member"))
    }

    fn object(&self, name: &str, members: &[&str]) -> Result<Self, MalformedAnswer> {
        Self::of(self.member(name)?, self.at(name), members)
    }

    fn number(&self, name: &str, range: RangeInclusive<f64>) -> Result<f64, MalformedAnswer> {
        if let Value::Number(number) = self.member(name)?
            && range.contains(&number.value())
        {
            return Ok(number.value());
        }
        let (least, greatest) = range.into_inner();
        Err(unexpected(self.at(name), &format!("a number from {least} to {greatest}"), self.member(name)?))
    }

    /// Reads a number that may be `null` or absent.
    fn optional_number(&self, name: &str) -> Result<Option<f64>, MalformedAnswer> {
        self.unless_null(name, || self.number(name, FIGURE))
    }

    fn unless_null<T>(
        &self,
        name: &str,
        read: impl FnOnce() -> Result<T, MalformedAnswer>,
    ) -> Result<Option<T>, MalformedAnswer> {
        match self.value.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => read().map(Some),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, MalformedAnswer> {
        let value = self.member(name)?;
        if let Value::Bool(flag) = value { Ok(*flag) } else { Err(unexpected(self.at(name), "true or false", value)) }
    }

    fn name(&self, name: &str) -> Result<String, MalformedAnswer> {
        text(self.member(name)?, self.at(name), NAME)
    }

    fn array(&self, name: &str, greatest: usize) -> Result<impl Iterator<Item = (String, &'a Value)>, MalformedAnswer> {
        let pointer = self.at(name);
        if let Value::Array(items) = self.member(name)?
            && items.len() <= greatest
        {
            return Ok(items.iter().enumerate().map(move |(index, item)| (format!("{pointer}/{index}"), item)));
        }
        Err(unexpected(pointer, &format!("an array of at most {greatest} items"), self.member(name)?))
    }

    fn advice(&self) -> Result<Advice, MalformedAnswer> {
        let fingerprint = self.name("input_fingerprint")?;
        let fingerprint = fingerprint
            .parse()
            .map_err(|_| wrong(self.at("input_fingerprint"), "expected sha256: and 64 lower-case hexadecimal digits"));
        let actions = self.array("actions", MAX_ACTIONS)?;
        Ok(Advice {
            decision_id: self.decision_id()?,
            model: self.object("model", &["name", "version", "policy"])?.model()?,
            input_fingerprint: fingerprint?,
            confidence: self.number("confidence", SHARE)?,
            risk_score: self.number("risk_score", SHARE)?,
            estimated_impact_24h: self.impact()?,
            actions: actions.map(|(pointer, action)| read_action(action, pointer)).collect::<Result<_, _>>()?,
            expected_impact: self.unless_null("expected_impact", || self.expectation())?,
            explanation: self.explanation()?,
            guardrails: self.guardrails()?,
        })
    }

    fn decision_id(&self) -> Result<Uuid, MalformedAnswer> {
        let id = self.name("decision_id")?;
        let hyphenated = Some(&id).filter(|id| id.len() == uuid::fmt::Hyphenated::LENGTH);
        hyphenated
            .and_then(|id| Uuid::try_parse(id).ok())
            .ok_or_else(|| wrong(self.at("decision_id"), "expected a UUID in its hyphenated form"))
    }

    fn model(&self) -> Result<Model, MalformedAnswer> {
        Ok(Model { name: self.name("name")?, version: self.name("version")?, policy: self.name("policy")? })
    }

    fn impact(&self) -> Result<Impact, MalformedAnswer> {
        let members = ["energy_kwh", "cost", "currency", "pue_delta", "co2e_kg"];
        let impact = self.object("estimated_impact_24h", &members)?;
        let currency = impact.name("currency")?;
        if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(wrong(impact.at("currency"), "expected three capital letters (ISO 4217)"));
        }
        Ok(Impact {
            energy_kwh: impact.number("energy_kwh", FIGURE)?,
            cost: impact.number("cost", FIGURE)?,
            currency,
            pue_delta: impact.number("pue_delta", FIGURE)?,
            co2e_kg: impact.number("co2e_kg", FIGURE)?,
        })
    }

    fn expectation(&self) -> Result<Expectation, MalformedAnswer> {
        let expected = self.object("expected_impact", &["pue", "facility_power_kw"])?;
        let (pue, facility_power_kw) =
            (expected.optional_number("pue")?, expected.optional_number("facility_power_kw")?);
        Ok(Expectation { pue, facility_power_kw })
    }

    fn explanation(&self) -> Result<Explanation, MalformedAnswer> {
        let explanation = self.object("explanation", &["narrative", "reason_codes"])?;
        let codes = explanation.array("reason_codes", MAX_REASONS)?;
        Ok(Explanation {
            narrative: narrative(explanation.member("narrative")?, explanation.at("narrative"))?,
            reason_codes: codes.map(|(pointer, code)| text(code, pointer, NAME)).collect::<Result<_, _>>()?,
        })
    }

    fn guardrails(&self) -> Result<Guardrails, MalformedAnswer> {
        let members = ["shadow_read_only_enforced", "no_control_actions_enforced"];
        let guardrails = self.object("guardrails", &members)?;
        Ok(Guardrails {
            shadow_read_only_enforced: guardrails.flag("shadow_read_only_enforced")?,
            no_control_actions_enforced: guardrails.flag("no_control_actions_enforced")?,
        })
    }
}

fn read_action(value: &Value, pointer: String) -> Result<Action, MalformedAnswer> {
    let action = Object::of(value, pointer, &["type", "target", "current", "suggested", "delta", "units"])?;
    Ok(Action {
        kind: action.name("type")?,
        target: text(action.member("target")?, action.at("target"), TARGET)?,
        current: action.optional_number("current")?,
        suggested: action.optional_number("suggested")?,
        delta: action.optional_number("delta")?,
        units: action.unless_null("units", || action.name("units"))?,
    })
}

/// Reads one non-empty line of text.
fn text(value: &Value, pointer: String, longest: usize) -> Result<String, MalformedAnswer> {
    if let Value::String(text) = value
        && is_text(text, longest, char::is_control)
        && !text.is_empty()
    {
        return Ok(text.clone());
    }
    Err(unexpected(pointer, &format!("a line of 1 to {longest} characters"), value))
}

/// Reads a text of several lines, which may be empty.
fn narrative(value: &Value, pointer: String) -> Result<String, MalformedAnswer> {
    let odd = |character: char| character.is_control() && !['\n', '\t'].contains(&character);
    if let Value::String(text) = value
        && is_text(text, NARRATIVE, odd)
    {
        return Ok(text.clone());
    }
    Err(unexpected(pointer, &format!("a text of at most {NARRATIVE} characters"), value))
}

fn is_text(text: &str, longest: usize, odd: impl FnMut(char) -> bool) -> bool {
    text.chars().take(longest + 1).count() <= longest && !text.contains(odd)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn input() -> Fingerprint {
        Fingerprint::of("the document")
    }

    fn answer() -> serde_json::Value {
        json!({
            "decision_id": "1bf55342-4b7c-8b8b-ad25-f5ad6c942848",
            "model": {"name": "mass-reference", "version": "0.1.0", "policy": "steps/1"},
            "input_fingerprint": input().to_string(),
            "confidence": 0.8, "risk_score": 0.32,
            "estimated_impact_24h":
                {"energy_kwh": 143.605, "cost": 15.8, "currency": "USD", "pue_delta": -0.0075, "co2e_kg": 57.442},
            "actions": [{
                "type": "raise_cooling_setpoint", "target": "tampa-1/cooling_setpoint_c",
                "current": 22.0, "suggested": 23.0, "delta": 1.0, "units": "celsius"
            }],
            "expected_impact": {"pue": 1.3925, "facility_power_kw": null},
            "explanation": {"narrative": "Two\nlines.", "reason_codes": ["STEP_UP"]},
            "guardrails": {"shadow_read_only_enforced": true, "no_control_actions_enforced": false}
        })
    }

    fn read(answer: &serde_json::Value) -> Result<Advice, MalformedAnswer> {
        Advice::read(answer.to_string().as_bytes(), input())
    }

    #[test]
    fn answer_survives_a_round_trip() {
        let advice = read(&answer()).unwrap();
        assert_eq!(advice.actions[0].signal(), "cooling_setpoint_c");
        assert_eq!(serde_json::to_value(&advice).unwrap(), answer());
        assert_eq!(read(&serde_json::to_value(&advice).unwrap()), Ok(advice));
    }

    #[test]
    fn reads_the_answer_in_the_documentation() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/engine.md");
        let page = std::fs::read_to_string(page).unwrap();
        let (_, section) = page.split_once("\n### The answer\n").unwrap();
        let (_, block) = section.split_once("```json\n").unwrap();
        let (answer, _) = block.split_once("```").unwrap();
        let shown: serde_json::Value = serde_json::from_str(answer).unwrap();
        let input = shown["input_fingerprint"].as_str().unwrap().parse().unwrap();
        let advice = Advice::read(answer.as_bytes(), input).unwrap();
        assert_eq!(serde_json::to_value(&advice).unwrap(), shown);
    }

    #[test]
    fn accepts_an_answer_without_expected_impact() {
        let mut without = answer();
        without["expected_impact"] = json!(null);
        assert_eq!(read(&without).unwrap().expected_impact, None);
    }

    #[test]
    fn reports_violations_with_their_pointers() {
        let cases = [
            ("/confidence", json!(17)),
            ("/confidence", json!("0.5")),
            ("/risk_score", json!(-0.1)),
            ("/decision_id", json!("1bf553424b7c8b8bad25f5ad6c942848")),
            ("/model/name", json!("")),
            ("/model/version", json!("1\r\n2")),
            ("/model/policy", json!("x".repeat(129))),
            ("/input_fingerprint", json!(Fingerprint::of("another").to_string())),
            ("/input_fingerprint", json!("md5:0")),
            ("/estimated_impact_24h/cost", json!(1e13)),
            ("/estimated_impact_24h/currency", json!("usd")),
            ("/actions", json!({})),
            ("/actions", json!(vec![answer()["actions"][0].clone(); 65])),
            ("/actions/0/target", json!(7)),
            ("/actions/0/suggested", json!("23")),
            ("/expected_impact/pue", json!(true)),
            ("/explanation/narrative", json!("a\u{0}b")),
            ("/explanation/reason_codes/0", json!("")),
            ("/guardrails/shadow_read_only_enforced", json!("true")),
            ("/guardrails", json!(null)),
        ];
        for (pointer, value) in cases {
            let mut answer = answer();
            *answer.pointer_mut(pointer).unwrap() = value;
            assert_eq!(read(&answer).unwrap_err().pointer, pointer);
        }
    }

    #[test]
    fn requires_every_member_and_refuses_others() {
        for member in MEMBERS.into_iter().filter(|member| *member != "expected_impact") {
            let mut without = answer();
            without.as_object_mut().unwrap().remove(member);
            assert_eq!(read(&without), Err(wrong(format!("/{member}"), "missing member")));
        }
        let mut more = answer();
        more["actions"][0]["exe/cute\n"] = json!(true);
        assert_eq!(read(&more), Err(wrong("/actions/0/exe~1cute\\n", "unknown member")));
    }

    #[test]
    fn refuses_answers_that_are_not_json() {
        for body in ["", "<html>", "{\"confidence\": NaN}", "{\"a\":1,\"a\":2}", "[]"] {
            assert_eq!(Advice::read(body.as_bytes(), input()).unwrap_err().pointer, "", "{body}");
        }
        let long = format!("{}{}", " ".repeat(MAX_ANSWER_BYTES), answer());
        assert!(Advice::read(long.as_bytes(), input()).unwrap_err().detail.contains("bytes"));
    }

    proptest! {
        #[test]
        fn never_panics_on_any_bytes(body in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Advice::read(&body, input()).is_err());
        }

        #[test]
        fn keeps_the_values_of_figures(share in 0.0..=1.0_f64, figure in -1e12..1e12_f64) {
            let mut sent = answer();
            sent["confidence"] = json!(share);
            sent["estimated_impact_24h"]["cost"] = json!(figure);
            let advice = read(&sent).unwrap();
            prop_assert_eq!(advice.confidence.to_bits(), share.to_bits());
            let stored = serde_json::to_vec(&advice).unwrap();
            prop_assert_eq!(Advice::read(&stored, input()), Ok(advice));
        }
    }
}
