//! Test data.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use mass_auth::{Account, PasswordHash};
use mass_domain::access::{Actor, Role};
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::canonical::Fingerprint;
use mass_domain::contracts::{Index, ValidDocument};
use mass_domain::ids::{MassRequestId, UserId};
use mass_domain::mass_request::{IdempotencyKey, MassRequest, Status};
use mass_domain::tenancy::{AutoSend, Lifecycle, Tenant, TenantId};
use mass_domain::time::Timestamp;
use mass_domain::trace::{Origin, RequestId};
use mass_domain::users::{Email, User};
use mass_domain::validation::Warning;
use mass_service::{Deletion, OnConflict, Submission, Transition};
use uuid::Uuid;

pub(crate) fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

/// A second tenant, which must see nothing of the first.
pub(crate) fn other_tenant() -> TenantId {
    TenantId::parse("other").unwrap()
}

pub(crate) fn founded(id: TenantId) -> Tenant {
    Tenant { id, created_at: at(0), lifecycle: Lifecycle::default() }
}

pub(crate) fn account(email: &str, tenant: &TenantId) -> Account {
    let user = User {
        id: UserId::from_uuid(Uuid::now_v7()),
        tenant_id: tenant.clone(),
        email: Email::parse(email).unwrap(),
        roles: BTreeSet::from([Role::Admin, Role::Operator]),
        disabled_at: None,
        deleted_at: None,
        second_factor_at: None,
        created_at: at(0),
    };
    Account { user, password: PasswordHash::from_stored("hash".to_owned()) }
}

/// An act at an instant.
pub(crate) fn act(at: Timestamp) -> Act {
    Act::new(actor(), at, &origin())
}

/// The event of such an act, on an object of a tenant.
pub(crate) fn event(tenant: &TenantId, at: Timestamp) -> NewEvent {
    act(at).done(tenant, Action::UserChanged, Object::Server)
}

/// The instant this number of microseconds into the test's day.
pub(crate) fn at(micros: i64) -> Timestamp {
    let noon: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    Timestamp::from_unix_micros(noon.unix_micros() + micros).unwrap()
}

pub(crate) fn actor() -> Actor {
    Actor::User(UserId::from_uuid(Uuid::from_u128(7)))
}

pub(crate) fn origin() -> Origin {
    Origin {
        request_id: RequestId::parse("req-1").unwrap(),
        trace: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00".parse().unwrap()),
        address: Some("2001:db8::1".parse().unwrap()),
    }
}

pub(crate) fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::parse(text).unwrap()
}

/// An id of an instant, greater than all before it.
fn id_at(at: Timestamp) -> MassRequestId {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let millis = u128::try_from(at.unix_micros() / 1000).unwrap();
    let count = u128::from(COUNTER.fetch_add(1, Ordering::Relaxed));
    MassRequestId::from_uuid(Uuid::from_u128(millis << 80 | 7 << 76 | 0b10 << 62 | count))
}

/// A reading of a device: the same device gives the same natural key.
pub(crate) fn reading(device: &str, celsius: i64) -> Submission {
    let canonical = format!(r#"{{"device":{{"id":"{device}"}},"metrics":{{"temperature_celsius":{celsius}}}}}"#);
    let index = Index {
        site_id: Some("site-1".to_owned()),
        device_id: Some(device.to_owned()),
        observed_at: Some(at(-1)),
        correlation_id: Some("correlation-1".to_owned()),
        natural_key: Some(device.to_owned()),
        ..Index::default()
    };
    submission("device/1.1", canonical, index)
}

/// A document without a natural key.
pub(crate) fn simple(value: i64) -> Submission {
    submission("simple/1.0", format!(r#"{{"payload":{{"value":{value}}}}}"#), Index::default())
}

fn submission(contract: &str, canonical: String, index: Index) -> Submission {
    let warning = Warning { pointer: "/a~1b".to_owned(), code: "odd".to_owned(), detail: "Ünlikely.".to_owned() };
    Submission {
        id: id_at(at(1)),
        at: at(1),
        actor: actor(),
        input: Fingerprint::of("as it was sent"),
        examined: ValidDocument {
            contract: contract.parse().unwrap(),
            fingerprint: Fingerprint::of(&canonical),
            canonical,
            index,
            warnings: vec![warning],
        },
        idempotency_key: None,
        on_conflict: OnConflict::Refuse,
        auto_send: AutoSend::NoEngine,
        mapping: None,
        call_id: None,
        quarantined: None,
        origin: origin(),
    }
}

/// A request as it was before it had a position in the audit trail.
pub(crate) fn unplaced(mut request: MassRequest) -> MassRequest {
    request.summary.audit = None;
    request
}

/// Variants of a submission.
pub(crate) trait Vary {
    fn keyed(self, text: &str) -> Self;
    fn correcting(self) -> Self;
    fn sent(self, at: Timestamp) -> Self;
}

impl Vary for Submission {
    fn keyed(self, text: &str) -> Self {
        Self { idempotency_key: Some(key(text)), ..self }
    }

    fn correcting(self) -> Self {
        Self { on_conflict: OnConflict::Correct, ..self }
    }

    fn sent(self, at: Timestamp) -> Self {
        Self { id: id_at(at), at, ..self }
    }
}

pub(crate) fn transition(to: Status) -> Transition {
    Transition { to, reason: None, expected: None, actor: actor(), at: at(2_000_000), origin: origin() }
}

pub(crate) fn deletion() -> Deletion {
    Deletion { expected: None, actor: actor(), at: at(3_000_000), origin: origin() }
}
