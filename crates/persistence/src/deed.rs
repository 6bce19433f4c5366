//! Something that is done to a request, and the event that tells of it.

use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::mass_request::Summary;

/// Does something to a request.
pub(crate) trait Deed {
    /// The event of having done this.
    fn event(&self, action: Action, request: &Summary) -> NewEvent;

    /// Marks a request as changed by this.
    fn touch(&self, request: &mut Summary);
}

impl Deed for Act {
    fn event(&self, action: Action, request: &Summary) -> NewEvent {
        let event = self.done(&request.tenant_id, action, Object::MassRequest(request.id));
        NewEvent { contract: Some(request.contract), output: Some(request.fingerprint), ..event }
    }

    fn touch(&self, request: &mut Summary) {
        request.version += 1;
        request.updated_at = self.at;
    }
}
