//! Submissions: validated documents that wait to be stored.

use std::fmt;

use mass_domain::access::Actor;
use mass_domain::canonical::Fingerprint;
use mass_domain::contracts::ValidDocument;
use mass_domain::ids::{MassRequestId, QuarantineId};
use mass_domain::mappings::MappingName;
use mass_domain::mass_request::{IdempotencyKey, MassRequest, Outcome, RequestSummary, Status};
use mass_domain::tenancy::{AutoSend, TenantId};
use mass_domain::time::Timestamp;
use mass_domain::trace::{Origin, RequestId};

/// Treatment of another document under a natural key that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// Refuse it.
    #[default]
    Refuse,
    /// Store it as a correction of the current version.
    Correct,
}

/// The mapping profile that documents were made by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingSource {
    /// The profile's name: that of its file, without the ending.
    pub name: String,
    /// The fingerprint of the profile's text.
    pub digest: Fingerprint,
}

impl MappingSource {
    /// Parses `NAME@DIGEST`. A name has 1 to 64 ASCII letters, digits, `.`, `_` and `-`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, digest) = text.split_once('@')?;
        let name = MappingName::parse(name).ok()?;
        Some(Self { name: name.to_string(), digest: digest.parse().ok()? })
    }

    /// Makes a name of any text: other characters become `-`.
    #[must_use]
    pub fn new(name: &str, digest: Fingerprint) -> Self {
        let allowed = |character| if MappingName::allows(character) { character } else { '-' };
        let name: String = name.chars().take(64).map(allowed).collect();
        Self { name: if name.is_empty() { "-".to_owned() } else { name }, digest }
    }
}

/// Writes `NAME@DIGEST`.
impl fmt::Display for MappingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.digest)
    }
}

/// A validated document with all that its request will need.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The id of the new request.
    pub id: MassRequestId,
    /// The instant of acceptance.
    pub at: Timestamp,
    /// The sender.
    pub actor: Actor,
    /// The fingerprint of the document as it was sent, before normalisation.
    pub input: Fingerprint,
    /// The result of validation.
    pub examined: ValidDocument,
    /// The idempotency key, from the document or beside it.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Treatment of a conflict with a stored document.
    pub on_conflict: OnConflict,
    /// Default of the server for sending new requests to the engine; the tenant's setting overrides it.
    pub auto_send: AutoSend,
    /// The origin of the call.
    pub origin: Origin,
    /// The mapping profile that the document was made by, which the audit event names.
    pub mapping: Option<MappingSource>,
    /// The id by which the requests of a batch or import are found again; `None` for a single document.
    pub call_id: Option<RequestId>,
    /// The record of the quarantine that the document was made of, which the audit event names.
    pub quarantined: Option<QuarantineId>,
}

impl Submission {
    /// Builds the new request, without its position in the audit log.
    #[must_use]
    pub fn into_request(self, tenant: &TenantId, corrects: Option<MassRequestId>) -> MassRequest {
        let ValidDocument { contract, canonical, fingerprint, index, warnings } = self.examined;
        let outcome = if corrects.is_some() { Outcome::Correction } else { Outcome::Accepted };
        let summary = RequestSummary {
            id: self.id,
            tenant_id: tenant.clone(),
            contract,
            status: Status::Pending,
            outcome,
            version: 1,
            created_at: self.at,
            updated_at: self.at,
            created_by: self.actor,
            correlation_id: index.correlation_id,
            idempotency_key: self.idempotency_key.map(|key| key.as_str().to_owned()),
            site_id: index.site_id,
            device_id: index.device_id,
            observed_at: index.observed_at,
            fingerprint,
            corrects,
            corrected_by: None,
            audit: None,
        };
        MassRequest { summary, document: canonical, warnings }
    }
}
