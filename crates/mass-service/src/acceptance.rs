//! The judgement of submissions: a pure function from stored state to receipts and additions.
//!
//! A store reads state for all submissions of a transaction at once, has them judged here one after the other, and writes
//! the additions at once: its number of statements does not grow with the number of submissions.

use std::collections::{HashMap, HashSet};

use mass_domain::audit::{Act, Action, IndexedValues, NewEvent};
use mass_domain::canonical::Fingerprint;
use mass_domain::ids::{DeliveryId, MassRequestId};
use mass_domain::mass_request::{AuditLeaf, IdempotencyKey, MassRequest, Outcome, RequestSummary};
use mass_domain::tenancy::{CredentialsVersion, Quotas, Suspended, TenantId, TenantSettings, Usage};
use mass_domain::time::Timestamp;

use serde_json::json;

use crate::decision::{Decision, KeyRecord, Receipt, Refusal, Snapshot, StoredVersion, decide};
use crate::submission::{MappingSource, OnConflict, Submission};

/// Name of a contract and natural key: shared by all versions of the contract, and of a document, within a tenant.
pub type NaturalKey = (&'static str, String);

/// One result per submission, in their order.
pub type SubmissionResults = Vec<Result<Receipt, Refusal>>;

/// The values of a tenant that its documents are judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantState {
    /// Its settings.
    pub settings: TenantSettings,
    /// Its quotas.
    pub quotas: Quotas,
    /// Its usage.
    pub usage: Usage,
    /// The version of its credentials.
    pub credentials: CredentialsVersion,
    /// True if it is suspended, so that nothing of it is stored.
    pub is_suspended: bool,
}

/// The stored state that a group of submissions meets.
#[derive(Debug, Clone)]
pub struct StoredState {
    /// The tenant's own values.
    pub tenant: TenantState,
    /// The submitted idempotency keys that were used before, with their first answers.
    pub keys: HashMap<IdempotencyKey, (KeyRecord, Snapshot)>,
    /// The stored versions under the submitted natural keys.
    pub versions: HashMap<NaturalKey, Vec<StoredVersion>>,
    /// The requests that [`needed`](Self::needed) names.
    pub requests: HashMap<MassRequestId, MassRequest>,
}

impl StoredState {
    /// State in which the submissions meet nothing.
    #[must_use]
    pub fn without_matches(tenant: TenantState) -> Self {
        Self { tenant, keys: HashMap::new(), versions: HashMap::new(), requests: HashMap::new() }
    }

    /// Tells whether the submissions meet nothing.
    #[must_use]
    pub fn has_no_matches(&self) -> bool {
        self.keys.is_empty() && self.versions.is_empty()
    }

    /// Names the stored requests that the judgement may answer with or change, from `keys` and `versions`.
    #[must_use]
    pub fn needed(&self, submissions: &[Submission]) -> Vec<MassRequestId> {
        let fingerprints: HashSet<Fingerprint> = submissions.iter().map(|sent| sent.examined.fingerprint).collect();
        let correcting = submissions.iter().any(|sent| sent.on_conflict == OnConflict::Correct);
        let replayed = self.keys.values().filter(|(record, _)| !record.deleted).map(|(record, _)| record.request_id);
        let versions = self.versions.values().flatten();
        let met =
            versions.filter(|version| fingerprints.contains(&version.fingerprint) || correcting && !version.superseded);
        let ids: HashSet<_> = replayed.chain(met.map(|version| version.id)).collect();
        ids.into_iter().collect()
    }
}

/// The values that a request is looked up by and that are not shown with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LookUpValues {
    /// The natural key within the contract.
    pub natural_key: Option<String>,
    /// The batch that the document names.
    pub batch_id: Option<String>,
    /// The id of the batch or import that stores it; `None` for a single document.
    pub call_id: Option<String>,
}

/// A request to insert.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRequest {
    /// The request.
    pub request: MassRequest,
    /// The values that it is looked up by.
    pub look_up: LookUpValues,
    /// The index of its first event among [`Additions::events`].
    event: usize,
}

/// An idempotency key to insert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The key.
    pub key: IdempotencyKey,
    /// Its first use.
    pub record: KeyRecord,
    /// The answer to its first use.
    pub answer: Snapshot,
    /// The instant of its first use.
    pub at: Timestamp,
}

/// Everything that a store has to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Additions {
    /// New requests, in the order of their submissions.
    pub requests: Vec<NewRequest>,
    /// New idempotency keys.
    pub keys: Vec<NewKey>,
    /// Requests that were stored before and are superseded now. They are to be updated before the new requests are
    /// inserted: a natural key has one current version.
    pub superseded: Vec<RequestSummary>,
    /// New requests to put in the queue for the engine, each with the act that sends it.
    pub sendings: Vec<(MassRequestId, Act)>,
    /// Events to append to the tenant's audit log, in this order.
    pub events: Vec<NewEvent>,
    /// The tenant's usage afterwards.
    pub usage: Usage,
}

