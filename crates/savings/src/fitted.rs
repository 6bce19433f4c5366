//! The models of a pre/post pilot, fitted: the verdict, and the saving over its scope.

use serde::{Deserialize, Serialize};

use crate::{
    adjustments::{self, Adjustment},
    alternatives::{Alternative, fit_alternatives},
    covariates::Mode,
    design::{Frame, IT},
    errors::Error,
    evidence::{evidence, expected_it},
    guideline14::guideline_14,
    hour::Boundary,
    models::{Baseline, Candidate, Main, fit_candidates},
    numbers::{mean, real},
    observations::Observations,
    rates::{HourRate, Weights, Worth},
    support::supported,
    uncertainty::{Claim, Summed, Uncertainty, uncertainties},
    verdict::{Evidence, MOST_CV_RMSE, Scope, Verdict, decide},
};

/// The least number of usable hours of either period, below which nothing is fitted.
pub(crate) const LEAST_HOURS: usize = 7 * 24;

/// The settings of both periods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// A saving over some hours.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Saving {
    /// The hours it is summed over.
    pub scope: Scope,
    /// The number of those hours.
    pub hours: usize,
    /// The energy that the baseline's model predicts, in kWh (Ŷ).
    pub predicted_kwh: f64,
    /// The measured energy, in kWh.
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
    /// The worth of the saving, if hours have rates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worth: Option<Worth>,
}

/// The band of an effect that the retrofit may have had on the IT load itself, over the hours of the saving.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ItEffect {
    /// The prediction at the measured IT load, in kWh.
    pub at_measured_kwh: f64,
    /// The prediction at the IT load that calendar and weather would have given in the baseline, in kWh.
    pub at_expected_kwh: f64,
}

/// The models of a pilot, fitted, without the measured energy of the reporting period.
pub(crate) struct Fitted<'a> {
    pub(crate) baseline: Baseline<'a>,
    pub(crate) reporting: &'a Observations,
    pub(crate) frame: Frame,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) main: Main,
    pub(crate) alternatives: Vec<(Alternative, Vec<f64>)>,
    pub(crate) supported: Vec<bool>,
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
    pub(crate) fn scope(&self) -> Vec<bool> {
        match self.verdict.scope {
            Scope::All => vec![true; self.reporting.len()],
            Scope::Supported => self.supported.clone(),
        }
    }

    /// Computes the saving of the verdict's scope; `None` if it has no hours, or no energy is predicted.
    pub(crate) fn saving(
        &self,
        adjustments: &[Adjustment],
        rates: Option<&[HourRate]>,
        seed: u64,
        draws: usize,
    ) -> Result<Option<Saving>, Error> {
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
        let energy = Summed { sums, hours: real(hours), magnitude: predicted_kwh, alternatives };
        let claim = Claim {
            weeks: self.reporting.period.weeks(),
            // A hidden state drifts over months and years: its errors do not average out.
            averages: self.evidence.cv_rmse <= MOST_CV_RMSE,
            block_weeks: observations.block_weeks,
            block_hours: &observations.hours_per_block(),
        };
        let (uncertainty, worth) = match rates {
            None => {
                let [uncertainty] = uncertainties(&self.main, &claim, &[energy], seed, draws)?;
                (uncertainty, None)
            }
            Some(rates) => {
                let weights = Weights::new(&self.reporting.hours, &scope, rates);
                let totals = [energy, self.weighed(&weights)];
                let [uncertainty, of_worth] = uncertainties(&self.main, &claim, &totals, seed, draws)?;
                (uncertainty, Some(self.worth(&weights, adjustments, of_worth.half_width_kwh)))
            }
        };
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
            worth,
        }))
    }

    /// Adds the predicted worth up.
    fn weighed(&self, weights: &Weights) -> Summed {
        let rows = self.main.problem.rows(&self.frame);
        let mut sums = vec![0.0; self.main.coefficients.len()];
        weights.of.iter().enumerate().for_each(|(hour, weight)| rows.add_times(hour, *weight, &mut sums));
        Summed {
            sums,
            hours: weights.of.iter().sum(),
            magnitude: weights.magnitude(&self.main.predict(&self.frame)),
            alternatives: self.alternatives.iter().map(|(_, values)| weights.total(values)).collect(),
        }
    }

    fn worth(&self, weights: &Weights, adjustments: &[Adjustment], half_width: f64) -> Worth {
        let predicted = weights.total(&self.main.predict(&self.frame));
        let adjusted = adjustments::worth(adjustments, self.reporting, &weights.of);
        let amount = predicted + adjusted - weights.total(&self.reporting.energy);
        Worth { hours: weights.hours, share: weights.share, amount, half_width }
    }

    /// Computes the band of the IT effect over the verdict's scope.
    pub(crate) fn it_effect(&self) -> Result<ItEffect, Error> {
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
pub(crate) fn total(values: &[f64], scope: &[bool]) -> f64 {
    values.iter().zip(scope).filter(|(_, within)| **within).map(|(value, _)| value).sum()
}
