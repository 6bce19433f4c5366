//! The quarantine: refused records that are kept outside of the audit trail, to be mended and sent again.

use crate::access::Actor;
use crate::canonical::Fingerprint;
use crate::contracts::{self, ContractId};
use crate::ids::QuarantineId;
use crate::mass_request::IdempotencyKey;
use crate::names::named_enum;
use crate::time::Timestamp;
use crate::trace::RequestId;
use crate::validation::Violation;

/// The maximum number of violations that are kept with a record; their total is kept, too.
pub const MAX_VIOLATIONS: usize = 100;

/// The bytes that a record counts besides its own and those of its violations: about what a row takes.
const ROW_BYTES: u64 = 256;

/// The text does not name a form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown form \"{0}\"")]
pub struct UnknownForm(String);

named_enum!(
    /// The form in which a record was received.
    RecordForm, UnknownForm {
        /// A document as JSON text.
        Json = "json",
        /// A JSON object of a document and its idempotency key.
        Keyed = "keyed",
        /// A row of CSV after its header row.
        Csv = "csv",
        /// A text of which a mapping profile made no document.
        Text = "text",
    }
);

/// The text does not name a reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown reason \"{0}\"")]
pub struct UnknownReason(String);

named_enum!(
    /// The reason for which a refused record is not kept, although that was asked for.
    NotKept, UnknownReason {
        /// The tenant's quarantine is full.
        Quota = "quota",
        /// The record is longer than a body may be, so that its end was not read.
        TooLong = "too_long",
        /// The database did not take it.
        Unavailable = "unavailable",
    }
);

/// A record as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its bytes, of any encoding.
    pub bytes: Vec<u8>,
    /// Their form.
    pub form: RecordForm,
    /// The contract that it names, or that was named beside it.
    pub contract: Option<ContractId>,
    /// The idempotency key beside it.
    pub idempotency_key: Option<IdempotencyKey>,
    /// The mapping profile that it was made by, as `NAME@DIGEST`.
    pub mapping: Option<String>,
}

impl Received {
    /// Returns the digest by which the same record is known again when it is sent again. Records without a key under a
    /// contract without natural keys have none: equal ones may stand for different things.
    #[must_use]
    pub fn digest(&self) -> Option<Fingerprint> {
        let key = self.idempotency_key.as_ref().map_or("", |key| key.as_str());
        let contract = contracts::all().iter().find(|contract| Some(contract.id()) == self.contract);
        if key.is_empty() && contract.is_some_and(|contract| !contract.has_natural_key()) {
            return None;
        }
        let contract = contract.map_or_else(String::new, |contract| contract.id().to_string());
        let mut text = format!("{}\n{contract}\n{key}\n", self.form).into_bytes();
        text.extend_from_slice(&self.bytes);
        Some(Fingerprint::of_unreadable(&text))
    }
}

/// A record in the quarantine, without its bytes and violations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedSummary {
    /// Its id; newer records have greater ids.
    pub id: QuarantineId,
    /// The instant at which it was received.
    pub received_at: Timestamp,
    /// The instant at which it is removed.
    pub expires_at: Timestamp,
    /// The call that it came with.
    pub request_id: RequestId,
    /// The sender.
    pub created_by: Actor,
    /// Its form.
    pub form: RecordForm,
    /// The contract that it names, or that was named beside it.
    pub contract: Option<ContractId>,
    /// The idempotency key beside it.
    pub idempotency_key: Option<String>,
    /// The mapping profile that it was made by, as `NAME@DIGEST`.
    pub mapping: Option<String>,
    /// The codes of its violations, each once, in the order of the alphabet.
    pub codes: Vec<String>,
    /// The number of its violations.
    pub violation_count: u64,
    /// The bytes that it counts against the quota.
    pub bytes: u64,
}

/// A record in the quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Everything except its bytes and violations.
    pub summary: QuarantinedSummary,
    /// Its bytes as they were received.
    pub record: Vec<u8>,
    /// Its violations, of which the first [`MAX_VIOLATIONS`] are kept.
    pub violations: Vec<Violation>,
}

/// The call by which a record comes to the quarantine.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The instant of the call.
    pub at: Timestamp,
    /// The instant at which the record is removed.
    pub expires_at: Timestamp,
    /// The call.
    pub request_id: RequestId,
    /// The sender.
    pub actor: Actor,
}

