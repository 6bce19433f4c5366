//! What goes over the wire, as docs/engine.md explains it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::rules::{DOUBTLESS, round};

/// What a caller asks. Members that are not named here are left aside, so that callers may come to say more.
#[derive(Debug, Deserialize)]
pub(crate) struct AdviceRequest {
    /// The MASS request.
    pub(crate) request_id: Uuid,
    /// Whose it is.
    pub(crate) tenant_id: String,
    /// The contract of the document, `name/version`.
    pub(crate) contract: String,
    /// The fingerprint of the document, `sha256:` and 64 hexadecimal digits.
    pub(crate) fingerprint: String,
    /// How the answer is used.
    pub(crate) mode: Mode,
    /// The normalised MASS document.
    pub(crate) document: Map<String, Value>,
}

/// How an answer is used.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// It is read, and nothing is done.
    Shadow,
}

/// What this engine is.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) policy: &'static str,
}

/// This engine.
pub(crate) const MODEL: Model =
    Model { name: "mass-reference", version: env!("CARGO_PKG_VERSION"), policy: "ashrae-setpoint-steps/1" };

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Advice<'a> {
    /// Identifies the answer: the same for the same request.
    pub(crate) decision_id: Uuid,
    /// Who answers.
    pub(crate) model: Model,
    /// The fingerprint of the document that was judged.
    pub(crate) input_fingerprint: &'a str,
    /// What is recommended, and why.
    #[serde(flatten)]
    pub(crate) advice: AdviceContent,
    /// What was kept to.
    pub(crate) guardrails: Guardrails,
}

/// What was kept to. This engine has no way to do anything else.
#[derive(Debug, Serialize)]
pub(crate) struct Guardrails {
    pub(crate) shadow_read_only_enforced: bool,
    pub(crate) no_control_actions_enforced: bool,
}

/// The guardrails of every answer.
pub(crate) const GUARDRAILS: Guardrails =
    Guardrails { shadow_read_only_enforced: true, no_control_actions_enforced: true };

/// What is recommended, and why.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct AdviceContent {
    /// How sure the engine is, from 0 to 1.
    pub(crate) confidence: f64,
    /// How much could go wrong in following it, from 0 to 1.
    pub(crate) risk_score: f64,
    /// What following it for a day would change.
    pub(crate) estimated_impact_24h: Impact,
    /// What to do.
    pub(crate) actions: Vec<Action>,
    /// The site's figures afterwards.
    pub(crate) expected_impact: Expectation,
    /// Why.
    pub(crate) explanation: Explanation,
}

/// What following a recommendation for a day would change. Savings are positive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Impact {
    /// Energy saved in kWh.
    pub(crate) energy_kwh: f64,
    /// Its cost, in `currency`.
    pub(crate) cost: f64,
    /// The currency of the cost.
    pub(crate) currency: &'static str,
    /// The PUE's change: less is better.
    pub(crate) pue_delta: f64,
    /// Greenhouse gases avoided, in kg of CO2 equivalent.
    pub(crate) co2e_kg: f64,
}

impl Impact {
    /// Nothing changes, or how much cannot be told.
    pub(crate) const NONE: Self = Self { energy_kwh: 0.0, cost: 0.0, currency: "USD", pue_delta: 0.0, co2e_kg: 0.0 };
}

/// The site's figures after the actions, where they can be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Expectation {
    /// The power usage effectiveness.
    pub(crate) pue: Option<f64>,
    /// The power of the whole facility in kW.
    pub(crate) facility_power_kw: Option<f64>,
}

/// Something to do.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Action {
    /// What.
    #[serde(rename = "type")]
    pub(crate) kind: ActionKind,
    /// To what: the site or device, a slash, and the signal.
    pub(crate) target: String,
    /// The present value, if the action has one.
    pub(crate) current: Option<f64>,
    /// The value to try.
    pub(crate) suggested: Option<f64>,
    /// Their difference.
    pub(crate) delta: Option<f64>,
    /// The unit of all three.
    pub(crate) units: Option<&'static str>,
}

impl Action {
    /// Moves a temperature.
    pub(crate) fn moving(kind: ActionKind, target: String, current: f64, suggested: f64) -> Self {
        let delta = round(suggested - current, 3);
        let (current, suggested) = (Some(current), Some(suggested));
        Self { kind, target, current, suggested, delta: Some(delta), units: Some("celsius") }
    }

