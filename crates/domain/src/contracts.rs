//! The contracts and their only entry point: [`validate`].
//!
//! Each contract is a table of rules in its own module, built from the types in `rules`. To add a contract, add a
//! module and a line to `REGISTRY`.

mod air;
mod cells;
mod columns;
mod device;
mod device_2_0;
mod enterprise;
mod rules;
mod schema;
mod simple;
mod table;

use std::fmt;
use std::str::FromStr;

use crate::canonical::{self, Fingerprint};
use crate::idempotency::IdempotencyKey;
use crate::json::Value;
use crate::tenancy::TenantId;
use crate::time::Timestamp;
use crate::validation::{Code, Findings, Pointer, Violation, Warning, WarningCode};

pub use cells::CellType;
pub use columns::{Columns, HeaderError};
pub use device::ID as DEVICE_1_1;
pub use device_2_0::ID as DEVICE_2_0;
pub use enterprise::ID as ENTERPRISE_1_1;
pub use rules::EVERYWHERE;
pub use schema::{Row, Rule};
pub use simple::ID as SIMPLE_1_0;
pub use table::{Rows, Table};

use rules::{Check, DocumentView, Kind};

/// All contracts. The versions of one contract are in ascending order: a document without a known version is validated
/// against the last contract whose marker it has.
static REGISTRY: &[&Contract] = &[&simple::CONTRACT, &device::CONTRACT, &device_2_0::CONTRACT, &enterprise::CONTRACT];

/// The id of a registered contract: `name/version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContractId {
    name: &'static str,
    version: &'static str,
}

impl ContractId {
    /// Returns the name, such as `device`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the version, such as `1.1`.
    #[must_use]
    pub const fn version(&self) -> &'static str {
        self.version
    }

    /// Returns all versions of the contract, which share one natural key: a reading of a device at an instant is the same
    /// reading under any of them.
    pub fn versions(self) -> impl Iterator<Item = Self> {
        REGISTRY.iter().map(|contract| contract.id).filter(move |id| id.name == self.name)
    }
}

/// Error for a name and version that are not registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown contract \"{0}\"")]
pub struct UnknownContract(String);

impl fmt::Display for ContractId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.version)
    }
}

impl FromStr for ContractId {
    type Err = UnknownContract;

    fn from_str(text: &str) -> Result<Self, UnknownContract> {
        let (name, version) = text.split_once('/').unwrap_or_default();
        find(name, version).map(Contract::id).ok_or_else(|| UnknownContract(text.to_owned()))
    }
}

/// A contract: its name, its marker and its rules.
pub struct Contract {
    id: ContractId,
    summary: &'static str,
    marker: Marker,
    /// Maximum size of a document in bytes, as received.
    max_bytes: Option<usize>,
    body: &'static dyn Kind,
    coherence: &'static [Check<Code>],
    advice: &'static [Check<WarningCode>],
    /// Warnings at pointers that depend on the document.
    further_advice: Option<fn(&DocumentView<'_>) -> Vec<Warning>>,
    sources: Sources,
    example: fn(&TenantId, Timestamp) -> serde_json::Value,
}

/// The member that identifies a contract by its presence.
#[derive(Clone, Copy)]
enum Marker {
    /// The member holds the contract's version.
    Version(&'static str),
    /// The member holds all data.
    Payload(&'static str),
}

impl Marker {
    const fn member(self) -> &'static str {
        match self {
            Self::Version(member) | Self::Payload(member) => member,
        }
    }
}

/// JSON Pointers to the values of the [`Index`] in a normalised document.
struct Sources {
    site_id: Option<&'static str>,
    device_id: Option<&'static str>,
    observed_at: Option<&'static str>,
    correlation_id: Option<&'static str>,
    batch_id: Option<&'static str>,
    /// The parts of the natural key, joined with `@`.
    natural_key: &'static [&'static str],
    idempotency_key: Option<&'static str>,
    tenant: Option<&'static str>,
}

impl Sources {
    const NONE: Self = Self {
        site_id: None,
        device_id: None,
        observed_at: None,
        correlation_id: None,
        batch_id: None,
        natural_key: &[],
        idempotency_key: None,
        tenant: None,
    };