impl Quarantined {
    /// Puts a refused record into the quarantine.
    #[must_use]
    pub fn new(id: QuarantineId, arrival: &Arrival, received: Received, mut violations: Vec<Violation>) -> Self {
        let Received { bytes: record, form, contract, idempotency_key, mapping } = received;
        let Arrival { at: received_at, expires_at, request_id, actor: created_by } = arrival.clone();
        let mut codes: Vec<String> = violations.iter().map(|violation| violation.code.clone()).collect();
        codes.sort_unstable();
        codes.dedup();
        let violation_count = violations.len() as u64;
        violations.truncate(MAX_VIOLATIONS);
        let text = violations.iter().map(length).sum::<u64>();
        let summary = QuarantinedSummary {
            id,
            received_at,
            expires_at,
            request_id,
            created_by,
            form,
            contract,
            idempotency_key: idempotency_key.map(|key| key.as_str().to_owned()),
            mapping,
            codes,
            violation_count,
            bytes: ROW_BYTES + record.len() as u64 + text,
        };
        Self { summary, record, violations }
    }
}

/// Returns the number of bytes that a violation takes as JSON.
fn length(violation: &Violation) -> u64 {
    // Nothing in a violation is without a form in JSON.
    serde_json::to_string(violation).map_or(0, |text| text.len() as u64)
}

/// Filter of records in the quarantine. Time bounds include `from` and exclude `to`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuarantineFilter {
    /// Only records of this contract.
    pub contract: Option<ContractId>,
    /// Only records with a violation of this code.
    pub code: Option<ViolationCode>,
    /// Only records that came with this call.
    pub request_id: Option<RequestId>,
    /// Only records that were received at or after this instant.
    pub received_from: Option<Timestamp>,
    /// Only records that were received before this instant.
    pub received_to: Option<Timestamp>,
}

/// The code of a violation in a filter: 1 to 64 characters of `a-z`, `0-9` and `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViolationCode(Box<str>);

/// Error for a text that is not the code of a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a code of 1 to 64 characters of a-z, 0-9 and _")]
pub struct InvalidViolationCode;

impl ViolationCode {
    /// Returns the code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for ViolationCode {
    type Err = InvalidViolationCode;

    fn from_str(text: &str) -> Result<Self, InvalidViolationCode> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidViolationCode)
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::contracts::{DEVICE_1_1, SIMPLE_1_0};
    use crate::validation::Stage;

    fn received(contract: Option<ContractId>, key: Option<&str>) -> Received {
        let idempotency_key = key.map(|key| IdempotencyKey::parse(key).unwrap());
        Received { bytes: b"{}".to_vec(), form: RecordForm::Json, contract, idempotency_key, mapping: None }
    }

    fn violation(code: &str) -> Violation {
        Violation {
            stage: Stage::Structural,
            pointer: "/a".to_owned(),
            code: code.to_owned(),
            detail: "Wrong.".to_owned(),
            expected: None,
            actual: None,
        }
    }

    #[test]
    fn the_same_record_has_the_same_digest_unless_it_may_stand_for_something_else() {
        let digest = |contract, key| received(contract, key).digest();
        assert_eq!(digest(Some(DEVICE_1_1), None), digest(Some(DEVICE_1_1), None));
        assert_ne!(digest(Some(DEVICE_1_1), None), digest(None, None));
        assert_ne!(digest(Some(DEVICE_1_1), None), digest(Some(DEVICE_1_1), Some("k")));
        assert_eq!(digest(Some(SIMPLE_1_0), None), None);
        assert!(digest(Some(SIMPLE_1_0), Some("k")).is_some() && digest(None, None).is_some());
    }

    #[test]
    fn a_record_keeps_each_code_once_and_the_first_violations() {
        let now: Timestamp = "2026-11-24T18:00:00Z".parse().unwrap();
        let request_id = RequestId::parse("call-1").unwrap();
        let arrival = Arrival { at: now, expires_at: now, request_id, actor: Actor::System };
        let id = QuarantineId::from_uuid(Uuid::from_u128(7));
        let few = Quarantined::new(id, &arrival, received(None, None), vec![violation("b"), violation("a")]);
        assert_eq!((few.summary.codes, few.summary.violation_count), (vec!["a".to_owned(), "b".to_owned()], 2));
        assert_eq!(few.summary.bytes, ROW_BYTES + 2 + 2 * length(&violation("a")));
        let many = Quarantined::new(id, &arrival, received(None, None), vec![violation("a"); MAX_VIOLATIONS + 5]);
        assert_eq!((many.violations.len(), many.summary.violation_count), (MAX_VIOLATIONS, 105));
        assert_eq!(many.summary.codes, ["a"]);
    }

    #[test]
    fn a_code_in_a_filter_is_a_word() {
        assert_eq!("foreign_tenant".parse::<ViolationCode>().unwrap().as_str(), "foreign_tenant");
        for bad in ["", "a%", "A", "a,b", &"a".repeat(65)] {
            assert_eq!(bad.parse::<ViolationCode>(), Err(InvalidViolationCode), "{bad}");
        }
    }
}
