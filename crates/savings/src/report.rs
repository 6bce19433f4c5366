//! The report of a pre/post pilot.

use serde::Serialize;

use crate::{
    adjustments::{self, Adjustment},
    alternatives::{Alternative, fit_alternatives},
    covariates::Mode,
    coverage::{Coverage, coverage},
    design::{Frame, IT},
    errors::Error,
    evidence::{evidence, expected_it},
    guideline14::guideline_14,
    hour::{Boundary, Hour, Period},
    models::{Baseline, Candidate, Main, Model, fit_candidates},
    numbers::{mean, real},
    observations::Observations,
    placebo::{Placebo, placebo_battery},
    support::supported,
    uncertainty::{Claim, Uncertainty, uncertainty},
    verdict::{Evidence, Reason, Scope, Standing, Verdict, decide},
};

/// The number of bootstraps of a report.
const DRAWS: usize = 150;
/// The least number of usable hours of either period, below which nothing is fitted.
pub(crate) const LEAST_HOURS: usize = 7 * 24;

/// What applies to both periods.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// The energy that the saving is measured in.
    pub boundary: Boundary,
    /// Local standard time, in seconds east of Greenwich. It tells the hours of the week apart.
    pub utc_offset_seconds: i32,
    /// Declared operating modes, of both periods.
    pub modes: Vec<Mode>,
    /// Non-routine adjustments of the reporting period.
    pub adjustments: Vec<Adjustment>,
    /// The seed of the bootstrap and of the placebo battery.
    pub seed: u64,
    /// Whether the placebo battery runs.
    pub placebo: bool,
}

/// A pre/post pilot: hours of a period before the retrofit and of one after it.
#[derive(Debug, Clone, Copy)]
pub struct PrePost<'a> {
    /// The hours before, in the order of time. Hours outside the period are ignored.
    pub baseline: &'a [Hour],
    /// The period before.
    pub baseline_period: Period,
    /// The hours after, in the order of time.
    pub reporting: &'a [Hour],
    /// The period after.
    pub reporting_period: Period,
    /// What applies to both.
    pub settings: &'a Settings,
}

/// A saving over some hours.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Saving {
    /// The hours it is summed over.
    pub scope: Scope,
    /// The number of those hours.
    pub hours: usize,
    /// What the baseline's model predicts, in kWh (Ŷ).
    pub predicted_kwh: f64,
    /// What was measured, in kWh.
    pub measured_kwh: f64,
    /// The sum of the adjustments, in kWh: added to the prediction.
    pub adjustments_kwh: f64,
    /// Predicted + adjustments − measured, in kWh. Negative if more was used.
    pub saving_kwh: f64,
    /// The saving in % of predicted + adjustments.
    pub saving_percent: f64,
    /// The half-width at 90 % confidence, and its parts.
    pub uncertainty: Uncertainty,
    /// The half-width of ASHRAE Guideline 14 in kWh, for comparison.
    pub guideline_14_kwh: f64,
}

/// A candidate and what cross-validation found of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// The candidate.
    pub model: Model,
    /// The weight of its penalty (λ).
    pub lambda: f64,
    /// CV(RMSE) of hours out of sample.
    pub cv_rmse: f64,
    /// Normalised mean bias error out of sample.
    pub nmbe: f64,
}

/// The total of an alternative over the hours of the saving.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Total {
    /// The alternative.
    pub alternative: Alternative,
    /// Its predicted total, in kWh.
    pub predicted_kwh: f64,
}

