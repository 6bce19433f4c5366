//! The usable hours of a period, with the variables that follow from them, and their blocks of weeks.

use crate::{
    errors::Error,
    hour::{Boundary, Completeness, DAY, HOUR, Hour, Period, WEEK},
    numbers::{floor, real, remainder, round, seconds},
    psychrometrics::{dew_point, wet_bulb},
};

/// Baselines shorter than this are cut into half weeks for cross-validation, bootstrap and hold-outs.
const WEEKS_FOR_WHOLE_BLOCKS: f64 = 8.0;

/// The longest period, in weeks: five years. It bounds the memory of a report.
const MOST_WEEKS: f64 = 261.0;
/// Periods lie within this many seconds of 1970.
const MOST_SECONDS: i64 = 253_402_300_800;

/// The usable hours of a period.
#[derive(Debug, Clone)]
pub(crate) struct Observations {
    /// The period.
    pub(crate) period: Period,
    /// The plausible hours within the period, in the order of time.
    pub(crate) hours: Vec<Hour>,
    /// The energy of each hour within the boundary, in kWh.
    pub(crate) energy: Vec<f64>,
    /// The wet-bulb temperature of each hour, in °C.
    pub(crate) wet_bulb: Vec<f64>,
    /// The dew point of each hour, in °C.
    pub(crate) dew_point: Vec<f64>,
    /// The block of each hour: consecutive numbers, blocks without hours left out.
    pub(crate) block: Vec<usize>,
    /// The number of blocks.
    pub(crate) blocks: usize,
    /// The length of a block in weeks: 1 or 0.5.
    pub(crate) block_weeks: f64,
    /// The completeness of the period's hours.
    pub(crate) completeness: Completeness,
    offset: i64,
}

impl Observations {
    /// Selects the usable hours of a period, in local standard time `offset` seconds east of Greenwich.
    ///
    /// # Errors
    ///
    /// [`Error`], if the period is empty or longer than five years, the hours are out of order or off the hour, or lack the facility's energy.
    pub(crate) fn new(hours: &[Hour], period: Period, boundary: Boundary, offset: i32) -> Result<Self, Error> {
        let range = -MOST_SECONDS..=MOST_SECONDS;
        let known = range.contains(&period.from) && range.contains(&period.until);
        if !known || period.from >= period.until || period.weeks() > MOST_WEEKS {
            return Err(Error::Periods);
        }
        for pair in hours.windows(2) {
            if pair[1].start <= pair[0].start {
                return Err(Error::Unordered { start: pair[1].start });
            }
        }
        if let Some(hour) = hours.iter().find(|hour| hour.start.rem_euclid(HOUR) != 0) {
            return Err(Error::Unaligned { start: hour.start });
        }
        let completeness = Completeness::of(hours, period);
        let hours: Vec<Hour> =
            hours.iter().filter(|hour| period.contains(hour.start) && hour.is_plausible()).copied().collect();
        let energy: Option<Vec<f64>> = hours.iter().map(|hour| boundary.energy(hour)).collect();
        let wet = |hour: &Hour| wet_bulb(hour.temperature_c, hour.relative_humidity_percent, hour.pressure_hpa);
        let (block, blocks, block_weeks) = cut(&hours, period);
        Ok(Self {
            period,
            energy: energy.ok_or(Error::NoFacility)?,
            wet_bulb: hours.iter().map(wet).collect(),
            dew_point: hours.iter().map(|hour| dew_point(hour.temperature_c, hour.relative_humidity_percent)).collect(),
            hours,
            block,
            blocks,
            block_weeks,
            completeness,
            offset: i64::from(offset),
        })
    }

    /// Returns the number of hours.
    pub(crate) const fn len(&self) -> usize {
        self.hours.len()
    }

    /// Returns the measured IT energy of each hour, in kWh.
    pub(crate) fn it(&self) -> Vec<f64> {
        self.hours.iter().map(|hour| hour.it_kwh).collect()
    }

