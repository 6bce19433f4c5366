//! Accepting documents: examine, and store unless the same is there already.

use mass_domain::access::{Actor, Forbidden, Permission, Principal};
use mass_domain::audit::{Act, NewEvent, Refusals};
use mass_domain::canonical::Fingerprint;
use mass_domain::contracts::{ContractId, ValidDocument};
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::{IdempotencyKey, MassRequest, Outcome, Status, Summary};
use mass_domain::port::PortError;
use mass_domain::tenancy::{AutoSend, CredentialsVersion, OverQuota, TenantId};
use mass_domain::time::Timestamp;
use mass_domain::trace::{Origin, SPANS};

use crate::MassService;
use crate::document::{DocumentError, Record, examine};
use crate::observer::RefusedAt;
use crate::refused::Sent;

/// What to do with another document under a natural key that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// Refuse it.
    #[default]
    Refuse,
    /// Store it as a correction of the one that stands.
    Correct,
}

/// How documents are to be accepted.
#[derive(Debug, Clone)]
pub struct Options {
    /// What to do when a natural key is taken.
    pub on_conflict: OnConflict,
    /// Whether what is stored as a new request is put in the queue for the engine with it, unless the tenant has decided.
    pub auto_send: AutoSend,
    /// Where the call came from.
    pub origin: Origin,
}

/// A document that passed and waits to be stored.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The id that it will have.
    pub id: MassRequestId,
    /// When it was accepted.
    pub at: Timestamp,
    /// Who sent it.
    pub actor: Actor,
    /// The fingerprint of the document as it was sent.
    pub input: Fingerprint,
    /// What the contract made of it.
    pub examined: ValidDocument,
    /// Under which key, if any.
    pub idempotency_key: Option<IdempotencyKey>,
    /// What to do when its natural key is taken.
    pub on_conflict: OnConflict,
    /// Whether it is put in the queue for the engine as soon as it is stored, unless the tenant has decided.
    pub auto_send: AutoSend,
    /// Where it came from.
    pub origin: Origin,
}

impl Submission {
    /// The request that it becomes, before its event stands in the audit trail.
    #[must_use]
    pub fn into_request(self, tenant: &TenantId, corrects: Option<MassRequestId>) -> MassRequest {
        let ValidDocument { contract, canonical, fingerprint, index, warnings } = self.examined;
        let outcome = if corrects.is_some() { Outcome::Correction } else { Outcome::Accepted };
        let summary = Summary {
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

/// What can change of a request after it was stored, as it was when an answer was given: enough to give that answer
/// again, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What the answer said had become of the document.
    pub outcome: Outcome,
    /// The request's status then.
    pub status: Status,
    /// Its version then.
    pub version: i64,
    /// Its last change then.
    pub updated_at: Timestamp,
    /// What superseded it then.
    pub corrected_by: Option<MassRequestId>,
}

impl Snapshot {
    /// Takes a request as it is now.
    #[must_use]
    pub const fn of(request: &Summary, outcome: Outcome) -> Self {
        Self {
            outcome,
            status: request.status,
            version: request.version,
            updated_at: request.updated_at,
            corrected_by: request.corrected_by,
        }
    }

    /// The request as it was.
    #[must_use]
    pub fn restore(self, mut request: MassRequest) -> MassRequest {
        request.summary.status = self.status;
        request.summary.version = self.version;
        request.summary.updated_at = self.updated_at;
        request.summary.corrected_by = self.corrected_by;
        request
    }
}

/// What is remembered of an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The request that its first use led to.
    pub request_id: MassRequestId,
    /// The contract of the first use.
    pub contract: ContractId,
    /// The fingerprint of the first use.
    pub fingerprint: Fingerprint,
    /// Whether that request has been deleted since.
    pub deleted: bool,
}

/// A stored, not deleted request with the same natural key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVersion {
    /// Its id.
    pub id: MassRequestId,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// Whether another version supersedes it.
    pub superseded: bool,
}

/// What has to become of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Answer as at the key's first use.
    Replay(MassRequestId),
    /// Answer with this request, which is the same.
    Duplicate(MassRequestId),
    /// Store it, as a correction of that one if one is named.
    Store {
        /// The version that it supersedes.
        corrects: Option<MassRequestId>,
    },
    /// Refuse it.
    Refuse(Refusal),
}

