//! Acts that have no other unit of work: refused access, refused credentials, start and stop.

use mass_domain::access::{Actor, Permission, Principal};
use mass_domain::api_keys::KeyPrefix;
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::trace::Origin;
use serde_json::{Map, Value};

use crate::AuditService;

/// Why a recognised caller is refused an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessRefusal {
    /// It lacks this permission.
    Permission(Permission),
    /// It reached for what is another tenant's.
    ForeignTenant,
    /// It is a key whose bounds what it asks for would outlive.
    BoundKey,
    /// It is not of the kind that can do this: a key has no password, for instance.
    WrongKind,
}

/// Why a credential opens nothing. It never holds the credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRefusal {
    /// The reason, in a word.
    pub reason: &'static str,
    /// The public part of an API key.
    pub key: Option<KeyPrefix>,
}

impl AuditService {
    /// Records in the caller's log that it was refused an operation, which is named by method and path pattern, and how many
    /// refusals before it were not recorded.
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
            AccessRefusal::WrongKind => event.with("reason", "wrong_kind_of_caller"),
        })
        .await
    }

    /// Records in MASS's own log that somebody presented a credential that opens nothing.
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

    /// Records in MASS's own log that a server started, with what is particular to it.
    ///
    /// # Errors
    /// [`PortError`] of the store; nothing is recorded then.
    pub async fn started(&self, detail: Map<String, Value>, origin: &Origin) -> Result<(), PortError> {
        self.record(self.of_server(Action::Started, detail, origin)).await
    }

    /// Records in MASS's own log that a server stopped, with what is particular to it.
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
        self.store.record(&tenant, vec![event]).await
    }
}
