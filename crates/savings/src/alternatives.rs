//! Alternatives to the main model, fitted for the spread of their totals alone.

use serde::{Deserialize, Serialize};

use crate::{
    boosting::Boosted,
    design::{COVARIATES, Frame, IT, TEMPERATURE, Term, WET_BULB},
    errors::Error,
    linear::Normal,
    models::{Baseline, Candidate, Main, Model, WEEKS_FOR_PRODUCTS},
    neighbours::Cloud,
    numbers::{deviation, mean, real},
    observations::Observations,
};

/// The number of neighbours of a local regression.
const NEIGHBOURS: usize = 60;
/// The ridge on the slopes of a local regression, relative to the sum of its weights.
const SLOPE_RIDGE: f64 = 1e-3;

/// The kind of an alternative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alternative {
    /// Another candidate.
    Candidate(Model),
    /// Local linear regression on the 60 nearest baseline hours, with tricube weights (W. Cleveland 1979).
    LocalLinear,
    /// The main model and boosted trees on its residuals.
    BoostedResidual,
    /// Energy per unit of IT energy, as a surface.
    PerIt,
    /// The logarithm of the energy, as a surface, with a smearing factor (N. Duan 1983).
    LogSurface,
}

/// Fits all alternatives; returns the predicted energy of each reporting hour in kWh.
///
/// # Errors
///
/// [`Error::Singular`], if a fit fails.
pub(crate) fn fit_alternatives(
    baseline: &Baseline<'_>,
    reporting: &Observations,
    frame: &Frame,
    candidates: &[Candidate],
    main: &Main,
) -> Result<Vec<(Alternative, Vec<f64>)>, Error> {
    let mut found: Vec<(Alternative, Vec<f64>)> = candidates
        .iter()
        .skip(1)
        .map(|candidate| (Alternative::Candidate(candidate.model), candidate.predictions.clone()))
        .collect();
    let lambda = candidates
        .iter()
        .find(|candidate| candidate.model == Model::Surf32)
        .map_or(1.0, |candidate| candidate.validation.lambda);
    found.push((Alternative::LocalLinear, local_linear(baseline, frame)?));
    found.push((Alternative::BoostedResidual, boosted_residual(baseline, reporting, frame, main)));
    found.push((Alternative::PerIt, per_it(baseline, frame, lambda)?));
    found.push((Alternative::LogSurface, log_surface(baseline, frame, lambda)?));
    Ok(found)
}

/// Returns a frame's T, TW, IT and covariates as points, divided by the standard deviations in the baseline.
fn points(frame: &Frame, baseline: &Frame) -> Vec<Vec<f64>> {
    let columns: Vec<usize> = [TEMPERATURE, WET_BULB, IT].into_iter().chain(COVARIATES..baseline.0.len()).collect();
    let scales: Vec<f64> = columns
        .iter()
        .map(|column| {
            let values = &baseline.0[*column];
            let least = if *column == IT { 0.02 * mean(values) } else { 1e-3 };
            let scale = deviation(values).max(least);
            if scale > 0.0 { scale } else { 1.0 }
        })
        .collect();
    (0..frame.len())
        .map(|hour| columns.iter().zip(&scales).map(|(column, scale)| frame.0[*column][hour] / scale).collect())
        .collect()
}

fn local_linear(baseline: &Baseline<'_>, frame: &Frame) -> Result<Vec<f64>, Error> {
    let outcome = &baseline.observations.energy;
    let train = points(&baseline.train, &baseline.train);
    let cloud = Cloud::new(&train);
    points(frame, &baseline.train)
        .iter()
        .map(|query| {
            let found = cloud.nearest(query, NEIGHBOURS, |_| true);
            let radius = found.last().map_or(1.0, |(square, _)| square.sqrt()).max(1e-9) * 1.001;
            let size = query.len() + 1;
            let columns: Vec<usize> = (0..size).collect();
            let mut normal = Normal::zero(size);
            let mut weights = 0.0;
            for (square, hour) in found {
                let ratio = square.sqrt() / radius;
                let tricube = 1.0 - ratio * ratio * ratio;
                // Both sides are multiplied by the root of the weight.
                let root = (tricube * tricube * tricube).sqrt();
                let differences = train[hour].iter().zip(query).map(|(a, b)| root * (a - b));
                let row: Vec<f64> = core::iter::once(root).chain(differences).collect();
                normal.add_row(&columns, &row, root * outcome[hour]);
                weights += root * root;
            }
            let mut ridge = Normal::zero(size).gram;
            (1..size).for_each(|slope| ridge[slope * (slope + 1) / 2 + slope] = 1.0);
            Ok(normal.solve(&ridge, SLOPE_RIDGE * weights)?[0])
        })
        .collect()
}

fn boosted_residual(baseline: &Baseline<'_>, reporting: &Observations, frame: &Frame, main: &Main) -> Vec<f64> {
    let fitted = main.predict(&baseline.train);
    let residuals: Vec<f64> = baseline.observations.energy.iter().zip(&fitted).map(|(y, fitted)| y - fitted).collect();
    let with_hour = |frame: &Frame, of: &Observations| {
        let mut columns = frame.0.clone();
        columns.push((0..of.len()).map(|hour| real(of.hour_of_week(hour) % 24)).collect());
        Frame(columns)
    };
    let boosted = Boosted::fit(&with_hour(&baseline.train, baseline.observations), &residuals);
    let corrections = boosted.predict(&with_hour(frame, reporting));
    main.predict(frame).into_iter().zip(corrections).map(|(main, correction)| main + correction).collect()
}

fn per_it(baseline: &Baseline<'_>, frame: &Frame, lambda: f64) -> Result<Vec<f64>, Error> {
    // y = IT · (s(T) + s(TW) + s(IT)), so that hours weigh by their load.
    let (temperature, it) = if baseline.observations.period.weeks() < WEEKS_FOR_PRODUCTS { (16, 6) } else { (32, 8) };
    let terms =
        vec![Term::Varying(IT, TEMPERATURE, temperature), Term::Varying(IT, WET_BULB, 8), Term::Varying(IT, IT, it)];
    Ok(baseline.fit(terms, &baseline.observations.energy, lambda)?.predict(frame))
}

fn log_surface(baseline: &Baseline<'_>, frame: &Frame, lambda: f64) -> Result<Vec<f64>, Error> {
    let outcome = &baseline.observations.energy;
    let least = 1e-3 * mean(outcome).max(1e-6);
    let logarithms: Vec<f64> = outcome.iter().map(|energy| libm::log(energy.max(least))).collect();
    let terms = Model::Surf32.terms(baseline.observations.period.weeks());
    let fit = baseline.fit(terms, &logarithms, lambda)?;
    let exponential = |values: Vec<f64>| values.into_iter().map(libm::exp);
    let fitted: f64 = exponential(fit.predict(&baseline.train)).sum();
    let smearing = outcome.iter().sum::<f64>() / fitted;
    Ok(exponential(fit.predict(frame)).map(|value| value * smearing).collect())
}