impl Additions {
    /// Tells whether there is nothing to write.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty() && self.keys.is_empty()
    }
}

/// The result of judging a group of submissions.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// One result per submission.
    pub results: SubmissionResults,
    /// The rows and events that they lead to.
    pub additions: Additions,
}

/// Error for input that cannot be judged: a bug of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JudgeError {
    /// The stored state lacks a request.
    #[error("a submission meets request {0}, which the store did not read")]
    MissingRequest(MassRequestId),
    /// A submission has the id of another request.
    #[error("the id {0} is taken")]
    TakenId(MassRequestId),
}

/// Judges submissions, each as if those before it had been stored already. `refused` are the events of calls whose
/// documents were refused before: each counts as a request of the day, and is appended unless
/// [`Usage::admit_refusal`] says otherwise.
///
/// # Errors
/// [`JudgeError`].
pub fn judge(
    tenant: &TenantId,
    stored: StoredState,
    submissions: &[Submission],
    refused: &[NewEvent],
) -> Result<Judgement, JudgeError> {
    let mut judge = Judge::new(tenant, stored);
    judge.record(refused);
    let results = submissions.iter().map(|submission| judge.accept(submission)).collect::<Result<_, _>>()?;
    Ok(Judgement { results, additions: judge.into_additions() })
}

impl Judgement {
    /// Tells new requests, and the receipts about them, their positions in the audit log. `leaves` are the positions of
    /// [`Additions::events`], in their order.
    pub fn place(&mut self, leaves: &[AuditLeaf]) {
        let mut placed = HashMap::new();
        for NewRequest { request, event, .. } in &mut self.additions.requests {
            request.summary.audit = leaves.get(*event).copied();
            placed.insert(request.summary.id, request.summary.audit);
        }
        for receipt in self.results.iter_mut().flatten() {
            if let Some(audit) = placed.get(&receipt.request.summary.id) {
                receipt.request.summary.audit = *audit;
            }
        }
    }
}

/// The stored state as submission after submission changes it, and the additions so far.
struct Judge<'a> {
    tenant: &'a TenantId,
    stored: StoredState,
    /// New requests, whose present state is in `stored`: values to look them up by, and index of the first event.
    added: Vec<(MassRequestId, LookUpValues, usize)>,
    keys: Vec<NewKey>,
    superseded: Vec<MassRequestId>,
    sendings: Vec<(MassRequestId, Act)>,
    events: Vec<NewEvent>,
}

impl<'a> Judge<'a> {
    fn new(tenant: &'a TenantId, stored: StoredState) -> Self {
        let (added, keys, superseded) = (Vec::new(), Vec::new(), Vec::new());
        Self { tenant, stored, added, keys, superseded, sendings: Vec::new(), events: Vec::new() }
    }

    fn record(&mut self, refused: &[NewEvent]) {
        if self.stored.tenant.is_suspended {
            return;
        }
        let TenantState { usage, quotas, .. } = &mut self.stored.tenant;
        self.events.extend(refused.iter().filter(|event| usage.admit_refusal(quotas, event.at)).cloned());
    }

    fn accept(&mut self, submission: &Submission) -> Result<Result<Receipt, Refusal>, JudgeError> {
        if self.stored.tenant.is_suspended {
            return Ok(Err(Suspended.into()));
        }
        let natural_key =
            submission.examined.index.natural_key.clone().map(|key| (submission.examined.contract.name(), key));
        let key = submission.idempotency_key.as_ref().and_then(|key| self.stored.keys.get(key));
        let versions =
            natural_key.as_ref().and_then(|key| self.stored.versions.get(key)).map_or(&[][..], Vec::as_slice);
        match decide(submission, key.map(|(record, _)| record), versions) {
            Decision::Replay(id) => {
                let (_, snapshot) = key.cloned().ok_or(JudgeError::MissingRequest(id))?;
                let (outcome, request) = (snapshot.outcome, snapshot.restore(self.request(id)?.clone()));
                Ok(Ok(Receipt { outcome, replayed: true, sent: false, request }))
            }
            Decision::Duplicate(id) => {
                let request = self.request(id)?.clone();
                self.remember(submission, &request.summary, Outcome::Duplicate);
                Ok(Ok(Receipt { outcome: Outcome::Duplicate, replayed: false, sent: false, request }))
            }
            Decision::Store { corrects } => {
                let bytes = submission.examined.canonical.len() as u64;
                let TenantState { usage, quotas, .. } = &mut self.stored.tenant;
                match usage.admit(quotas, submission.at, bytes) {
                    Ok(()) => self.store(submission, natural_key, corrects).map(Ok),
                    Err(over) => Ok(Err(over.into())),
                }
            }
            Decision::Refuse(refusal) => Ok(Err(refusal)),
        }
    }