    /// Looks into something.
    pub(crate) const fn looking(kind: ActionKind, target: String) -> Self {
        Self { kind, target, current: None, suggested: None, delta: None, units: None }
    }

    /// Looks into a temperature.
    pub(crate) const fn looking_at(kind: ActionKind, target: String, celsius: f64) -> Self {
        Self { kind, target, current: Some(celsius), suggested: None, delta: None, units: Some("celsius") }
    }
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(Deserialize))]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActionKind {
    /// Set the cooling of a site higher.
    RaiseCoolingSetpoint,
    /// Set the cooling of a site lower.
    LowerCoolingSetpoint,
    /// Let the chilled water be warmer.
    RaiseChilledWater,
    /// Let the chilled water be colder.
    LowerChilledWater,
    /// Let it become warmer where a device measures.
    RaiseTemperature,
    /// Let it become colder where a device measures.
    LowerTemperature,
    /// See whether hot and cold air mix.
    InspectAirflowContainment,
    /// See whether a temperature so far out is meant, and measured right.
    ReviewTemperature,
}

/// Why.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Explanation {
    /// For people.
    pub(crate) narrative: String,
    /// For programs.
    pub(crate) reason_codes: Vec<Reason>,
}

/// Why, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(Deserialize))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Reason {
    /// The contract has no signals that the engine knows.
    NoSignals,
    /// The device does not stand where the envelope applies.
    DeviceOutOfScope,
    /// Without an IT load there is no PUE to better.
    ItLoadZero,
    /// The PUE is above its target.
    PueAboveTarget,
    /// The PUE has reached its target.
    PueWithinTarget,
    /// The PUE that was sent is not facility power ÷ IT load.
    PueMismatch,
    /// Racks are too hot.
    HotspotsPresent,
    /// Nobody counted the racks that are too hot.
    HotspotsUnknown,
    /// The efficiency of the UPS was not sent.
    UpsEfficiencyUnknown,
    /// A step is recommended towards less cooling.
    StepUp,
    /// A step is recommended towards more cooling.
    StepDown,
    /// No step is left within the envelope and the hard constraints.
    NoStepLeft,
    /// The temperature is colder than recommended.
    BelowEnvelope,
    /// The temperature is warmer than recommended.
    AboveEnvelope,
    /// What a step would save cannot be told from a temperature alone.
    SavingUnknown,
    /// A hard constraint has a name that the engine does not know.
    ConstraintUnknown,
    /// A hard constraint that the engine knows is no number.
    ConstraintUnreadable,
}

impl Reason {
    /// How much it takes from the confidence.
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

/// How sure the engine is for these reasons: what was not sent, or does not fit together, takes from it.
pub(crate) fn confidence(reasons: &[Reason]) -> f64 {
    let doubts: f64 = reasons.iter().map(|reason| reason.doubt()).sum();
    round((DOUBTLESS - doubts).max(0.0), 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of all variants, which serde tells when it is shown none of them.
    fn names<T: serde::de::DeserializeOwned + std::fmt::Debug>() -> Vec<String> {
        let told = serde_json::from_value::<T>("?".into()).unwrap_err().to_string();
        told.split('`').skip(3).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_documentation_explains_every_action_and_reason_and_no_other() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/engine.md");
        let page = std::fs::read_to_string(page).unwrap();
        let explained = |heading: &str| -> Vec<String> {
            let (_, section) = page.split_once(heading).unwrap();
            let rows = section.split("\n#").next().unwrap().lines().filter_map(|line| line.strip_prefix("| `"));
            rows.map(|row| row.split('`').next().unwrap().to_owned()).collect()
        };
        assert_eq!(explained("\n### Its actions\n"), names::<ActionKind>());
        assert_eq!(explained("\n### Its reasons\n"), names::<Reason>());
    }

    #[test]
    fn confidence_falls_with_what_is_missing_and_never_below_none() {
        assert_eq!(confidence(&[Reason::PueAboveTarget]), DOUBTLESS);
        assert_eq!(confidence(&[Reason::HotspotsUnknown]), 0.6);
        assert_eq!(confidence(&[Reason::HotspotsUnknown, Reason::UpsEfficiencyUnknown]), 0.55);
        assert_eq!(confidence(&[Reason::NoSignals, Reason::HotspotsUnknown]), 0.0);
    }
}