/// Decides on a submission from what is stored: `key` is what is remembered of its idempotency key, `versions` are the
/// stored requests with its natural key. The idempotency key is looked at first.
#[must_use]
pub fn decide(submission: &Submission, key: Option<&KeyRecord>, versions: &[StoredVersion]) -> Decision {
    let ValidDocument { contract, fingerprint, .. } = &submission.examined;
    if let Some(key) = key {
        return if (&key.contract, &key.fingerprint) != (contract, fingerprint) {
            Decision::Refuse(Refusal::KeyReused { request_id: key.request_id })
        } else if key.deleted {
            Decision::Refuse(Refusal::KeyOfDeleted { request_id: key.request_id })
        } else {
            Decision::Replay(key.request_id)
        };
    }
    if let Some(same) = versions.iter().find(|version| version.fingerprint == *fingerprint) {
        return Decision::Duplicate(same.id);
    }
    match (versions.iter().find(|version| !version.superseded), submission.on_conflict) {
        (None, _) => Decision::Store { corrects: None },
        (Some(standing), OnConflict::Correct) => Decision::Store { corrects: Some(standing.id) },
        (Some(standing), OnConflict::Refuse) => Decision::Refuse(Refusal::Conflict {
            request_id: standing.id,
            stored: standing.fingerprint,
            sent: *fingerprint,
        }),
    }
}

/// What a store answers to a submission that it does not refuse.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// What became of the document.
    pub outcome: Outcome,
    /// Whether this repeats an earlier answer under the same idempotency key.
    pub replayed: bool,
    /// Whether it has been put in the queue for the engine with this.
    pub sent: bool,
    /// The request, as it is to be answered.
    pub request: MassRequest,
}

/// Why a document that conforms to its contract is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The idempotency key was used for another document.
    #[error("the idempotency key was used for another document, which became request {request_id}")]
    KeyReused {
        /// What the first use led to.
        request_id: MassRequestId,
    },
    /// The idempotency key's request has been deleted.
    #[error("the idempotency key led to request {request_id}, which has been deleted")]
    KeyOfDeleted {
        /// What the first use led to.
        request_id: MassRequestId,
    },
    /// Another document with the same natural key is stored.
    #[error("request {request_id} tells something else of the same: stored {stored}, sent {sent}")]
    Conflict {
        /// The version that stands.
        request_id: MassRequestId,
        /// Its fingerprint.
        stored: Fingerprint,
        /// The refused document's fingerprint.
        sent: Fingerprint,
    },
    /// The tenant has used up what it may use.
    #[error(transparent)]
    OverQuota(#[from] OverQuota),
}