/// The band of an effect that the retrofit may have had on the IT load itself, over the hours of the saving.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ItEffect {
    /// The prediction at the measured IT load, in kWh.
    pub at_measured_kwh: f64,
    /// The prediction at the IT load that calendar and weather would have given in the baseline, in kWh.
    pub at_expected_kwh: f64,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What is claimed, and why.
    pub verdict: Verdict,
    /// What the verdict was decided on.
    pub evidence: Evidence,
    /// The saving; `None` if it is refused.
    pub saving: Option<Saving>,
    /// The saving of the supported hours alone, if too few are supported, and nothing else stands against it.
    pub offer: Option<Saving>,
    /// The candidates, the main model first.
    pub candidates: Vec<Score>,
    /// The totals of the alternatives.
    pub alternatives: Vec<Total>,
    /// Whether the weekly profile of the inlet temperature is a covariate.
    pub inlet_profile: bool,
    /// The band of the IT effect, if the IT load left the baseline's range or the inlet temperature shifted: the saving
    /// is one "at measured IT".
    pub it_effect: Option<ItEffect>,
    /// How the baseline covers temperature and IT load.
    pub coverage: Coverage,
    /// Pilots without a retrofit within the baseline.
    pub placebo: Option<Placebo>,
}

/// The models of a pilot, fitted, without the measured energy of the reporting period.
pub(crate) struct Fitted<'a> {
    baseline: Baseline<'a>,
    reporting: &'a Observations,
    frame: Frame,
    candidates: Vec<Candidate>,
    main: Main,
    alternatives: Vec<(Alternative, Vec<f64>)>,
    supported: Vec<bool>,
    pub(crate) evidence: Evidence,
    pub(crate) verdict: Verdict,
}

impl<'a> Fitted<'a> {
    /// Fits all models, and decides the verdict.
    pub(crate) fn new(
        before: &'a Observations,
        after: &'a Observations,
        modes: &[Mode],
        seed: u64,
    ) -> Result<Self, Error> {
        for period in [before, after] {
            if period.len() < LEAST_HOURS {
                return Err(Error::TooFewHours { expected: LEAST_HOURS, found: period.len() });
            }
        }
        let baseline = Baseline::new(before, modes)?;
        let frame = baseline.covariates.frame(after, after.it());
        let candidates = fit_candidates(&baseline, &frame)?;
        let best = candidates.first().ok_or(Error::Singular)?;
        let main = Main::new(&baseline, best)?;
        let alternatives = fit_alternatives(&baseline, after, &frame, &candidates, &main)?;
        let supported = supported(before, after, &baseline.covariates);
        let evidence = evidence(&baseline, after, best, &supported, seed)?;
        let verdict = decide(&evidence);
        Ok(Self { baseline, reporting: after, frame, candidates, main, alternatives, supported, evidence, verdict })
    }

    /// Returns whether each reporting hour is in scope.
    fn scope(&self) -> Vec<bool> {
        match self.verdict.scope {
            Scope::All => vec![true; self.reporting.len()],
            Scope::Supported => self.supported.clone(),
        }
    }

    /// Computes the saving of the verdict's scope; `None` if it has no hours, or no energy is predicted.
    pub(crate) fn saving(&self, adjustments: &[Adjustment], seed: u64, draws: usize) -> Result<Option<Saving>, Error> {
        let scope = self.scope();
        let sum = |values: &[f64]| total(values, &scope);
        let hours = scope.iter().filter(|it| **it).count();
        if hours == 0 {
            return Ok(None);
        }
        let rows = self.main.problem.rows(&self.frame);
        let mut sums = vec![0.0; self.main.coefficients.len()];
        (0..rows.len()).filter(|hour| scope[*hour]).for_each(|hour| rows.add_to(hour, &mut sums));
        let predicted_kwh: f64 = sums.iter().zip(&self.main.coefficients).map(|(a, b)| a * b).sum();
        if predicted_kwh <= 0.0 {
            return Ok(None);
        }
        let observations = self.baseline.observations;
        let alternatives: Vec<f64> = self.alternatives.iter().map(|(_, values)| sum(values)).collect();
        let claim = Claim {
            sums: &sums,
            hours: real(hours),
            weeks: self.reporting.period.weeks(),
            alternatives: &alternatives,
            block_weeks: observations.block_weeks,
            block_hours: &observations.hours_per_block(),
        };
        let uncertainty = uncertainty(&self.main, &claim, seed, draws)?;
        let measured_kwh = sum(&self.reporting.energy);
        let adjustments_kwh = adjustments::total(adjustments, self.reporting, &scope);
        let saving_kwh = predicted_kwh + adjustments_kwh - measured_kwh;
        let fitted = self.main.predict(&self.baseline.train);
        let residuals: Vec<f64> = observations.energy.iter().zip(fitted).map(|(y, fitted)| y - fitted).collect();
        let mean = mean(&observations.energy);
        Ok(Some(Saving {
            scope: self.verdict.scope,
            hours,
            predicted_kwh,
            measured_kwh,
            adjustments_kwh,
            saving_kwh,
            saving_percent: 100.0 * saving_kwh / (predicted_kwh + adjustments_kwh),
            uncertainty,
            guideline_14_kwh: guideline_14(&residuals, self.main.coefficients.len(), hours, predicted_kwh, mean),
        }))
    }

