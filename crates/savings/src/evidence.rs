//! The evidence that a verdict is decided on.

use crate::{
    design::{DEW_POINT, Design, Frame, Term, WET_BULB},
    errors::Error,
    linear::Normal,
    models::{Baseline, Candidate, predict},
    numbers::{mean, real},
    observations::Observations,
    psychrometrics::{dew_point, wet_bulb},
    random::Random,
    verdict::Evidence,
};

/// The humidity noise that the models are tried with, in % (absolute).
const HUMIDITY_NOISE: f64 = 3.0;
/// The stream of that noise.
const PURPOSE: u64 = 2;

/// Gathers the evidence of a pilot. It does not look at the energy of the reporting period.
///
/// # Errors
///
/// [`Error::Singular`], if a fit fails.
pub(crate) fn evidence(
    baseline: &Baseline<'_>,
    reporting: &Observations,
    best: &Candidate,
    supported: &[bool],
    seed: u64,
) -> Result<Evidence, Error> {
    let before = baseline.observations;
    let energy: f64 = best.predictions.iter().sum();
    let within: f64 = best.predictions.iter().zip(supported).filter(|(_, it)| **it).map(|(value, _)| value).sum();
    let (inlets, shifted) = (before.inlets(), reporting.inlets());
    let loads = before.it();
    let low = loads.iter().copied().fold(f64::INFINITY, f64::min);
    let high = loads.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let share = |count: usize| real(count) / real(reporting.len().max(1));
    Ok(Evidence {
        baseline_weeks: before.period.weeks(),
        reporting_weeks: reporting.period.weeks(),
        baseline_completeness: before.completeness.share,
        reporting_completeness: reporting.completeness.share,
        cv_rmse: best.validation.cv_rmse,
        supported_energy: if energy > 0.0 { within / energy } else { 0.0 },
        inlet_shift_k: (!inlets.is_empty() && !shifted.is_empty()).then(|| mean(&shifted) - mean(&inlets)),
        it_outside: share(reporting.hours.iter().filter(|hour| !(low..=high).contains(&hour.it_kwh)).count()),
        mode_unseen: share(reporting.hours.iter().filter(|hour| baseline.covariates.is_unseen(hour.start)).count()),
        humidity_error: humidity_error(baseline, reporting, best, seed)?,
    })
}

/// Returns by how much the predicted total changes, relative, if humidity is measured with noise in both periods, and
/// the main model is fitted to that (the simulation step of SIMEX, J. Cook and L. Stefanski 1994).
///
/// # Errors
///
/// [`Error::Singular`], if the fit fails.
fn humidity_error(
    baseline: &Baseline<'_>,
    reporting: &Observations,
    best: &Candidate,
    seed: u64,
) -> Result<f64, Error> {
    let mut random = Random::new(seed, PURPOSE);
    let mut noisy = baseline.clone();
    let (wet, dew) = disturbed(baseline.observations, &mut random);
    for frame in [&mut noisy.train, &mut noisy.own] {
        frame.0[WET_BULB].clone_from(&wet);
        frame.0[DEW_POINT].clone_from(&dew);
    }
    let mut frame = baseline.covariates.frame(reporting, reporting.it());
    (frame.0[WET_BULB], frame.0[DEW_POINT]) = disturbed(reporting, &mut random);
    let clean: f64 = best.predictions.iter().sum();
    let before = baseline.observations;
    let fit = noisy.fit(best.model.terms(before.period.weeks()), &before.energy, best.validation.lambda)?;
    let found: f64 = fit.predict(&frame).iter().sum();
    Ok(if clean > 0.0 { found / clean - 1.0 } else { 0.0 })
}

/// Returns wet bulb and dew point of all hours with noise on their humidity.
fn disturbed(observations: &Observations, random: &mut Random) -> (Vec<f64>, Vec<f64>) {
    observations
        .hours
        .iter()
        .map(|hour| {
            let humidity = hour.relative_humidity_percent + HUMIDITY_NOISE * random.normal();
            let wet = wet_bulb(hour.temperature_c, humidity, hour.pressure_hpa);
            (wet, dew_point(hour.temperature_c, humidity))
        })
        .unzip()
}

/// Returns the IT energy that hour of day × weekend and weather would have given in the baseline, for each reporting
/// hour in kWh.
///
/// # Errors
///
/// [`Error::Singular`], if the regression fails.
pub(crate) fn expected_it(baseline: &Observations, reporting: &Observations) -> Result<Vec<f64>, Error> {
    let frame = |of: &Observations| {
        let day_types = (0..of.len()).map(|hour| real(of.hour_of_day_type(hour))).collect();
        Frame(vec![of.temperature(), of.wet_bulb.clone(), day_types])
    };
    let train = frame(baseline);
    let design = Design::new(&[Term::Spline(0, 12), Term::Spline(1, 8), Term::Category(2, 48)], &[&train]);
    let rows = design.rows(&train);
    let mut normal = Normal::zero(design.columns());
    for (hour, load) in baseline.it().into_iter().enumerate() {
        let (columns, values) = rows.row(hour);
        normal.add_row(columns, values, load);
    }
    let coefficients = normal.solve(&design.penalty(), 1.0)?;
    Ok(predict(&design.rows(&frame(reporting)), &coefficients))
}
