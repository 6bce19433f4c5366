//! Covariates beside weather and IT load: the weekly profile of the inlet temperature, and declared operating modes.

use serde::{Deserialize, Serialize};

use crate::{
    design::{COVARIATES, DEW_POINT, Frame, IT, TEMPERATURE, Term},
    hour::Period,
    numbers::{deviation, mean, quantile},
    observations::Observations,
};

/// The profile enters if it varies by more, in K.
pub(crate) const PROFILE_THRESHOLD: f64 = 0.2;
/// The number of hours of a week.
const HOURS_OF_WEEK: usize = 168;

/// A declared operating mode: times in which the plant runs in another way (an economiser on by calendar, a changed
/// set-point).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mode {
    /// The name, for people.
    pub name: String,
    /// The periods in which it is active.
    pub periods: Vec<Period>,
}

impl Mode {
    /// Returns whether the mode is active at a time.
    #[must_use]
    pub fn is_active(&self, time: i64) -> bool {
        self.periods.iter().any(|period| period.contains(time))
    }
}

/// The covariates of a baseline.
#[derive(Debug, Clone)]
pub(crate) struct Covariates {
    /// The median inlet temperature by hour of the week less its mean, in K, if it varies enough.
    profile: Option<Vec<f64>>,
    /// The modes that the baseline has both on and off.
    modes: Vec<Mode>,
    /// The modes that the baseline has only on, or only off, and in which of both states.
    constant: Vec<(Mode, bool)>,
}

impl Covariates {
    /// Derives the covariates of a baseline.
    pub(crate) fn of(baseline: &Observations, modes: &[Mode]) -> Self {
        let mut varying = Vec::new();
        let mut constant = Vec::new();
        for mode in modes {
            let active = baseline.hours.iter().filter(|hour| mode.is_active(hour.start)).count();
            if active == 0 || active == baseline.len() {
                constant.push((mode.clone(), active > 0));
            } else {
                varying.push(mode.clone());
            }
        }
        Self { profile: inlet_profile(baseline), modes: varying, constant }
    }

    /// Returns how many columns the covariates have.
    pub(crate) const fn len(&self) -> usize {
        self.modes.len() + if self.profile.is_some() { 1 } else { 0 }
    }

    /// Returns whether the inlet profile is a covariate.
    pub(crate) const fn has_profile(&self) -> bool {
        self.profile.is_some()
    }

    /// Returns whether a declared mode is, at a time, in a state that the baseline never had.
    pub(crate) fn is_unseen(&self, time: i64) -> bool {
        self.constant.iter().any(|(mode, state)| mode.is_active(time) != *state)
    }

    /// Builds the frame of some hours, with a given IT load.
    pub(crate) fn frame(&self, observations: &Observations, it: Vec<f64>) -> Frame {
        let mut columns =
            vec![observations.temperature(), observations.wet_bulb.clone(), observations.dew_point.clone(), it];
        if let Some(profile) = &self.profile {
            columns.push((0..observations.len()).map(|hour| profile[observations.hour_of_week(hour)]).collect());
        }
        for mode in &self.modes {
            let active = |start| if mode.is_active(start) { 1.0 } else { 0.0 };
            columns.push(observations.hours.iter().map(|hour| active(hour.start)).collect());
        }
        Frame(columns)
    }

    /// Returns the terms of the covariates: each times splines of T, Td and IT.
    pub(crate) fn terms(&self) -> Vec<Term> {
        (COVARIATES..COVARIATES + self.len())
            .flat_map(|column| {
                [
                    Term::Varying(column, TEMPERATURE, 12),
                    Term::Varying(column, DEW_POINT, 12),
                    Term::Varying(column, IT, 6),
                ]
            })
            .collect()
    }
}

/// Returns the median inlet temperature by hour of the week less its mean; `None` if it varies by no more than the
/// threshold, or most hours lack the inlet temperature.
fn inlet_profile(baseline: &Observations) -> Option<Vec<f64>> {
    let mut inlets: Vec<Vec<f64>> = vec![Vec::new(); HOURS_OF_WEEK];
    for (index, hour) in baseline.hours.iter().enumerate() {
        if let Some(inlet) = hour.inlet_temperature_c {
            inlets[baseline.hour_of_week(index)].push(inlet);
        }
    }
    let all: Vec<f64> = baseline.inlets();
    if all.len() * 2 < baseline.len() || all.is_empty() {
        return None;
    }
    let overall = quantile(&all, 0.5);
    let medians: Vec<f64> =
        inlets.iter().map(|values| if values.is_empty() { overall } else { quantile(values, 0.5) }).collect();
    let range = quantile(&medians, 1.0) - quantile(&medians, 0.0);
    let centre = mean(&medians);
    let varies = range > PROFILE_THRESHOLD && deviation(&medians) > 0.0;
    varies.then(|| medians.iter().map(|median| median - centre).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        hour::{Boundary, HOUR},
        testing,
    };

    fn baseline(step: f64) -> Observations {
        let mut hours = testing::site(1).hours(0, 2000);
        for (index, hour) in hours.iter_mut().enumerate() {
            hour.inlet_temperature_c = Some(22.0 + if index % 24 < 8 { step } else { 0.0 });
        }
        Observations::new(&hours, Period { from: 0, until: 2000 * HOUR }, Boundary::Hvac, 0).unwrap()
    }

    #[test]
    fn inlet_profile_enters_above_its_threshold() {
        assert!(!Covariates::of(&baseline(0.19), &[]).has_profile());
        let found = Covariates::of(&baseline(3.0), &[]);
        assert!(found.has_profile());
        assert_eq!(found.terms().len(), 3);
        let hours = baseline(3.0);
        let frame = found.frame(&hours, hours.it());
        assert!((frame.0[COVARIATES][0] - frame.0[COVARIATES][12] - 3.0).abs() < 1e-9);
    }

    #[test]
    fn modes_that_the_baseline_does_not_vary_are_no_covariates() {
        let mode = |from, until| Mode { name: "economiser".into(), periods: vec![Period { from, until }] };
        let found = Covariates::of(&baseline(0.0), &[mode(0, 500 * HOUR), mode(3000 * HOUR, 4000 * HOUR)]);
        assert_eq!(found.len(), 1);
        assert!(found.is_unseen(3500 * HOUR));
        assert!(!found.is_unseen(2500 * HOUR));
    }
}
