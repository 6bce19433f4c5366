//! Row types, where the columns differ from the domain type, and their conversions.

mod addition;
mod alert;
mod block;
mod delivery;
mod mapping;
mod projection;
mod quarantine;
mod retention;
mod savings;
mod tenant;
mod webhook;

use std::borrow::Cow;

use diesel::prelude::*;
use diesel::result::Error::DeserializationError;
use mass_auth::{Account, Counter, PasswordHash, Session, StoredKey};
use mass_domain::access::{Actor, Permission, Role};
use mass_domain::api_keys::{AddressRange, ApiKey, KeyName, KeyPrefix, SecretDigest};
use mass_domain::audit::tree::TreeHash;
use mass_domain::audit::{self, Action, Event, NewEvent};
use mass_domain::contracts::ContractId;
use mass_domain::ids::{ApiKeyId, MassRequestId, SessionId, UserId};
use mass_domain::mass_request::{AuditLeaf, IdempotencyKey, MassRequest, Outcome, RequestSummary, Status};
use mass_domain::tenancy::{Quotas, TenantId, Usage};
use mass_domain::time::Timestamp;
use mass_domain::users::{Email, User};
use mass_domain::validation::Warning;
use mass_service::{KeyRecord, NewRequest, Snapshot};
use uuid::Uuid;

pub(crate) use addition::{Addition, Assumed};
pub(crate) use alert::{AlertChangeset, AlertRow, RuleChangeset, RuleRow};
pub(crate) use block::{Block, block_of};
pub(crate) use delivery::{DeliveryRow, DueAtRow, DueRow, QueueRow, QueuedDeliveryRow, RecommendationRow};
pub(crate) use mapping::{MappingChangeset, MappingRow, MappingSummaryRow};
pub(crate) use projection::{
    FiguresRow, ProjectionRow, RequestDocument, SeriesOfSource, StoredPoint, StoredSeries, StoredSource, Stretch,
    point, real,
};
pub(crate) use quarantine::{NewQuarantineRow, QuarantineRow, QuarantineSummaryRow};
pub(crate) use retention::LegalHoldRow;
pub(crate) use savings::{
    ClaimedReportRow, NewSavingsReportRow, ReportOriginRow, SavingsProjectChangeset, SavingsProjectRow,
    SavingsProjectSummaryRow, SavingsReportRow, SavingsReportSummaryRow,
};
pub(crate) use tenant::TenantRow;
pub(crate) use webhook::{NewNotificationRow, NotificationRow, WebhookChangeset, WebhookRow};

use crate::columns::{Hash, Id, Instant, Json, Node, Set, Word};
use crate::flush::LastEvent;
use crate::schema::{
    api_keys, audit_events, audit_heads, audit_nodes, idempotency_keys, login_attempts, mass_requests, quotas,
    sessions, tenant_usage, users,
};

/// A request without its document, warnings and natural key.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = mass_requests, treat_none_as_default_value = false)]
pub(crate) struct SummaryRow {
    tenant_id: Word<TenantId>,
    id: Id,
    contract: Word<ContractId>,
    status: Word<Status>,
    outcome: Word<Outcome>,
    version: i64,
    created_at: Instant,
    updated_at: Instant,
    created_by_kind: String,
    created_by_id: Option<Id>,
    correlation_id: Option<String>,
    idempotency_key: Option<String>,
    site_id: Option<String>,
    device_id: Option<String>,
    observed_at: Option<Instant>,
    fingerprint: Hash,
    corrects: Option<Id>,
    corrected_by: Option<Id>,
    /// 0 if the position is unknown.
    audit_sequence: i64,
    /// Empty if the position is unknown.
    audit_leaf_hash: Vec<u8>,
}

impl From<RequestSummary> for SummaryRow {
    fn from(summary: RequestSummary) -> Self {
        Self {
            tenant_id: Word(summary.tenant_id),
            id: Id(summary.id.as_uuid()),
            contract: Word(summary.contract),
            status: Word(summary.status),
            outcome: Word(summary.outcome),
            version: summary.version,
            created_at: Instant(summary.created_at),
            updated_at: Instant(summary.updated_at),
            created_by_kind: summary.created_by.kind().to_owned(),
            created_by_id: summary.created_by.id().map(Id),
            correlation_id: summary.correlation_id,
            idempotency_key: summary.idempotency_key,
            site_id: summary.site_id,
            device_id: summary.device_id,
            observed_at: summary.observed_at.map(Instant),
            fingerprint: Hash(summary.fingerprint),
            corrects: summary.corrects.map(request_id_column),
            corrected_by: summary.corrected_by.map(request_id_column),
            audit_sequence: summary.audit.map_or(0, |leaf| leaf.sequence),
            audit_leaf_hash: summary.audit.map_or_else(Vec::new, |leaf| leaf.leaf_hash.as_bytes().to_vec()),
        }
    }
}

