//! Summary of the refusals of one call in one event: a call adds only a few KiB to the trail, however many records it
//! has.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Act, Action, NewEvent, Object};
use crate::canonical::Fingerprint;
use crate::contracts::ContractId;
use crate::ids::MassRequestId;
use crate::tenancy::TenantId;
use crate::validation::Violation;

/// The maximum size of the first refusals in an event, in bytes of JSON.
const FIRST_BYTES: usize = 4096;

/// The maximum number of violations of a record that an event lists; it also has their total.
const VIOLATIONS: usize = 20;

/// The maximum length of a pointer in an event, in characters: its names can come from the sender.
const POINTER_LENGTH: usize = 256;

/// A refused record.
#[derive(Debug, Clone, Copy)]
pub struct RefusedRecord<'a> {
    /// The id that its request would have had.
    pub id: MassRequestId,
    /// The contract that it was matched to.
    pub contract: Option<ContractId>,
    /// The fingerprint of the sent text.
    pub input: Fingerprint,
    /// The last segment of the problem type that a single record would be answered with.
    pub code: &'static str,
    /// The details of the refusal.
    pub reason: Reason<'a>,
}

/// The details of a refusal beside its code.
#[derive(Debug, Clone, Copy)]
pub enum Reason<'a> {
    /// Nothing.
    Code,
    /// The code of the syntax error.
    Syntax(&'a str),
    /// The violations.
    Violations(&'a [Violation]),
    /// The request that is stored already.
    Stored(MassRequestId),
}

/// Collects the refusals among the records of a call.
#[derive(Debug, Clone, Default)]
pub struct Refusals {
    records: u64,
    count: u64,
    codes: BTreeMap<&'static str, u64>,
    digest: Sha256,
    first: First,
    /// The first refused record, which the event names as its object.
    about: Option<About>,
}

#[derive(Debug, Clone, Copy)]
struct About {
    id: MassRequestId,
    /// The contract of all refused records, if they share one.
    contract: Option<ContractId>,
    input: Fingerprint,
}

/// The first refusals, as many as fit.
#[derive(Debug, Clone, Default)]
struct First {
    told: Vec<Value>,
    bytes: usize,
    is_full: bool,
}

impl Refusals {
    /// Returns true if nothing was refused.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Counts an accepted record.
    pub const fn passed(&mut self) {
        self.records += 1;
    }

    /// Counts a refused record.
    pub fn refused(&mut self, record: &RefusedRecord<'_>) {
        let RefusedRecord { id, contract, input, code, .. } = *record;
        let index = self.records;
        self.records += 1;
        self.count += 1;
        *self.codes.entry(code).or_default() += 1;
        self.digest.update(format!("{index} {code} {input}\n"));
        self.first.push(index, record);
        let about = self.about.get_or_insert(About { id, contract, input });
        about.contract = about.contract.filter(|shared| contract == Some(*shared));
    }

    /// Builds the event of the refusals, if there are any.
    #[must_use]
    pub fn into_event(self, act: &Act, tenant: &TenantId) -> Option<NewEvent> {
        let About { id, contract, input } = self.about?;
        let event = act.refused(tenant, Action::PayloadRefused, Object::MassRequest(id));
        let event = event
            .with(
                "codes",
                self.codes.into_iter().map(|(code, count)| (code.to_owned(), count.into())).collect::<Map<_, _>>(),
            )
            .with("count", self.count)
            .with("digest", Fingerprint::from_bytes(self.digest.finalize().into()).to_string())
            .with("first", self.first.told)
            .with("records", self.records);
        Some(NewEvent { contract, input: Some(input).filter(|_| self.count == 1), ..event })
    }
}

impl First {
    fn push(&mut self, index: u64, record: &RefusedRecord<'_>) {
        if self.is_full {
            return;
        }
        let mut told = Map::new();
        told.insert("index".to_owned(), index.into());
        told.insert("code".to_owned(), record.code.into());
        told.insert("input".to_owned(), record.input.to_string().into());
        if let Some(contract) = record.contract {
            told.insert("contract".to_owned(), contract.to_string().into());
        }
        let mut violations: &[Violation] = &[];
        match record.reason {
            Reason::Code => {}
            Reason::Syntax(code) => _ = told.insert("syntax".to_owned(), code.into()),
            Reason::Stored(id) => _ = told.insert("first_id".to_owned(), id.to_string().into()),
            Reason::Violations(broken) => {
                violations = broken;
                told.insert("violation_count".to_owned(), broken.len().into());
                told.insert("violations".to_owned(), Value::Array(Vec::new()));
            }
        }
        if !self.fits(&told) {
            return;
        }
        if let Some(Value::Array(named)) = told.get_mut("violations") {
            let room = violations.iter().take(VIOLATIONS).map(name);
            named.extend(room.take_while(|violation| self.fits(violation)));
        }
        self.told.push(told.into());
    }

    /// Reserves room for a value and its comma. After the first value that does not fit, no other fits.
    fn fits(&mut self, value: &impl serde::Serialize) -> bool {
        // Serialisation could only fail for a map with keys that are not strings, which does not occur.
        let bytes = 1 + serde_json::to_string(value).map_or(FIRST_BYTES, |text| text.len());
        self.is_full = self.is_full || self.bytes + bytes >= FIRST_BYTES;
        if !self.is_full {
            self.bytes += bytes;
        }
        !self.is_full
    }
}

fn name(violation: &Violation) -> Value {
    let pointer: String = violation.pointer.chars().take(POINTER_LENGTH).collect();
    json!({"stage": violation.stage, "pointer": pointer, "code": violation.code})
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::access::Actor;
    use crate::audit::{Event, Program};
    use crate::trace::{Origin, RequestId};
    use crate::validation::Stage;

    fn record(number: u128, reason: Reason<'_>) -> RefusedRecord<'_> {
        let code = match reason {
            Reason::Code => "foreign-tenant",
            Reason::Syntax(_) => "malformed-json",
            Reason::Violations(_) => "contract-violation",
            Reason::Stored(_) => "conflict",
        };
        let id = MassRequestId::from_uuid(Uuid::from_u128(number));
        let contract = Some("device/1.1".parse().unwrap());
        RefusedRecord { id, contract, input: Fingerprint::of(&number.to_string()), code, reason }
    }

    fn violations(count: usize, pointer: &str) -> Vec<Violation> {
        let violation = Violation {
            stage: Stage::Structural,
            pointer: pointer.to_owned(),
            code: "unknown_member".to_owned(),
            detail: "d".repeat(10_000),
            expected: None,
            actual: Some("a".repeat(10_000)),
        };
        vec![violation; count]
    }

    fn event(refusals: Refusals) -> NewEvent {
        let origin = Origin { request_id: RequestId::parse("r-1").unwrap(), trace: None, address: None };
        let act = Act::new(Actor::System, "2026-11-24T18:00:00Z".parse().unwrap(), &origin);
        refusals.into_event(&act, &TenantId::parse("default").unwrap()).unwrap()
    }

    fn text(event: NewEvent) -> String {
        let program = Program { commit: "abc".to_owned(), version: "0.1.0".to_owned() };
        Event { sequence: 1, program, event }.write()
    }

    #[test]
    fn a_call_without_refusals_has_no_event() {
        let mut refusals = Refusals::default();
        refusals.passed();
        let origin = Origin { request_id: RequestId::parse("r-1").unwrap(), trace: None, address: None };
        let act = Act::new(Actor::System, "2026-11-24T18:00:00Z".parse().unwrap(), &origin);
        assert!(refusals.is_empty());
        assert_eq!(refusals.into_event(&act, &TenantId::parse("default").unwrap()), None);
    }

    #[test]
    fn a_single_refusal_has_its_contract_and_input() {
        let broken = violations(1, "/a");
        let mut refusals = Refusals::default();
        refusals.refused(&record(7, Reason::Violations(&broken)));
        let event = event(refusals);
        let sent = record(7, Reason::Code);
        assert_eq!(
            (event.object, event.contract, event.input),
            (Object::MassRequest(sent.id), sent.contract, Some(sent.input))
        );
        let input = sent.input.to_string();
        let digest = Fingerprint::of(&format!("0 contract-violation {input}\n")).to_string();
        let violation = json!({"stage": "structural", "pointer": "/a", "code": "unknown_member"});
        let first = json!({
            "index": 0, "code": "contract-violation", "contract": "device/1.1", "input": input, "violation_count": 1,
            "violations": [violation],
        });
        let expected = json!({
            "codes": {"contract-violation": 1}, "count": 1, "digest": digest, "first": [first], "records": 1,
        });
        assert_eq!(Value::Object(event.detail), expected);
    }

    #[test]
    fn many_refusals_are_counted_digested_and_listed_in_part() {
        let mut refusals = Refusals::default();
        let mut lines = String::new();
        for number in 0..10_000 {
            if number % 2 == 0 {
                refusals.passed();
                continue;
            }
            let refused = record(
                number,
                if number % 4 == 1 { Reason::Syntax("syntax") } else { Reason::Stored(record(0, Reason::Code).id) },
            );
            lines += &format!("{number} {} {}\n", refused.code, refused.input);
            refusals.refused(&refused);
        }
        let event = event(refusals);
        assert_eq!((event.object.clone(), event.input), (Object::MassRequest(record(1, Reason::Code).id), None));
        assert_eq!(event.contract, Some("device/1.1".parse().unwrap()));
        let detail = Value::Object(event.detail.clone());
        assert_eq!((&detail["count"], &detail["records"]), (&json!(5000), &json!(10_000)));
        assert_eq!(detail["codes"], json!({"conflict": 2500, "malformed-json": 2500}));
        assert_eq!(detail["digest"], Fingerprint::of(&lines).to_string());
        let first = detail["first"].as_array().unwrap();
        assert!((10..40).contains(&first.len()), "{}", first.len());
        assert!(first.iter().zip((1..).step_by(2)).all(|(told, index)| told["index"] == index), "{first:?}");
        assert!(text(event).len() < 6 << 10);
    }

    #[test]
    fn an_event_names_a_contract_that_all_refused_records_share() {
        let mut refusals = Refusals::default();
        refusals.refused(&record(1, Reason::Code));
        refusals.refused(&RefusedRecord { contract: None, ..record(2, Reason::Code) });
        refusals.refused(&record(3, Reason::Code));
        assert_eq!(event(refusals).contract, None);
    }

    #[test]
    fn the_event_of_refusals_has_at_most_a_few_kibibytes() {
        let names = ["x", "\u{1}", "ü", "\"", "😀"].map(|letter| format!("/{}", letter.repeat(100_000)));
        for pointer in &names {
            for count in [1, 15, 1000] {
                let broken = violations(count, pointer);
                let mut refusals = Refusals::default();
                for number in 0..100 {
                    refusals.refused(&record(number, Reason::Violations(&broken)));
                }
                let event = event(refusals);
                let first = event.detail["first"].clone();
                assert!(first.to_string().len() <= FIRST_BYTES, "{} bytes", first.to_string().len());
                assert_eq!(first[0]["violation_count"], count);
                assert!(first[0]["violations"].as_array().is_some_and(|named| !named.is_empty()));
                assert!(text(event).len() < 6 << 10);
            }
        }
    }
}
