//! Acceptance: reads the state that submissions meet, has them judged, and writes the additions.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::result::Error::QueryBuilderError;
use mass_domain::audit::NewEvent;
use mass_domain::audit::tree::Frontier;
use mass_domain::contracts::{ContractId, ValidDocument};
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::IdempotencyKey;
use mass_domain::tenancy::TenantId;
use mass_service::{
    Additions, Judgement, KeyRecord, NaturalKey, Snapshot, StoredState, StoredVersion, Submission, SubmissionResults,
    TenantState, judge,
};

use super::audit::{Growth, Head};
use super::{Connection, quotas, requests};
use crate::columns::{Instant, Word};
use crate::flush::{Flush, LastEvent};
use crate::foresight::{CachedState, Foresight};
use crate::group_commit::{Committed, Documents};
use crate::layout::Layout;
use crate::rows::{Addition, Assumed, EventRow, KeyRow, MetKeyRow, NewRequestRow, QueueRow, UsageRow, VersionRow};
use crate::store::ROWS_PER_STATEMENT;

/// Judges and stores documents in one transaction. Stores nothing and returns `None` if the tenant's credentials are at
/// another version than the documents demand. Only documents that are judged by cached state are flushed later.
pub(crate) fn commit_documents(
    connection: &mut Connection,
    tenant: &TenantId,
    documents: Documents<'_>,
    foresight: &mut Foresight,
    layout: Layout,
) -> QueryResult<Option<Committed>> {
    let mut failed = None;
    if super::ROUND_TRIPS_COST
        && let Some(cached) = foresight.take()
        && documents.may_come_at(cached.tenant.credentials)
    {
        let credentials = cached.tenant.credentials;
        match commit_foreseen(connection, tenant, documents, cached, foresight, layout)? {
            Foreseen::Held(committed) => return Ok(Some(committed)),
            Foreseen::Failed => failed = Some(credentials),
            Foreseen::Void => {}
        }
    }
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let stored = stored_state(connection, tenant, documents.submissions)?;
        let (state, has_no_matches) = (stored.tenant, stored.has_no_matches());
        // Credentials change seldom: their change alone is no reason to read first more often.
        if failed == Some(state.credentials) {
            foresight.failed();
        }
        if !documents.may_come_at(state.credentials) {
            foresight.learned(CachedState { frontier: head.frontier, tenant: state });
            return Ok(None);
        }
        let mut judgement = judged(tenant, stored, documents.submissions, documents.refused)?;
        let frontier = store(connection, tenant, head, &mut judgement, layout)?;
        if has_no_matches {
            foresight.learned(CachedState { frontier, tenant: afterwards(state, &judgement) });
        }
        // The lock of the head alone makes the commit wait for the disk, and so for all commits before it.
        Ok(Some(Committed { results: judgement.results, unflushed: None }))
    })
}

/// The outcome of a commit on cached state.
enum Foreseen {
    /// The documents are stored.
    Held(Committed),
    /// Nothing is stored: the state is another one than the cached.
    Failed,
    /// There is nothing to store, so that nothing tells whether the cached state is the present one.
    Void,
}

/// Judges documents by cached state, and stores them if that is still the present one.
fn commit_foreseen(
    connection: &mut Connection,
    tenant: &TenantId,
    documents: Documents<'_>,
    cached: CachedState,
    foresight: &mut Foresight,
    layout: Layout,
) -> QueryResult<Foreseen> {
    let stored = StoredState::without_matches(cached.tenant);
    let mut judgement = judged(tenant, stored, documents.submissions, documents.refused)?;
    if judgement.additions.is_empty() {
        return Ok(Foreseen::Void);
    }
    let head = Head::left_at(tenant, cached.frontier);
    let assumed = Assumed::of(documents.submissions, cached.tenant.credentials);
    let write = Write { assumed, flush: documents.flush, layout };
    let added = add(connection, tenant, head, &mut judgement, write)?;
    let Some(Added { frontier, unflushed }) = added else { return Ok(Foreseen::Failed) };
    foresight.held(CachedState { frontier, tenant: afterwards(cached.tenant, &judgement) });
    Ok(Foreseen::Held(Committed { results: judgement.results, unflushed }))
}

/// Judges submissions, and stores them if none is refused.
pub(super) fn store_all_or_none(
    connection: &mut Connection,
    tenant: &TenantId,
    submissions: &[Submission],
    layout: Layout,
) -> QueryResult<SubmissionResults> {
    super::write(connection, |connection| store_together(connection, tenant, submissions, layout))
}

/// Judges submissions within a transaction that writes, and stores them if none is refused.
pub(super) fn store_together(
    connection: &mut Connection,
    tenant: &TenantId,
    submissions: &[Submission],
    layout: Layout,
) -> QueryResult<SubmissionResults> {
    let head = Head::lock(connection, tenant)?;
    let stored = stored_state(connection, tenant, submissions)?;
    let mut judgement = judged(tenant, stored, submissions, &[])?;
    if judgement.results.iter().all(Result::is_ok) {
        store(connection, tenant, head, &mut judgement, layout)?;
    }
    Ok(judgement.results)
}

fn judged(
    tenant: &TenantId,
    stored: StoredState,
    submissions: &[Submission],
    refused: &[NewEvent],
) -> QueryResult<Judgement> {
    judge(tenant, stored, submissions, refused).map_err(|error| QueryBuilderError(error.into()))
}