    fn store(
        &mut self,
        submission: &Submission,
        natural_key: Option<NaturalKey>,
        corrects: Option<MassRequestId>,
    ) -> Result<Receipt, JudgeError> {
        let act = Act::new(submission.actor, submission.at, &submission.origin);
        let request = submission.clone().into_request(self.tenant, corrects);
        let id = request.summary.id;
        let look_up = LookUpValues {
            natural_key: natural_key.as_ref().map(|(_, key)| key.clone()),
            batch_id: submission.examined.index.batch_id.clone(),
            call_id: submission.call_id.as_ref().map(ToString::to_string),
        };
        let mut accepted = NewEvent { input: Some(submission.input), ..request.summary.event(&act, Action::Accepted) };
        accepted = accepted.with(IndexedValues::DETAIL, index_digest(&request, &look_up).to_string());
        if let Some(corrected) = corrects {
            accepted = accepted.with("corrects", corrected.to_string());
        }
        if let Some(MappingSource { name, digest }) = &submission.mapping {
            accepted = accepted.with("mapping", json!({"digest": digest.to_string(), "name": name}));
        }
        if let Some(call_id) = submission.call_id.as_ref().filter(|id| **id != submission.origin.request_id) {
            accepted = accepted.with("call_id", call_id.as_str());
        }
        if let Some(record) = submission.quarantined {
            accepted = accepted.with("quarantine", record.to_string());
        }
        let sent = submission.auto_send.is_in_force(&self.stored.tenant.settings);
        if sent {
            accepted = accepted.with("delivery", DeliveryId::of(id).to_string());
            self.sendings.push((id, act.clone()));
        }
        self.added.push((id, look_up, self.events.len()));
        self.events.push(accepted);
        if let Some(corrected) = corrects {
            self.supersede(corrected, id, &act)?;
        }
        self.remember(submission, &request.summary, request.summary.outcome);
        if let Some(key) = natural_key {
            let versions = self.stored.versions.entry(key).or_default();
            versions.iter_mut().for_each(|older| older.superseded = true);
            versions.push(StoredVersion { id, fingerprint: request.summary.fingerprint, superseded: false });
        }
        if self.stored.requests.insert(id, request.clone()).is_some() {
            return Err(JudgeError::TakenId(id));
        }
        Ok(Receipt { outcome: request.summary.outcome, replayed: false, sent, request })
    }

    fn supersede(&mut self, id: MassRequestId, by: MassRequestId, act: &Act) -> Result<(), JudgeError> {
        let summary = &mut self.stored.requests.get_mut(&id).ok_or(JudgeError::MissingRequest(id))?.summary;
        summary.corrected_by = Some(by);
        summary.touch(act);
        self.events.push(summary.event(act, Action::Corrected).with("corrected_by", by.to_string()));
        if !self.added.iter().any(|(added, ..)| *added == id) {
            self.superseded.push(id);
        }
        Ok(())
    }

    /// Keeps the answer to a submission with an idempotency key.
    fn remember(&mut self, submission: &Submission, request: &RequestSummary, outcome: Outcome) {
        let Some(key) = submission.idempotency_key.clone() else { return };
        let (request_id, contract, fingerprint) = (request.id, request.contract, request.fingerprint);
        let record = KeyRecord { request_id, contract, fingerprint, deleted: false };
        let answer = Snapshot::of(request, outcome);
        self.stored.keys.insert(key.clone(), (record.clone(), answer.clone()));
        self.keys.push(NewKey { key, record, answer, at: submission.at });
    }

    fn request(&self, id: MassRequestId) -> Result<&MassRequest, JudgeError> {
        self.stored.requests.get(&id).ok_or(JudgeError::MissingRequest(id))
    }

    fn into_additions(self) -> Additions {
        let Self { tenant: _, stored, added, keys, superseded, sendings, events } = self;
        let (mut requests, usage) = (stored.requests, stored.tenant.usage);
        let superseded = superseded.iter().filter_map(|id| requests.remove(id)).map(|request| request.summary);
        let superseded = superseded.collect();
        let new = |(id, look_up, event)| Some(NewRequest { request: requests.remove(&id)?, look_up, event });
        let requests = added.into_iter().filter_map(new).collect();
        Additions { requests, keys, superseded, sendings, events, usage }
    }
}

/// Computes the digest of the values by which a request is looked up.
fn index_digest(request: &MassRequest, look_up: &LookUpValues) -> Fingerprint {
    let RequestSummary { correlation_id, device_id, idempotency_key, observed_at, site_id, .. } = &request.summary;
    let observed_at = observed_at.map(|at| at.to_string());
    // As the column has them. Only a map whose keys are no strings could fail, and there is none.
    let warnings = serde_json::to_string(&request.warnings).unwrap_or_default();
    let values = IndexedValues {
        batch_id: look_up.batch_id.as_deref(),
        call_id: look_up.call_id.as_deref(),
        correlation_id: correlation_id.as_deref(),
        device_id: device_id.as_deref(),
        idempotency_key: idempotency_key.as_deref(),
        natural_key: look_up.natural_key.as_deref(),
        observed_at: observed_at.as_deref(),
        site_id: site_id.as_deref(),
        warnings: &warnings,
    };
    values.digest()
}

#[cfg(test)]
mod tests;
