//! Submissions judged one after the other, in memory, on what was stored before them.
//!
//! A batch is read set-wise, judged here, and written set-wise: the number of statements does not grow with it.

use std::collections::{HashMap, HashSet};

use diesel::QueryResult;
use diesel::result::Error::NotFound;
use mass_domain::audit::{Act, Action, IndexedValues, NewEvent};
use mass_domain::canonical::Fingerprint;
use mass_domain::contracts::ContractId;
use mass_domain::ids::{DeliveryId, MassRequestId};
use mass_domain::mass_request::{AuditLeaf, IdempotencyKey, MassRequest, Outcome, Summary};
use mass_domain::tenancy::{CredentialsVersion, Quotas, TenantId, TenantSettings, Usage};
use mass_domain::time::Timestamp;
use mass_service::{Decision, KeyRecord, OnConflict, Receipt, Refusal, Snapshot, StoredVersion, Submission, decide};

use crate::columns::Instant;
use crate::deed::Deed;
use crate::rows::{KeyRow, NewRequestRow, QueueRow};

/// What makes two documents tell of the same thing, within a tenant.
pub(crate) type NaturalKey = (ContractId, String);

/// Everything stored that the submissions can meet, and what they add to it.
pub(crate) struct Batch {
    tenant: TenantId,
    keys: HashMap<IdempotencyKey, (KeyRecord, Snapshot)>,
    versions: HashMap<NaturalKey, Vec<StoredVersion>>,
    requests: HashMap<MassRequestId, MassRequest>,
    added: Vec<Added>,
    added_keys: Vec<(IdempotencyKey, Timestamp)>,
    superseded: Vec<MassRequestId>,
    /// Which of the new requests are sent to the engine, and by whose act.
    sendings: Vec<(MassRequestId, Act)>,
    events: Vec<NewEvent>,
    terms: Terms,
    met_nothing: bool,
}

/// What a tenant has decided, what it may use, what it has used, and what its credentials are known by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) settings: TenantSettings,
    pub(crate) quotas: Quotas,
    pub(crate) usage: Usage,
    pub(crate) credentials: CredentialsVersion,
}

/// A request that the batch adds.
struct Added {
    id: MassRequestId,
    natural_key: Option<String>,
    /// Which of the batch's events tells of it.
    event: usize,
}

impl Batch {
    /// A batch that meets these keys and versions, of a tenant on these terms.
    pub(crate) fn new(
        tenant: &TenantId,
        keys: HashMap<IdempotencyKey, (KeyRecord, Snapshot)>,
        versions: HashMap<NaturalKey, Vec<StoredVersion>>,
        terms: Terms,
    ) -> Self {
        Self {
            met_nothing: keys.is_empty() && versions.is_empty(),
            tenant: tenant.clone(),
            keys,
            versions,
            requests: HashMap::new(),
            added: Vec::new(),
            added_keys: Vec::new(),
            superseded: Vec::new(),
            sendings: Vec::new(),
            events: Vec::new(),
            terms,
        }
    }

    /// The stored requests that answers to these submissions can consist of or change: they have to be
    /// [given](Self::give) before the first is judged.
    pub(crate) fn needed(&self, submissions: &[Submission]) -> Vec<MassRequestId> {
        let fingerprints: HashSet<Fingerprint> = submissions.iter().map(|sent| sent.examined.fingerprint).collect();
        let correcting = submissions.iter().any(|sent| sent.on_conflict == OnConflict::Correct);
        let replayed = self.keys.values().filter(|(record, _)| !record.deleted).map(|(record, _)| record.request_id);
        let met = self.versions.values().flatten();
        let met =
            met.filter(|version| fingerprints.contains(&version.fingerprint) || correcting && !version.superseded);
        let ids: HashSet<_> = replayed.chain(met.map(|version| version.id)).collect();
        ids.into_iter().collect()
    }

    /// Gives the batch a stored request.
    pub(crate) fn give(&mut self, request: MassRequest) {
        self.requests.insert(request.summary.id, request);
    }

