//! Recommendations of the engine: parsing the answer, and checking it against the guardrails.
//!
//! MASS never acts on a recommendation. It stores and checks each one, and marks as valid only those that break no
//! guardrail.

mod guardrails;
mod parsing;

use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::canonical::Fingerprint;
use crate::contracts::ContractId;
use crate::ids::{DeliveryId, MassRequestId, RecommendationId};
use crate::names::named_enum;
use crate::tenancy::TenantId;
use crate::time::Timestamp;

pub use guardrails::{HardConstraints, check_guardrails};
pub use parsing::{MAX_ANSWER_BYTES, MalformedAnswer};

/// The engine's answer, in the wire format (docs/engine.md) that is also the storage format.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    /// The engine's id of this answer.
    pub decision_id: Uuid,
    /// The model that answered.
    pub model: Model,
    /// The fingerprint of the document that the answer is about.
    #[serde(serialize_with = "as_text")]
    pub input_fingerprint: Fingerprint,
    /// Confidence of the engine, from 0 to 1.
    pub confidence: f64,
    /// Risk of following the recommendation, from 0 to 1.
    pub risk_score: f64,
    /// Estimated effect of following the recommendation for a day.
    pub estimated_impact_24h: Impact,
    /// Recommended actions, in order.
    pub actions: Vec<Action>,
    /// Expected values of the site afterwards, if the engine can estimate them.
    pub expected_impact: Option<Expectation>,
    /// Reasons for the recommendation.
    pub explanation: Explanation,
    /// Guardrails that the engine declares to have kept.
    pub guardrails: Guardrails,
}

fn as_text<S: Serializer>(fingerprint: &Fingerprint, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(fingerprint)
}

/// The model that answered, and its policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Model {
    /// The model's name.
    pub name: String,
    /// The model's version.
    pub version: String,
    /// The policy that the model follows.
    pub policy: String,
}

/// Estimated effect of following a recommendation for a day. Savings are positive.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Impact {
    /// Energy saved, in kWh.
    pub energy_kwh: f64,
    /// Saved cost, in `currency`.
    pub cost: f64,
    /// The currency of the cost (ISO 4217).
    pub currency: String,
    /// Change of the PUE; negative is better.
    pub pue_delta: f64,
    /// Greenhouse gases avoided, in kg of CO2 equivalent.
    pub co2e_kg: f64,
}

/// A recommended action.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Action {
    /// The type of action.
    #[serde(rename = "type")]
    pub kind: String,
    /// The object of the action: the site or device, a slash, and the signal.
    pub target: String,
    /// The current value, if the action has one.
    pub current: Option<f64>,
    /// The suggested value.
    pub suggested: Option<f64>,
    /// The suggested value minus the current one.
    pub delta: Option<f64>,
    /// The unit of the three values.
    pub units: Option<String>,
}

impl Action {
    /// Returns the signal that the action is about: the text after the last slash of its target.
    #[must_use]
    pub fn signal(&self) -> &str {
        self.target.rsplit_once('/').map_or(&self.target, |(_, signal)| signal)
    }
}

/// Expected values of the site after the actions, as far as the engine can estimate them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Expectation {
    /// The power usage effectiveness.
    pub pue: Option<f64>,
    /// The power of the whole facility, in kW.
    pub facility_power_kw: Option<f64>,
}

/// Reasons for a recommendation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Text for people.
    pub narrative: String,
    /// Codes for programs.
    pub reason_codes: Vec<String>,
}

/// Guardrails that the engine declares to have kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Guardrails {
    /// The answer is read-only (shadow mode).
    pub shadow_read_only_enforced: bool,
    /// The answer controls no equipment.
    pub no_control_actions_enforced: bool,
}

/// Error for an unknown flag name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown flag \"{0}\"")]
pub struct UnknownFlag(String);

named_enum!(
    /// Reason why a recommendation is invalid.
    FlagCode, UnknownFlag {
        /// The engine does not declare the answer read-only.
        ShadowNotEnforced = "shadow_read_only_not_enforced",
        /// The engine does not rule out control actions.
        ControlNotExcluded = "control_actions_not_excluded",
        /// A suggestion breaks a hard constraint of the request.
        HardConstraint = "hard_constraint_broken",
        /// A hard constraint on a suggested value has an invalid value, so it cannot be checked.
        UnreadableConstraint = "hard_constraint_unreadable",
        /// The delta is not the suggested value minus the current one.
        DeltaMismatch = "delta_mismatch",
        /// The unit is not the unit of the signal.
        UnitsMismatch = "units_mismatch",
    }
);

/// A reason why a recommendation is invalid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    /// The name of a [`FlagCode`].
    pub code: String,
    /// The position in the answer (JSON Pointer, RFC 6901).
    pub pointer: String,
    /// A sentence for people.
    pub detail: String,
}

/// A stored answer of the engine, with the result of MASS's check.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation {
    /// The recommendation's id; newer ones have greater ids.
    pub id: RecommendationId,
    /// The tenant that owns it.
    pub tenant_id: TenantId,
    /// The request that it answers.
    pub request_id: MassRequestId,
    /// The delivery that received it.
    pub delivery_id: DeliveryId,
    /// The contract of the request.
    pub contract: ContractId,
    /// The site that the request describes.
    pub site_id: Option<String>,
    /// The device that the request describes.
    pub device_id: Option<String>,
    /// Instant of storage.
    pub created_at: Timestamp,
    /// The engine's answer.
    pub advice: Advice,
    /// Reasons why it is invalid; empty if it is valid.
    pub flags: Vec<Flag>,
    /// Response time of the engine, in milliseconds.
    pub latency_ms: i64,
    /// Service level objective of the request, in milliseconds.
    pub slo_ms: Option<i64>,
}

impl Recommendation {
    /// Tells whether it keeps every guardrail. An invalid recommendation may be shown but must not be followed.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.flags.is_empty()
    }

    /// Tells whether the engine met the service level objective; `None` if the request has none.
    #[must_use]
    pub fn slo_met(&self) -> Option<bool> {
        self.slo_ms.map(|objective| self.latency_ms <= objective)
    }
}

/// Filter of a list of recommendations. Time bounds include `from` and exclude `to`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecommendationFilter {
    /// Only valid ones, or only invalid ones.
    pub valid: Option<bool>,
    /// Only those of the model with this name.
    pub model: Option<String>,
    /// Only those for this site.
    pub site_id: Option<String>,
    /// Only those for this device.
    pub device_id: Option<String>,
    /// Only those stored at or after this instant.
    pub from: Option<Timestamp>,
    /// Only those stored before this instant.
    pub to: Option<Timestamp>,
}
