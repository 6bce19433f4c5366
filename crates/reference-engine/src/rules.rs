//! The rules: pure functions, each with its source or its rationale.
//!
//! All temperatures are in °C, all powers in kW.

/// The recommended air temperature at the inlets of equipment of the classes A1 to A4.
///
/// Source: ASHRAE TC 9.9, *Thermal Guidelines for Data Processing Environments*, 5th edition (2021): 18–27 °C. Its
/// class H1 (dense air-cooled equipment) ends at 22 °C. No contract contains the class, so a site of class H1 has to
/// send hard constraints.
pub const RECOMMENDED_AIR: TemperatureRange = TemperatureRange { least: 18.0, greatest: 27.0 };

/// The distance that a step up keeps from the recommended maximum.
///
/// A setpoint is a mean: the warmest inlet of the hall is warmer, and a sensor is accurate to about half a degree.
pub const MARGIN: f64 = 1.0;

/// The allowed temperature of chilled water.
///
/// Below 6 °C, a chiller without glycol comes close to freezing. Above 17 °C, the water exceeds the strictest of
/// ASHRAE's classes of facility water (W17) and the design range of air coils.
pub const CHILLED_WATER: TemperatureRange = TemperatureRange { least: 6.0, greatest: 17.0 };

/// Minimum difference between air and chilled water: the approach of a typical coil in an air handler.
pub const LEAST_APPROACH: f64 = 5.0;

/// The larger step. Operators can observe and revert one change of at most a degree per day.
pub const FULL_STEP: f64 = 1.0;

/// The smaller step, and the smallest change worth making.
pub const HALF_STEP: f64 = 0.5;

/// Gap between the PUE and its target from which a full step is tried. Power meters do not resolve less reliably.
pub const CLEAR_PUE_GAP: f64 = 0.05;

/// Setpoint above which hot spots call for a step down, besides an inspection of the airflow. With only 2 °C left below
/// the end of the envelope, mixing air soon takes an inlet out of it.
pub const WARM_WITH_HOTSPOTS: f64 = 25.0;

/// The share of chiller power saved by each degree of warmer water.
///
/// The ideal COP of a chiller is T÷(T₀−T) for evaporation at T and condensation at T₀, in kelvin (Carnot). From 280 K
/// to 281 K below 313 K it rises from 8.48 to 8.78, which is 3.4 % less power; rules of thumb for real plants say 2–4
/// %. Server fans, which turn faster in warm air, are not included.
pub const SAVING_PER_DEGREE: f64 = 0.03;

/// Assumed efficiency of a UPS: double conversion at a typical load.
pub const USUAL_UPS_EFFICIENCY: f64 = 0.95;

/// Kilograms of CO2 equivalent per kWh from the grid.
///
/// A round figure between the averages of the United States (about 0.37, EPA eGRID 2022) and of the world (about 0.48,
/// Ember 2024). A site's own grid may differ widely.
pub const GRID_KG_CO2E_PER_KWH: f64 = 0.4;

/// Confidence with complete data. Rules without history are never certain.
pub const DOUBTLESS: f64 = 0.8;

/// Relative tolerance between the sent PUE and facility power ÷ IT load.
pub const PUE_TOLERANCE: f64 = 0.02;

const HOURS_A_DAY: f64 = 24.0;

/// An inclusive range of temperatures; empty if `least` is greater than `greatest`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TemperatureRange {
    /// The lower bound.
    pub least: f64,
    /// The upper bound.
    pub greatest: f64,
}

impl TemperatureRange {
    /// Tells whether the range contains a temperature.
    #[must_use]
    pub fn contains(self, celsius: f64) -> bool {
        self.least <= celsius && celsius <= self.greatest
    }

    /// Returns the intersection of two ranges.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { least: self.least.max(other.least), greatest: self.greatest.min(other.greatest) }
    }

    /// Lowers the upper bound by `margin`.
    #[must_use]
    pub fn below_end(self, margin: f64) -> Self {
        Self { greatest: self.greatest - margin, ..self }
    }
}

/// The direction of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Warmer: less cooling.
    Up,
    /// Colder: more cooling.
    Down,
}

/// A temperature with its allowed range.
#[derive(Debug, Clone, Copy)]
pub struct BoundedTemperature {
    /// The current temperature.
    pub celsius: f64,
    /// The allowed range.
    pub within: TemperatureRange,
}

