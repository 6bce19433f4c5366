//! Something that is done to a request, and the event that tells of it.

use mass_domain::access::Actor;
use mass_domain::audit::{Action, NewEvent, Object, Outcome};
use mass_domain::mass_request::Summary;
use mass_domain::time::Timestamp;
use mass_domain::trace::Origin;
use serde_json::Value;

/// Who does something, when and from where.
pub(crate) struct Deed {
    pub(crate) actor: Actor,
    pub(crate) at: Timestamp,
    pub(crate) origin: Origin,
}

impl Deed {
    /// The event of doing this to a request.
    pub(crate) fn event<const N: usize>(
        &self,
        action: Action,
        request: &Summary,
        detail: [(&str, Option<Value>); N],
    ) -> NewEvent {
        let known = detail.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        NewEvent {
            tenant_id: request.tenant_id.clone(),
            at: self.at,
            actor: self.actor,
            action,
            object: Object::MassRequest(request.id),
            outcome: Outcome::Success,
            contract: Some(request.contract),
            input: None,
            output: Some(request.fingerprint),
            origin: self.origin.clone(),
            detail: known.collect(),
        }
    }

    /// Marks a request as changed by this.
    pub(crate) fn touch(&self, request: &mut Summary) {
        request.version += 1;
        request.updated_at = self.at;
    }
}
