//! The half-width of the interval at 90 % confidence: U = √(noise² + B² + D²).
//!
//! - noise: t · rms(e_h) · Ŷ · √min(1, h/M) (where the model misses hidden states, t · rms(e_h) · Ŷ), where t is the
//!   two-sided 90 % quantile of Student's t for as many degrees of freedom as hold-outs that do not overlap, and where e_h are the relative errors of the sums of hold-outs of h weeks
//!   that slide over the baseline, h = min(M, N/6). N and M are the weeks of baseline and reporting period.
//! - B, parameters: 1.645 standard deviations of the totals of 150 bootstraps, each of weeks drawn with replacement
//!   (H. Künsch 1989), with resampled sums of leave-one-week-out residuals added.
//! - D, spread: the largest difference between the total of an alternative and the main model's.

use serde::{Deserialize, Serialize};

use crate::{
    errors::Error,
    estimate::student,
    models::Main,
    numbers::{deviation, real, root_mean_square, round},
    random::Random,
};

/// The two-sided 90 % quantile of the standard normal distribution.
pub(crate) const Z90: f64 = 1.645;
/// The stream of the bootstrap.
const PURPOSE: u64 = 1;

/// A half-width and its three parts, in kWh, at 90 % confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Uncertainty {
    /// The half-width U: the root of the sum of the squares of the parts.
    pub half_width_kwh: f64,
    /// The error of the baseline's hold-outs.
    pub noise_kwh: f64,
    /// The spread of the parameters over the baseline's weeks (B).
    pub parameters_kwh: f64,
    /// The spread over the choice of the model (D).
    pub spread_kwh: f64,
    /// The root mean square of the relative errors of the hold-outs.
    pub hold_out_rms: f64,
    /// The length of the hold-outs in weeks (h).
    pub hold_out_weeks: f64,
}

/// The period of a claim, and the baseline's blocks.
#[derive(Debug, Clone)]
pub(crate) struct Claim<'a> {
    /// The length of the reporting period in weeks.
    pub(crate) weeks: f64,
    /// Whether the errors of hold-outs are independent, so that those of a longer period average out.
    pub(crate) averages: bool,
    /// The length of the baseline's blocks in weeks, and the hours of each.
    pub(crate) block_weeks: f64,
    /// The hours of each block of the baseline.
    pub(crate) block_hours: &'a [f64],
}

/// A total over the claimed hours: that of their energy, or of its worth, for which each hour counts by its rate.
#[derive(Debug, Clone)]
pub(crate) struct Summed {
    /// The sums of the rows, one per coefficient.
    pub(crate) sums: Vec<f64>,
    /// The number of hours, or the sum of their rates.
    pub(crate) hours: f64,
    /// The sum of the absolute values of what is added up.
    pub(crate) magnitude: f64,
    /// The totals of the alternatives.
    pub(crate) alternatives: Vec<f64>,
}

/// Computes the half-widths of totals of one claim. That of a worth is in its unit instead of kWh.
///
/// # Errors
///
/// [`Error::Singular`], if a fit fails.
pub(crate) fn uncertainties<const N: usize>(
    main: &Main,
    claim: &Claim<'_>,
    totals: &[Summed; N],
    seed: u64,
    draws: usize,
) -> Result<[Uncertainty; N], Error> {
    let baseline_weeks = real(main.problem.len()) * claim.block_weeks;
    let h = round(claim.weeks.min(baseline_weeks / 6.0) / claim.block_weeks).clamp(1, main.problem.len().max(3) - 2);
    let hold_out_weeks = real(h) * claim.block_weeks;
    let hold_out_rms = root_mean_square(&hold_out_errors(main, h)?);
    let averaging = if claim.averages { (hold_out_weeks / claim.weeks).min(1.0).sqrt() } else { 1.0 };
    let resampled = round(claim.weeks / claim.block_weeks).max(1);
    let drawn = bootstrap(main, claim, resampled, seed, draws)?;
    Ok(totals.each_ref().map(|summed| {
        let total = dot(&summed.sums, &main.coefficients);
        let noise_kwh = student(0.95, main.problem.len() / h) * hold_out_rms * summed.magnitude * averaging;
        let of = |(coefficients, errors): &(Vec<f64>, f64)| {
            dot(&summed.sums, coefficients) + errors * summed.hours / real(resampled)
        };
        let parameters_kwh = Z90 * deviation(&drawn.iter().map(of).collect::<Vec<_>>());
        let spread_kwh = summed.alternatives.iter().map(|other| (other - total).abs()).fold(0.0, f64::max);
        let half_width_kwh = (noise_kwh * noise_kwh + parameters_kwh * parameters_kwh + spread_kwh * spread_kwh).sqrt();
        Uncertainty { half_width_kwh, noise_kwh, parameters_kwh, spread_kwh, hold_out_rms, hold_out_weeks }
    }))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Returns the relative errors of the sums of all windows of `h` consecutive blocks, each predicted from the others.
///
/// Windows without predicted energy are left out.
pub(crate) fn hold_out_errors(main: &Main, h: usize) -> Result<Vec<f64>, Error> {
    let blocks = main.problem.len();
    let mut errors = Vec::new();
    for first in 0..=blocks.saturating_sub(h) {
        let window = first..(first + h).min(blocks);
        let coefficients = main.problem.fit_without(|block| window.contains(&block), main.lambda)?;
        let predicted: f64 = window.clone().map(|block| main.problem.predicted(block, &coefficients)).sum();
        let measured: f64 = window.map(|block| main.problem.outcome(block)).sum();
        if predicted > 0.0 {
            errors.push((measured - predicted) / predicted);
        }
    }
    Ok(errors)
}

/// Returns the coefficients of the bootstraps, each with the sum of `resampled` residuals of blocks, per hour.
fn bootstrap(
    main: &Main,
    claim: &Claim<'_>,
    resampled: usize,
    seed: u64,
    draws: usize,
) -> Result<Vec<(Vec<f64>, f64)>, Error> {
    let blocks = main.problem.len();
    // Per hour, since blocks differ in their hours.
    let residuals = (0..blocks)
        .map(|block| {
            let coefficients = main.problem.fit_without(|other| other == block, main.lambda)?;
            let error = main.problem.outcome(block) - main.problem.predicted(block, &coefficients);
            Ok(error / claim.block_hours[block].max(1.0))
        })
        .collect::<Result<Vec<f64>, Error>>()?;
    let mut random = Random::new(seed, PURPOSE);
    (0..draws)
        .map(|_| {
            let mut counts = vec![0; blocks];
            (0..blocks).for_each(|_| counts[random.below(blocks)] += 1);
            let coefficients = main.problem.fit_weighed(&counts, main.lambda)?;
            let errors: f64 = (0..resampled).map(|_| residuals[random.below(blocks)]).sum();
            Ok((coefficients, errors))
        })
        .collect()
}
