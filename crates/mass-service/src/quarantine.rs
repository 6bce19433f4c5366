//! The quarantine: keeping refused records, reading them, accepting them after all, and deleting them.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::Refusals;
use mass_domain::canonical::Fingerprint;
use mass_domain::ids::QuarantineId;
use mass_domain::page::{CursorScope, ForeignCursor, Limit, Page, decode_cursor};
use mass_domain::port::PortError;
use mass_domain::quarantine::{Arrival, NotKept, QuarantineFilter, Quarantined, QuarantinedSummary, Received};
use mass_domain::tenancy::TenantId;
use mass_domain::time::{Clock, Timestamp};
use mass_domain::trace::Origin;
use mass_domain::validation::Violation;

use crate::MassService;
use crate::accept::{AcceptError, Options};
use crate::decision::{Receipt, Refusal};
use crate::document::Record;
use crate::ids::IdSequence;
use crate::refused::Sent;
use crate::submission::Submission;

/// The number of records that one call deletes at most.
const DELETIONS: u16 = 1000;

/// The result for a refused record: its id in the quarantine, or the reason for which it is not kept.
pub type Kept = Result<QuarantineId, NotKept>;

/// The store of the quarantine.
///
/// Each call is one transaction, restricted to the tenant's data. Expired records are never found.
#[async_trait]
pub trait QuarantineStore: Send + Sync {
    /// Tells whether the tenant's settings keep refused records.
    async fn is_on(&self, tenant: &TenantId) -> Result<bool, PortError>;

    /// Inserts records in their order, as [`admit`] decides. The quota is the tenant's, or else this one. Returns one
    /// result per record.
    async fn insert(
        &self,
        tenant: &TenantId,
        records: Vec<NewRecord>,
        default_quota: u64,
        now: Timestamp,
    ) -> Result<Vec<Kept>, PortError>;

    /// Lists records with ids below `before`, newest (greatest id) first: at most one row more than the limit.
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &QuarantineFilter,
        before: Option<QuarantineId>,
        limit: Limit,
        now: Timestamp,
    ) -> Result<Vec<QuarantinedSummary>, PortError>;

    /// Finds a record.
    async fn find(&self, tenant: &TenantId, id: QuarantineId, now: Timestamp)
    -> Result<Option<Quarantined>, PortError>;

    /// Accepts a submission that was made of a record, and deletes the record unless the submission is refused. Returns
    /// `None` if there is no such record.
    async fn release(
        &self,
        tenant: &TenantId,
        id: QuarantineId,
        submission: Submission,
        now: Timestamp,
    ) -> Result<Option<Result<Receipt, Refusal>>, PortError>;

    /// Deletes a record. Returns whether there was one.
    async fn delete(&self, tenant: &TenantId, id: QuarantineId, now: Timestamp) -> Result<bool, PortError>;

    /// Deletes records that match the filter, oldest first and at most this number.
    async fn delete_matching(
        &self,
        tenant: &TenantId,
        filter: &QuarantineFilter,
        limit: u16,
        now: Timestamp,
    ) -> Result<Deleted, PortError>;
}

/// The result of deleting records by a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// The number of deleted records.
    pub count: usize,
    /// True if others match the filter, too.
    pub more: bool,
}

/// A record to insert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// The record.
    pub quarantined: Quarantined,
    /// The digest by which the same record is known again.
    pub digest: Option<Fingerprint>,
}

/// The records that a store has to insert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// One result per record.
    pub results: Vec<Kept>,
    /// The new records, in their order.
    pub added: Vec<NewRecord>,
    /// The bytes that the tenant's records count afterwards.
    pub bytes: u64,
}

/// Decides which records are kept. `met` are the stored records with their digests, `used` the bytes that the tenant's
/// records count. A record that is there already is not kept again; one that does not fit leaves the room to smaller ones.
#[must_use]
pub fn admit(records: Vec<NewRecord>, mut met: HashMap<Fingerprint, QuarantineId>, used: u64, quota: u64) -> Admission {
    let mut admission = Admission { results: Vec::with_capacity(records.len()), added: Vec::new(), bytes: used };
    for record in records {
        let QuarantinedSummary { id, bytes, .. } = record.quarantined.summary;
        let bytes = admission.bytes.saturating_add(bytes);
        let result = match record.digest.and_then(|digest| met.get(&digest).copied()) {
            Some(known) => Ok(known),
            None if bytes > quota => Err(NotKept::Quota),
            None => {
                met.extend(record.digest.map(|digest| (digest, id)));
                admission.bytes = bytes;
                admission.added.push(record);
                Ok(id)
            }
        };
        admission.results.push(result);
    }
    admission
}

/// The bounds of the quarantine.
#[derive(Debug, Clone, Copy)]
pub struct QuarantineLimits {
    /// The bytes of a tenant without a quota of its own.
    pub bytes: u64,
    /// The time that a record is kept, in seconds.
    pub seconds: i64,
}

/// A refused record with the reasons.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// The record, or the reason for which there is no copy of it.
    pub received: Result<Received, NotKept>,
    /// Its violations.
    pub violations: Vec<Violation>,
}

