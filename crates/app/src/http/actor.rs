//! Users, keys and the system, as they are named in answers.

use mass_domain::access::Actor;
use schemars::JsonSchema;
use serde::Serialize;

/// The actor of an operation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Actor")]
pub struct ActorModel {
    /// `user`, `api_key` or `system`.
    pub kind: &'static str,
    /// The user's or API key's id; the system has none.
    #[schemars(extend("format" = "uuid"))]
    pub id: Option<String>,
}

impl From<Actor> for ActorModel {
    fn from(actor: Actor) -> Self {
        Self { kind: actor.kind(), id: actor.id().map(|id| id.to_string()) }
    }
}