/// Why a document is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Something is wrong with the document itself.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// What is stored already does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl MassService {
    /// Accepts one document.
    ///
    /// # Errors
    /// [`AcceptError`]; nothing is stored then.
    pub async fn accept(
        &self,
        principal: &Principal,
        record: &Record,
        options: &Options,
    ) -> Result<Receipt, AcceptError> {
        let accepted = self.accept_if(None, principal, record, options).await?;
        Ok(accepted.ok_or_else(missing_result)?)
    }

    /// Does what [`accept`](Self::accept) does if the credentials of the caller's tenant are at this version when the
    /// document is stored, and else nothing, which `None` tells: for a caller who is remembered, and of whom nobody has
    /// asked the store since.
    ///
    /// # Errors
    /// [`AcceptError`]; nothing is stored then.
    pub async fn accept_as_of(
        &self,
        version: CredentialsVersion,
        principal: &Principal,
        record: &Record,
        options: &Options,
    ) -> Result<Option<Receipt>, AcceptError> {
        self.accept_if(Some(version), principal, record, options).await
    }

    async fn accept_if(
        &self,
        as_of: Option<CredentialsVersion>,
        principal: &Principal,
        record: &Record,
        options: &Options,
    ) -> Result<Option<Receipt>, AcceptError> {
        principal.require(Permission::MassWrite)?;
        let span = tracing::info_span!(
            target: SPANS,
            "examine",
            mass.contract = tracing::field::Empty,
            mass.refused_at = tracing::field::Empty,
        );
        let prepared = span.in_scope(|| self.prepare(principal, record, options));
        drop(span);
        let submission = match prepared {
            Ok(submission) => submission,
            Err((sent, error)) => {
                let mut refusals = Refusals::default();
                refusals.refused(&sent.refused(&error));
                let event = self.event(principal, &options.origin, refusals);
                let recorded = self.store(as_of, principal, Vec::new(), event).await?;
                return recorded.map_or(Ok(None), |_| Err(error.into()));
            }
        };
        let sent = Sent::of(&submission);
        let stored = self.store(as_of, principal, vec![submission], None).await?;
        let Some(mut stored) = stored else { return Ok(None) };
        self.count_refusals(&[sent], &stored);
        let result = stored.pop().ok_or_else(missing_result)?;
        if let Err(refusal) = &result {
            let mut refusals = Refusals::default();
            refusals.refused(&sent.refused_by(refusal));
            self.record_refusals(principal, &options.origin, refusals).await?;
        }
        Ok(Some(result?))
    }

    /// Stores submissions and the event of refusals, if the credentials of the caller's tenant are at this version, should one
    /// be named.
    pub(crate) async fn store(
        &self,
        as_of: Option<CredentialsVersion>,
        principal: &Principal,
        submissions: Vec<Submission>,
        refused: Option<NewEvent>,
    ) -> Result<Option<Vec<Result<Receipt, Refusal>>>, PortError> {
        let (tenant, refused) = (principal.tenant(), refused.into_iter().collect());
        match as_of {
            Some(version) => self.store.accept_as_of(tenant, version, submissions, refused).await,
            None => self.store.accept(tenant, submissions, refused).await.map(Some),
        }
    }

    /// Tells the audit trail what a call was refused, in one event; a call that was refused nothing leaves none.
    ///
    /// # Errors
    /// [`PortError`] of the store; nothing is recorded then.
    pub async fn record_refusals(
        &self,
        principal: &Principal,
        origin: &Origin,
        refusals: Refusals,
    ) -> Result<(), PortError> {
        match self.event(principal, origin, refusals) {
            Some(event) => self.store.accept(principal.tenant(), Vec::new(), vec![event]).await.map(|_| ()),
            None => Ok(()),
        }
    }

    fn event(&self, principal: &Principal, origin: &Origin, refusals: Refusals) -> Option<NewEvent> {
        refusals.into_event(&Act::new(principal.actor(), self.clock.now(), origin), principal.tenant())
    }

    /// Tells of the documents that the store refused.
    pub(crate) fn count_refusals(&self, sent: &[Sent], results: &[Result<Receipt, Refusal>]) {
        for (sent, result) in sent.iter().zip(results) {
            if let Err(refusal) = result {
                self.observer.refused(RefusedAt::of_refusal(refusal), sent.contract);
            }
        }
    }

    /// Makes a submission of a record, unless something is wrong with the document.
    pub(crate) fn prepare(
        &self,
        principal: &Principal,
        record: &Record,
        options: &Options,
    ) -> Result<Submission, (Box<Sent>, DocumentError)> {
        let at = self.clock.now();
        let id = self.next_id(at);
        let Options { on_conflict, auto_send, origin } = options.clone();
        let actor = principal.actor();
        let span = tracing::Span::current();
        match examine(principal, record, at) {
            Ok((examined, idempotency_key)) => {
                span.record("mass.contract", tracing::field::display(examined.contract));
                let input = record.fingerprint();
                Ok(Submission { id, at, actor, input, examined, idempotency_key, on_conflict, auto_send, origin })
            }
            Err(error) => {
                let sent = Sent { id, contract: record.contract(), input: record.fingerprint() };
                let refused_at = RefusedAt::of_document(&error);
                span.record("mass.contract", sent.contract.map(tracing::field::display));
                span.record("mass.refused_at", refused_at.as_str());
                self.observer.refused(refused_at, sent.contract);
                Err((Box::new(sent), error))
            }
        }
    }
}

pub(crate) fn missing_result() -> PortError {
    PortError::Unexpected(anyhow::anyhow!("the store gave fewer results than it was given submissions"))
}
