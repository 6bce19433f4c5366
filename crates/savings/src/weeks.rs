//! Both periods week by week, for figures.

use serde::{Deserialize, Serialize};

use crate::{
    errors::Error,
    fitted::Fitted,
    hour::WEEK,
    numbers::{floor, root_mean_square, seconds},
    observations::Observations,
    uncertainty::Z90,
};

/// A week of a period, counted from the period's start.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Week {
    /// Its start, in seconds since 1970.
    pub from: i64,
    /// Its usable hours; weeks without any are left out.
    pub hours: usize,
    /// Those that the baseline supports; in the baseline itself all.
    pub supported_hours: usize,
    /// The measured energy of the usable hours, in kWh.
    pub measured_kwh: f64,
    /// The predicted energy of the same hours, in kWh, without adjustments. In the baseline the week itself is left out
    /// of the fit.
    pub predicted_kwh: f64,
    /// The half-width at 90 % confidence of one week alone, in kWh: from the errors of the baseline's weeks.
    pub half_width_kwh: f64,
}

/// The weeks of both periods.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Weeks {
    /// The weeks of the baseline.
    pub baseline: Vec<Week>,
    /// The weeks of the reporting period.
    pub reporting: Vec<Week>,
}

/// Sums both periods by week.
///
/// # Errors
///
/// [`Error::Singular`], if a fit fails.
pub(crate) fn weeks(fitted: &Fitted<'_>) -> Result<Weeks, Error> {
    let before = fitted.baseline.observations;
    let problem = &fitted.main.problem;
    let without = (0..problem.len())
        .map(|block| problem.fit_without(|other| other == block, fitted.main.lambda))
        .collect::<Result<Vec<_>, Error>>()?;
    let own = before.block.iter().enumerate().map(|(hour, block)| problem.own(hour, &without[*block])).collect();
    let mut baseline = by_week(before, own, |_| true);
    let predicted = fitted.main.predict(&fitted.frame);
    let mut reporting = by_week(fitted.reporting, predicted, |hour| fitted.supported[hour]);
    let relative = |week: &Week| (week.predicted_kwh > 0.0).then(|| week.measured_kwh / week.predicted_kwh - 1.0);
    let error = Z90 * root_mean_square(&baseline.iter().filter_map(relative).collect::<Vec<_>>());
    baseline.iter_mut().chain(&mut reporting).for_each(|week| week.half_width_kwh = error * week.predicted_kwh.abs());
    Ok(Weeks { baseline, reporting })
}

fn by_week(of: &Observations, predicted: Vec<f64>, supported: impl Fn(usize) -> bool) -> Vec<Week> {
    let count = floor(of.period.weeks().ceil());
    let mut weeks: Vec<Week> = (0..count)
        .map(|number| Week {
            from: of.period.from.saturating_add(i64::try_from(number).unwrap_or_default() * WEEK),
            hours: 0,
            supported_hours: 0,
            measured_kwh: 0.0,
            predicted_kwh: 0.0,
            half_width_kwh: 0.0,
        })
        .collect();
    for (hour, predicted) in predicted.into_iter().enumerate() {
        let number = floor(seconds(of.hours[hour].start - of.period.from) / seconds(WEEK));
        if let Some(week) = weeks.get_mut(number) {
            week.hours += 1;
            week.supported_hours += usize::from(supported(hour));
            week.measured_kwh += of.energy[hour];
            week.predicted_kwh += predicted;
        }
    }
    weeks.retain(|week| week.hours > 0);
    weeks
}
