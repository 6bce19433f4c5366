//! What the engine recommends: how its answer is read, and whether it kept to the guardrails.
//!
//! MASS does nothing of what is recommended. It stores it, judges it, and shows as valid what breaks no guardrail alone.

mod guardrails;
mod reading;

use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::canonical::Fingerprint;
use crate::contracts::ContractId;
use crate::ids::{DeliveryId, MassRequestId, RecommendationId};
use crate::names::named_enum;
use crate::tenancy::TenantId;
use crate::time::Timestamp;

pub use guardrails::{HardConstraints, check_guardrails};
pub use reading::{MAX_ANSWER_BYTES, MalformedAnswer};

/// The engine's answer, as it goes over the wire (docs/engine.md) and as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    /// The engine's own name for this answer.
    pub decision_id: Uuid,
    /// Who answers.
    pub model: Model,
    /// The fingerprint of the document that was judged.
    #[serde(serialize_with = "as_text")]
    pub input_fingerprint: Fingerprint,
    /// How sure the engine is, from 0 to 1.
    pub confidence: f64,
    /// How much could go wrong in following it, from 0 to 1.
    pub risk_score: f64,
    /// What following it for a day would change.
    pub estimated_impact_24h: Impact,
    /// What to do, in order.
    pub actions: Vec<Action>,
    /// The site's figures afterwards, if they can be told.
    pub expected_impact: Option<Expectation>,
    /// Why.
    pub explanation: Explanation,
    /// What the engine says it kept to.
    pub guardrails: Guardrails,
}

fn as_text<S: Serializer>(fingerprint: &Fingerprint, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(fingerprint)
}

/// Who answers, and by which policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The policy that it follows.
    pub policy: String,
}

/// What following a recommendation for a day would change. Savings are positive.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Impact {
    /// Energy saved, in kWh.
    pub energy_kwh: f64,
    /// Its cost, in `currency`.
    pub cost: f64,
    /// The currency of the cost (ISO 4217).
    pub currency: String,
    /// The PUE's change: less is better.
    pub pue_delta: f64,
    /// Greenhouse gases avoided, in kg of CO2 equivalent.
    pub co2e_kg: f64,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Action {
    /// What.
    #[serde(rename = "type")]
    pub kind: String,
    /// To what: the site or device, a slash, and the signal.
    pub target: String,
    /// The present value, if the action has one.
    pub current: Option<f64>,
    /// The value to try.
    pub suggested: Option<f64>,
    /// Their difference.
    pub delta: Option<f64>,
    /// The unit of all three.
    pub units: Option<String>,
}

impl Action {
    /// The signal that the action is about: what stands behind the last slash of its target.
    #[must_use]
    pub fn signal(&self) -> &str {
        self.target.rsplit_once('/').map_or(&self.target, |(_, signal)| signal)
    }
}

/// The site's figures after the actions, where they can be told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Expectation {
    /// The power usage effectiveness.
    pub pue: Option<f64>,
    /// The power of the whole facility, in kW.
    pub facility_power_kw: Option<f64>,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// For people.
    pub narrative: String,
    /// For programs.
    pub reason_codes: Vec<String>,
}

/// What the engine says it kept to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Guardrails {
    /// The answer was made to be read.
    pub shadow_read_only_enforced: bool,
    /// Nothing is controlled by it.
    pub no_control_actions_enforced: bool,
}

/// The text names no flag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown flag \"{0}\"")]
pub struct UnknownFlag(String);

named_enum!(
    /// Why a recommendation is not valid.
    FlagCode, UnknownFlag {
        /// The engine does not say that the answer is only read.
        ShadowNotEnforced = "shadow_read_only_not_enforced",
        /// The engine does not say that nothing is controlled.
        ControlNotExcluded = "control_actions_not_excluded",
        /// A suggestion breaks a hard constraint of the request.
        HardConstraint = "hard_constraint_broken",
        /// A hard constraint on what is suggested cannot be read, so that nobody can tell whether it is kept.
        UnreadableConstraint = "hard_constraint_unreadable",
        /// The difference is not that between the suggested and the present value.
        DeltaMismatch = "delta_mismatch",
        /// The unit is not the signal's.
        UnitsMismatch = "units_mismatch",
    }
);

/// One reason why a recommendation is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    /// The name of a [`FlagCode`].
    pub code: String,
    /// Where in the answer (JSON Pointer, RFC 6901).
    pub pointer: String,
    /// A sentence for people.
    pub detail: String,
}

/// A stored answer of the engine, with MASS's judgement on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation {
    /// Its id; newer ones have greater ids.
    pub id: RecommendationId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The request that was judged.
    pub request_id: MassRequestId,
    /// The delivery by which the engine was asked.
    pub delivery_id: DeliveryId,
    /// The contract of the request.
    pub contract: ContractId,
    /// The site that the request tells of.
    pub site_id: Option<String>,
    /// The device that the request tells of.
    pub device_id: Option<String>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// What the engine answered.
    pub advice: Advice,
    /// Why it is not valid; a valid one has none.
    pub flags: Vec<Flag>,
    /// How long the engine took for this answer, in milliseconds.
    pub latency_ms: i64,
    /// How long it was to take at most (the request's service level objective), in milliseconds.
    pub slo_ms: Option<i64>,
}

impl Recommendation {
    /// Whether it keeps to every guardrail. What does not may be looked at and never be followed.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.flags.is_empty()
    }

    /// Whether the engine was as fast as the request asked for; `None` if it did not ask.
    #[must_use]
    pub fn slo_met(&self) -> Option<bool> {
        self.slo_ms.map(|objective| self.latency_ms <= objective)
    }
}

/// Which recommendations a list shows. Bounds in time include `from` and exclude `to`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Valid ones alone, or flagged ones alone.
    pub valid: Option<bool>,
    /// Of the model with this name.
    pub model: Option<String>,
    /// On this site.
    pub site_id: Option<String>,
    /// On this device.
    pub device_id: Option<String>,
    /// Stored at or after.
    pub from: Option<Timestamp>,
    /// Stored before.
    pub to: Option<Timestamp>,
}
