//! Errors in variables: the IT load with its meter's noise taken out, for training.
//!
//! A noisy regressor flattens the slope on it (attenuation), which biases the saving. The IT load is therefore
//! regressed on its neighbours in time, the calendar and the weather, which carry none of the hour's own noise:
//! regression calibration (R. Carroll et al., *Measurement Error in Nonlinear Models*, 2006, chapter 4). Models train
//! on the fitted load, and predict on the measured one.

use std::collections::BTreeMap;

use crate::{
    design::{Design, Frame, Term},
    errors::Error,
    hour::HOUR,
    linear::Normal,
    numbers::real,
    observations::Observations,
};

/// The distances in hours of the neighbours that the load is regressed on.
const NEIGHBOURS: [i64; 7] = [-24, -3, -2, -1, 1, 2, 3];
/// The weight of the splines' penalty.
const LAMBDA: f64 = 1.0;
/// The number of values of hour of day × weekend.
const DAY_TYPES: usize = 48;

/// Returns the fitted IT energy of each hour, in kWh.
///
/// A neighbour that is missing is replaced by the mean of the hour's other neighbours; hours without any keep their
/// measured load.
///
/// # Errors
///
/// [`Error::Singular`], if the regression cannot be solved.
pub(crate) fn fitted_it(observations: &Observations) -> Result<Vec<f64>, Error> {
    let measured = observations.it();
    let index: BTreeMap<i64, f64> = observations.hours.iter().map(|hour| (hour.start, hour.it_kwh)).collect();
    let neighbours: Vec<Option<[f64; 7]>> =
        observations.hours.iter().map(|hour| neighbours_of(hour.start, &index)).collect();
    let mut columns = vec![
        observations.temperature(),
        observations.wet_bulb.clone(),
        (0..observations.len()).map(|hour| real(observations.hour_of_day_type(hour))).collect(),
    ];
    for place in 0..NEIGHBOURS.len() {
        let column = neighbours.iter().zip(&measured).map(|(found, own)| found.map_or(*own, |found| found[place]));
        columns.push(column.collect());
    }
    let frame = Frame(columns);
    let mut terms = vec![Term::Spline(0, 12), Term::Spline(1, 8), Term::Category(2, DAY_TYPES)];
    terms.extend((0..NEIGHBOURS.len()).map(|place| Term::Linear(3 + place)));
    let design = Design::new(&terms, &[&frame]);
    let rows = design.rows(&frame);
    let mut normal = Normal::zero(design.columns());
    for (hour, found) in neighbours.iter().enumerate() {
        if found.is_some() {
            let (columns, values) = rows.row(hour);
            normal.add_row(columns, values, measured[hour]);
        }
    }
    let coefficients = normal.solve(&design.penalty(), LAMBDA)?;
    let fitted = |hour: usize| {
        if neighbours[hour].is_some() { rows.dot(hour, &coefficients) } else { measured[hour] }
    };
    Ok((0..observations.len()).map(fitted).collect())
}

/// Returns the loads around an hour, or `None` if the series has none of them.
fn neighbours_of(start: i64, index: &BTreeMap<i64, f64>) -> Option<[f64; 7]> {
    let found = NEIGHBOURS.map(|distance| index.get(&(start + distance * HOUR)).copied());
    let count = found.iter().flatten().count();
    let mean = found.iter().flatten().sum::<f64>() / real(count);
    (count > 0).then(|| found.map(|load| load.unwrap_or(mean)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        hour::{Boundary, Period},
        numbers::root_mean_square,
        random::Random,
        testing,
    };

    fn fit(noise: f64, gaps: bool) -> (f64, f64) {
        let clean = testing::site(3).hours(0, 4000);
        let mut random = Random::new(5, 0);
        let mut hours = clean.clone();
        for hour in &mut hours {
            hour.it_kwh *= 1.0 + noise * random.normal();
        }
        if gaps {
            hours.retain(|_| random.unit() > 0.1);
        }
        let period = Period { from: 0, until: 4000 * HOUR };
        let observations = Observations::new(&hours, period, Boundary::Hvac, 0).unwrap();
        let fitted = fitted_it(&observations).unwrap();
        let truth: BTreeMap<i64, f64> = clean.iter().map(|hour| (hour.start, hour.it_kwh)).collect();
        let error = |values: &[f64]| {
            let differences: Vec<f64> =
                observations.hours.iter().zip(values).map(|(hour, value)| value - truth[&hour.start]).collect();
            root_mean_square(&differences)
        };
        (error(&fitted), error(&observations.it()))
    }

    #[test]
    fn takes_meter_noise_out() {
        let (fitted, measured) = fit(0.03, false);
        assert!(fitted < 0.6 * measured, "{fitted} {measured}");
    }

    #[test]
    fn copes_with_gaps() {
        let (fitted, measured) = fit(0.03, true);
        assert!(fitted < 0.6 * measured, "{fitted} {measured}");
    }
}