    fn index(&self, view: &DocumentView<'_>) -> Index {
        let text = |pointer: Option<&str>| pointer.and_then(|pointer| view.text(pointer)).map(str::to_owned);
        let key: Option<Vec<_>> = self.natural_key.iter().map(|pointer| view.text(pointer)).collect();
        Index {
            site_id: text(self.site_id),
            device_id: text(self.device_id),
            observed_at: self.observed_at.and_then(|pointer| view.time(pointer)),
            correlation_id: text(self.correlation_id),
            batch_id: text(self.batch_id),
            natural_key: key.filter(|parts| !parts.is_empty()).map(|parts| parts.join("@")),
            idempotency_key: text(self.idempotency_key).and_then(|key| IdempotencyKey::parse(&key).ok()),
            tenant: text(self.tenant),
        }
    }
}

impl fmt::Debug for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contract({})", self.id)
    }
}

impl Contract {
    /// Returns the contract's id.
    #[must_use]
    pub const fn id(&self) -> ContractId {
        self.id
    }

    /// Returns the purpose of the contract as a sentence.
    #[must_use]
    pub const fn summary(&self) -> &'static str {
        self.summary
    }

    /// Tells whether documents of this contract have a natural key.
    #[must_use]
    pub const fn has_natural_key(&self) -> bool {
        !self.sources.natural_key.is_empty()
    }

    /// Returns a document that is valid at the given instant for the given tenant.
    #[must_use]
    pub fn example(&self, tenant: &TenantId, now: Timestamp) -> serde_json::Value {
        (self.example)(tenant, now)
    }

    fn validate(
        &self,
        document: &Value,
        context: &ValidationContext,
        mut findings: Findings,
    ) -> Result<ValidDocument, InvalidDocument> {
        if let Some(max) = self.max_bytes.filter(|max| context.body_bytes > *max) {
            let (expected, actual) = (format!("at most {max} bytes"), format!("{} bytes", context.body_bytes));
            findings.note(Code::Size, Pointer::ROOT, Code::Size.meaning(), Some(expected), Some(actual));
        }
        let normal = self.body.read(document, &Pointer::ROOT, context.now, &mut findings).unwrap_or(Value::Null);
        let view = DocumentView { document: &normal, now: context.now };
        for check in self.coherence {
            if let Some(actual) = (check.finding)(&view) {
                let expected = Some(check.about.to_owned());
                findings.note(check.code, check.pointer, check.code.meaning(), expected, Some(actual));
            }
        }
        let warnings = self.warnings(&view);
        let violations = findings.into_violations();
        if !violations.is_empty() {
            return Err(InvalidDocument { contract: Some(self.id), violations, warnings });
        }
        let canonical = canonical::write(&normal);
        let fingerprint = Fingerprint::of(&canonical);
        Ok(ValidDocument { contract: self.id, canonical, fingerprint, index: self.sources.index(&view), warnings })
    }

    fn warnings(&self, view: &DocumentView<'_>) -> Vec<Warning> {
        let warning = |check: &Check<WarningCode>| {
            let found = (check.finding)(view)?;
            Some(Warning {
                pointer: check.pointer.to_owned(),
                code: check.code.as_str().to_owned(),
                detail: format!("{} Found: {found}.", check.about),
            })
        };
        let further = self.further_advice.map_or_else(Vec::new, |advice| advice(view));
        self.advice.iter().filter_map(warning).chain(further).collect()
    }
}

/// Returns all registered contracts.
#[must_use]
pub fn all() -> &'static [&'static Contract] {
    REGISTRY
}

/// Finds a contract by name and version.
#[must_use]
pub fn find(name: &str, version: &str) -> Option<&'static Contract> {
    REGISTRY.iter().copied().find(|contract| contract.id.name == name && contract.id.version == version)
}

/// Returns the contract of an id. Always finds one, because only the registry creates ids.
fn get(id: ContractId) -> Option<&'static Contract> {
    find(id.name, id.version)
}

