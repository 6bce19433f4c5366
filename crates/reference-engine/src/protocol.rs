//! The wire format. docs/engine.md specifies it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::rules::{DOUBTLESS, round};

/// A request for a recommendation. Unknown members are ignored, so that later callers may send more.
#[derive(Debug, Deserialize)]
pub(crate) struct AdviceRequest {
    /// The id of the MASS request.
    pub(crate) request_id: Uuid,
    /// The tenant that owns the request.
    pub(crate) tenant_id: String,
    /// The contract of the document, `name/version`.
    pub(crate) contract: String,
    /// The fingerprint of the document, `sha256:` and 64 hexadecimal digits.
    pub(crate) fingerprint: String,
    /// The mode of operation.
    pub(crate) mode: Mode,
    /// The normalised MASS document.
    pub(crate) document: Map<String, Value>,
}

/// The mode of operation of a request.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// The answer is only read; nothing acts on it.
    Shadow,
}

/// The name, version and policy of the engine.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) policy: &'static str,
}

/// The model of this engine.
pub(crate) const MODEL: Model =
    Model { name: "mass-reference", version: env!("CARGO_PKG_VERSION"), policy: "ashrae-setpoint-steps/1" };

/// The answer to a request.
#[derive(Debug, Serialize)]
pub(crate) struct Advice<'a> {
    /// The id of the answer; equal for equal requests.
    pub(crate) decision_id: Uuid,
    /// The model that answered.
    pub(crate) model: Model,
    /// The fingerprint of the document that the answer is about.
    pub(crate) input_fingerprint: &'a str,
    /// The recommendation itself.
    #[serde(flatten)]
    pub(crate) advice: AdviceContent,
    /// The guardrails that the engine kept.
    pub(crate) guardrails: Guardrails,
}

/// The guardrails that the engine kept. This engine cannot do anything else.
#[derive(Debug, Serialize)]
pub(crate) struct Guardrails {
    pub(crate) shadow_read_only_enforced: bool,
    pub(crate) no_control_actions_enforced: bool,
}

/// The guardrails of every answer.
pub(crate) const GUARDRAILS: Guardrails =
    Guardrails { shadow_read_only_enforced: true, no_control_actions_enforced: true };

/// The part of the answer that depends on the rules.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct AdviceContent {
    /// Confidence of the engine, from 0 to 1.
    pub(crate) confidence: f64,
    /// Risk of following the recommendation, from 0 to 1.
    pub(crate) risk_score: f64,
    /// Estimated effect of following the recommendation for a day.
    pub(crate) estimated_impact_24h: Impact,
    /// Recommended actions.
    pub(crate) actions: Vec<Action>,
    /// Expected values of the site afterwards.
    pub(crate) expected_impact: Expectation,
    /// Reasons for the recommendation.
    pub(crate) explanation: Explanation,
}

/// Estimated effect of following a recommendation for a day. Savings are positive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Impact {
    /// Energy saved in kWh.
    pub(crate) energy_kwh: f64,
    /// Saved cost, in `currency`.
    pub(crate) cost: f64,
    /// The currency of the cost.
    pub(crate) currency: &'static str,
    /// Change of the PUE; negative is better.
    pub(crate) pue_delta: f64,
    /// Greenhouse gases avoided, in kg of CO2 equivalent.
    pub(crate) co2e_kg: f64,
}

impl Impact {
    /// No effect, or an unknown one.
    pub(crate) const NONE: Self = Self { energy_kwh: 0.0, cost: 0.0, currency: "USD", pue_delta: 0.0, co2e_kg: 0.0 };
}

/// Expected values of the site after the actions, where they can be computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Expectation {
    /// The power usage effectiveness.
    pub(crate) pue: Option<f64>,
    /// The power of the whole facility in kW.
    pub(crate) facility_power_kw: Option<f64>,
}

/// A recommended action.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Action {
    /// The type of action.
    #[serde(rename = "type")]
    pub(crate) kind: ActionKind,
    /// The object of the action: the site or device, a slash, and the signal.
    pub(crate) target: String,
    /// The current value, if the action has one.
    pub(crate) current: Option<f64>,
    /// The suggested value.
    pub(crate) suggested: Option<f64>,
    /// The suggested value minus the current one.
    pub(crate) delta: Option<f64>,
    /// The unit of the three values.
    pub(crate) units: Option<&'static str>,
}

impl Action {
    /// Builds the action that changes a temperature.
    pub(crate) fn moving(kind: ActionKind, target: String, current: f64, suggested: f64) -> Self {
        let delta = round(suggested - current, 3);
        let (current, suggested) = (Some(current), Some(suggested));
        Self { kind, target, current, suggested, delta: Some(delta), units: Some("celsius") }
    }

    /// Builds the action to inspect something.
    pub(crate) const fn looking(kind: ActionKind, target: String) -> Self {
        Self { kind, target, current: None, suggested: None, delta: None, units: None }
    }

