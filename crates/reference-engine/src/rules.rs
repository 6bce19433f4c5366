//! The rules: pure functions, each with its source or its reasoning.
//!
//! All temperatures are in °C, all powers in kW.

/// The air at the inlets of equipment that is recommended for the classes A1 to A4.
///
/// Source: ASHRAE TC 9.9, *Thermal Guidelines for Data Processing Environments*, 5th edition (2021): 18–27 °C. Its class H1,
/// dense equipment that is cooled by air, ends at 22 °C; no contract tells the class, so that such a site has to say so in
/// its hard constraints.
pub const RECOMMENDED_AIR: TemperatureRange = TemperatureRange { least: 18.0, greatest: 27.0 };

/// How far below the recommended maximum a step upwards ends at the latest.
///
/// A set point is a mean: the hall's warmest inlet is warmer, and a sensor is right to about half a degree.
pub const MARGIN: f64 = 1.0;

/// The span that chilled water is kept in.
///
/// Colder than 6 °C, a chiller without glycol comes near to freezing; warmer than 17 °C is more than the strictest of
/// ASHRAE's classes of facility water (W17) allows, and than what coils for air are laid out for.
pub const CHILLED_WATER: TemperatureRange = TemperatureRange { least: 6.0, greatest: 17.0 };

/// How much colder than the air a coil's water has to be: the approach of a usual coil in an air handler.
pub const LEAST_APPROACH: f64 = 5.0;

/// The larger step. One change a day of a degree at most is what operators can watch and take back.
pub const FULL_STEP: f64 = 1.0;

/// The smaller step, and the least that is worth a change.
pub const HALF_STEP: f64 = 0.5;

/// How far the PUE has to be above its target for a full step; power meters do not show less with certainty.
pub const CLEAR_PUE_GAP: f64 = 0.05;

/// From which set point on hot spots call for a step down and not only for a look at the airflow: with 2 °C left to the
/// envelope's end, mixing air soon takes an inlet out of it.
pub const WARM_WITH_HOTSPOTS: f64 = 25.0;

/// The share of a chiller's power that each degree of warmer water saves.
///
/// At best a chiller's COP is T÷(T₀−T) for evaporation at T and condensation at T₀, in kelvin (Carnot). From 280 K to
/// 281 K below 313 K that is 8.48 to 8.78, or 3.4 % less power; rules of thumb for real plants say 2–4 %. Fans of servers,
/// which turn faster in warm air, are not counted.
pub const SAVING_PER_DEGREE: f64 = 0.03;

/// The efficiency of a UPS where none is given: double conversion at a usual load.
pub const USUAL_UPS_EFFICIENCY: f64 = 0.95;

/// Kilograms of CO2 equivalent for each kWh from the grid.
///
/// A round figure between the averages of the United States (about 0.37, EPA eGRID 2022) and of the world (about 0.48,
/// Ember 2024). A site's own grid may be far from it.
pub const GRID_KG_CO2E_PER_KWH: f64 = 0.4;

/// The confidence where nothing is missing: rules that know no history are never sure.
pub const DOUBTLESS: f64 = 0.8;

/// How far a PUE may be from facility power ÷ IT load before one of the figures is doubted, as a share.
pub const PUE_TOLERANCE: f64 = 0.02;

const HOURS_A_DAY: f64 = 24.0;

/// Temperatures from `least` to `greatest`, both included; none, if `least` is greater.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TemperatureRange {
    /// The least of them.
    pub least: f64,
    /// The greatest of them.
    pub greatest: f64,
}

impl TemperatureRange {
    /// Whether a temperature is among them.
    #[must_use]
    pub fn contains(self, celsius: f64) -> bool {
        self.least <= celsius && celsius <= self.greatest
    }

    /// The temperatures of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { least: self.least.max(other.least), greatest: self.greatest.min(other.greatest) }
    }

    /// All but those that are within `margin` of the end.
    #[must_use]
    pub fn below_end(self, margin: f64) -> Self {
        Self { greatest: self.greatest - margin, ..self }
    }
}

/// Which direction a step leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To warmer air: less cooling.
    Up,
    /// To colder air: more cooling.
    Down,
}

/// Something that a step moves: where it is, and where it may be.
#[derive(Debug, Clone, Copy)]
pub struct BoundedTemperature {
    /// Where it is.
    pub celsius: f64,
    /// Where it may be.
    pub within: TemperatureRange,
}

