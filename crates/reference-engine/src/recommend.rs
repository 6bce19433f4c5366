//! Recommendations from signals.

use crate::protocol::{Action, ActionKind, AdviceContent, Expectation, Explanation, Impact, Reason, confidence};
use crate::rules::{
    self, BoundedTemperature, CHILLED_WATER, Direction, FULL_STEP, GRID_KG_CO2E_PER_KWH, HALF_STEP, LEAST_APPROACH,
    MARGIN, PUE_TOLERANCE, RECOMMENDED_AIR, RISK_OF_LOOKING, TemperatureRange, WARM_WITH_HOTSPOTS, round,
};
use crate::signals::{DeviceReading, Signals, Site};

/// Prefixes of the device types to which ASHRAE's envelope applies. MASS uses the same list.
const INDOORS: [&str; 5] = ["rack", "server", "room", "crac", "crah"];

/// Computes the recommendation.
pub(crate) fn advise(signals: &Signals) -> AdviceContent {
    match signals {
        Signals::Free => no_change(vec![Reason::NoSignals]),
        Signals::Device(reading) => for_device(reading),
        Signals::Enterprise(site) => for_site(site),
    }
}

/// A change of temperature in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    direction: Direction,
    degrees: f64,
}

impl Step {
    /// Returns the temperature after the step.
    fn from(self, celsius: f64) -> f64 {
        let delta = match self.direction {
            Direction::Up => self.degrees,
            Direction::Down => -self.degrees,
        };
        round(celsius + delta, 3)
    }

    const fn reason(self) -> Reason {
        match self.direction {
            Direction::Up => Reason::StepUp,
            Direction::Down => Reason::StepDown,
        }
    }
}

fn no_change(reasons: Vec<Reason>) -> AdviceContent {
    AdviceContent {
        confidence: confidence(&reasons),
        risk_score: 0.0,
        estimated_impact_24h: Impact::NONE,
        actions: Vec::new(),
        expected_impact: Expectation::default(),
        explanation: explanation("No change is recommended.", reasons),
    }
}

fn for_device(reading: &DeviceReading) -> AdviceContent {
    let device_type = reading.device_type.to_ascii_lowercase();
    if !INDOORS.iter().any(|prefix| device_type.starts_with(prefix)) {
        return no_change(vec![Reason::DeviceOutOfScope]);
    }
    let celsius = reading.celsius;
    let mut reasons: Vec<Reason> = outside_envelope(celsius).into_iter().collect();
    let step = device_step(celsius);
    match step {
        Some(step) => reasons.extend([step.reason(), Reason::SavingUnknown]),
        None => reasons.push(Reason::NoStepLeft),
    }
    AdviceContent {
        confidence: confidence(&reasons),
        risk_score: risk(step, celsius, true),
        estimated_impact_24h: Impact::NONE,
        actions: device_actions(reading, step),
        expected_impact: Expectation::default(),
        explanation: explanation(&device_sentence(celsius, step), reasons),
    }
}

/// Chooses the step for a device. A single reading is little evidence, so within the envelope half a degree is the
/// most.
fn device_step(celsius: f64) -> Option<Step> {
    let (direction, within, largest) = match outside_envelope(celsius) {
        Some(Reason::AboveEnvelope) => (Direction::Down, RECOMMENDED_AIR, FULL_STEP),
        Some(_) => (Direction::Up, RECOMMENDED_AIR, FULL_STEP),
        None => (Direction::Up, RECOMMENDED_AIR.below_end(MARGIN), HALF_STEP),
    };
    let degrees = rules::common_step(&[BoundedTemperature { celsius, within }], direction, largest)?;
    Some(Step { direction, degrees })
}

fn device_actions(reading: &DeviceReading, step: Option<Step>) -> Vec<Action> {
    let target = || format!("{}/temperature_celsius", reading.device);
    let celsius = reading.celsius;
    let mut actions = Vec::new();
    match step {
        Some(step) => {
            let kind = match step.direction {
                Direction::Up => ActionKind::RaiseTemperature,
                Direction::Down => ActionKind::LowerTemperature,
            };
            actions.push(Action::moving(kind, target(), celsius, step.from(celsius)));
        }
        None if outside_envelope(celsius).is_some() => {
            actions.push(Action::looking_at(ActionKind::ReviewTemperature, target(), celsius));
        }
        None => {}
    }
    if celsius > RECOMMENDED_AIR.greatest {
        actions.push(Action::looking(ActionKind::InspectAirflowContainment, format!("{}/airflow", reading.device)));
    }
    actions
}