/// Returns the contracts that share a marker.
fn under_marker(marker: &str) -> impl Iterator<Item = &'static Contract> {
    REGISTRY.iter().copied().filter(move |contract| contract.marker.member() == marker)
}

/// Adds the contract's marker to an object without any marker, for callers that name the contract outside the document.
/// For `simple/1.0`, the object becomes the payload. Returns any other value unchanged.
#[must_use]
pub fn with_marker(contract: ContractId, document: Value) -> Value {
    let marked = REGISTRY.iter().any(|contract| document.get(contract.marker.member()).is_some());
    match (document, get(contract)) {
        (Value::Object(members), Some(contract)) if !marked => contract.marker.wrap(contract.id, members),
        (document, _) => document,
    }
}

impl Marker {
    fn wrap(self, id: ContractId, mut members: Vec<(String, Value)>) -> Value {
        Value::Object(match self {
            Self::Version(member) => {
                members.insert(0, (member.to_owned(), Value::String(id.version.to_owned())));
                members
            }
            Self::Payload(member) => vec![(member.to_owned(), Value::Object(members))],
        })
    }
}

/// Inputs of a validation besides the document.
#[derive(Debug, Clone, Copy)]
pub struct ValidationContext {
    /// The current instant.
    pub now: Timestamp,
    /// The size of the document in bytes, as received.
    pub body_bytes: usize,
}

/// Searchable values of a document, extracted from its normal form when it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// The site that the document describes.
    pub site_id: Option<String>,
    /// The device that the document describes.
    pub device_id: Option<String>,
    /// The instant that the document describes.
    pub observed_at: Option<Timestamp>,
    /// The sender's correlation id.
    pub correlation_id: Option<String>,
    /// The batch that the sender names.
    pub batch_id: Option<String>,
    /// The natural key: equal for two documents about the same thing, unique within tenant and contract. `simple/1.0`
    /// has none.
    pub natural_key: Option<String>,
    /// The idempotency key in the document.
    pub idempotency_key: Option<IdempotencyKey>,
    /// The tenant named in the document.
    pub tenant: Option<String>,
}

/// A document that passed every validation stage, in its normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidDocument {
    /// The document's contract.
    pub contract: ContractId,
    /// The normalised document as canonical text (RFC 8785).
    pub canonical: String,
    /// SHA-256 of the canonical text.
    pub fingerprint: Fingerprint,
    /// The document's searchable values.
    pub index: Index,
    /// Unlikely values in the document.
    pub warnings: Vec<Warning>,
}

/// A document that breaks at least one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidDocument {
    /// The contract, if it was recognised.
    pub contract: Option<ContractId>,
    /// All violations; never empty.
    pub violations: Vec<Violation>,
    /// Unlikely values, as far as the document could be checked.
    pub warnings: Vec<Warning>,
}

/// Lists the violations of the rules that hold for every contract: NUL characters, and numbers that a double cannot
/// represent.
#[must_use]
pub fn hazards(document: &Value) -> Vec<Violation> {
    let mut findings = Findings::default();
    rules::check_everywhere(document, &mut findings);
    findings.into_violations()
}

/// Recognises the contract, validates the document in all stages, normalises it and computes its fingerprint.
///
/// # Errors
/// [`InvalidDocument`] with all violations.
pub fn validate(document: &Value, context: &ValidationContext) -> Result<ValidDocument, InvalidDocument> {
    let mut findings = Findings::default();
    rules::check_everywhere(document, &mut findings);
    if let Some(contract) = recognise(document) {
        return contract.validate(document, context, findings);
    }
    if let Value::Object(_) = document {
        let markers: Vec<_> =
            REGISTRY.iter().map(|contract| format!("{} ({})", contract.marker.member(), contract.id)).collect();
        findings.note(Code::NoContract, Pointer::ROOT, Code::NoContract.meaning(), Some(markers.join(", ")), None);
    } else {
        rules::note_type("an object", document, &Pointer::ROOT, &mut findings);
    }
    Err(InvalidDocument { contract: None, violations: findings.into_violations(), warnings: Vec::new() })
}

