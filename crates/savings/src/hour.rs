//! The hours that go in, and the periods they belong to.

use serde::{Deserialize, Serialize};

use crate::{numbers::real, numbers::seconds};

/// The length of an hour in seconds.
pub(crate) const HOUR: i64 = 3600;
/// The length of a day in seconds.
pub(crate) const DAY: i64 = 24 * HOUR;
/// The length of a week in seconds.
pub(crate) const WEEK: i64 = 7 * DAY;

/// The most energy of an hour that is physically possible, in kWh: what all power plants of the world make.
const MOST_KWH: f64 = 1e10;

/// One hour of a site, fully covered by readings.
///
/// Energies are sums over the hour, everything else is a mean. Hours that are not fully covered are left out by the
/// caller: they are never imputed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Hour {
    /// The start of the hour, in seconds since 1970-01-01T00:00:00Z; a multiple of 3600.
    pub start: i64,
    /// The energy of heating, ventilation and air conditioning, in kWh.
    pub hvac_kwh: f64,
    /// The energy of the IT load, in kWh.
    pub it_kwh: f64,
    /// The energy of the whole facility, in kWh.
    pub facility_kwh: Option<f64>,
    /// The outdoor dry-bulb temperature, in °C.
    pub temperature_c: f64,
    /// The outdoor relative humidity, in %.
    pub relative_humidity_percent: f64,
    /// The outdoor air pressure at the site (not reduced to sea level), in hPa.
    pub pressure_hpa: f64,
    /// The temperature at the inlets of the IT equipment, in °C.
    pub inlet_temperature_c: Option<f64>,
}

impl Hour {
    /// Returns whether every value is finite and physically possible.
    ///
    /// Hours that are not are treated as missing.
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        let energy = |value: f64| (0.0..=MOST_KWH).contains(&value);
        energy(self.hvac_kwh)
            && energy(self.it_kwh)
            && self.facility_kwh.is_none_or(energy)
            && (-80.0..=70.0).contains(&self.temperature_c)
            && (0.0..=110.0).contains(&self.relative_humidity_percent)
            && (400.0..=1100.0).contains(&self.pressure_hpa)
            && self.inlet_temperature_c.is_none_or(|inlet| (-20.0..=80.0).contains(&inlet))
    }
}

/// A span of time: from its start (included) to its end (excluded).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// The start, in seconds since 1970-01-01T00:00:00Z.
    pub from: i64,
    /// The end, in the same unit.
    pub until: i64,
}

impl Period {
    /// Returns whether a time lies within the period.
    #[must_use]
    pub const fn contains(&self, time: i64) -> bool {
        self.from <= time && time < self.until
    }

    /// Returns the length in weeks.
    #[must_use]
    pub const fn weeks(&self) -> f64 {
        seconds(self.until.saturating_sub(self.from)) / seconds(WEEK)
    }

    /// Returns the length in hours.
    #[must_use]
    pub const fn hours(&self) -> f64 {
        seconds(self.until.saturating_sub(self.from)) / seconds(HOUR)
    }
}

/// The share of a period's hours that a series has.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Completeness {
    /// The number of usable hours.
    pub hours: usize,
    /// The number of hours given that are not plausible, and count as missing.
    pub implausible: usize,
    /// Usable hours ÷ hours of the period, 0…1.
    pub share: f64,
}

impl Completeness {
    /// Counts the hours of a period.
    #[must_use]
    pub fn of(hours: &[Hour], period: Period) -> Self {
        let within = hours.iter().filter(|hour| period.contains(hour.start));
        let (mut usable, mut implausible) = (0, 0);
        for hour in within {
            if hour.is_plausible() {
                usable += 1;
            } else {
                implausible += 1;
            }
        }
        let share = if period.hours() > 0.0 { (real(usable) / period.hours()).min(1.0) } else { 0.0 };
        Self { hours: usable, implausible, share }
    }
}

/// The energy that a saving is measured in (IPMVP option C on a sub-meter).
///
/// The facility's energy without the IT load taken out is not offered: IT dominates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Boundary {
    /// The HVAC sub-meter.
    Hvac,
    /// Facility minus IT: cooling, losses of the power supply, and everything else.
    FacilityMinusIt,
}

impl Boundary {
    /// Returns the energy of an hour in kWh; `None` if the hour lacks the facility's.
    #[must_use]
    pub fn energy(self, hour: &Hour) -> Option<f64> {
        match self {
            Self::Hvac => Some(hour.hvac_kwh),
            Self::FacilityMinusIt => hour.facility_kwh.map(|facility| facility - hour.it_kwh),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(start: i64) -> Hour {
        Hour {
            start,
            hvac_kwh: 20.0,
            it_kwh: 80.0,
            facility_kwh: Some(110.0),
            temperature_c: 20.0,
            relative_humidity_percent: 50.0,
            pressure_hpa: 1013.0,
            inlet_temperature_c: None,
        }
    }

    #[test]
    fn counts_plausible_hours_of_the_period() {
        let mut hours: Vec<Hour> = (0..12).map(|index| hour(index * HOUR)).collect();
        hours[3].temperature_c = f64::NAN;
        let found = Completeness::of(&hours, Period { from: 0, until: 10 * HOUR });
        assert_eq!(found, Completeness { hours: 9, implausible: 1, share: 0.9 });
    }

    #[test]
    fn takes_it_out_of_the_facility() {
        assert_eq!(Boundary::Hvac.energy(&hour(0)), Some(20.0));
        assert_eq!(Boundary::FacilityMinusIt.energy(&hour(0)), Some(30.0));
        assert_eq!(Boundary::FacilityMinusIt.energy(&Hour { facility_kwh: None, ..hour(0) }), None);
    }
}