impl SummaryRow {
    /// Builds the summary.
    pub(crate) fn into_summary(self) -> QueryResult<RequestSummary> {
        Ok(RequestSummary {
            id: MassRequestId::from_uuid(self.id.0),
            tenant_id: self.tenant_id.0,
            contract: self.contract.0,
            status: self.status.0,
            outcome: self.outcome.0,
            version: self.version,
            created_at: self.created_at.0,
            updated_at: self.updated_at.0,
            created_by: actor(&self.created_by_kind, self.created_by_id)?,
            correlation_id: self.correlation_id,
            idempotency_key: self.idempotency_key,
            site_id: self.site_id,
            device_id: self.device_id,
            observed_at: self.observed_at.map(|at| at.0),
            fingerprint: self.fingerprint.0,
            corrects: self.corrects.map(request_id),
            corrected_by: self.corrected_by.map(request_id),
            audit: audit_leaf(self.audit_sequence, self.audit_leaf_hash)?,
        })
    }
}

/// Builds the position of a request's event from its columns.
fn audit_leaf(sequence: i64, leaf_hash: Vec<u8>) -> QueryResult<Option<AuditLeaf>> {
    if sequence == 0 {
        return Ok(None);
    }
    let leaf_hash = leaf_hash.try_into().map_err(|_| DeserializationError("a leaf's hash has 32 bytes".into()))?;
    Ok(Some(AuditLeaf { sequence, leaf_hash: TreeHash::from_bytes(leaf_hash) }))
}

/// A request to read.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = mass_requests)]
pub(crate) struct RequestRow {
    #[diesel(embed)]
    summary: SummaryRow,
    document: String,
    warnings: Json<Vec<Warning>>,
}

impl RequestRow {
    /// Builds the request.
    pub(crate) fn into_request(self) -> QueryResult<MassRequest> {
        Ok(MassRequest { summary: self.summary.into_summary()?, document: self.document, warnings: self.warnings.0 })
    }
}

/// A request to insert.
#[derive(Debug, Insertable)]
#[diesel(table_name = mass_requests, treat_none_as_default_value = false)]
pub(crate) struct NewRequestRow<'a> {
    #[diesel(embed)]
    summary: SummaryRow,
    natural_key: Option<&'a str>,
    batch_id: Option<&'a str>,
    call_id: Option<&'a str>,
    document: &'a str,
    warnings: Json<&'a [Warning]>,
}

impl<'a> NewRequestRow<'a> {
    /// Builds the row of a new request.
    pub(crate) fn new(NewRequest { request, look_up, .. }: &'a NewRequest) -> Self {
        Self {
            summary: request.summary.clone().into(),
            natural_key: look_up.natural_key.as_deref(),
            batch_id: look_up.batch_id.as_deref(),
            call_id: look_up.call_id.as_deref(),
            document: &request.document,
            warnings: Json(&request.warnings),
        }
    }
}

/// A stored version under a natural key.
#[derive(Debug, Queryable, QueryableByName)]
#[diesel(table_name = mass_requests)]
pub(crate) struct VersionRow {
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub(crate) natural_key: String,
    pub(crate) id: Id,
    pub(crate) fingerprint: Hash,
    #[diesel(sql_type = diesel::sql_types::Bool)]
    pub(crate) superseded: bool,
}

/// An event of an object; without its text if it is an acceptance.
#[derive(Debug, Queryable, QueryableByName)]
#[diesel(table_name = audit_events)]
pub(crate) struct ObjectEventRow {
    pub(crate) object_id: Option<String>,
    pub(crate) sequence: i64,
    pub(crate) event: String,
}

/// The action and the object of the event at a position.
#[derive(Debug, Queryable, QueryableByName)]
#[diesel(table_name = audit_events)]
pub(crate) struct PlacedEventRow {
    pub(crate) sequence: i64,
    pub(crate) action: String,
    pub(crate) object_id: Option<String>,
}

/// A used idempotency key, and whether its request has been deleted.
#[derive(Debug, Queryable, QueryableByName)]
pub(crate) struct MetKeyRow {
    #[diesel(embed)]
    pub(crate) key: KeyRow,
    #[diesel(sql_type = diesel::sql_types::Bool)]
    pub(crate) deleted: bool,
}

