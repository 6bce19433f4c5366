//! The regression behind a crossover: covariates, a level per pair, and an effect of the retrofit by temperature.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::{
    crossover::{Effect, Selected},
    design::{Design, Frame, IT, TEMPERATURE, Term, WET_BULB},
    errors::Error,
    models::predict,
    numbers::{mean, real},
    problem::{Blocks, Problem, Validation},
};

/// The functions of the effect of temperature.
const EFFECT_FUNCTIONS: usize = 6;

/// A regression of an outcome on covariates and a treatment.
pub(crate) struct Estimate<'a> {
    hours: &'a Selected,
    outcome: Vec<f64>,
    frame: Frame,
    /// The column of the treatment.
    on: usize,
    problem: Problem,
    claim_sums: Vec<f64>,
}

impl<'a> Estimate<'a> {
    /// Accumulates the equations. `treatment` has the share of each hour that the retrofit was on; `with_it` makes the
    /// IT load a covariate; `claim` has the outdoor temperatures that the effect is summed over.
    pub(crate) fn new(hours: &'a Selected, treatment: &[f64], outcome: &[f64], with_it: bool, claim: &[f64]) -> Self {
        let observations = &hours.observations;
        let mut frame = hours.covariates.frame(observations, observations.it());
        let on = frame.0.len();
        let (pair, day_type) = (on + 1, on + 2);
        frame.0.push(treatment.to_vec());
        frame.0.push(hours.pair.iter().map(|pair| real(*pair)).collect());
        frame.0.push((0..observations.len()).map(|hour| real(observations.hour_of_day_type(hour))).collect());
        let mut terms =
            vec![Term::Spline(TEMPERATURE, 16), Term::Spline(WET_BULB, 8), Term::Category(pair, hours.pairs)];
        if with_it {
            terms.push(Term::Varying(IT, TEMPERATURE, 12));
            terms.extend(hours.covariates.terms());
        } else {
            terms.push(Term::Category(day_type, 48));
        }
        terms.push(Term::Varying(on, TEMPERATURE, EFFECT_FUNCTIONS));
        let design = Design::new(&terms, &[&frame]);
        let claim_sums = claim_sums(&design, claim, None, on);
        let problem = Problem::new(design, &frame, &frame, outcome, blocks(hours));
        Self { hours, outcome: outcome.to_vec(), frame, on, problem, claim_sums }
    }

    /// Cross-validates over pairs.
    pub(crate) fn validate(&self) -> Result<Validation, Error> {
        self.problem.validate(&self.outcome, blocks(self.hours))
    }

    /// Returns the saving over the claim, in kWh.
    pub(crate) fn saving(&self, lambda: f64) -> Result<f64, Error> {
        Ok(saving_by(&self.claim_sums, &self.problem.fit(lambda)?))
    }

    /// Returns the saving over the claim with its half-width: jackknife over pairs, Student's t.
    pub(crate) fn effect(&self, lambda: f64) -> Result<Effect, Error> {
        self.jackknife(lambda, |coefficients, _| saving_by(&self.claim_sums, coefficients))
    }

    /// Returns the worth of the saving in the hours planned on with its half-width: each hour counts by its rate.
    ///
    /// The effect depends on the temperature alone, and rates on the hour of the day, at which the retrofit may do more or
    /// less. The residuals of the hours planned on, weighed by their rates, tell; the model's own misses are in those of
    /// the hours planned off as well.
    pub(crate) fn worth(&self, rates: &[f64], lambda: f64) -> Result<Effect, Error> {
        let days = &self.hours.days;
        let on: Vec<f64> = days.iter().zip(rates).map(|(day, rate)| if day.on { *rate } else { 0.0 }).collect();
        let sums = claim_sums(self.problem.design(), &self.frame.0[TEMPERATURE], Some(&on), self.on);
        self.jackknife(lambda, |coefficients, without| {
            let mut difference = 0.0;
            for (hour, day) in days.iter().enumerate().filter(|(hour, _)| Some(self.hours.pair[*hour]) != without) {
                let residual = rates[hour] * (self.outcome[hour] - self.problem.own(hour, coefficients));
                difference += if day.on { residual } else { -residual };
            }
            let pairs = real(self.hours.pairs);
            let kept = if without.is_some() { pairs - 1.0 } else { pairs };
            saving_by(&sums, coefficients) - difference * pairs / kept
        })
    }