    /// Takes in events of calls that were refused documents, and counts each as a request.
    pub(crate) fn record(&mut self, refused: &[NewEvent]) {
        for event in refused {
            if self.terms.usage.admit_refusal(&self.terms.quotas, event.at) {
                self.events.push(event.clone());
            }
        }
    }

    /// Judges the next submission.
    pub(crate) fn accept(&mut self, submission: &Submission) -> QueryResult<Result<Receipt, Refusal>> {
        let natural_key = submission.examined.index.natural_key.clone().map(|key| (submission.examined.contract, key));
        let key = submission.idempotency_key.as_ref().and_then(|key| self.keys.get(key));
        let versions = natural_key.as_ref().and_then(|key| self.versions.get(key)).map_or(&[][..], Vec::as_slice);
        match decide(submission, key.map(|(record, _)| record), versions) {
            Decision::Replay(id) => {
                let snapshot = key.map(|(_, snapshot)| snapshot.clone()).ok_or(NotFound)?;
                let request = self.request(id)?.clone();
                let (outcome, request) = (snapshot.outcome, snapshot.restore(request));
                Ok(Ok(Receipt { outcome, replayed: true, sent: false, request }))
            }
            Decision::Duplicate(id) => {
                let request = self.request(id)?.clone();
                if let Some(key) = &submission.idempotency_key {
                    self.remember(key, &request, Outcome::Duplicate, submission.at);
                }
                Ok(Ok(Receipt { outcome: Outcome::Duplicate, replayed: false, sent: false, request }))
            }
            Decision::Store { corrects } => {
                let bytes = submission.examined.canonical.len() as u64;
                match self.terms.usage.admit(&self.terms.quotas, submission.at, bytes) {
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
    ) -> QueryResult<Receipt> {
        let act = Act::new(submission.actor, submission.at, &submission.origin);
        let request = submission.clone().into_request(&self.tenant, corrects);
        let id = request.summary.id;

        let mut accepted = NewEvent { input: Some(submission.input), ..act.event(Action::Accepted, &request.summary) };
        self.added.push(Added {
            id,
            natural_key: natural_key.as_ref().map(|(_, key)| key.clone()),
            event: self.events.len(),
        });
        accepted = accepted.with(IndexedValues::DETAIL, index_digest(&request, natural_key.as_ref()).to_string());
        if let Some(corrected) = corrects {
            accepted = accepted.with("corrects", corrected.to_string());
        }
        let sent = submission.auto_send.is_in_force(&self.terms.settings);
        if sent {
            accepted = accepted.with("delivery", DeliveryId::of(id).to_string());
            self.sendings.push((id, act.clone()));
        }
        self.events.push(accepted);
        if let Some(corrected) = corrects {
            self.supersede(corrected, id, &act)?;
        }
        if let Some(key) = &submission.idempotency_key {
            self.remember(key, &request, request.summary.outcome, act.at);
        }
        if let Some(key) = natural_key {
            let versions = self.versions.entry(key).or_default();
            versions.iter_mut().for_each(|older| older.superseded = true);
            versions.push(StoredVersion { id, fingerprint: request.summary.fingerprint, superseded: false });
        }
        self.requests.insert(id, request.clone());
        Ok(Receipt { outcome: request.summary.outcome, replayed: false, sent, request })
    }

    fn supersede(&mut self, corrected: MassRequestId, correction: MassRequestId, act: &Act) -> QueryResult<()> {
        let summary = &mut self.requests.get_mut(&corrected).ok_or(NotFound)?.summary;
        summary.corrected_by = Some(correction);
        act.touch(summary);
        self.events.push(act.event(Action::Corrected, summary).with("corrected_by", correction.to_string()));
        if !self.added.iter().any(|added| added.id == corrected) {
            self.superseded.push(corrected);
        }
        Ok(())
    }

    fn remember(&mut self, key: &IdempotencyKey, request: &MassRequest, outcome: Outcome, at: Timestamp) {
        let summary = &request.summary;
        let record = KeyRecord {
            request_id: summary.id,
            contract: summary.contract,
            fingerprint: summary.fingerprint,
            deleted: false,
        };
        self.added_keys.push((key.clone(), at));
        self.keys.insert(key.clone(), (record, Snapshot::of(summary, outcome)));
    }

    fn request(&self, id: MassRequestId) -> QueryResult<&MassRequest> {
        self.requests.get(&id).ok_or(NotFound)
    }

    /// The requests that were stored before and have been superseded, as they are now.
    pub(crate) fn superseded(&self) -> impl Iterator<Item = &Summary> {
        self.superseded.iter().filter_map(|id| self.requests.get(id)).map(|request| &request.summary)
    }

    /// The rows of the new requests, in their order.
    pub(crate) fn request_rows(&self) -> Vec<NewRequestRow<'_>> {
        let stored = self.added.iter().filter_map(|added| Some((self.requests.get(&added.id)?, &added.natural_key)));
        stored.map(|(request, natural_key)| NewRequestRow::new(request, natural_key.as_deref())).collect()
    }

    /// The rows of the new idempotency keys.
    pub(crate) fn key_rows(&self) -> Vec<KeyRow> {
        let row = |(key, at): &(IdempotencyKey, Timestamp)| {
            let (record, snapshot) = self.keys.get(key)?;
            Some(KeyRow::new(&self.tenant, key, record, snapshot, Instant(*at)))
        };
        self.added_keys.iter().filter_map(row).collect()
    }

    /// The places in the queue of those new requests that are to be sent to the engine.
    pub(crate) fn queue_rows(&self) -> Vec<QueueRow> {
        self.sendings.iter().map(|(request, act)| QueueRow::first(&self.tenant, *request, act)).collect()
    }

    /// The tenant whose batch it is.
    pub(crate) const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The tenant's terms, with what it has used then.
    pub(crate) const fn terms(&self) -> Terms {
        self.terms
    }

    /// Whether nothing was stored that the submissions meet.
    pub(crate) const fn met_nothing(&self) -> bool {
        self.met_nothing
    }

    /// Whether there is nothing to write.
    pub(crate) const fn is_void(&self) -> bool {
        self.events.is_empty() && self.added_keys.is_empty()
    }

    /// What happened, in its order.
    pub(crate) fn take_events(&mut self) -> Vec<NewEvent> {
        std::mem::take(&mut self.events)
    }

    /// Takes in where the events stand, in their order.
    pub(crate) fn place(&mut self, leaves: &[AuditLeaf]) {
        for Added { id, event, .. } in &self.added {
            if let Some(request) = self.requests.get_mut(id) {
                request.summary.audit = leaves.get(*event).copied();
            }
        }
    }

    /// The receipt with the place of its request's event, which was not known when it was made out.
    pub(crate) fn placed(&self, mut receipt: Receipt) -> Receipt {
        if let Some(stored) = self.requests.get(&receipt.request.summary.id) {
            receipt.request.summary.audit = stored.summary.audit;
        }
        receipt
    }
}

/// The digest of the values by which a request is looked up.
fn index_digest(request: &MassRequest, natural_key: Option<&NaturalKey>) -> Fingerprint {
    let Summary { correlation_id, device_id, idempotency_key, observed_at, site_id, .. } = &request.summary;
    let observed_at = observed_at.map(|at| at.to_string());
    // As the column has them. What could fail is a map whose keys are no strings, and there is none.
    let warnings = serde_json::to_string(&request.warnings).unwrap_or_default();
    let values = IndexedValues {
        correlation_id: correlation_id.as_deref(),
        device_id: device_id.as_deref(),
        idempotency_key: idempotency_key.as_deref(),
        natural_key: natural_key.map(|(_, key)| key.as_str()),
        observed_at: observed_at.as_deref(),
        site_id: site_id.as_deref(),
        warnings: &warnings,
    };
    values.digest()
}
