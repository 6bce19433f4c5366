//! MASS's own check of an answer. The engine's declaration that it kept the guardrails is not enough.

use super::{Action, Advice, Flag, FlagCode};
use crate::json::Value;

/// Tolerance of differences between values: engines round to three decimals.
const TOLERANCE: f64 = 0.001_5;

/// The hard constraints of a request: `constraints.hard`.
///
/// For each signal of an action's target, such as `cooling_setpoint_c`, MASS evaluates these members:
///
/// - `min_<signal>` and `max_<signal>`: inclusive bounds of the suggested value, as numbers;
/// - `<signal>`: an object with `min`, `max` or both, with the same meaning;
/// - `max_setpoint_step_c`: the largest allowed change of a temperature, in °C.
///
/// Other members do not concern suggested values. MASS only stores them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HardConstraints(Vec<(String, Value)>);

impl HardConstraints {
    /// Reads the hard constraints of a normalised document; empty if it has none.
    #[must_use]
    pub fn of(document: &Value) -> Self {
        match document.pointer("/request/constraints/hard") {
            Some(Value::Object(members)) => Self(members.clone()),
            Some(_) | None => Self::default(),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find_map(|(member, value)| (member == name).then_some(value))
    }

    /// Returns the bounds of a signal.
    fn on(&self, signal: &str) -> Result<Bounds, InvalidConstraint> {
        let (least_name, greatest_name) = (format!("min_{signal}"), format!("max_{signal}"));
        let mut bounds = Bounds::default();
        bounds.least(self.number(&least_name)?);
        bounds.greatest(self.number(&greatest_name)?);
        match self.get(signal) {
            None => {}
            Some(Value::Object(members)) => {
                for (name, value) in members {
                    match (name.as_str(), value) {
                        ("min", Value::Number(number)) => bounds.least(Some(number.value())),
                        ("max", Value::Number(number)) => bounds.greatest(Some(number.value())),
                        _ => return Err(InvalidConstraint),
                    }
                }
            }
            Some(_) => return Err(InvalidConstraint),
        }
        Ok(bounds)
    }

    fn number(&self, name: &str) -> Result<Option<f64>, InvalidConstraint> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number.value())),
            Some(_) => Err(InvalidConstraint),
        }
    }
}

/// Error for a known constraint with an invalid value.
struct InvalidConstraint;

/// Inclusive bounds of a suggested value.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    least: f64,
    greatest: f64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { least: f64::NEG_INFINITY, greatest: f64::INFINITY }
    }
}

impl Bounds {
    fn least(&mut self, bound: Option<f64>) {
        self.least = self.least.max(bound.unwrap_or(f64::NEG_INFINITY));
    }

    fn greatest(&mut self, bound: Option<f64>) {
        self.greatest = self.greatest.min(bound.unwrap_or(f64::INFINITY));
    }
}

/// Lists every reason why an answer is invalid; empty for a valid answer.
#[must_use]
pub fn check_guardrails(advice: &Advice, hard: &HardConstraints) -> Vec<Flag> {
    let mut flags = Vec::new();
    if !advice.guardrails.shadow_read_only_enforced {
        let detail = "The engine does not declare the recommendation read-only.";
        flags.push(flag(FlagCode::ShadowNotEnforced, "/guardrails/shadow_read_only_enforced", detail));
    }
    if !advice.guardrails.no_control_actions_enforced {
        let detail = "The engine does not exclude control actions.";
        flags.push(flag(FlagCode::ControlNotExcluded, "/guardrails/no_control_actions_enforced", detail));
    }
    for (index, action) in advice.actions.iter().enumerate() {
        check_action(action, hard, &format!("/actions/{index}"), &mut flags);
    }
    flags
}

