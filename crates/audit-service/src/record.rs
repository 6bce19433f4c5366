//! Events without a transaction of their own subject: refused access, refused credentials, start and stop.

use mass_domain::access::{Actor, Permission, Principal};
use mass_domain::api_keys::KeyPrefix;
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_domain::trace::Origin;
use serde_json::{Map, Value};

use crate::{AuditService, AuditStore};

/// The reasons for which an authenticated principal is refused an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessRefusal {
    /// It lacks this permission.
    Permission(Permission),
    /// The object belongs to another tenant.
    ForeignTenant,
    /// The caller is a bound API key, and the result would outlive its bounds.
    BoundKey,
    /// The caller has to enrol or prove its second factor first.
    SecondFactor,
    /// The operation is not for this kind of principal: an API key has no password, for example.
    WrongKind,
}

/// A refused credential, described without the credential itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRefusal {
    /// The reason as a stable code.
    pub reason: &'static str,
    /// The public prefix of an API key.
    pub key: Option<KeyPrefix>,
}

impl AuditService {
    /// Records in the principal's log that it was refused an operation, named by method and path pattern, with the
    /// number of earlier refusals that were not recorded.
    ///
    /// # Errors
    /// [`PortError`] of the store; nothing is recorded then.
    pub async fn access_refused(
        &self,
        principal: &Principal,
        refusal: AccessRefusal,
        unrecorded: u64,
        operation: String,
        origin: &Origin,
    ) -> Result<(), PortError> {
        let act = self.act(principal.actor(), origin);
        let mut event = act.refused(principal.tenant(), Action::AccessRefused, Object::Operation(operation));
        if unrecorded > 0 {
            event = event.with("unrecorded", unrecorded);
        }
        self.record(match refusal {
            AccessRefusal::Permission(permission) => event.with("permission", permission.as_str()),
            AccessRefusal::ForeignTenant => event.with("reason", "foreign_tenant"),
            AccessRefusal::BoundKey => event.with("reason", "bound_key"),
            AccessRefusal::SecondFactor => event.with("reason", "second_factor_required"),
            AccessRefusal::WrongKind => event.with("reason", "wrong_kind_of_caller"),
        })
        .await
    }

    /// Records in the principal's log that requests are refused, because the principal, or its whole tenant, sent too many.
    ///
    /// # Errors
    /// [`PortError`] of the store; nothing is recorded then.
    pub async fn throttled(
        &self,
        principal: &Principal,
        is_whole_tenant: bool,
        operation: String,
        origin: &Origin,
    ) -> Result<(), PortError> {
        let tenant = principal.tenant();
        let object = match principal.actor() {
            Actor::User(id) if !is_whole_tenant => Object::User(id),
            Actor::ApiKey(id) if !is_whole_tenant => Object::ApiKey(id),
            Actor::User(_) | Actor::ApiKey(_) | Actor::System | Actor::Anonymous => Object::Tenant(tenant.clone()),
        };
        let event = self.act(principal.actor(), origin).refused(tenant, Action::Throttled, object);
        self.record(event.with("operation", operation)).await
    }

    /// Records in the system tenant's log that a refused credential was presented.
    ///
    /// # Errors
    /// [`PortError`] of the store; nothing is recorded then.
    pub async fn credentials_refused(
        &self,
        refusal: CredentialRefusal,
        operation: String,
        origin: &Origin,
    ) -> Result<(), PortError> {
        let act = self.act(Actor::Anonymous, origin);
        let event = act.refused(&TenantId::system(), Action::CredentialsRefused, Object::Operation(operation));
        let event = event.with("reason", refusal.reason);
        self.record(match &refusal.key {
            Some(prefix) => event.with("key_prefix", prefix.as_str()),
            None => event,
        })
        .await
    }

    /// Records in the system tenant's log that a server started, with details.
    ///
    /// # Errors
    /// [`PortError`] of the store; nothing is recorded then.
    pub async fn started(&self, detail: Map<String, Value>, origin: &Origin) -> Result<(), PortError> {
        self.record(self.of_server(Action::Started, detail, origin)).await
    }

    /// Records in the system tenant's log that a server stopped, with details.
    ///
    /// # Errors
    /// [`PortError`] of the store; nothing is recorded then.
    pub async fn stopped(&self, detail: Map<String, Value>, origin: &Origin) -> Result<(), PortError> {
        self.record(self.of_server(Action::Stopped, detail, origin)).await
    }

    fn of_server(&self, action: Action, detail: Map<String, Value>, origin: &Origin) -> NewEvent {
        let event = self.act(Actor::System, origin).done(&TenantId::system(), action, Object::Server);
        NewEvent { detail, ..event }
    }

    pub(crate) fn act(&self, actor: Actor, origin: &Origin) -> Act {
        Act::new(actor, self.clock.now(), origin)
    }

    async fn record(&self, event: NewEvent) -> Result<(), PortError> {
        let tenant = event.tenant_id.clone();
        self.store.append(&tenant, vec![event]).await
    }
}

/// Records in the system tenant's log that a verified backup was written. It needs no key.
///
/// # Errors
/// [`PortError`] of the store; nothing is recorded then.
pub async fn record_backup(
    store: &dyn AuditStore,
    at: Timestamp,
    detail: Map<String, Value>,
    origin: &Origin,
) -> Result<(), PortError> {
    record_of_database(store, Action::BackedUp, at, detail, origin).await
}

/// Records in the system tenant's log that the database was restored from a backup. It needs no key.
///
/// # Errors
/// [`PortError`] of the store; nothing is recorded then.
pub async fn record_restore(
    store: &dyn AuditStore,
    at: Timestamp,
    detail: Map<String, Value>,
    origin: &Origin,
) -> Result<(), PortError> {
    record_of_database(store, Action::Restored, at, detail, origin).await
}

async fn record_of_database(
    store: &dyn AuditStore,
    action: Action,
    at: Timestamp,
    detail: Map<String, Value>,
    origin: &Origin,
) -> Result<(), PortError> {
    let system = TenantId::system();
    let event = Act::new(Actor::System, at, origin).done(&system, action, Object::Database);
    store.append(&system, vec![NewEvent { detail, ..event }]).await
}