    fn it_effect(&self) -> Result<ItEffect, Error> {
        let scope = self.scope();
        let mut expected = self.frame.clone();
        expected.0[IT] = expected_it(self.baseline.observations, self.reporting)?;
        Ok(ItEffect {
            at_measured_kwh: total(&self.main.predict(&self.frame), &scope),
            at_expected_kwh: total(&self.main.predict(&expected), &scope),
        })
    }
}

/// Returns the sum of the values in scope.
fn total(values: &[f64], scope: &[bool]) -> f64 {
    values.iter().zip(scope).filter(|(_, within)| **within).map(|(value, _)| value).sum()
}

/// Computes the report of a pre/post pilot (IPMVP option C). The same input gives the same bits.
///
/// # Errors
///
/// [`Error`], if the input is malformed, or has too few hours for any fit. What cannot be claimed for other reasons is
/// a report whose verdict says so.
pub fn report(pilot: &PrePost<'_>) -> Result<Report, Error> {
    let settings = pilot.settings;
    let (first, second) = (pilot.baseline_period, pilot.reporting_period);
    if first.until > second.from && second.until > first.from {
        return Err(Error::Periods);
    }
    adjustments::check(&settings.adjustments, second)?;
    let observe = |hours, period| Observations::new(hours, period, settings.boundary, settings.utc_offset_seconds);
    let before = observe(pilot.baseline, first)?;
    let after = observe(pilot.reporting, second)?;
    let fitted = Fitted::new(&before, &after, &settings.modes, settings.seed)?;
    let refusals: Vec<_> =
        fitted.verdict.reasons.iter().filter(|reason| reason.standing() == Standing::Refused).collect();
    let only_support =
        refusals.len() == 1 && fitted.verdict.reasons.iter().any(|it| matches!(it, Reason::SupportTooLow(_)));
    let computed = if refusals.is_empty() || only_support {
        fitted.saving(&settings.adjustments, settings.seed, DRAWS)?
    } else {
        None
    };
    let scope = fitted.scope();
    let at_measured_it = |reason: &Reason| matches!(reason, Reason::ItOutsideRange(_) | Reason::InletShifted(_));
    let banded = fitted.verdict.reasons.iter().any(at_measured_it);
    let total_of = |(alternative, values): &(Alternative, Vec<f64>)| Total {
        alternative: *alternative,
        predicted_kwh: total(values, &scope),
    };
    let (saving, offer) = if only_support { (None, computed) } else { (computed, None) };
    Ok(Report {
        saving,
        offer,
        candidates: fitted.candidates.iter().map(score).collect(),
        alternatives: fitted.alternatives.iter().map(total_of).collect(),
        inlet_profile: fitted.baseline.covariates.has_profile(),
        it_effect: if banded { Some(fitted.it_effect()?) } else { None },
        coverage: coverage(&before, &after),
        placebo: if settings.placebo { Some(placebo_battery(pilot.baseline, first, settings)?) } else { None },
        evidence: fitted.evidence,
        verdict: fitted.verdict,
    })
}

const fn score(candidate: &Candidate) -> Score {
    Score {
        model: candidate.model,
        lambda: candidate.validation.lambda,
        cv_rmse: candidate.validation.cv_rmse,
        nmbe: candidate.validation.nmbe,
    }
}

#[cfg(test)]
mod tests;
