//! The candidate models of a baseline, and the selection of the main one.

use serde::{Deserialize, Serialize};

use crate::{
    covariates::{Covariates, Mode},
    design::{DEW_POINT, Design, Frame, IT, TEMPERATURE, Term, WET_BULB},
    errors::Error,
    errors_in_variables::fitted_it,
    linear::{Normal, Rows},
    observations::Observations,
    problem::{Blocks, Problem, Validation},
};

/// Below this many weeks of baseline there are no products, and no basis has more than [`SMALL_BASIS`] functions.
pub(crate) const WEEKS_FOR_PRODUCTS: f64 = 13.0;
/// The most functions of a basis on a short baseline.
const SMALL_BASIS: usize = 16;

/// A candidate: the energy of an hour as a function of outdoor temperature T, wet bulb TW, dew point Td and IT load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Model {
    /// s₃₂(T) + s₈(TW) + β·IT + IT·s₁₂(T).
    #[serde(rename = "surf32")]
    Surf32,
    /// s₂₀(T)⊗s₈(IT) + s₁₂(TW)⊗s₈(IT).
    #[serde(rename = "ten")]
    Ten,
    /// s₃₂(T)⊗s₆(IT) + s₁₂(TW)⊗s₆(IT).
    #[serde(rename = "ten32")]
    Ten32,
    /// `Ten` + s₁₆(Td)⊗s₅(IT).
    #[serde(rename = "ten+dew")]
    TenDew,
}

impl Model {
    /// Returns the candidates for a baseline of so many weeks.
    pub(crate) const fn candidates(weeks: f64) -> &'static [Self] {
        if weeks < WEEKS_FOR_PRODUCTS { &[Self::Surf32] } else { &[Self::Surf32, Self::Ten, Self::Ten32, Self::TenDew] }
    }

    /// Returns the terms in weather and IT load.
    pub(crate) fn terms(self, weeks: f64) -> Vec<Term> {
        let limit = if weeks < WEEKS_FOR_PRODUCTS { SMALL_BASIS } else { usize::MAX };
        let ten = [Term::Product(TEMPERATURE, 20, IT, 8), Term::Product(WET_BULB, 12, IT, 8)];
        match self {
            // β·IT is among the straight lines of IT·s(T), which the penalty leaves free.
            Self::Surf32 => vec![
                Term::Spline(TEMPERATURE, limit.min(32)),
                Term::Spline(WET_BULB, 8),
                Term::Varying(IT, TEMPERATURE, 12),
            ],
            Self::Ten => ten.to_vec(),
            Self::Ten32 => vec![Term::Product(TEMPERATURE, 32, IT, 6), Term::Product(WET_BULB, 12, IT, 6)],
            Self::TenDew => [ten.as_slice(), &[Term::Product(DEW_POINT, 16, IT, 5)]].concat(),
        }
    }
}

/// A baseline ready to be fitted.
#[derive(Debug, Clone)]
pub(crate) struct Baseline<'a> {
    /// The hours.
    pub(crate) observations: &'a Observations,
    /// The covariates beside weather and IT load.
    pub(crate) covariates: Covariates,
    /// The variables with the fitted IT load, to train on.
    pub(crate) train: Frame,
    /// The variables with the measured IT load, to predict on.
    pub(crate) own: Frame,
}

impl<'a> Baseline<'a> {
    /// Prepares a baseline: fits its IT load, and derives its covariates.
    ///
    /// # Errors
    ///
    /// [`Error::Singular`], if the regression of the IT load fails.
    pub(crate) fn new(observations: &'a Observations, modes: &[Mode]) -> Result<Self, Error> {
        let covariates = Covariates::of(observations, modes);
        let train = covariates.frame(observations, fitted_it(observations)?);
        let own = covariates.frame(observations, observations.it());
        Ok(Self { observations, covariates, train, own })
    }