    /// Returns what follows from the coefficients of all pairs, with its half-width from those without each one.
    fn jackknife(&self, lambda: f64, of: impl Fn(&[f64], Option<usize>) -> f64) -> Result<Effect, Error> {
        let without = (0..self.hours.pairs)
            .map(|pair| Ok(of(&self.problem.fit_without(|other| other == pair, lambda)?, Some(pair))))
            .collect::<Result<Vec<f64>, Error>>()?;
        let centre = mean(&without);
        let squares: f64 = without.iter().map(|value| (value - centre) * (value - centre)).sum();
        let pairs = real(self.hours.pairs);
        let error = ((pairs - 1.0) / pairs * squares).sqrt();
        let half_width_kwh = student(0.95, self.hours.pairs - 1) * error;
        Ok(Effect { saving_kwh: of(&self.problem.fit(lambda)?, None), half_width_kwh })
    }

    /// Predicts the outcome of each hour as if the retrofit had been off.
    pub(crate) fn untreated(&self, lambda: f64) -> Result<Vec<f64>, Error> {
        let mut frame = self.frame.clone();
        frame.0[self.on] = vec![0.0; frame.len()];
        Ok(predict(&self.problem.rows(&frame), &self.problem.fit(lambda)?))
    }
}

fn saving_by(sums: &[f64], coefficients: &[f64]) -> f64 {
    -sums.iter().zip(coefficients).map(|(a, b)| a * b).sum::<f64>()
}

fn blocks(hours: &Selected) -> Blocks<'_> {
    Blocks { of: &hours.pair, count: hours.pairs }
}

/// Returns the sums over the hours of a claim of the effect's basis, each times its rate if there are rates; zero for all
/// other columns.
///
/// `on` is the column of the treatment.
fn claim_sums(design: &Design, claim: &[f64], rates: Option<&[f64]>, on: usize) -> Vec<f64> {
    // The difference between an hour with the treatment and one without; what both have does not matter.
    let columns = |treatment: f64| {
        let mut columns = vec![vec![0.0; claim.len()]; on + 3];
        columns[TEMPERATURE] = claim.to_vec();
        columns[on] = vec![treatment; claim.len()];
        design.rows(&Frame(columns))
    };
    let (treated, untreated) = (columns(1.0), columns(0.0));
    let mut sums = vec![0.0; design.columns()];
    let mut others = sums.clone();
    for hour in 0..claim.len() {
        let rate = rates.map_or(1.0, |rates| rates[hour]);
        treated.add_times(hour, rate, &mut sums);
        untreated.add_times(hour, rate, &mut others);
    }
    sums.iter().zip(&others).map(|(treated, untreated)| treated - untreated).collect()
}

/// Returns the quantile of Student's t distribution, rounded to 10⁻⁹, so that it does not depend on a library's last
/// bits.
pub(crate) fn student(share: f64, freedom: usize) -> f64 {
    let quantile = StudentsT::new(0.0, 1.0, real(freedom.max(1))).map_or(f64::NAN, |it| it.inverse_cdf(share));
    (quantile * 1e9).round() / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_follow_the_tables_of_student() {
        for (share, freedom, expected) in [(0.95, 27, 1.703_288), (0.95, 5, 2.015_048), (0.8, 27, 0.855_137)] {
            assert!((student(share, freedom) - expected).abs() < 1e-5, "{}", student(share, freedom));
        }
    }
}