    /// Returns the outdoor temperature of each hour, in °C.
    pub(crate) fn temperature(&self) -> Vec<f64> {
        self.hours.iter().map(|hour| hour.temperature_c).collect()
    }

    /// Returns the hour of the local week, 0 (Monday, 0 h) … 167.
    pub(crate) fn hour_of_week(&self, index: usize) -> usize {
        // 1970-01-01 was a Thursday.
        remainder((self.hours[index].start + self.offset).div_euclid(HOUR) + 72, 168)
    }

    /// Returns the local day, counted from 1970-01-01.
    pub(crate) fn day(&self, index: usize) -> i64 {
        (self.hours[index].start + self.offset).div_euclid(DAY)
    }

    /// Returns hour of day × weekend: 0…23 on Monday to Friday, 24…47 else.
    pub(crate) fn hour_of_day_type(&self, index: usize) -> usize {
        let hour = self.hour_of_week(index);
        hour % 24 + if hour >= 120 { 24 } else { 0 }
    }

    /// Returns the measured inlet temperature of each hour that has one, in °C.
    pub(crate) fn inlets(&self) -> Vec<f64> {
        self.hours.iter().filter_map(|hour| hour.inlet_temperature_c).collect()
    }
}

/// Numbers the blocks of the hours; returns also their count and length in weeks.
fn cut(hours: &[Hour], period: Period) -> (Vec<usize>, usize, f64) {
    let block_weeks = if period.weeks() < WEEKS_FOR_WHOLE_BLOCKS { 0.5 } else { 1.0 };
    let last = round(period.weeks() / block_weeks).max(1) - 1;
    let raw = |hour: &Hour| floor(seconds(hour.start - period.from) / (block_weeks * seconds(WEEK))).min(last);
    let mut block = Vec::with_capacity(hours.len());
    let (mut previous, mut number) = (None, 0);
    for hour in hours {
        let found = raw(hour);
        if previous.is_some_and(|it| it != found) {
            number += 1;
        }
        previous = Some(found);
        block.push(number);
    }
    let count = if hours.is_empty() { 0 } else { number + 1 };
    (block, count, block_weeks)
}

impl Observations {
    /// Returns the number of hours per block.
    pub(crate) fn hours_per_block(&self) -> Vec<f64> {
        let mut counts = vec![0_usize; self.blocks];
        for block in &self.block {
            counts[*block] += 1;
        }
        counts.into_iter().map(real).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn cuts_years_into_weeks_and_months_into_half_weeks() {
        let year = testing::site(1).hours(0, 8760);
        let period = Period { from: 0, until: 8760 * HOUR };
        let found = Observations::new(&year, period, Boundary::Hvac, 0).unwrap();
        assert_eq!((found.blocks, found.block_weeks), (52, 1.0));
        let period = Period { from: 0, until: 4 * WEEK };
        let found = Observations::new(&year, period, Boundary::Hvac, 0).unwrap();
        assert_eq!((found.blocks, found.block_weeks, found.len()), (8, 0.5, 672));
    }

    #[test]
    fn knows_the_local_week() {
        let hours = testing::site(1).hours(0, 200);
        let period = Period { from: 0, until: 200 * HOUR };
        let found = Observations::new(&hours, period, Boundary::Hvac, -3600).unwrap();
        // Wednesday 1969-12-31, 23 h.
        assert_eq!((found.hour_of_week(0), found.day(0)), (71, -1));
        assert_eq!(found.hour_of_day_type(50), 24 + 1);
    }

    #[test]
    fn refuses_hours_out_of_order() {
        let mut hours = testing::site(1).hours(0, 10);
        hours.swap(3, 4);
        let period = Period { from: 0, until: 10 * HOUR };
        let found = Observations::new(&hours, period, Boundary::Hvac, 0).unwrap_err();
        assert_eq!(found, Error::Unordered { start: 3 * HOUR });
    }
}