fn check_action(action: &Action, hard: &HardConstraints, pointer: &str, flags: &mut Vec<Flag>) {
    let signal = action.signal();
    let is_temperature = signal.ends_with("_c");
    let has_figures = [action.current, action.suggested, action.delta].iter().any(Option::is_some);
    if has_figures && (action.units.is_none() || is_temperature && action.units.as_deref() != Some("celsius")) {
        let detail = if is_temperature {
            "Expected the unit celsius for a temperature."
        } else {
            "Expected a unit for the values."
        };
        flags.push(flag(FlagCode::UnitsMismatch, &format!("{pointer}/units"), detail));
    }
    let difference = action.suggested.zip(action.current).map(|(suggested, current)| suggested - current);
    let fits = |delta: f64| difference.is_some_and(|difference| (delta - difference).abs() <= TOLERANCE);
    if action.delta.is_some_and(|delta| !fits(delta)) {
        let detail = "The delta is not the suggested value minus the current one.";
        flags.push(flag(FlagCode::DeltaMismatch, &format!("{pointer}/delta"), detail));
    }
    let suggested = format!("{pointer}/suggested");
    if let Some(value) = action.suggested {
        match hard.on(signal) {
            Ok(bounds) if value < bounds.least => {
                let detail = format!("The suggested value is below the minimum of the request: {}.", bounds.least);
                flags.push(flag(FlagCode::HardConstraint, &suggested, &detail));
            }
            Ok(bounds) if value > bounds.greatest => {
                let detail = format!("The suggested value exceeds the maximum of the request: {}.", bounds.greatest);
                flags.push(flag(FlagCode::HardConstraint, &suggested, &detail));
            }
            Ok(_) => {}
            Err(InvalidConstraint) => flags.push(unreadable(&suggested)),
        }
    }
    // Uses the larger of the declared and the computed step, so that an engine cannot hide a large step in one of them.
    let step = [action.delta, difference].into_iter().flatten().map(f64::abs).reduce(f64::max);
    if let Some(step) = step.filter(|step| is_temperature && *step > 0.0) {
        match hard.number("max_setpoint_step_c") {
            Ok(Some(largest)) if step > largest + TOLERANCE => {
                let detail = format!("The step exceeds the maximum of the request: {largest} °C.");
                flags.push(flag(FlagCode::HardConstraint, &format!("{pointer}/delta"), &detail));
            }
            Ok(_) => {}
            Err(InvalidConstraint) => flags.push(unreadable(&format!("{pointer}/delta"))),
        }
    }
}

fn unreadable(pointer: &str) -> Flag {
    flag(FlagCode::UnreadableConstraint, pointer, "The hard constraint of the request on this value is invalid.")
}