    /// Returns the blocks of weeks.
    pub(crate) fn blocks(&self) -> Blocks<'_> {
        Blocks { of: &self.observations.block, count: self.observations.blocks }
    }

    /// Builds the regression of an outcome on terms and covariates.
    pub(crate) fn problem(&self, mut terms: Vec<Term>, outcome: &[f64]) -> Problem {
        terms.extend(self.covariates.terms());
        let design = Design::new(&terms, &[&self.train, &self.own]);
        Problem::new(design, &self.train, &self.own, outcome, self.blocks())
    }

    /// Fits an outcome on terms and covariates. Keeps no equations per block.
    ///
    /// # Errors
    ///
    /// [`Error::Singular`], if the fit fails.
    pub(crate) fn fit(&self, mut terms: Vec<Term>, outcome: &[f64], lambda: f64) -> Result<Pooled, Error> {
        terms.extend(self.covariates.terms());
        let design = Design::new(&terms, &[&self.train, &self.own]);
        let rows = design.rows(&self.train);
        let mut normal = Normal::zero(design.columns());
        for (hour, outcome) in outcome.iter().enumerate() {
            let (columns, values) = rows.row(hour);
            normal.add_row(columns, values, *outcome);
        }
        let coefficients = normal.solve(&design.penalty(), lambda)?;
        Ok(Pooled { design, coefficients })
    }
}

/// A regression of the whole baseline, without its equations.
#[derive(Debug, Clone)]
pub(crate) struct Pooled {
    design: Design,
    coefficients: Vec<f64>,
}

impl Pooled {
    /// Predicts all hours of a frame.
    pub(crate) fn predict(&self, frame: &Frame) -> Vec<f64> {
        predict(&self.design.rows(frame), &self.coefficients)
    }
}

/// A candidate, fitted to the whole baseline.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    /// The model.
    pub(crate) model: Model,
    /// The result of cross-validation.
    pub(crate) validation: Validation,
    /// The predicted energy of each reporting hour, in kWh.
    pub(crate) predictions: Vec<f64>,
}

/// Fits all candidates; the first is the main one, with the least CV(RMSE).
///
/// # Errors
///
/// [`Error::Singular`], if a fit fails.
pub(crate) fn fit_candidates(baseline: &Baseline<'_>, reporting: &Frame) -> Result<Vec<Candidate>, Error> {
    let weeks = baseline.observations.period.weeks();
    let outcome = &baseline.observations.energy;
    let mut candidates = Vec::new();
    for model in Model::candidates(weeks) {
        let problem = baseline.problem(model.terms(weeks), outcome);
        let validation = problem.validate(outcome, baseline.blocks())?;
        let coefficients = problem.fit(validation.lambda)?;
        let predictions = predict(&problem.rows(reporting), &coefficients);
        candidates.push(Candidate { model: *model, validation, predictions });
    }
    candidates.sort_by(|a, b| a.validation.cv_rmse.total_cmp(&b.validation.cv_rmse));
    Ok(candidates)
}

/// The main model, fitted to the whole baseline.
#[derive(Debug, Clone)]
pub(crate) struct Main {
    /// The regression.
    pub(crate) problem: Problem,
    /// The weight of its penalty.
    pub(crate) lambda: f64,
    /// Its coefficients.
    pub(crate) coefficients: Vec<f64>,
}

impl Main {
    /// Fits a candidate again, keeping its equations.
    ///
    /// # Errors
    ///
    /// [`Error::Singular`], if the fit fails.
    pub(crate) fn new(baseline: &Baseline<'_>, candidate: &Candidate) -> Result<Self, Error> {
        let terms = candidate.model.terms(baseline.observations.period.weeks());
        let problem = baseline.problem(terms, &baseline.observations.energy);
        let lambda = candidate.validation.lambda;
        let coefficients = problem.fit(lambda)?;
        Ok(Self { problem, lambda, coefficients })
    }

    /// Predicts the energy of some hours, in kWh.
    pub(crate) fn predict(&self, frame: &Frame) -> Vec<f64> {
        predict(&self.problem.rows(frame), &self.coefficients)
    }
}

/// Returns the product of all rows and a vector of coefficients.
pub(crate) fn predict(rows: &Rows, coefficients: &[f64]) -> Vec<f64> {
    (0..rows.len()).map(|hour| rows.dot(hour, coefficients)).collect()
}
