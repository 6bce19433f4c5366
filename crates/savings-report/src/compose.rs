//! Composes the report of a project.

use mass_domain::canonical::Fingerprint;
use mass_domain::savings::{AsOf, Design, Period, Price, Project, Rate};
use mass_savings::{
    BOOTSTRAPS, Crossover, CrossoverOutcome, Effect, FULL_SUPPORT, Hour, HourRate, LEAST_COMPLETENESS, LEAST_PAIRS,
    LEAST_SUPPORT, LEAST_WEEKS, MOST_CV_RMSE, PrePost, REDRAWS, Report, Saving, Verdict, Worth, crossover_report,
    report,
};

use crate::document::{
    Co2e, Contract, Cost, CrossoverResult, DesignResult, FORMAT, Figures, Hours, Parameters, Priced, ReportDocument,
    Thresholds, canonical_text,
};
use crate::project;

/// All that a report follows from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The project, in the version that the report is on.
    pub project: &'a Project,
    /// The fully covered hours of both periods, or of all days of the crossover, in the order of time.
    pub hours: &'a [Hour],
    /// The prices of hours, if the project's price is a series, in the order of time.
    pub prices: &'a [HourRate],
    /// The events of the audit trail that the hours follow from.
    pub as_of: &'a AsOf,
    /// The contracts of the documents behind the hours, in any order.
    pub contracts: &'a [Contract],
    /// The version of the program.
    pub program: &'a str,
}

/// No report can be composed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ComposeError {
    /// The hours or the project are malformed.
    #[error(transparent)]
    Input(#[from] mass_savings::Error),
    /// The design is a crossover, and no schedule is drawn.
    #[error("expected the schedule of the crossover to be drawn")]
    NoSchedule,
}

/// The parts of a report that depend on the design.
struct Outcome {
    verdict: Verdict,
    saving: Option<Figures>,
    offer: Option<Figures>,
    result: DesignResult,
}

/// Composes a report. The same input gives the same bytes.
///
/// # Errors
///
/// [`ComposeError`]. What cannot be claimed is no error: the verdict says so.
pub fn compose(inputs: &Inputs<'_>) -> Result<ReportDocument, ComposeError> {
    let project = inputs.project;
    let outcome = match &project.terms.design {
        Design::PrePost { baseline, reporting } => pre_post(inputs, baseline, reporting)?,
        Design::Crossover { washout, .. } => crossover(inputs, *washout)?,
    };
    let mut contracts = inputs.contracts.to_vec();
    contracts.sort();
    contracts.dedup();
    Ok(ReportDocument {
        format: FORMAT.to_owned(),
        program: inputs.program.to_owned(),
        project: project.clone(),
        project_fingerprint: project.fingerprint().to_string(),
        as_of: inputs.as_of.clone(),
        contracts,
        hours: Hours { count: inputs.hours.len(), fingerprint: fingerprint(inputs.hours).to_string() },
        prices: rates(inputs).map(|prices| Hours { count: prices.len(), fingerprint: of_prices(prices).to_string() }),
        parameters: parameters(project),
        verdict: outcome.verdict,
        saving: outcome.saving,
        offer: outcome.offer,
        result: outcome.result,
    })
}

/// Returns the prices of hours, if the project's price is a series.
fn rates<'a>(inputs: &Inputs<'a>) -> Option<&'a [HourRate]> {
    inputs.project.terms.price.as_ref().and_then(Price::series).map(|_| inputs.prices)
}

fn of_prices(prices: &[HourRate]) -> Fingerprint {
    let row = |price: &HourRate| (price.start, price.per_kwh);
    Fingerprint::of(&canonical_text(&prices.iter().map(row).collect::<Vec<_>>()))
}

fn fingerprint(hours: &[Hour]) -> Fingerprint {
    let row = |hour: &Hour| {
        (
            hour.start,
            [hour.hvac_kwh, hour.it_kwh],
            hour.facility_kwh,
            [hour.temperature_c, hour.relative_humidity_percent, hour.pressure_hpa],
            hour.inlet_temperature_c,
        )
    };
    Fingerprint::of(&canonical_text(&hours.iter().map(row).collect::<Vec<_>>()))
}