/// A page of a list of records.
#[derive(Debug, Clone)]
pub struct QuarantineQuery {
    /// The filter.
    pub filter: QuarantineFilter,
    /// The size of the page.
    pub limit: Limit,
    /// The cursor that the page before ended with.
    pub cursor: Option<String>,
}

/// Reason for which the quarantine does nothing.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The cursor belongs to another list.
    #[error(transparent)]
    ForeignCursor(#[from] ForeignCursor),
    /// The caller's tenant has no such record.
    #[error("no such record in the quarantine")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// Reason for which a record stays in the quarantine.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// The caller's tenant has no such record.
    #[error("no such record in the quarantine")]
    NotFound,
    /// The record is refused again.
    #[error(transparent)]
    Accept(#[from] AcceptError),
}

/// The use cases on the quarantine.
pub struct QuarantineService {
    store: Arc<dyn QuarantineStore>,
    clock: Arc<dyn Clock>,
    limits: QuarantineLimits,
    ids: IdSequence,
}

impl QuarantineService {
    /// Puts the use cases on top of a store.
    #[must_use]
    pub fn new(store: Arc<dyn QuarantineStore>, clock: Arc<dyn Clock>, limits: QuarantineLimits) -> Self {
        Self { store, clock, limits, ids: IdSequence::new() }
    }

    /// Tells whether refused records of a call are kept: as the call asks, or else as its tenant's settings say.
    ///
    /// # Errors
    /// [`PortError`] of the store.
    pub async fn is_on(&self, principal: &Principal, asked: Option<bool>) -> Result<bool, PortError> {
        match asked {
            Some(asked) => Ok(asked),
            None => self.store.is_on(principal.tenant()).await,
        }
    }

    /// Keeps refused records durably. Returns one result per record.
    ///
    /// # Errors
    /// [`QuarantineError::Forbidden`] or [`QuarantineError::Store`]; nothing is kept then.
    pub async fn keep(
        &self,
        principal: &Principal,
        origin: &Origin,
        rejected: Vec<Rejected>,
    ) -> Result<Vec<Kept>, QuarantineError> {
        principal.require(Permission::MassWrite)?;
        let now = self.clock.now();
        let expires_at = now.plus_seconds(self.limits.seconds).unwrap_or(now);
        let arrival = Arrival { at: now, expires_at, request_id: origin.request_id.clone(), actor: principal.actor() };
        let (mut results, mut records): (Vec<Kept>, _) = (Vec::with_capacity(rejected.len()), Vec::new());
        for Rejected { received, violations } in rejected {
            results.push(received.map(|received| {
                let id = QuarantineId::from_uuid(self.ids.next(now));
                let digest = received.digest();
                let quarantined = Quarantined::new(id, &arrival, received, violations);
                records.push(NewRecord { quarantined, digest });
                id
            }));
        }
        if records.is_empty() {
            return Ok(results);
        }
        let stored = self.store.insert(principal.tenant(), records, self.limits.bytes, now).await?;
        for (result, stored) in results.iter_mut().filter(|result| result.is_ok()).zip(stored) {
            *result = stored;
        }
        Ok(results)
    }

    /// Lists a page of records, newest first.
    ///
    /// # Errors
    /// [`QuarantineError`], but never [`QuarantineError::NotFound`].
    pub async fn list(
        &self,
        principal: &Principal,
        query: &QuarantineQuery,
    ) -> Result<Page<QuarantinedSummary>, QuarantineError> {
        principal.require(Permission::MassRead)?;
        let scope = scope(principal, &query.filter);
        let before = query.cursor.as_deref().map(|cursor| decode_cursor(scope, cursor)).transpose()?;
        let before = before.map(QuarantineId::from_uuid);
        let rows = self.store.list(principal.tenant(), &query.filter, before, query.limit, self.clock.now()).await?;
        Ok(Page::from_lookahead(rows, query.limit, scope, |row| row.id.as_uuid()))
    }

    /// Gets a record.
    ///
    /// # Errors
    /// [`QuarantineError`], but never [`QuarantineError::ForeignCursor`].
    pub async fn get(&self, principal: &Principal, id: QuarantineId) -> Result<Quarantined, QuarantineError> {
        principal.require(Permission::MassRead)?;
        self.find(principal, id).await
    }

    /// Gets a record that is to be accepted after all.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_to_retry(&self, principal: &Principal, id: QuarantineId) -> Result<Quarantined, QuarantineError> {
        principal.require(Permission::MassWrite)?;
        self.find(principal, id).await
    }

    async fn find(&self, principal: &Principal, id: QuarantineId) -> Result<Quarantined, QuarantineError> {
        let found = self.store.find(principal.tenant(), id, self.clock.now()).await?;
        found.ok_or(QuarantineError::NotFound)
    }

    /// Accepts a document that was made of a record, which leaves the quarantine in the same transaction.
    ///
    /// # Errors
    /// [`RetryError`]; nothing is stored then, and the record stays.
    pub async fn retry(
        &self,
        principal: &Principal,
        mass: &MassService,
        id: QuarantineId,
        record: &Record,
        options: &Options,
    ) -> Result<Receipt, RetryError> {
        principal.require(Permission::MassWrite).map_err(AcceptError::from)?;
        let mut refusals = Refusals::default();
        let submission = match mass.prepare(principal, record, options) {
            Ok(submission) => Submission { quarantined: Some(id), ..submission },
            Err((sent, error)) => {
                refusals.refused(&sent.refused(&error));
                let recorded = mass.record_refusals(principal, &options.origin, refusals).await;
                recorded.map_err(AcceptError::from)?;
                return Err(AcceptError::from(error).into());
            }
        };
        let sent = Sent::of(&submission);
        let stored = self.store.release(principal.tenant(), id, submission, self.clock.now()).await;
        let result = stored.map_err(AcceptError::from)?.ok_or(RetryError::NotFound)?;
        mass.count_refusals(&[sent], std::slice::from_ref(&result));
        if let Err(refusal) = &result {
            refusals.refused(&sent.refused_by(refusal));
            let recorded = mass.record_refusals(principal, &options.origin, refusals).await;
            recorded.map_err(AcceptError::from)?;
        }
        Ok(result.map_err(AcceptError::from)?)
    }

    /// Deletes a record.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn delete(&self, principal: &Principal, id: QuarantineId) -> Result<(), QuarantineError> {
        principal.require(Permission::MassWrite)?;
        let is_deleted = self.store.delete(principal.tenant(), id, self.clock.now()).await?;
        if is_deleted { Ok(()) } else { Err(QuarantineError::NotFound) }
    }

    /// Deletes records that match the filter, a bounded number of them.
    ///
    /// # Errors
    /// [`QuarantineError::Forbidden`] or [`QuarantineError::Store`].
    pub async fn delete_matching(
        &self,
        principal: &Principal,
        filter: &QuarantineFilter,
    ) -> Result<Deleted, QuarantineError> {
        principal.require(Permission::MassWrite)?;
        Ok(self.store.delete_matching(principal.tenant(), filter, DELETIONS, self.clock.now()).await?)
    }
}