/// An idempotency key with the answer to its first use.
#[derive(Debug, Queryable, QueryableByName, Selectable, Insertable)]
#[diesel(table_name = idempotency_keys, treat_none_as_default_value = false)]
pub(crate) struct KeyRow {
    tenant_id: Word<TenantId>,
    key: String,
    request_id: Id,
    contract: Word<ContractId>,
    fingerprint: Hash,
    outcome: Word<Outcome>,
    status: Word<Status>,
    version: i64,
    updated_at: Instant,
    corrected_by: Option<Id>,
    created_at: Instant,
}

impl KeyRow {
    /// Builds the row of a key's first use.
    pub(crate) fn new(
        tenant: &TenantId,
        key: &IdempotencyKey,
        record: &KeyRecord,
        snapshot: &Snapshot,
        at: Instant,
    ) -> Self {
        Self {
            tenant_id: Word(tenant.clone()),
            key: key.as_str().to_owned(),
            request_id: request_id_column(record.request_id),
            contract: Word(record.contract),
            fingerprint: Hash(record.fingerprint),
            outcome: Word(snapshot.outcome),
            status: Word(snapshot.status),
            version: snapshot.version,
            updated_at: Instant(snapshot.updated_at),
            corrected_by: snapshot.corrected_by.map(request_id_column),
            created_at: at,
        }
    }

    /// Builds the key, its first use and the answer. `deleted` tells whether its request has been deleted.
    pub(crate) fn into_parts(self, deleted: bool) -> QueryResult<(IdempotencyKey, KeyRecord, Snapshot)> {
        let key = IdempotencyKey::parse(&self.key).map_err(corrupt)?;
        let record = KeyRecord {
            request_id: request_id(self.request_id),
            contract: self.contract.0,
            fingerprint: self.fingerprint.0,
            deleted,
        };
        let snapshot = Snapshot {
            outcome: self.outcome.0,
            status: self.status.0,
            version: self.version,
            updated_at: self.updated_at.0,
            corrected_by: self.corrected_by.map(request_id),
        };
        Ok((key, record, snapshot))
    }
}

/// The end of a log.
#[derive(Debug, AsChangeset)]
#[diesel(table_name = audit_heads)]
pub(crate) struct HeadRow {
    pub(crate) size: i64,
    pub(crate) frontier: Vec<u8>,
}

/// A stored node of a log's tree.
#[derive(Debug, Insertable)]
#[diesel(table_name = audit_nodes)]
pub(crate) struct NodeRow {
    pub(crate) tenant_id: Word<TenantId>,
    pub(crate) level: i64,
    pub(crate) position: i64,
    pub(crate) hash: Node,
}

/// An event with its position and the values that it is looked up by.
#[derive(Debug, Insertable)]
#[diesel(table_name = audit_events, treat_none_as_default_value = false)]
pub(crate) struct EventRow {
    tenant_id: Word<TenantId>,
    sequence: i64,
    at: Instant,
    actor_kind: &'static str,
    actor_id: Option<Id>,
    action: Word<Action>,
    object_kind: &'static str,
    object_id: Option<String>,
    outcome: Word<audit::Outcome>,
    event: String,
    leaf_hash: Node,
}

impl EventRow {
    /// Returns the event as the last one of a commit.
    pub(crate) const fn as_last(&self) -> LastEvent {
        LastEvent { sequence: self.sequence, leaf_hash: self.leaf_hash }
    }

    /// Builds the row of an event whose text is `text`.
    pub(crate) fn new(sequence: i64, event: NewEvent, text: String, leaf_hash: TreeHash) -> Self {
        Self {
            tenant_id: Word(event.tenant_id),
            sequence,
            at: Instant(event.at),
            actor_kind: event.actor.kind(),
            actor_id: event.actor.id().map(Id),
            action: Word(event.action),
            object_kind: event.object.kind(),
            object_id: event.object.id().map(Cow::into_owned),
            outcome: Word(event.outcome),
            event: text,
            leaf_hash: Node(leaf_hash),
        }
    }
}

/// Parses the text of an event.
pub(crate) fn event(text: &str) -> QueryResult<Event> {
    Event::read(text).map_err(corrupt)
}

/// A user with the hash of its password.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = users, treat_none_as_default_value = false)]
pub(crate) struct UserRow {
    tenant_id: Word<TenantId>,
    id: Id,
    email: String,
    password_hash: String,
    roles: Word<Set<Role>>,
    disabled_at: Option<Instant>,
    created_at: Instant,
    updated_at: Instant,
    deleted_at: Option<Instant>,
    second_factor_at: Option<Instant>,
}