/// Finds the contract whose marker the document has: the version that the document names, or else the newest, whose
/// rules then refuse the version. Returns `None` if the document has no marker.
#[must_use]
pub fn recognise(document: &Value) -> Option<&'static Contract> {
    let newest = REGISTRY.iter().copied().rfind(|contract| document.get(contract.marker.member()).is_some())?;
    let marker = newest.marker.member();
    let version = if let Some(Value::String(version)) = document.get(marker) { version.trim() } else { "" };
    under_marker(marker).find(|contract| contract.id.version == version).or(Some(newest))
}

/// Builds the warning for a report that is more than 400 days old.
const fn old_timestamp(pointer: &'static str, finding: fn(&DocumentView<'_>) -> Option<String>) -> Check<WarningCode> {
    let about = "A report should not be older than 400 days.";
    Check { code: WarningCode::OldTimestamp, pointer, about, finding }
}

/// Returns the time at a pointer if it is more than 400 days ago.
fn age_if_old(view: &DocumentView<'_>, pointer: &str) -> Option<String> {
    let time = view.time(pointer)?;
    (time < view.now.plus_seconds(-400 * 86_400)?).then(|| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn every_contract_example_is_valid_without_warnings() {
        let now = "2026-11-24T18:00:00.123456Z".parse().unwrap();
        let tenant = TenantId::parse("site-7").unwrap();
        for contract in all() {
            let document = json::parse(contract.example(&tenant, now).to_string().as_bytes()).unwrap();
            let examined = validate(&document, &ValidationContext { now, body_bytes: 0 }).unwrap();
            assert_eq!((examined.contract, examined.warnings), (contract.id(), Vec::new()));
            assert_eq!(examined.index.natural_key.is_some(), contract.has_natural_key());
        }
    }

    #[test]
    fn parses_registered_contract_ids_only() {
        for contract in all() {
            assert_eq!(contract.id().to_string().parse(), Ok(contract.id()));
            assert_eq!(format!("{contract:?}"), format!("Contract({})", contract.id()));
            assert_eq!(find(contract.id().name(), contract.id().version()).map(Contract::id), Some(contract.id()));
        }
        for unknown in ["", "device", "device/", "device/1.2", "device/2", "device/1.1/", "Device/1.1", "/"] {
            assert_eq!(unknown.parse::<ContractId>(), Err(UnknownContract(unknown.to_owned())));
        }
    }

    #[test]
    fn adds_a_marker_only_if_there_is_none() {
        let marked =
            |contract, text: &str| canonical::write(&with_marker(contract, json::parse(text.as_bytes()).unwrap()));
        assert_eq!(marked(DEVICE_1_1, r#"{"a":1}"#), r#"{"a":1,"mass_version":"1.1"}"#);
        assert_eq!(marked(ENTERPRISE_1_1, "{}"), r#"{"schema_version":"1.1"}"#);
        assert_eq!(marked(SIMPLE_1_0, r#"{"a":1}"#), r#"{"payload":{"a":1}}"#);
        for text in [r#"{"mass_version":"3.0"}"#, r#"{"payload":{"a":1}}"#, r#"{"schema_version":null}"#, "[]", "null"]
        {
            for contract in [SIMPLE_1_0, DEVICE_1_1] {
                assert_eq!(marked(contract, text), text);
            }
        }
    }

    #[test]
    fn adding_a_marker_can_exceed_the_nesting_limit() {
        let judged = |levels: usize| {
            let text = format!("{{\"a\":{}1{}}}", "[".repeat(levels - 2), "]".repeat(levels - 2));
            let document = with_marker(SIMPLE_1_0, json::parse(text.as_bytes()).unwrap());
            validate(&document, &ValidationContext { now: "2026-11-24T18:00:00Z".parse().unwrap(), body_bytes: 0 })
        };
        assert!(judged(32).is_ok());
        let violations = judged(33).unwrap_err().violations;
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].code, "depth");
        assert_eq!(violations[0].pointer, format!("/payload/a{}", "/0".repeat(30)));
    }
}