fn scope(principal: &Principal, filter: &QuarantineFilter) -> CursorScope {
    let QuarantineFilter { contract, code, request_id, received_from, received_to } = filter;
    let contract = contract.map(|id| id.to_string());
    let times = [received_from, received_to].map(|time| time.map(|time| time.to_string()));
    let texts = [
        Some(principal.tenant().as_str()),
        contract.as_deref(),
        code.as_ref().map(|code| code.as_str()),
        request_id.as_ref().map(|id| id.as_str()),
    ];
    CursorScope::of("quarantine", texts.into_iter().chain(times.iter().map(Option::as_deref)))
}

#[cfg(test)]
mod tests {
    use mass_domain::access::Actor;
    use mass_domain::quarantine::RecordForm;
    use mass_domain::trace::RequestId;
    use uuid::Uuid;

    use super::*;

    fn id(number: u128) -> QuarantineId {
        QuarantineId::from_uuid(Uuid::from_u128(number))
    }

    /// A record of this number of bytes, besides what each counts.
    fn record(number: u128, bytes: usize, digest: Option<&str>) -> NewRecord {
        let at: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let request_id = RequestId::parse("call-1").unwrap();
        let arrival = Arrival { at, expires_at: at, request_id, actor: Actor::System };
        let received = Received {
            bytes: vec![b'x'; bytes],
            form: RecordForm::Json,
            contract: None,
            idempotency_key: None,
            mapping: None,
        };
        let quarantined = Quarantined::new(id(number), &arrival, received, Vec::new());
        NewRecord { quarantined, digest: digest.map(Fingerprint::of) }
    }

    #[test]
    fn records_are_kept_up_to_the_last_byte_of_the_quota() {
        let size = |record: &NewRecord| record.quarantined.summary.bytes;
        let (large, small) = (record(1, 1000, None), record(2, 10, None));
        let quota = 7 + size(&small);
        let admission = admit(vec![large, small.clone()], HashMap::new(), 7, quota);
        assert_eq!(admission.results, [Err(NotKept::Quota), Ok(id(2))]);
        assert_eq!((admission.added, admission.bytes), (vec![small.clone()], quota));
        let full = admit(vec![small], HashMap::new(), 8, quota);
        assert_eq!((full.results, full.added, full.bytes), (vec![Err(NotKept::Quota)], Vec::new(), 8));
    }

    #[test]
    fn a_record_that_is_there_already_is_not_kept_again() {
        let met = HashMap::from([(Fingerprint::of("a"), id(9))]);
        let records =
            vec![record(1, 1, Some("a")), record(2, 1, Some("b")), record(3, 1, Some("b")), record(4, 1, None)];
        let admission = admit(records, met, 0, 10_000);
        assert_eq!(admission.results, [Ok(id(9)), Ok(id(2)), Ok(id(2)), Ok(id(4))]);
        assert_eq!(admission.added.len(), 2);
        let known = admit(vec![record(5, 1, Some("a"))], HashMap::from([(Fingerprint::of("a"), id(9))]), 0, 0);
        assert_eq!(known.results, [Ok(id(9))], "a full quarantine keeps what it has");
    }
}