    /// Builds the action to inspect a temperature.
    pub(crate) const fn looking_at(kind: ActionKind, target: String, celsius: f64) -> Self {
        Self { kind, target, current: Some(celsius), suggested: None, delta: None, units: Some("celsius") }
    }
}

/// The types of action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(Deserialize))]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActionKind {
    /// Raise the cooling setpoint of a site.
    RaiseCoolingSetpoint,
    /// Lower the cooling setpoint of a site.
    LowerCoolingSetpoint,
    /// Raise the temperature of the chilled water.
    RaiseChilledWater,
    /// Lower the temperature of the chilled water.
    LowerChilledWater,
    /// Raise the temperature at a device.
    RaiseTemperature,
    /// Lower the temperature at a device.
    LowerTemperature,
    /// Check whether hot and cold air mix.
    InspectAirflowContainment,
    /// Check whether an unusual temperature is intended and measured correctly.
    ReviewTemperature,
}

/// Reasons for the recommendation.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Explanation {
    /// Text for people.
    pub(crate) narrative: String,
    /// Codes for programs.
    pub(crate) reason_codes: Vec<Reason>,
}

/// A reason code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(Deserialize))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Reason {
    /// The contract has no signals that the engine uses.
    NoSignals,
    /// The device is in a location to which the envelope does not apply.
    DeviceOutOfScope,
    /// The IT load is 0, so there is no PUE.
    ItLoadZero,
    /// The PUE is above its target.
    PueAboveTarget,
    /// The PUE has reached its target.
    PueWithinTarget,
    /// The sent PUE differs from facility power ÷ IT load.
    PueMismatch,
    /// Racks are too hot.
    HotspotsPresent,
    /// The number of racks that are too hot is unknown.
    HotspotsUnknown,
    /// The efficiency of the UPS was not sent.
    UpsEfficiencyUnknown,
    /// A step towards less cooling is recommended.
    StepUp,
    /// A step towards more cooling is recommended.
    StepDown,
    /// The envelope and the hard constraints allow no further step.
    NoStepLeft,
    /// The temperature is below the recommended envelope.
    BelowEnvelope,
    /// The temperature is above the recommended envelope.
    AboveEnvelope,
    /// The saving cannot be computed from a temperature alone.
    SavingUnknown,
    /// The engine does not know a hard constraint.
    ConstraintUnknown,
    /// A known hard constraint is not a number.
    ConstraintUnreadable,
}

impl Reason {
    /// Returns the deduction from the confidence.
    const fn doubt(self) -> f64 {
        match self {
            Self::NoSignals | Self::DeviceOutOfScope => 1.0,
            Self::HotspotsUnknown | Self::SavingUnknown => 0.2,
            Self::PueMismatch | Self::ConstraintUnknown => 0.15,
            Self::UpsEfficiencyUnknown => 0.05,
            Self::ItLoadZero
            | Self::PueAboveTarget
            | Self::PueWithinTarget
            | Self::HotspotsPresent
            | Self::StepUp
            | Self::StepDown
            | Self::NoStepLeft
            | Self::BelowEnvelope
            | Self::AboveEnvelope
            | Self::ConstraintUnreadable => 0.0,
        }
    }
}

/// Computes the confidence. Missing or inconsistent data reduces it.
pub(crate) fn confidence(reasons: &[Reason]) -> f64 {
    let doubts: f64 = reasons.iter().map(|reason| reason.doubt()).sum();
    round((DOUBTLESS - doubts).max(0.0), 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the names of all variants, taken from serde's error message for an unknown variant.
    fn names<T: serde::de::DeserializeOwned + std::fmt::Debug>() -> Vec<String> {
        let told = serde_json::from_value::<T>("?".into()).unwrap_err().to_string();
        told.split('`').skip(3).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn documentation_lists_exactly_the_actions_and_reasons() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/engine.md");
        let page = std::fs::read_to_string(page).unwrap();
        let explained = |heading: &str| -> Vec<String> {
            let (_, section) = page.split_once(heading).unwrap();
            let rows = section.split("\n#").next().unwrap().lines().filter_map(|line| line.strip_prefix("| `"));
            rows.map(|row| row.split('`').next().unwrap().to_owned()).collect()
        };
        assert_eq!(explained("\n### Actions\n"), names::<ActionKind>());
        assert_eq!(explained("\n### Reasons\n"), names::<Reason>());
    }

    #[test]
    fn confidence_decreases_with_missing_data_down_to_0() {
        assert_eq!(confidence(&[Reason::PueAboveTarget]), DOUBTLESS);
        assert_eq!(confidence(&[Reason::HotspotsUnknown]), 0.6);
        assert_eq!(confidence(&[Reason::HotspotsUnknown, Reason::UpsEfficiencyUnknown]), 0.55);
        assert_eq!(confidence(&[Reason::NoSignals, Reason::HotspotsUnknown]), 0.0);
    }
}