fn device_sentence(celsius: f64, step: Option<Step>) -> String {
    match step {
        Some(step) => format!("The device measures {celsius} °C; {} °C is worth trying.", step.from(celsius)),
        None => format!("The device measures {celsius} °C; no other temperature is suggested."),
    }
}

fn for_site(site: &Site) -> AdviceContent {
    let pue = rules::pue(site.facility_power_kw, site.it_load_kw);
    let (step, mut reasons) = site_step(site, pue);
    reasons.extend(doubts(site, pue));
    let saving_kw = step.map_or(0.0, |step| {
        let Site { it_load_kw, facility_power_kw, cop, ups_efficiency, .. } = *site;
        let chiller = rules::chiller_power(it_load_kw, facility_power_kw, cop, ups_efficiency);
        rules::saving(chiller, step.direction, step.degrees)
    });
    AdviceContent {
        confidence: confidence(&reasons),
        risk_score: risk(step, site.setpoint, site.hotspots == Some(0.0)).max(risk_of_hotspots(site)),
        estimated_impact_24h: impact(site, saving_kw),
        actions: site_actions(site, step),
        expected_impact: expectation(site, saving_kw),
        explanation: explanation(&site_sentence(site, step, saving_kw), reasons),
    }
}

/// Chooses the step for a site, with the reasons for it or for having none.
fn site_step(site: &Site, pue: Option<f64>) -> (Option<Step>, Vec<Reason>) {
    let Some(pue) = pue else { return (None, vec![Reason::ItLoadZero]) };
    let gap = pue - site.pue_target;
    let mut reasons = vec![if gap > 0.0 { Reason::PueAboveTarget } else { Reason::PueWithinTarget }];
    reasons.extend(outside_envelope(site.setpoint));
    let wanted = if has_hotspots(site) {
        reasons.push(Reason::HotspotsPresent);
        (site.setpoint > WARM_WITH_HOTSPOTS).then_some((Direction::Down, FULL_STEP))
    } else if site.setpoint > RECOMMENDED_AIR.greatest {
        Some((Direction::Down, FULL_STEP))
    } else {
        rules::step_for_gap(gap, site.hotspots.is_some()).map(|largest| (Direction::Up, largest))
    };
    let step = wanted.and_then(|(direction, largest)| allowed_step(site, direction, largest));
    reasons.extend(match (wanted, step) {
        (_, Some(step)) => Some(step.reason()),
        (Some(_), None) => Some(Reason::NoStepLeft),
        (None, None) => None,
    });
    (step, reasons)
}

/// Returns the largest step that the envelope and the hard constraints allow.
fn allowed_step(site: &Site, direction: Direction, largest: f64) -> Option<Step> {
    let constraints = site.constraints;
    if constraints.unreadable || site.setpoint - site.chilled_water < LEAST_APPROACH {
        return None;
    }
    let air = match direction {
        Direction::Up => RECOMMENDED_AIR.below_end(MARGIN),
        Direction::Down => RECOMMENDED_AIR,
    };
    let bounded = |celsius: f64, within: TemperatureRange| BoundedTemperature { celsius, within };
    let all = [
        bounded(site.setpoint, air.and(constraints.setpoint)),
        bounded(site.chilled_water, CHILLED_WATER.and(constraints.chilled_water)),
    ];
    let degrees = rules::common_step(&all, direction, largest.min(constraints.largest_step))?;
    Some(Step { direction, degrees })
}

/// Lists missing and inconsistent data.
fn doubts(site: &Site, pue: Option<f64>) -> Vec<Reason> {
    let mismatch = pue.is_some_and(|pue| (site.pue_sent - pue).abs() > PUE_TOLERANCE * pue);
    [
        (mismatch, Reason::PueMismatch),
        (site.hotspots.is_none(), Reason::HotspotsUnknown),
        (site.ups_efficiency.is_none(), Reason::UpsEfficiencyUnknown),
        (site.constraints.unknown, Reason::ConstraintUnknown),
        (site.constraints.unreadable, Reason::ConstraintUnreadable),
    ]
    .into_iter()
    .filter_map(|(is_so, reason)| is_so.then_some(reason))
    .collect()
}