const fn parameters(project: &Project) -> Parameters {
    Parameters {
        seed: project.seed,
        confidence: 0.9,
        bootstraps: BOOTSTRAPS,
        redraws: REDRAWS,
        thresholds: Thresholds {
            least_support: LEAST_SUPPORT,
            full_support: FULL_SUPPORT,
            most_cv_rmse: MOST_CV_RMSE,
            least_weeks: LEAST_WEEKS,
            least_completeness: LEAST_COMPLETENESS,
            least_pairs: LEAST_PAIRS,
        },
    }
}

fn pre_post(inputs: &Inputs<'_>, baseline: &Period, reporting: &Period) -> Result<Outcome, ComposeError> {
    let project = inputs.project;
    let hours = project::measured(project, inputs.hours);
    let settings = project::settings(project);
    let Report { verdict, result } = report(&PrePost {
        baseline: &hours,
        baseline_period: project::period(baseline),
        reporting: &hours,
        reporting_period: project::period(reporting),
        settings: &settings,
        rates: rates(inputs),
    })?;
    let of = |it: &Saving| {
        let energy = (it.saving_kwh, it.uncertainty.half_width_kwh);
        figures(project, energy, it.predicted_kwh + it.adjustments_kwh, it.worth)
    };
    Ok(Outcome {
        verdict,
        saving: result.saving.as_ref().map(of),
        offer: result.offer.as_ref().map(of),
        result: DesignResult::PrePost(Box::new(result)),
    })
}

fn crossover(inputs: &Inputs<'_>, washout: bool) -> Result<Outcome, ComposeError> {
    let project = inputs.project;
    let days = project::days(project).ok_or(ComposeError::NoSchedule)?;
    let pilot = Crossover {
        hours: &project::measured(project, inputs.hours),
        days: &days,
        boundary: project::boundary(project.terms.boundary),
        utc_offset_seconds: project.utc_offset_seconds,
        modes: &project::modes(&project.terms.modes),
        washout,
        claim: None,
        rates: rates(inputs),
    };
    let found = crossover_report(&pilot, project.seed)?;
    let CrossoverOutcome { verdict, evidence, evaluation, measured_kwh, coverage, redrawn } = found;
    let of =
        |it: Effect, worth| figures(project, (it.saving_kwh, it.half_width_kwh), measured_kwh + it.saving_kwh, worth);
    Ok(Outcome {
        verdict,
        saving: evaluation.as_ref().map(|it| of(it.intention_to_treat, it.worth)),
        offer: None,
        result: DesignResult::Crossover(Box::new(CrossoverResult {
            as_treated: evaluation.as_ref().map(|it| of(it.as_treated, it.worth_as_treated)),
            evidence,
            evaluation,
            measured_kwh,
            coverage,
            redrawn,
        })),
    })
}

/// Returns a saving in all units. `without` is the energy that would have been used, in kWh; `worth` is what the saving is
/// worth by a series of prices.
fn figures(project: &Project, (energy_kwh, half_width_kwh): (f64, f64), without: f64, worth: Option<Worth>) -> Figures {
    let percent = |energy: f64| if without > 0.0 { 100.0 * energy / without } else { 0.0 };
    let cost = |price: &Price| {
        let (amount, half_width) = match price.rate {
            Rate::Fixed(per_kwh) => (energy_kwh * per_kwh, half_width_kwh * per_kwh),
            Rate::Series(_) => worth.filter(is_priced).map(|it| (it.amount, it.half_width))?,
        };
        Some(Cost { currency: price.currency.clone(), amount, half_width })
    };
    let co2e = |factor: f64| Co2e { kg: energy_kwh * factor, half_width_kg: half_width_kwh * factor };
    Figures {
        energy_kwh,
        half_width_kwh,
        percent: percent(energy_kwh),
        half_width_percent: percent(half_width_kwh),
        cost: project.terms.price.as_ref().and_then(cost),
        priced: worth.map(|it| Priced { hours: it.hours, share: it.share }),
        co2e: project.terms.co2e_kg_per_kwh.map(co2e),
    }
}

/// Returns whether enough hours have a price for a cost to be named.
fn is_priced(worth: &Worth) -> bool {
    worth.share >= LEAST_COMPLETENESS
}
