//! Acts: from who did something, when and from where to the events that tell of it.

use serde_json::{Map, Value};

use super::{Action, NewEvent, Object, Outcome};
use crate::access::Actor;
use crate::tenancy::TenantId;
use crate::time::Timestamp;
use crate::trace::Origin;

/// Who does something, when and from where: what all events of one call have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Who.
    pub actor: Actor,
    /// When.
    pub at: Timestamp,
    /// From where.
    pub origin: Origin,
}

impl Act {
    /// An act of somebody.
    #[must_use]
    pub fn new(actor: Actor, at: Timestamp, origin: &Origin) -> Self {
        Self { actor, at, origin: origin.clone() }
    }

    /// The event of having done this.
    #[must_use]
    pub fn done(&self, tenant: &TenantId, action: Action, object: Object) -> NewEvent {
        self.event(tenant, action, object, Outcome::Success)
    }

    /// The event of not having been allowed to do this.
    #[must_use]
    pub fn refused(&self, tenant: &TenantId, action: Action, object: Object) -> NewEvent {
        self.event(tenant, action, object, Outcome::Refused)
    }

    fn event(&self, tenant: &TenantId, action: Action, object: Object, outcome: Outcome) -> NewEvent {
        NewEvent {
            tenant_id: tenant.clone(),
            at: self.at,
            actor: self.actor,
            action,
            object,
            outcome,
            contract: None,
            input: None,
            output: None,
            origin: self.origin.clone(),
            detail: Map::new(),
        }
    }
}

impl NewEvent {
    /// With something that is particular to it; see [`detail`](Self::detail) for what may stand there.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(name.to_owned(), value.into());
        self
    }
}