fn site_actions(site: &Site, step: Option<Step>) -> Vec<Action> {
    let target = |signal: &str| format!("{}/{signal}", site.name);
    let mut actions = Vec::new();
    match step {
        Some(step) => {
            let (air, water) = match step.direction {
                Direction::Up => (ActionKind::RaiseCoolingSetpoint, ActionKind::RaiseChilledWater),
                Direction::Down => (ActionKind::LowerCoolingSetpoint, ActionKind::LowerChilledWater),
            };
            let moving = |kind, signal, celsius| Action::moving(kind, target(signal), celsius, step.from(celsius));
            actions.push(moving(air, "cooling_setpoint_c", site.setpoint));
            actions.push(moving(water, "chilled_water_temp_c", site.chilled_water));
        }
        None if outside_envelope(site.setpoint).is_some() => {
            let target = target("cooling_setpoint_c");
            actions.push(Action::looking_at(ActionKind::ReviewTemperature, target, site.setpoint));
        }
        None => {}
    }
    if has_hotspots(site) {
        actions.push(Action::looking(ActionKind::InspectAirflowContainment, target("airflow")));
    }
    actions
}

/// Computes the daily effect of a saving.
fn impact(site: &Site, saving_kw: f64) -> Impact {
    let energy_kwh = rules::energy_a_day(saving_kw);
    Impact {
        energy_kwh: round(energy_kwh, 3),
        cost: round(energy_kwh * site.usd_per_kwh, 2),
        currency: "USD",
        pue_delta: if site.it_load_kw > 0.0 { round(-saving_kw / site.it_load_kw, 4) } else { 0.0 },
        co2e_kg: round(energy_kwh * GRID_KG_CO2E_PER_KWH, 3),
    }
}

fn expectation(site: &Site, saving_kw: f64) -> Expectation {
    let facility_power_kw = site.facility_power_kw - saving_kw;
    Expectation {
        pue: rules::pue(facility_power_kw, site.it_load_kw).map(|pue| round(pue, 4)),
        facility_power_kw: Some(round(facility_power_kw, 3)),
    }
}

fn site_sentence(site: &Site, step: Option<Step>, saving_kw: f64) -> String {
    let Site { setpoint, chilled_water, .. } = *site;
    let Some(step) = step else {
        return format!("No change of the cooling setpoint of {setpoint} °C is recommended.");
    };
    let effect = match step.direction {
        Direction::Up => format!("save about {:.1} kW", saving_kw),
        Direction::Down => format!("cost about {:.1} kW", -saving_kw),
    };
    let (air, water) = (step.from(setpoint), step.from(chilled_water));
    format!(
        "A cooling setpoint of {air} °C instead of {setpoint} °C, with chilled water of {water} °C instead of \
         {chilled_water} °C, would {effect}."
    )
}

fn has_hotspots(site: &Site) -> bool {
    site.hotspots.is_some_and(|count| count > 0.0)
}

fn outside_envelope(celsius: f64) -> Option<Reason> {
    if celsius < RECOMMENDED_AIR.least {
        Some(Reason::BelowEnvelope)
    } else if celsius > RECOMMENDED_AIR.greatest {
        Some(Reason::AboveEnvelope)
    } else {
        None
    }
}

fn risk(step: Option<Step>, celsius: f64, no_hotspots: bool) -> f64 {
    match step {
        Some(step) => rules::risk_of_step(step.direction, step.from(celsius), no_hotspots),
        None if outside_envelope(celsius).is_some() => RISK_OF_LOOKING,
        None => 0.0,
    }
}

fn risk_of_hotspots(site: &Site) -> f64 {
    if has_hotspots(site) { RISK_OF_LOOKING } else { 0.0 }
}

/// Builds the explanation: the recommendation, and a sentence for each reason that has one.
fn explanation(recommended: &str, reasons: Vec<Reason>) -> Explanation {
    let because = reasons.iter().filter_map(|reason| sentence(*reason));
    let narrative = std::iter::once(recommended).chain(because).collect::<Vec<_>>().join(" ");
    Explanation { narrative, reason_codes: reasons }
}