impl BoundedTemperature {
    /// Returns the temperature after a step; `None` if it is not allowed.
    #[must_use]
    pub fn after(self, direction: Direction, step: f64) -> Option<f64> {
        let delta = match direction {
            Direction::Up => step,
            Direction::Down => -step,
        };
        let celsius = round(self.celsius + delta, 3);
        self.within.contains(celsius).then_some(celsius)
    }
}

/// Returns the largest step, at most `largest`, that all temperatures allow; `None` if they do not allow even half a
/// degree.
///
/// Air setpoint and chilled water change together: the chiller saves nothing if the water stays as cold, and a coil
/// needs the difference between the two.
#[must_use]
pub fn common_step(all: &[BoundedTemperature], direction: Direction, largest: f64) -> Option<f64> {
    [FULL_STEP, HALF_STEP]
        .into_iter()
        .filter(|step| *step <= largest)
        .find(|step| all.iter().all(|it| it.after(direction, *step).is_some()))
}

/// Returns the size of a step up for a PUE that is `gap` above its target; `None` if it is not above.
///
/// A full degree requires a clear gap and the certainty that no rack is too hot.
#[must_use]
pub fn step_for_gap(gap: f64, no_hotspots: bool) -> Option<f64> {
    if gap <= 0.0 {
        None
    } else if gap >= CLEAR_PUE_GAP && no_hotspots {
        Some(FULL_STEP)
    } else {
        Some(HALF_STEP)
    }
}

/// Computes the power usage effectiveness: facility power ÷ IT load (ISO/IEC 30134-2). `None` without a load.
#[must_use]
pub fn pue(facility_power_kw: f64, it_load_kw: f64) -> Option<f64> {
    let pue = facility_power_kw / it_load_kw;
    (it_load_kw > 0.0 && pue.is_finite()).then_some(pue)
}

/// Estimates the power of the chiller.
///
/// The IT power and the losses of the UPS become heat, and moving it takes heat ÷ COP. The result cannot exceed the
/// facility power that remains after the IT and the losses of the UPS.
#[must_use]
pub fn chiller_power(it_load_kw: f64, facility_power_kw: f64, cop: f64, ups_efficiency: Option<f64>) -> f64 {
    let efficiency = ups_efficiency.filter(|share| *share > 0.0).unwrap_or(USUAL_UPS_EFFICIENCY);
    let overhead = facility_power_kw - it_load_kw;
    let losses = (it_load_kw / efficiency - it_load_kw).clamp(0.0, overhead.max(0.0));
    ((it_load_kw + losses) / cop).min(overhead - losses).max(0.0)
}

/// Computes the power that a step saves; negative for a step down.
#[must_use]
pub fn saving(chiller_power_kw: f64, direction: Direction, step: f64) -> f64 {
    let saved = chiller_power_kw * SAVING_PER_DEGREE * step;
    match direction {
        Direction::Up => saved,
        Direction::Down => -saved,
    }
}

/// Converts a saved power to the energy of a day, in kWh.
#[must_use]
pub fn energy_a_day(saving_kw: f64) -> f64 {
    saving_kw * HOURS_A_DAY
}

/// Estimates the risk of a step. It grows towards the end of the envelope, where less margin is left for unmeasured
/// effects.
#[must_use]
pub fn risk_of_step(direction: Direction, suggested: f64, no_hotspots: bool) -> f64 {
    match direction {
        Direction::Down => 0.1,
        Direction::Up => {
            let TemperatureRange { least, greatest } = RECOMMENDED_AIR;
            let used = ((suggested - least) / (greatest - least)).clamp(0.0, 1.0);
            let unseen = if no_hotspots { 0.0 } else { 0.2 };
            round(0.1 + 0.4 * used + unseen, 2)
        }
    }
}

/// The risk of an inspection.
pub const RISK_OF_LOOKING: f64 = 0.05;