fn flag(code: FlagCode, pointer: &str, detail: &str) -> Flag {
    Flag { code: code.as_str().to_owned(), pointer: pointer.to_owned(), detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::Fingerprint;
    use crate::json;
    use crate::recommendation::{Explanation, Guardrails, Impact, Model};

    fn constraints(hard: &str) -> HardConstraints {
        let document = format!(r#"{{"request":{{"constraints":{{"hard":{hard}}}}}}}"#);
        HardConstraints::of(&json::parse(document.as_bytes()).unwrap())
    }

    fn raise(current: f64, suggested: f64) -> Action {
        Action {
            kind: "raise_cooling_setpoint".to_owned(),
            target: "tampa-1/cooling_setpoint_c".to_owned(),
            current: Some(current),
            suggested: Some(suggested),
            delta: Some(suggested - current),
            units: Some("celsius".to_owned()),
        }
    }

    fn advice(action: Action) -> Advice {
        let currency = "USD".to_owned();
        Advice {
            decision_id: uuid::Uuid::from_u128(1),
            model: Model { name: "m".to_owned(), version: "1".to_owned(), policy: "p".to_owned() },
            input_fingerprint: Fingerprint::of(""),
            confidence: 0.5,
            risk_score: 0.5,
            estimated_impact_24h: Impact { energy_kwh: 0.0, cost: 0.0, currency, pue_delta: 0.0, co2e_kg: 0.0 },
            actions: vec![action],
            expected_impact: None,
            explanation: Explanation { narrative: String::new(), reason_codes: Vec::new() },
            guardrails: Guardrails { shadow_read_only_enforced: true, no_control_actions_enforced: true },
        }
    }

    fn codes(action: Action, hard: &str) -> Vec<String> {
        check_guardrails(&advice(action), &constraints(hard)).into_iter().map(|flag| flag.code).collect()
    }

    #[test]
    fn answer_within_the_constraints_is_valid() {
        for hard in [
            "{}",
            r#"{"no_control_actions":true,"max_noise_db":"loud"}"#,
            r#"{"min_cooling_setpoint_c":23,"max_cooling_setpoint_c":23,"max_setpoint_step_c":1}"#,
            r#"{"cooling_setpoint_c":{"min":18,"max":24}}"#,
            r#"{"max_chilled_water_temp_c":5}"#,
        ] {
            assert_eq!(codes(raise(22.0, 23.0), hard), [""; 0], "{hard}");
        }
        let look = Action { current: None, suggested: None, delta: None, units: None, ..raise(1.0, 2.0) };
        assert_eq!(codes(look, r#"{"max_cooling_setpoint_c":0}"#), [""; 0]);
    }

    #[test]
    fn flags_suggestions_outside_hard_constraints() {
        for hard in [
            r#"{"max_cooling_setpoint_c":22.9}"#,
            r#"{"min_cooling_setpoint_c":23.1}"#,
            r#"{"cooling_setpoint_c":{"max":22.9}}"#,
            r#"{"cooling_setpoint_c":{"min":23.1}}"#,
            r#"{"max_cooling_setpoint_c":30,"cooling_setpoint_c":{"max":22.9}}"#,
            r#"{"max_setpoint_step_c":0.5}"#,
        ] {
            assert_eq!(codes(raise(22.0, 23.0), hard), ["hard_constraint_broken"], "{hard}");
        }
        let hidden = Action { current: None, ..raise(22.0, 23.0) };
        assert_eq!(codes(hidden, r#"{"max_setpoint_step_c":0.5}"#), ["delta_mismatch", "hard_constraint_broken"]);
    }

    #[test]
    fn flags_suggestions_whose_constraint_is_invalid() {
        for hard in [
            r#"{"max_cooling_setpoint_c":"24"}"#,
            r#"{"cooling_setpoint_c":24}"#,
            r#"{"cooling_setpoint_c":{"max":24,"unit":"celsius"}}"#,
            r#"{"max_setpoint_step_c":null}"#,
        ] {
            assert_eq!(codes(raise(22.0, 23.0), hard), ["hard_constraint_unreadable"], "{hard}");
        }
    }

    #[test]
    fn flags_inconsistent_deltas_and_units() {
        let action = || raise(22.4, 22.9);
        assert_eq!(codes(Action { delta: Some(0.501), ..action() }, "{}"), [""; 0]);
        assert_eq!(codes(Action { delta: Some(0.4), ..action() }, "{}"), ["delta_mismatch"]);
        assert_eq!(codes(Action { suggested: None, ..action() }, "{}"), ["delta_mismatch"]);
        assert_eq!(codes(Action { units: Some("fahrenheit".to_owned()), ..action() }, "{}"), ["units_mismatch"]);
        assert_eq!(codes(Action { units: None, ..action() }, "{}"), ["units_mismatch"]);
        let power = Action { target: "a/power_kw".to_owned(), units: Some("kilowatt".to_owned()), ..action() };
        assert_eq!(codes(power, "{}"), [""; 0]);
    }

    #[test]
    fn flags_answers_that_do_not_exclude_control() {
        let mut advice = advice(raise(22.0, 23.0));
        advice.guardrails = Guardrails { shadow_read_only_enforced: false, no_control_actions_enforced: false };
        let flags = check_guardrails(&advice, &HardConstraints::default());
        let told: Vec<_> = flags.iter().map(|flag| (flag.code.as_str(), flag.pointer.as_str())).collect();
        let expected = [
            ("shadow_read_only_not_enforced", "/guardrails/shadow_read_only_enforced"),
            ("control_actions_not_excluded", "/guardrails/no_control_actions_enforced"),
        ];
        assert_eq!(told, expected);
    }
}