const fn sentence(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::NoSignals => Some("The document has no signals that this engine knows."),
        Reason::DeviceOutOfScope => {
            Some("ASHRAE's envelope for equipment does not apply to the location of the device.")
        }
        Reason::ItLoadZero => Some("The IT load is 0, so there is no PUE to improve."),
        Reason::PueAboveTarget => Some("The PUE is above its target."),
        Reason::PueWithinTarget => Some("The PUE has reached its target."),
        Reason::PueMismatch => Some("The sent PUE differs from facility power over IT load, which was used instead."),
        Reason::HotspotsPresent => {
            Some("Racks are too hot: the airflow's containment comes first, and nothing should become warmer.")
        }
        Reason::HotspotsUnknown => Some("The number of hot racks is unknown, so half a degree is the maximum step."),
        Reason::UpsEfficiencyUnknown => Some("An efficiency of 95 % was assumed for the UPS."),
        Reason::StepUp | Reason::StepDown => None,
        Reason::NoStepLeft => Some("The envelope and the constraints do not allow another half degree."),
        Reason::BelowEnvelope => Some("The temperature is below 18 °C, the minimum that ASHRAE TC 9.9 recommends."),
        Reason::AboveEnvelope => Some("The temperature is above 27 °C, the maximum that ASHRAE TC 9.9 recommends."),
        Reason::SavingUnknown => Some("The saving cannot be computed from a temperature alone."),
        Reason::ConstraintUnknown => {
            Some("This engine does not evaluate all of the hard constraints: check the others.")
        }
        Reason::ConstraintUnreadable => {
            Some("A hard constraint on temperatures is not a number, so no temperature is suggested.")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    /// Computes the recommendation for a site like the contract's example, with these signals changed.
    fn advice(changed: &[(&str, Value)]) -> AdviceContent {
        let mut document = json!({"request": {
            "assets": {"site_id": "tampa-1"},
            "signals": {
                "energy": {
                    "it_load_kw": 800, "facility_power_kw": 1120, "energy_price_usd_per_kwh": 0.11,
                    "ups_efficiency_pct": 95.5,
                },
                "thermal": {"pue_current": 1.4, "pue_target": 1.25, "cooling_cop": 4.2, "hotspot_rack_count": 0},
                "cooling": {"chilled_water_temp_c": 8.5, "cooling_setpoint_c": 22},
            },
            "constraints": {"hard": {"no_control_actions": true}},
        }});
        for (pointer, value) in changed {
            let (parent, member) = pointer.rsplit_once('/').unwrap();
            let parent = document.pointer_mut(&format!("/request/{parent}")).unwrap().as_object_mut().unwrap();
            if value.is_null() {
                parent.remove(member);
            } else {
                parent.insert(member.to_owned(), value.clone());
            }
        }
        advise(&Signals::read("enterprise/1.1", object(document)).unwrap())
    }

    fn device(device_type: &str, celsius: f64) -> AdviceContent {
        let document =
            json!({"device": {"id": "rack-07", "type": device_type}, "metrics": {"temperature_celsius": celsius}});
        advise(&Signals::read("device/1.1", object(document)).unwrap())
    }

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else { panic!("no object") };
        object
    }

    /// Lists the actions with their suggested values.
    fn actions(advice: &AdviceContent) -> Vec<(ActionKind, Option<f64>)> {
        advice.actions.iter().map(|action| (action.kind, action.suggested)).collect()
    }

    const WATER: &str = "signals/cooling/chilled_water_temp_c";
    const SETPOINT: &str = "signals/cooling/cooling_setpoint_c";
    const HOTSPOTS: &str = "signals/thermal/hotspot_rack_count";
    const PUE: &str = "signals/thermal/pue_current";
    const TARGET: &str = "signals/thermal/pue_target";
    const UPS: &str = "signals/energy/ups_efficiency_pct";
    const IT_LOAD: &str = "signals/energy/it_load_kw";

    #[test]
    fn recommends_a_degree_and_its_saving_above_the_pue_target() {
        let advice = advice(&[]);
        let raised = [(ActionKind::RaiseCoolingSetpoint, Some(23.0)), (ActionKind::RaiseChilledWater, Some(9.5))];
        assert_eq!(actions(&advice), raised);
        // Expected: 837.7 kW of heat ÷ 4.2 are 199.45 kW, of which 3 % are 5.98 kW.
        let impact = Impact { energy_kwh: 143.605, cost: 15.8, currency: "USD", pue_delta: -0.0075, co2e_kg: 57.442 };
        assert_eq!(advice.estimated_impact_24h, impact);
        let expected = Expectation { pue: Some(1.3925), facility_power_kw: Some(1114.016) };
        assert_eq!(advice.expected_impact, expected);
        assert_eq!(advice.explanation.reason_codes, [Reason::PueAboveTarget, Reason::StepUp]);
        assert_eq!((advice.confidence, advice.risk_score), (0.8, 0.32));
    }

    #[test]
    fn recommends_no_change_at_the_pue_target() {
        let advice = advice(&[(TARGET, json!(1.4))]);
        assert_eq!(advice.actions, []);
        assert_eq!(advice.estimated_impact_24h, Impact::NONE);
        assert_eq!(advice.expected_impact, Expectation { pue: Some(1.4), facility_power_kw: Some(1120.0) });
        assert_eq!(advice.explanation.reason_codes, [Reason::PueWithinTarget]);
    }

    #[test]
    fn never_raises_a_temperature_while_racks_are_too_hot() {
        let cool = advice(&[(HOTSPOTS, json!(2))]);
        assert_eq!(actions(&cool), [(ActionKind::InspectAirflowContainment, None)]);
        assert_eq!(cool.estimated_impact_24h, Impact::NONE);

        let warm = advice(&[(HOTSPOTS, json!(2)), (SETPOINT, json!(26))]);
        let lowered = [
            (ActionKind::LowerCoolingSetpoint, Some(25.0)),
            (ActionKind::LowerChilledWater, Some(7.5)),
            (ActionKind::InspectAirflowContainment, None),
        ];
        assert_eq!(actions(&warm), lowered);
        assert!(warm.estimated_impact_24h.energy_kwh < 0.0 && warm.estimated_impact_24h.pue_delta > 0.0);
        assert!(warm.expected_impact.facility_power_kw > Some(1120.0));
    }

    #[test]
    fn moves_or_reviews_a_setpoint_outside_the_envelope() {
        for (setpoint, expected) in [
            (10.0, vec![(ActionKind::ReviewTemperature, None)]),
            (17.5, vec![(ActionKind::RaiseCoolingSetpoint, Some(18.5)), (ActionKind::RaiseChilledWater, Some(9.5))]),
            (27.5, vec![(ActionKind::LowerCoolingSetpoint, Some(26.5)), (ActionKind::LowerChilledWater, Some(7.5))]),
            (35.0, vec![(ActionKind::ReviewTemperature, None)]),
        ] {
            assert_eq!(actions(&advice(&[(SETPOINT, json!(setpoint))])), expected, "{setpoint}");
        }
    }

    #[test]
    fn keeps_hard_constraints() {
        let hard = |name: &str, value: Value| advice(&[(&format!("constraints/hard/{name}"), value)]);
        let half = [(ActionKind::RaiseCoolingSetpoint, Some(22.5)), (ActionKind::RaiseChilledWater, Some(9.0))];
        for (name, value) in
            [("max_cooling_setpoint_c", 22.5), ("max_chilled_water_temp_c", 9.2), ("max_setpoint_step_c", 0.9)]
        {
            assert_eq!(actions(&hard(name, json!(value))), half, "{name}");
        }
        for (name, value) in [
            ("max_cooling_setpoint_c", json!(22)),
            ("min_cooling_setpoint_c", json!(24)),
            ("max_chilled_water_temp_c", json!(8.5)),
            ("min_chilled_water_temp_c", json!(12)),
            ("max_setpoint_step_c", json!(0)),
            ("max_setpoint_step_c", json!("half a degree")),
        ] {
            let advice = hard(name, value);
            assert_eq!(advice.actions, [], "{name}");
            assert!(advice.explanation.reason_codes.contains(&Reason::NoStepLeft), "{name}");
        }
    }

    #[test]
    fn missing_or_inconsistent_data_reduces_the_confidence() {
        let sure = advice(&[]).confidence;
        for (pointer, value, reason) in [
            (HOTSPOTS, Value::Null, Reason::HotspotsUnknown),
            (UPS, Value::Null, Reason::UpsEfficiencyUnknown),
            (PUE, json!(1.6), Reason::PueMismatch),
            ("constraints/hard/max_noise_db", json!(70), Reason::ConstraintUnknown),
        ] {
            let advice = advice(&[(pointer, value)]);
            assert!(advice.confidence < sure, "{pointer}");
            assert!(advice.explanation.reason_codes.contains(&reason), "{pointer}");
        }
        assert_eq!(actions(&advice(&[(HOTSPOTS, Value::Null)]))[0].1, Some(22.5));
    }

    #[test]
    fn suggests_nothing_without_a_load_or_a_coil_difference() {
        let idle = advice(&[(IT_LOAD, json!(0))]);
        assert_eq!(idle.actions, []);
        assert_eq!(idle.explanation.reason_codes, [Reason::ItLoadZero]);
        assert_eq!(idle.expected_impact, Expectation { pue: None, facility_power_kw: Some(1120.0) });
        let close = |water: f64| advice(&[(SETPOINT, json!(20)), (WATER, json!(water))]);
        assert_eq!(close(15.1).actions, []);
        assert_eq!(actions(&close(15.0))[1], (ActionKind::RaiseChilledWater, Some(16.0)));
    }

    #[test]
    fn recommends_half_a_degree_without_a_saving_for_a_reading() {
        let advice = device("Rack-sensor", 22.4);
        assert_eq!(actions(&advice), [(ActionKind::RaiseTemperature, Some(22.9))]);
        assert_eq!(advice.estimated_impact_24h, Impact::NONE);
        assert_eq!(advice.expected_impact, Expectation::default());
        assert_eq!(advice.explanation.reason_codes, [Reason::StepUp, Reason::SavingUnknown]);
    }

    #[test]
    fn recommendation_for_a_reading_depends_on_the_envelope() {
        use ActionKind::{InspectAirflowContainment, LowerTemperature, RaiseTemperature, ReviewTemperature};
        for (celsius, expected) in [
            (12.0, vec![(ReviewTemperature, None)]),
            (17.2, vec![(RaiseTemperature, Some(18.2))]),
            (25.5, vec![(RaiseTemperature, Some(26.0))]),
            (26.5, vec![]),
            (27.6, vec![(LowerTemperature, Some(26.6)), (InspectAirflowContainment, None)]),
            (31.0, vec![(ReviewTemperature, None), (InspectAirflowContainment, None)]),
        ] {
            assert_eq!(actions(&device("server", celsius)), expected, "{celsius}");
        }
        assert_eq!(device("weather-station", 22.0).actions, []);
    }

    #[test]
    fn reports_no_signals_for_free_form_documents() {
        let advice = advise(&Signals::Free);
        assert_eq!(advice.actions, []);
        assert_eq!(advice.explanation.reason_codes, [Reason::NoSignals]);
        assert_eq!(advice.confidence, 0.0);
    }

    proptest! {
        #[test]
        fn keeps_every_suggestion_within_envelope_constraints_and_ranges(
            it_load in 0.0..5_000.0_f64,
            overhead in 0.0..5_000.0_f64,
            target in 1.0..2.0_f64,
            cop in 0.01..30.0_f64,
            hotspots in prop::option::of(0..3_u32),
            water in -10.0..60.0_f64,
            setpoint in -10.0..60.0_f64,
            lowest in 10.0..24.0_f64,
            highest in 20.0..35.0_f64,
        ) {
            let advice = advice(&[
                (IT_LOAD, json!(it_load)),
                ("signals/energy/facility_power_kw", json!(it_load + overhead)),
                (TARGET, json!(target)),
                ("signals/thermal/cooling_cop", json!(cop)),
                (HOTSPOTS, json!(hotspots)),
                (WATER, json!(water)),
                (SETPOINT, json!(setpoint)),
                ("constraints/hard/min_cooling_setpoint_c", json!(lowest)),
                ("constraints/hard/max_cooling_setpoint_c", json!(highest)),
            ]);
            for action in &advice.actions {
                let Some(suggested) = action.suggested else { continue };
                if action.target.ends_with("cooling_setpoint_c") {
                    prop_assert!(RECOMMENDED_AIR.contains(suggested) && lowest <= suggested && suggested <= highest);
                } else {
                    prop_assert!(CHILLED_WATER.contains(suggested));
                }
                prop_assert!(action.delta.unwrap().abs() <= FULL_STEP);
            }
            prop_assert!((0.0..=1.0).contains(&advice.confidence) && (0.0..=1.0).contains(&advice.risk_score));
            prop_assert!(advice.expected_impact.pue.is_none_or(|pue| pue >= 1.0));
            let raised = advice.actions.iter().any(|action| action.kind == ActionKind::RaiseCoolingSetpoint);
            prop_assert!(!(raised && hotspots.is_some_and(|count| count > 0)));
        }
    }
}
