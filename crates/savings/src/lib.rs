//! Savings of pilots: hours in, report figures out.
//!
//! Two designs of measurement and verification (IPMVP, option C on a sub-meter):
//!
//! - [`report`] evaluates a **pre/post** pilot: models of the baseline predict what the reporting period would have used
//!   without the retrofit; [`Verdict`] says what may be claimed, decided before the saving is known; [`Uncertainty`] is
//!   the half-width at 90 % confidence.
//! - [`evaluate_crossover`] evaluates a **crossover**: days with the retrofit on and off, drawn by [`draw_schedule`].
//!
//! [`plan`] predicts from a baseline what either could show.
//!
//! # Method of pre/post
//!
//! 1. Wet bulb and dew point follow from temperature, humidity and pressure; implausible hours are dropped.
//! 2. Errors in variables: models train on an IT load whose meter noise is taken out, and predict on the measured one.
//! 3. The candidates ([`Model`]) are penalised B-splines; blocked cross-validation over weeks chooses the penalty and the
//!    main model. A weekly profile of the inlet temperature and declared [`Mode`]s are covariates.
//! 4. The [`Alternative`]s are fitted for the spread of their totals alone.
//! 5. The half-width joins hold-outs, a bootstrap of weeks, and that spread.
//! 6. An hour is supported if the baseline has hours like it; [`decide`] makes the verdict of the support, the
//!    cross-validation and the data.
//!
//! # Known limits
//!
//! - A plant whose state no variable shows (staged chillers with hysteresis, compressors that cycle) is not predicted
//!   better than that state varies; the verdict is then [`Standing::Indicative`], and the half-width is too narrow where
//!   the state drifts from year to year. A declared mode or a crossover helps.
//! - Hours outside the baseline's support are extrapolated on straight lines; below 90 % of supported energy they are
//!   left out of the claim.
//! - Noise of the humidity sensor biases plants that run near a limit of wet bulb or dew point; the verdict names it
//!   ([`Reason::HumiditySensitive`]).
//! - A model on the measured IT load cannot see what a retrofit does to the IT load itself ([`ItEffect`]).
//!
//! # Conventions
//!
//! Energies are in kWh, temperatures in °C, differences of temperature in K, times in seconds since
//! 1970-01-01T00:00:00Z. The same input gives the same bits on every machine: sums have a fixed order, mathematical
//! functions come from `libm`, random numbers from ChaCha with a seed.
//!
//! Belongs here: everything that follows from the hours and the settings alone.
//! Does not belong here: I/O, a clock, currencies, and the reading of stored energy.

mod adjustments;
mod alternatives;
mod boosting;
mod covariates;
mod coverage;
mod crossover;
mod crossover_report;
mod design;
mod errors;
mod errors_in_variables;
mod estimate;
mod evidence;
mod fitted;
mod guideline14;
mod hour;
mod linear;
mod models;
mod neighbours;
mod numbers;
mod observations;
mod placebo;
mod planner;
mod problem;
mod psychrometrics;
mod random;
mod rates;
mod report;
mod spline;
mod support;
#[cfg(test)]
mod testing;
mod uncertainty;
mod verdict;
mod weeks;

pub use adjustments::Adjustment;
pub use alternatives::Alternative;
pub use covariates::Mode;
pub use coverage::{Bin, Cell, Coverage};
pub use crossover::{Confirmation, Crossover, CrossoverDay, CrossoverReport, Day, Effect, draw_schedule};
pub use crossover_report::{CrossoverOutcome, REDRAWS, Redrawn, crossover_report, evaluate_crossover};
pub use errors::Error;
pub use fitted::{ItEffect, Saving, Settings};
pub use guideline14::guideline_14;
pub use hour::{Boundary, Completeness, Hour, Period};
pub use models::Model;
pub use placebo::{Placebo, PlaceboPilot, placebo_battery, placebo_pilot};
pub use planner::{PlanRow, Prediction, plan};
pub use psychrometrics::{dew_point, saturation_pressure, wet_bulb};
pub use rates::{HourRate, Worth};
pub use report::{BOOTSTRAPS, PrePost, PrePostResult, Report, Score, Total, report};
pub use uncertainty::Uncertainty;
pub use verdict::{
    CrossoverEvidence, Evidence, FULL_SUPPORT, LEAST_COMPLETENESS, LEAST_PAIRS, LEAST_SUPPORT, LEAST_WEEKS,
    MOST_CV_RMSE, MOST_HUMIDITY_ERROR, MOST_INLET_SHIFT, MOST_IT_OUTSIDE, MOST_OFF_PLAN, Reason, Scope, Standing,
    Verdict, decide, decide_crossover,
};
pub use weeks::{Week, Weeks};