/// Rounds a number to this many decimals; never returns −0.
#[must_use]
pub fn round(number: f64, decimals: i32) -> f64 {
    let factor = 10_f64.powi(decimals);
    let scaled = number * factor;
    // Above 2^53 a double has no decimals.
    if scaled.abs() < 9e15 { scaled.round() / factor + 0.0 } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn air(celsius: f64) -> BoundedTemperature {
        BoundedTemperature { celsius, within: RECOMMENDED_AIR.below_end(MARGIN) }
    }

    fn water(celsius: f64) -> BoundedTemperature {
        BoundedTemperature { celsius, within: CHILLED_WATER }
    }

    #[test]
    fn step_stays_within_the_envelope_and_its_margin() {
        for (celsius, expected) in [
            (16.0, None),
            (17.0, Some(1.0)),
            (17.5, Some(1.0)),
            (22.0, Some(1.0)),
            (25.0, Some(1.0)),
            (25.3, Some(0.5)),
            (25.5, Some(0.5)),
            (25.6, None),
            (27.0, None),
            (30.0, None),
        ] {
            assert_eq!(common_step(&[air(celsius)], Direction::Up, FULL_STEP), expected, "{celsius}");
        }
    }

    #[test]
    fn common_step_is_allowed_for_all_temperatures() {
        assert_eq!(common_step(&[air(22.0), water(8.0)], Direction::Up, FULL_STEP), Some(1.0));
        assert_eq!(common_step(&[air(22.0), water(16.4)], Direction::Up, FULL_STEP), Some(0.5));
        assert_eq!(common_step(&[air(22.0), water(16.9)], Direction::Up, FULL_STEP), None);
        assert_eq!(common_step(&[air(22.0), water(6.5)], Direction::Down, FULL_STEP), Some(0.5));
        assert_eq!(common_step(&[air(22.0), water(8.0)], Direction::Up, 0.7), Some(0.5));
        assert_eq!(common_step(&[air(22.0), water(8.0)], Direction::Up, 0.4), None);
    }

    #[test]
    fn contradictory_constraints_allow_no_step() {
        let within = TemperatureRange { least: 24.0, greatest: 20.0 };
        assert_eq!(common_step(&[BoundedTemperature { celsius: 22.0, within }], Direction::Up, FULL_STEP), None);
        assert_eq!(common_step(&[BoundedTemperature { celsius: 22.0, within }], Direction::Down, FULL_STEP), None);
    }

    #[test]
    fn step_size_follows_the_pue_gap() {
        assert_eq!(step_for_gap(-0.1, true), None);
        assert_eq!(step_for_gap(0.0, true), None);
        assert_eq!(step_for_gap(0.02, true), Some(HALF_STEP));
        assert_eq!(step_for_gap(0.15, true), Some(FULL_STEP));
        assert_eq!(step_for_gap(0.15, false), Some(HALF_STEP));
    }

    #[test]
    fn no_pue_without_a_load() {
        assert_eq!(pue(1120.0, 800.0), Some(1.4));
        assert_eq!(pue(10.0, 0.0), None);
        assert_eq!(pue(f64::MAX, f64::MIN_POSITIVE), None);
    }

    #[test]
    fn chiller_power_follows_the_cop_and_is_bounded_by_the_facility() {
        // Expected: 800 kW and the UPS's 200 kW are 1000 kW of heat.
        assert_eq!(chiller_power(800.0, 1400.0, 4.0, Some(0.8)), 250.0);
        assert_eq!(chiller_power(800.0, 1050.0, 4.0, Some(0.8)), 50.0);
        assert_eq!(chiller_power(800.0, 900.0, 4.0, Some(0.8)), 0.0);
        assert_eq!(chiller_power(950.0, 1400.0, 4.0, None), chiller_power(950.0, 1400.0, 4.0, Some(0.95)));
        assert_eq!(chiller_power(0.0, 0.0, 4.0, Some(0.0)), 0.0);
    }

    #[test]
    fn saving_per_degree_is_below_the_carnot_limit() {
        let carnot = |evaporation: f64| evaporation / (313.0 - evaporation);
        let ideal = 1.0 - carnot(280.0) / carnot(281.0);
        assert!((SAVING_PER_DEGREE..0.04).contains(&ideal), "{ideal}");
        assert_eq!(saving(200.0, Direction::Up, 0.5), 3.0);
        assert_eq!(saving(200.0, Direction::Down, 0.5), -3.0);
        assert_eq!(energy_a_day(3.0), 72.0);
    }

    #[test]
    fn risk_grows_with_the_final_temperature() {
        assert_eq!(risk_of_step(Direction::Up, 18.0, true), 0.1);
        assert_eq!(risk_of_step(Direction::Up, 22.5, true), 0.3);
        assert_eq!(risk_of_step(Direction::Up, 22.5, false), 0.5);
        assert_eq!(risk_of_step(Direction::Down, 22.5, true), 0.1);
    }

    #[test]
    fn rounding_gives_no_minus_zero_and_no_infinity() {
        assert_eq!(round(1.23456, 3), 1.235);
        assert!(round(-0.000_1, 3).is_sign_positive());
        assert_eq!(round(f64::MAX, 3), f64::MAX);
    }
}