impl From<Account> for UserRow {
    fn from(Account { user, password }: Account) -> Self {
        Self {
            tenant_id: Word(user.tenant_id),
            id: Id(user.id.as_uuid()),
            email: user.email.as_str().to_owned(),
            password_hash: password.as_str().to_owned(),
            roles: Word(Set(user.roles)),
            disabled_at: user.disabled_at.map(Instant),
            created_at: Instant(user.created_at),
            updated_at: Instant(user.created_at),
            deleted_at: user.deleted_at.map(Instant),
            second_factor_at: user.second_factor_at.map(Instant),
        }
    }
}

impl UserRow {
    /// Builds the account.
    pub(crate) fn into_account(self) -> QueryResult<Account> {
        let user = User {
            id: UserId::from_uuid(self.id.0),
            tenant_id: self.tenant_id.0,
            email: Email::parse_existing(&self.email).map_err(corrupt)?,
            roles: self.roles.0.0,
            disabled_at: self.disabled_at.map(|at| at.0),
            deleted_at: self.deleted_at.map(|at| at.0),
            second_factor_at: self.second_factor_at.map(|at| at.0),
            created_at: self.created_at.0,
        };
        Ok(Account { user, password: PasswordHash::from_stored(self.password_hash) })
    }
}

/// An API key with the digest of its secret.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = api_keys, treat_none_as_default_value = false)]
pub(crate) struct ApiKeyRow {
    tenant_id: Word<TenantId>,
    id: Id,
    prefix: Word<KeyPrefix>,
    secret_hash: Vec<u8>,
    name: String,
    permissions: Word<Set<Permission>>,
    addresses: Word<Set<AddressRange>>,
    expires_at: Option<Instant>,
    last_used_at: Option<Instant>,
    created_at: Instant,
    created_by_kind: String,
    created_by_id: Option<Id>,
    revoked_at: Option<Instant>,
}

impl ApiKeyRow {
    /// Builds the row of a key.
    pub(crate) fn new(key: ApiKey, secret: SecretDigest) -> Self {
        Self {
            tenant_id: Word(key.tenant_id),
            id: Id(key.id.as_uuid()),
            prefix: Word(key.prefix),
            secret_hash: secret.as_bytes().to_vec(),
            name: key.name.to_string(),
            permissions: Word(Set(key.permissions)),
            addresses: Word(Set(key.addresses)),
            expires_at: key.expires_at.map(Instant),
            last_used_at: key.last_used_at.map(Instant),
            created_at: Instant(key.created_at),
            created_by_kind: key.created_by.kind().to_owned(),
            created_by_id: key.created_by.id().map(Id),
            revoked_at: key.revoked_at.map(Instant),
        }
    }

    /// Builds the key with the digest of its secret.
    pub(crate) fn into_stored(self) -> QueryResult<StoredKey> {
        let secret = self.secret_hash.try_into();
        let secret = secret.map_err(|_| DeserializationError("a secret's digest has 32 bytes".into()))?;
        let key = ApiKey {
            id: ApiKeyId::from_uuid(self.id.0),
            tenant_id: self.tenant_id.0,
            prefix: self.prefix.0,
            name: KeyName::from_stored(self.name),
            permissions: self.permissions.0.0,
            addresses: self.addresses.0.0,
            expires_at: self.expires_at.map(|at| at.0),
            last_used_at: self.last_used_at.map(|at| at.0),
            created_at: self.created_at.0,
            created_by: actor(&self.created_by_kind, self.created_by_id)?,
            revoked_at: self.revoked_at.map(|at| at.0),
        };
        Ok(StoredKey { key, secret: SecretDigest::from_bytes(secret) })
    }
}

/// The quotas of a tenant.
#[derive(Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = quotas, primary_key(tenant_id), treat_none_as_default_value = false, treat_none_as_null = true)]
pub(crate) struct QuotaRow {
    tenant_id: Word<TenantId>,
    requests_per_day: Option<i64>,
    stored_bytes: Option<i64>,
    quarantine_bytes: Option<i64>,
    updated_at: Instant,
}

impl QuotaRow {
    /// Builds the row of a tenant's quotas.
    pub(crate) fn new(tenant: &TenantId, quotas: Quotas, at: Timestamp) -> Self {
        // A quota above the column's range is never reached.
        let column = |quota: Option<u64>| quota.map(|quota| i64::try_from(quota).unwrap_or(i64::MAX));
        Self {
            tenant_id: Word(tenant.clone()),
            requests_per_day: column(quotas.requests_per_day),
            stored_bytes: column(quotas.stored_bytes),
            quarantine_bytes: column(quotas.quarantine_bytes),
            updated_at: Instant(at),
        }
    }