fn afterwards(before: TenantState, judgement: &Judgement) -> TenantState {
    TenantState { usage: judgement.additions.usage, ..before }
}

/// Reads all state that these submissions can meet.
fn stored_state(
    connection: &mut Connection,
    tenant: &TenantId,
    submissions: &[Submission],
) -> QueryResult<StoredState> {
    let keys = used_keys(connection, tenant, submissions)?;
    let versions = stored_versions(connection, tenant, submissions)?;
    let state = quotas::tenant_state(connection, tenant)?;
    let mut stored = StoredState { keys, versions, ..StoredState::without_matches(state) };
    for ids in stored.needed(submissions).chunks(ROWS_PER_STATEMENT) {
        let requests = requests::load(connection, tenant, ids)?;
        stored.requests.extend(requests.into_iter().map(|request| (request.summary.id, request)));
    }
    Ok(stored)
}

fn used_keys(
    connection: &mut Connection,
    tenant: &TenantId,
    submissions: &[Submission],
) -> QueryResult<HashMap<IdempotencyKey, (KeyRecord, Snapshot)>> {
    let sent: Vec<_> = submissions.iter().filter_map(|sent| sent.idempotency_key.as_ref()).collect();
    let mut used = HashMap::new();
    for keys in sent.chunks(ROWS_PER_STATEMENT) {
        let keys: Vec<_> = keys.iter().map(|key| key.as_str()).collect();
        for MetKeyRow { key, deleted } in super::met_keys(connection, tenant, &keys)? {
            let (key, record, snapshot) = key.into_parts(deleted)?;
            used.insert(key, (record, snapshot));
        }
    }
    Ok(used)
}

fn stored_versions(
    connection: &mut Connection,
    tenant: &TenantId,
    submissions: &[Submission],
) -> QueryResult<HashMap<NaturalKey, Vec<StoredVersion>>> {
    let mut sent: HashMap<&'static str, (ContractId, Vec<&str>)> = HashMap::new();
    for ValidDocument { contract, index, .. } in submissions.iter().map(|submission| &submission.examined) {
        if let Some(key) = &index.natural_key {
            sent.entry(contract.name()).or_insert_with(|| (*contract, Vec::new())).1.push(key);
        }
    }
    let mut versions: HashMap<NaturalKey, Vec<StoredVersion>> = HashMap::new();
    for (name, (contract, keys)) in sent {
        let contracts: Vec<_> = contract.versions().map(Word).collect();
        for keys in keys.chunks(ROWS_PER_STATEMENT) {
            for VersionRow { natural_key, id, fingerprint, superseded } in
                super::met_versions(connection, tenant, &contracts, keys)?
            {
                let id = MassRequestId::from_uuid(id.0);
                let version = StoredVersion { id, fingerprint: fingerprint.0, superseded };
                versions.entry((name, natural_key)).or_default().push(version);
            }
        }
    }
    Ok(versions)
}

/// Writes all that a judgement adds and changes. Returns the end of the log afterwards.
fn store(
    connection: &mut Connection,
    tenant: &TenantId,
    head: Head,
    judgement: &mut Judgement,
    layout: Layout,
) -> QueryResult<Frontier> {
    for older in &judgement.additions.superseded {
        requests::update(connection, older)?;
    }
    let write = Write { assumed: Assumed::default(), flush: Flush::Now, layout };
    let added = add(connection, tenant, head, judgement, write)?;
    Ok(added.ok_or(diesel::NotFound)?.frontier)
}

/// The manner of an addition.
struct Write<'a> {
    assumed: Assumed<'a>,
    flush: Flush,
    layout: Layout,
}

/// The log after an addition.
struct Added {
    /// Its end.
    frontier: Frontier,
    /// Its last event, if the addition has to be flushed yet.
    unflushed: Option<LastEvent>,
}

/// Writes all that a judgement adds, if the log ends at the head and the assumptions hold; otherwise nothing, and returns
/// `None`.
fn add(
    connection: &mut Connection,
    tenant: &TenantId,
    head: Head,
    judgement: &mut Judgement,
    Write { assumed, flush, layout }: Write<'_>,
) -> QueryResult<Option<Added>> {
    let before = head.end();
    let Growth { head, rows: events, nodes, leaves } = head.grow(std::mem::take(&mut judgement.additions.events));
    judgement.place(&leaves);
    let Additions { requests, keys, sendings, usage, superseded: _, events: _ } = &judgement.additions;
    if events.is_empty() && keys.is_empty() {
        return Ok(Some(Added { frontier: head.frontier, unflushed: None }));
    }
    let unflushed = events.last().map(EventRow::as_last).filter(|_| flush == Flush::Later);
    let flush = if unflushed.is_some() { Flush::Later } else { Flush::Now };
    let requests = requests.iter().map(NewRequestRow::new).collect();
    let keys =
        keys.iter().map(|new| KeyRow::new(tenant, &new.key, &new.record, &new.answer, Instant(new.at))).collect();
    let queue = sendings.iter().map(|(request, act)| QueueRow::first(tenant, *request, act)).collect();
    let usage = UsageRow::new(tenant, *usage);
    let addition =
        Addition { tenant, before, assumed, head: head.end(), usage, events, nodes, requests, keys, queue, flush };
    Ok(super::add(connection, &addition, layout)?.then_some(Added { frontier: head.frontier, unflushed }))
}
