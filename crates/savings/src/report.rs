//! The report of a pre/post pilot.

use serde::{Deserialize, Serialize};

use crate::{
    adjustments,
    alternatives::Alternative,
    coverage::{Coverage, coverage},
    errors::Error,
    fitted::{Fitted, ItEffect, Saving, Settings, total},
    hour::{Completeness, Hour, Period},
    models::{Candidate, Model},
    numbers::real,
    observations::Observations,
    placebo::{Placebo, placebo_battery},
    rates::HourRate,
    verdict::{Evidence, Reason, Scope, Standing, Verdict},
    weeks::{Weeks, weeks},
};

/// The number of bootstraps of a report.
pub const BOOTSTRAPS: usize = 150;

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
    /// The settings of both.
    pub settings: &'a Settings,
    /// The rates of hours, by which the saving is worth something; `None` if its worth is not asked for.
    pub rates: Option<&'a [HourRate]>,
}

/// A candidate and what cross-validation found of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Total {
    /// The alternative.
    pub alternative: Alternative,
    /// Its predicted total, in kWh.
    pub predicted_kwh: f64,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The claim, and the reasons for it.
    pub verdict: Verdict,
    /// The result that the claim follows from.
    pub result: PrePostResult,
}

/// The result of a pre/post pilot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrePostResult {
    /// The evidence for the verdict; `None` if nothing could be fitted.
    pub evidence: Option<Evidence>,
    /// The usable hours of the baseline.
    pub baseline: Completeness,
    /// The usable hours of the reporting period.
    pub reporting: Completeness,
    /// The saving with the three parts of its half-width, and Guideline 14's half-width for comparison; `None` if it is
    /// refused.
    pub saving: Option<Saving>,
    /// The saving of the supported hours alone, if too few are supported, and nothing else stands against it.
    pub offer: Option<Saving>,
    /// The candidates, the main model first.
    pub candidates: Vec<Score>,
    /// The totals of the alternatives over the hours of the saving.
    pub alternatives: Vec<Total>,
    /// Whether the weekly profile of the inlet temperature is a covariate.
    pub inlet_profile: bool,
    /// The band of the IT effect, if the IT load left the baseline's range or the inlet temperature shifted: the saving
    /// is one "at measured IT".
    pub it_effect: Option<ItEffect>,
    /// How the baseline covers outdoor temperature and IT load.
    pub coverage: Coverage,
    /// Both periods week by week; empty if nothing could be fitted.
    pub weeks: Weeks,
    /// Pilots without a retrofit within the baseline.
    pub placebo: Option<Placebo>,
}

/// Computes the report of a pre/post pilot (IPMVP option C). The same input gives the same bits.
///
/// # Errors
///
/// [`Error`], if the input is malformed. What cannot be claimed or computed for other reasons is a report whose verdict
/// says so.
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
    match fitted_report(pilot, &before, &after) {
        Err(Error::TooFewHours { found, .. }) => Ok(refused(Reason::TooFewHours(real(found)), &before, &after)),
        other => other,
    }
}

/// Builds the report of a pilot without a model.
fn refused(reason: Reason, before: &Observations, after: &Observations) -> Report {
    let result = PrePostResult {
        evidence: None,
        baseline: before.completeness,
        reporting: after.completeness,
        saving: None,
        offer: None,
        candidates: Vec::new(),
        alternatives: Vec::new(),
        inlet_profile: false,
        it_effect: None,
        coverage: coverage(before, after, &vec![false; after.len()]),
        weeks: Weeks::default(),
        placebo: None,
    };
    Report { verdict: Verdict::of(Scope::All, vec![reason]), result }
}

/// Computes the report of a pilot whose baseline has a model.
fn fitted_report(pilot: &PrePost<'_>, before: &Observations, after: &Observations) -> Result<Report, Error> {
    let (settings, first) = (pilot.settings, pilot.baseline_period);
    let fitted = Fitted::new(before, after, &settings.modes, settings.seed)?;
    let refusals: Vec<_> =
        fitted.verdict.reasons.iter().filter(|reason| reason.standing() == Standing::Refused).collect();
    let only_support =
        refusals.len() == 1 && fitted.verdict.reasons.iter().any(|it| matches!(it, Reason::SupportTooLow(_)));
    let computed = if refusals.is_empty() || only_support {
        fitted.saving(&settings.adjustments, pilot.rates, settings.seed, BOOTSTRAPS)?
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
    let result = PrePostResult {
        saving,
        offer,
        candidates: fitted.candidates.iter().map(score).collect(),
        alternatives: fitted.alternatives.iter().map(total_of).collect(),
        inlet_profile: fitted.baseline.covariates.has_profile(),
        it_effect: if banded { Some(fitted.it_effect()?) } else { None },
        coverage: coverage(before, after, &fitted.supported),
        weeks: weeks(&fitted)?,
        baseline: before.completeness,
        reporting: after.completeness,
        placebo: if settings.placebo { Some(placebo_battery(pilot.baseline, first, settings)?) } else { None },
        evidence: Some(fitted.evidence),
    };
    Ok(Report { verdict: fitted.verdict, result })
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
