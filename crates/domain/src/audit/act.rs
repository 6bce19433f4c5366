//! Acts: the actor, time and origin that all events of one call share.

use serde_json::{Map, Value};

use super::{Action, NewEvent, Object, Outcome};
use crate::access::Actor;
use crate::tenancy::TenantId;
use crate::time::Timestamp;
use crate::trace::Origin;

/// The actor, time and origin that all events of one call share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// The actor.
    pub actor: Actor,
    /// The time.
    pub at: Timestamp,
    /// The origin of the call.
    pub origin: Origin,
}

impl Act {
    /// Creates an act.
    #[must_use]
    pub fn new(actor: Actor, at: Timestamp, origin: &Origin) -> Self {
        Self { actor, at, origin: origin.clone() }
    }

    /// Builds the event of a successful action.
    #[must_use]
    pub fn done(&self, tenant: &TenantId, action: Action, object: Object) -> NewEvent {
        self.event(tenant, action, object, Outcome::Success)
    }

    /// Builds the event of a refused action.
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
    /// Adds a detail; see [`detail`](Self::detail) for the allowed values.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(name.to_owned(), value.into());
        self
    }
}