impl BoundedTemperature {
    /// Where a step takes it; nothing if it must not be there.
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

/// The largest step, of at most `largest`, that all can take together; nothing if there is none, not even half a degree.
///
/// The set point of the air and the chilled water move together: water that stays as cold saves the chiller nothing, and
/// a coil needs the difference between the two.
#[must_use]
pub fn common_step(all: &[BoundedTemperature], direction: Direction, largest: f64) -> Option<f64> {
    [FULL_STEP, HALF_STEP]
        .into_iter()
        .filter(|step| *step <= largest)
        .find(|step| all.iter().all(|it| it.after(direction, *step).is_some()))
}

/// How large a step upwards is worth trying for a PUE that is `gap` above its target; nothing if it is not above.
///
/// A full degree needs a clear gap and the certainty that no rack is too hot.
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

/// The power usage effectiveness: facility power ÷ IT load (ISO/IEC 30134-2). Nothing without a load.
#[must_use]
pub fn pue(facility_power_kw: f64, it_load_kw: f64) -> Option<f64> {
    let pue = facility_power_kw / it_load_kw;
    (it_load_kw > 0.0 && pue.is_finite()).then_some(pue)
}

/// The power that the chiller is likely to draw.
///
/// All power of the IT and of the UPS's losses becomes heat, and heat ÷ COP is what moving it takes; but it cannot be more
/// than what the facility draws beyond its IT and the UPS's losses.
#[must_use]
pub fn chiller_power(it_load_kw: f64, facility_power_kw: f64, cop: f64, ups_efficiency: Option<f64>) -> f64 {
    let efficiency = ups_efficiency.filter(|share| *share > 0.0).unwrap_or(USUAL_UPS_EFFICIENCY);
    let overhead = facility_power_kw - it_load_kw;
    let losses = (it_load_kw / efficiency - it_load_kw).clamp(0.0, overhead.max(0.0));
    ((it_load_kw + losses) / cop).min(overhead - losses).max(0.0)
}

/// The power that a step saves a chiller: negative for a step down.
#[must_use]
pub fn saving(chiller_power_kw: f64, direction: Direction, step: f64) -> f64 {
    let saved = chiller_power_kw * SAVING_PER_DEGREE * step;
    match direction {
        Direction::Up => saved,
        Direction::Down => -saved,
    }
}

/// The energy of a power that is saved for a day, in kWh.
#[must_use]
pub fn energy_a_day(saving_kw: f64) -> f64 {
    saving_kw * HOURS_A_DAY
}

/// The risk of a step: the nearer to the envelope's end it leads, the less is left for what was not measured.
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

/// The risk of looking into something.
pub const RISK_OF_LOOKING: f64 = 0.05;

/// A number with that many decimals at most; never −0.
#[must_use]
pub fn round(number: f64, decimals: i32) -> f64 {
    let factor = 10_f64.powi(decimals);
    let scaled = number * factor;
    // Beyond 2^53 there are no decimals to lose.
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
    fn a_step_ends_within_the_envelope_and_its_margin() {
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
    fn what_moves_together_takes_the_step_that_all_can_take() {
        assert_eq!(common_step(&[air(22.0), water(8.0)], Direction::Up, FULL_STEP), Some(1.0));
        assert_eq!(common_step(&[air(22.0), water(16.4)], Direction::Up, FULL_STEP), Some(0.5));
        assert_eq!(common_step(&[air(22.0), water(16.9)], Direction::Up, FULL_STEP), None);
        assert_eq!(common_step(&[air(22.0), water(6.5)], Direction::Down, FULL_STEP), Some(0.5));
        assert_eq!(common_step(&[air(22.0), water(8.0)], Direction::Up, 0.7), Some(0.5));
        assert_eq!(common_step(&[air(22.0), water(8.0)], Direction::Up, 0.4), None);
    }

    #[test]
    fn nothing_can_be_within_constraints_that_contradict_each_other() {
        let within = TemperatureRange { least: 24.0, greatest: 20.0 };
        assert_eq!(common_step(&[BoundedTemperature { celsius: 22.0, within }], Direction::Up, FULL_STEP), None);
        assert_eq!(common_step(&[BoundedTemperature { celsius: 22.0, within }], Direction::Down, FULL_STEP), None);
    }

    #[test]
    fn the_step_follows_the_gap() {
        assert_eq!(step_for_gap(-0.1, true), None);
        assert_eq!(step_for_gap(0.0, true), None);
        assert_eq!(step_for_gap(0.02, true), Some(HALF_STEP));
        assert_eq!(step_for_gap(0.15, true), Some(FULL_STEP));
        assert_eq!(step_for_gap(0.15, false), Some(HALF_STEP));
    }

    #[test]
    fn there_is_no_pue_without_a_load() {
        assert_eq!(pue(1120.0, 800.0), Some(1.4));
        assert_eq!(pue(10.0, 0.0), None);
        assert_eq!(pue(f64::MAX, f64::MIN_POSITIVE), None);
    }

    #[test]
    fn the_chiller_draws_heat_by_its_cop_and_no_more_than_there_is() {
        // 800 kW and the UPS's 200 kW are 1000 kW of heat.
        assert_eq!(chiller_power(800.0, 1400.0, 4.0, Some(0.8)), 250.0);
        assert_eq!(chiller_power(800.0, 1050.0, 4.0, Some(0.8)), 50.0);
        assert_eq!(chiller_power(800.0, 900.0, 4.0, Some(0.8)), 0.0);
        assert_eq!(chiller_power(950.0, 1400.0, 4.0, None), chiller_power(950.0, 1400.0, 4.0, Some(0.95)));
        assert_eq!(chiller_power(0.0, 0.0, 4.0, Some(0.0)), 0.0);
    }

    #[test]
    fn a_degree_saves_what_carnot_and_practice_allow() {
        let carnot = |evaporation: f64| evaporation / (313.0 - evaporation);
        let ideal = 1.0 - carnot(280.0) / carnot(281.0);
        assert!((SAVING_PER_DEGREE..0.04).contains(&ideal), "{ideal}");
        assert_eq!(saving(200.0, Direction::Up, 0.5), 3.0);
        assert_eq!(saving(200.0, Direction::Down, 0.5), -3.0);
        assert_eq!(energy_a_day(3.0), 72.0);
    }

    #[test]
    fn a_step_is_the_riskier_the_warmer_it_ends() {
        assert_eq!(risk_of_step(Direction::Up, 18.0, true), 0.1);
        assert_eq!(risk_of_step(Direction::Up, 22.5, true), 0.3);
        assert_eq!(risk_of_step(Direction::Up, 22.5, false), 0.5);
        assert_eq!(risk_of_step(Direction::Down, 22.5, true), 0.1);
    }

    #[test]
    fn rounding_leaves_no_minus_zero_and_no_infinity() {
        assert_eq!(round(1.23456, 3), 1.235);
        assert!(round(-0.000_1, 3).is_sign_positive());
        assert_eq!(round(f64::MAX, 3), f64::MAX);
    }
}
