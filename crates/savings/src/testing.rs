//! A site of formulas for the tests: weather, IT load, and a plant whose HVAC energy is a smooth function of both.

use crate::{
    crossover::{Crossover, Day},
    hour::{Boundary, HOUR, Hour},
    numbers::seconds,
    random::Random,
};

/// A site for tests. The same parameters give the same hours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site {
    /// The seed.
    pub(crate) seed: u64,
    /// The standard deviation of the noise of HVAC energy, relative.
    pub(crate) noise: f64,
    /// The share of HVAC energy that the retrofit saves.
    pub(crate) saving: f64,
    /// The part of the outdoor temperature that depends on the season, in K.
    pub(crate) season: f64,
    /// Added to the outdoor temperature, in K.
    pub(crate) warmer: f64,
    /// Added to the IT load, in kWh per hour.
    pub(crate) more_it: f64,
    /// Added to the inlet temperature, in K.
    pub(crate) inlet: f64,
    /// The relative size of a slow hidden state of the plant, which no variable shows.
    pub(crate) hidden: f64,
}

/// A site with a seed, no noise, and no saving.
pub(crate) const fn site(seed: u64) -> Site {
    Site { seed, noise: 0.0, saving: 0.0, season: 10.0, warmer: 0.0, more_it: 0.0, inlet: 0.0, hidden: 0.0 }
}

impl Site {
    /// Returns `count` hours from the hour numbered `first` since 1970.
    pub(crate) fn hours(&self, first: i64, count: usize) -> Vec<Hour> {
        let mut random = Random::new(self.seed, 99);
        let (mut weather, mut load, mut state) = (0.0, 0.0, 1.0);
        (0..count)
            .map(|index| {
                let hour = first + i64::try_from(index).unwrap();
                weather = 0.98 * weather + 0.7 * random.normal();
                load = 0.9 * load + 0.8 * random.normal();
                if random.unit() < 0.02 {
                    state = -state;
                }
                self.hour(hour, weather, load, state * self.hidden + self.noise * random.normal())
            })
            .collect()
    }

    fn hour(&self, number: i64, weather: f64, load: f64, relative: f64) -> Hour {
        let turn = |hours: f64| seconds(number) * core::f64::consts::TAU / hours;
        let season = -self.season * libm::cos(turn(8760.0));
        let daily = libm::sin(turn(24.0) - 2.0);
        let temperature = 15.0 + season + 4.0 * daily + weather + self.warmer;
        let it = 80.0 + 6.0 * daily + load + self.more_it;
        let above = (temperature - 12.0).max(0.0);
        let hvac = it * (0.12 + 0.004 * above + 0.000_05 * above * above);
        Hour {
            start: number * HOUR,
            hvac_kwh: hvac * (1.0 + relative) * (1.0 - self.saving),
            it_kwh: it,
            facility_kwh: Some(1.1 * it + hvac * (1.0 + relative) * (1.0 - self.saving)),
            temperature_c: temperature,
            relative_humidity_percent: 60.0 - 15.0 * daily + 10.0 * libm::sin(turn(211.0)),
            pressure_hpa: 1010.0 + 5.0 * libm::sin(turn(173.0)),
            inlet_temperature_c: Some(22.0 + self.inlet),
        }
    }
}

/// Returns a crossover in the zone UTC, without modes and washout.
pub(crate) const fn crossover<'a>(hours: &'a [Hour], days: &'a [Day]) -> Crossover<'a> {
    let boundary = Boundary::Hvac;
    Crossover { hours, days, boundary, utc_offset_seconds: 0, modes: &[], washout: false, claim: None, rates: None }
}