    /// Builds the quotas.
    pub(crate) fn into_quotas(self) -> Quotas {
        let quota = |column: Option<i64>| column.map(|quota| u64::try_from(quota).unwrap_or(0));
        Quotas {
            requests_per_day: quota(self.requests_per_day),
            stored_bytes: quota(self.stored_bytes),
            quarantine_bytes: quota(self.quarantine_bytes),
        }
    }
}

/// The usage of a tenant.
#[derive(Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = tenant_usage, primary_key(tenant_id), treat_none_as_default_value = false)]
pub(crate) struct UsageRow {
    tenant_id: Word<TenantId>,
    day: i64,
    requests: i64,
    stored_bytes: i64,
}

impl UsageRow {
    /// Builds the row of a tenant's usage.
    pub(crate) fn new(tenant: &TenantId, usage: Usage) -> Self {
        let column = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            tenant_id: Word(tenant.clone()),
            day: usage.day,
            requests: column(usage.requests),
            stored_bytes: column(usage.stored_bytes),
        }
    }

    /// Builds the usage.
    pub(crate) fn into_usage(self) -> Usage {
        let count = |column: i64| u64::try_from(column).unwrap_or(0);
        Usage { day: self.day, requests: count(self.requests), stored_bytes: count(self.stored_bytes) }
    }
}

/// A session.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions, treat_none_as_default_value = false)]
pub(crate) struct SessionRow {
    tenant_id: Word<TenantId>,
    id: Id,
    user_id: Id,
    created_at: Instant,
    expires_at: Instant,
    revoked_at: Option<Instant>,
    factor_at: Option<Instant>,
}

impl From<Session> for SessionRow {
    fn from(session: Session) -> Self {
        Self {
            tenant_id: Word(session.tenant_id),
            id: Id(session.id.as_uuid()),
            user_id: Id(session.user_id.as_uuid()),
            created_at: Instant(session.created_at),
            expires_at: Instant(session.expires_at),
            revoked_at: session.revoked_at.map(Instant),
            factor_at: session.factor_at.map(Instant),
        }
    }
}

impl SessionRow {
    /// Builds the session.
    pub(crate) fn into_session(self) -> Session {
        Session {
            id: SessionId::from_uuid(self.id.0),
            tenant_id: self.tenant_id.0,
            user_id: UserId::from_uuid(self.user_id.0),
            created_at: self.created_at.0,
            expires_at: self.expires_at.0,
            revoked_at: self.revoked_at.map(|at| at.0),
            factor_at: self.factor_at.map(|at| at.0),
        }
    }
}

/// A counter of log-in attempts.
#[derive(Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = login_attempts, primary_key(key), treat_none_as_default_value = false, treat_none_as_null = true)]
pub(crate) struct AttemptRow {
    key: Vec<u8>,
    failures: i64,
    failed_at: Instant,
    succeeded_at: Option<Instant>,
}

impl AttemptRow {
    /// Builds the row of a key's counter.
    pub(crate) fn new(key: &[u8], counter: &Counter) -> Self {
        Self {
            key: key.to_vec(),
            failures: counter.failures.into(),
            failed_at: Instant(counter.failed_at),
            succeeded_at: counter.succeeded_at.map(Instant),
        }
    }

    /// Builds the counter.
    pub(crate) fn into_counter(self) -> QueryResult<Counter> {
        Ok(Counter {
            failures: u32::try_from(self.failures).map_err(corrupt)?,
            failed_at: self.failed_at.0,
            succeeded_at: self.succeeded_at.map(|at| at.0),
        })
    }
}

fn actor(kind: &str, id: Option<Id>) -> QueryResult<Actor> {
    let id: Option<Uuid> = id.map(|id| id.0);
    Actor::from_parts(kind, id).ok_or_else(|| DeserializationError(format!("no actor: {kind} {id:?}").into()))
}

fn request_id(id: Id) -> MassRequestId {
    MassRequestId::from_uuid(id.0)
}

fn request_id_column(id: MassRequestId) -> Id {
    Id(id.as_uuid())
}

/// Builds the error for a stored value that breaks a rule of the domain: something else than MASS wrote it.
pub(crate) fn corrupt(error: impl std::error::Error + Send + Sync + 'static) -> diesel::result::Error {
    DeserializationError(Box::new(error))
}
