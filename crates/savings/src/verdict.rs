//! Verdicts: what a report may claim, decided before its saving is seen.
//!
//! [`decide`] sees how well the baseline is known, and how much of the reporting period resembles it; it sees neither
//! the saving nor the half-width. A gate on half-width ÷ saving would select over-estimates.

use serde::{Deserialize, Serialize};

use crate::numbers::real;

/// Below this share of supported energy nothing is claimed.
pub const LEAST_SUPPORT: f64 = 0.6;
/// Below this share of supported energy the supported hours alone are claimed.
pub const FULL_SUPPORT: f64 = 0.9;
/// Above this CV(RMSE) of hours out of sample a saving is indicative.
pub const MOST_CV_RMSE: f64 = 0.1;
/// Below this many weeks of baseline nothing is claimed.
pub const LEAST_WEEKS: f64 = 4.0;
/// Below this completeness of either period nothing is claimed.
pub const LEAST_COMPLETENESS: f64 = 0.9;
/// The least number of complete pairs of a crossover.
pub const LEAST_PAIRS: usize = 3;
/// A shift of the mean inlet temperature that is warned of, in K.
pub const MOST_INLET_SHIFT: f64 = 0.5;
/// A share of hours with the IT load outside the baseline's range that is warned of.
pub const MOST_IT_OUTSIDE: f64 = 0.05;
/// A relative change of the predicted total under 3 % of humidity noise that is warned of.
pub const MOST_HUMIDITY_ERROR: f64 = 0.005;
/// A share of a crossover's days off the plan that is warned of.
pub const MOST_OFF_PLAN: f64 = 0.1;

/// The claim of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// A saving with its interval.
    Claimed,
    /// A saving whose interval may be too narrow: the model misses what moves the plant.
    Indicative,
    /// No saving.
    Refused,
}

/// The hours that a saving is summed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All usable hours of the reporting period.
    All,
    /// The supported hours alone.
    Supported,
}

/// Why a verdict is as it is, with the measured value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason", content = "value")]
pub enum Reason {
    /// Refused: supported share of the predicted energy below [`LEAST_SUPPORT`]. The supported hours alone are offered;
    /// a baseline of the same season would help.
    SupportTooLow(f64),
    /// Supported hours alone: supported share of the predicted energy below [`FULL_SUPPORT`].
    SupportPartial(f64),
    /// Indicative: CV(RMSE) of hours above [`MOST_CV_RMSE`]. A crossover does not depend on the model.
    ModelTooCoarse(f64),
    /// Refused: usable hours of the shorter period, too few to fit anything.
    TooFewHours(f64),
    /// Refused: complete pairs of days of a crossover, fewer than three.
    TooFewPairs(f64),
    /// Refused: fewer weeks of baseline than [`LEAST_WEEKS`].
    BaselineTooShort(f64),
    /// Refused: completeness of the baseline below [`LEAST_COMPLETENESS`].
    BaselineIncomplete(f64),
    /// Refused: completeness of the reporting period below [`LEAST_COMPLETENESS`].
    ReportingIncomplete(f64),
    /// Warning: shift of the mean inlet temperature in K, beyond [`MOST_INLET_SHIFT`], which may have moved the IT load.
    /// The saving is one "at measured IT": a model on the measured load cannot see what a retrofit does to it.
    InletShifted(f64),
    /// Warning: share of hours with the IT load outside the baseline's range, above [`MOST_IT_OUTSIDE`]. The saving is
    /// one "at measured IT".
    ItOutsideRange(f64),
    /// Warning: share of hours in a declared mode that the baseline never had.
    ModeUnseen(f64),
    /// Warning: relative change of the predicted total under humidity noise of 3 %, above [`MOST_HUMIDITY_ERROR`]: the
    /// plant runs near a limit of humidity or wet bulb.
    HumiditySensitive(f64),
    /// Warning: share of a crossover's days that nobody has confirmed; they count as planned.
    DaysUnconfirmed(f64),
    /// Warning: share of a crossover's days that did not follow the plan, above [`MOST_OFF_PLAN`]. The headline counts
    /// them as planned, which makes it smaller than the effect of the retrofit.
    PlanNotFollowed(f64),
}

impl Reason {
    /// Returns what the reason makes of the standing.
    #[must_use]
    pub const fn standing(self) -> Standing {
        match self {
            Self::SupportTooLow(_)
            | Self::TooFewHours(_)
            | Self::TooFewPairs(_)
            | Self::BaselineTooShort(_)
            | Self::BaselineIncomplete(_)
            | Self::ReportingIncomplete(_) => Standing::Refused,
            Self::ModelTooCoarse(_) => Standing::Indicative,
            Self::SupportPartial(_)
            | Self::InletShifted(_)
            | Self::ItOutsideRange(_)
            | Self::ModeUnseen(_)
            | Self::HumiditySensitive(_)
            | Self::DaysUnconfirmed(_)
            | Self::PlanNotFollowed(_) => Standing::Claimed,
        }
    }
}

/// The evidence for a verdict. All of it is known without the energy that the reporting period measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Weeks of baseline (N).
    pub baseline_weeks: f64,
    /// Weeks of the reporting period (M).
    pub reporting_weeks: f64,
    /// Usable hours ÷ hours of the baseline.
    pub baseline_completeness: f64,
    /// Usable hours ÷ hours of the reporting period.
    pub reporting_completeness: f64,
    /// CV(RMSE) of the main model's hours, out of sample.
    pub cv_rmse: f64,
    /// The share of the predicted energy that lies in supported hours.
    pub supported_energy: f64,
    /// Mean inlet temperature of the reporting period less the baseline's, in K.
    pub inlet_shift_k: Option<f64>,
    /// The share of reporting hours whose IT load lies outside the baseline's range.
    pub it_outside: f64,
    /// The share of reporting hours in a declared mode that the baseline never had.
    pub mode_unseen: f64,
    /// Relative change of the predicted total under independent humidity noise of 3 % in both periods.
    pub humidity_error: f64,
}

/// A verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The claim.
    pub standing: Standing,
    /// The hours it is claimed for.
    pub scope: Scope,
    /// Why, and what to be aware of; empty if nothing is to be said.
    pub reasons: Vec<Reason>,
}

/// Decides a verdict.
#[must_use]
pub fn decide(evidence: &Evidence) -> Verdict {
    let mut reasons = Vec::new();
    let mut note = |applies: bool, reason: Reason| {
        if applies {
            reasons.push(reason);
        }
    };
    let support = evidence.supported_energy;
    note(evidence.baseline_weeks < LEAST_WEEKS, Reason::BaselineTooShort(evidence.baseline_weeks));
    let (before, after) = (evidence.baseline_completeness, evidence.reporting_completeness);
    note(before < LEAST_COMPLETENESS, Reason::BaselineIncomplete(before));
    note(after < LEAST_COMPLETENESS, Reason::ReportingIncomplete(after));
    note(support < LEAST_SUPPORT, Reason::SupportTooLow(support));
    note((LEAST_SUPPORT..FULL_SUPPORT).contains(&support), Reason::SupportPartial(support));
    note(evidence.cv_rmse > MOST_CV_RMSE, Reason::ModelTooCoarse(evidence.cv_rmse));
    let shift = evidence.inlet_shift_k.unwrap_or_default();
    note(shift.abs() > MOST_INLET_SHIFT, Reason::InletShifted(shift));
    note(evidence.it_outside > MOST_IT_OUTSIDE, Reason::ItOutsideRange(evidence.it_outside));
    note(evidence.mode_unseen > 0.0, Reason::ModeUnseen(evidence.mode_unseen));
    note(evidence.humidity_error.abs() > MOST_HUMIDITY_ERROR, Reason::HumiditySensitive(evidence.humidity_error));
    let scope = if support < FULL_SUPPORT { Scope::Supported } else { Scope::All };
    Verdict::of(scope, reasons)
}

impl Verdict {
    /// Returns the verdict of some reasons: the gravest decides.
    pub(crate) fn of(scope: Scope, reasons: Vec<Reason>) -> Self {
        let standing = [Standing::Refused, Standing::Indicative]
            .into_iter()
            .find(|standing| reasons.iter().any(|reason| reason.standing() == *standing))
            .unwrap_or(Standing::Claimed);
        Self { standing, scope, reasons }
    }
}

/// The evidence for the verdict of a crossover. All of it is known without the measured energy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CrossoverEvidence {
    /// The planned days.
    pub days: usize,
    /// The pairs with usable hours on both days.
    pub pairs: usize,
    /// Usable hours ÷ hours of the planned days.
    pub completeness: f64,
    /// The share of the days that is confirmed.
    pub confirmed: f64,
    /// The share of the days that did not follow the plan, as confirmed.
    pub off_plan: f64,
}

/// Decides the verdict of a crossover.
#[must_use]
pub fn decide_crossover(evidence: &CrossoverEvidence) -> Verdict {
    let CrossoverEvidence { pairs, completeness, confirmed, off_plan, .. } = *evidence;
    let cases = [
        (pairs < LEAST_PAIRS, Reason::TooFewPairs(real(pairs))),
        (completeness < LEAST_COMPLETENESS, Reason::ReportingIncomplete(completeness)),
        (confirmed < 1.0, Reason::DaysUnconfirmed(1.0 - confirmed)),
        (off_plan > MOST_OFF_PLAN, Reason::PlanNotFollowed(off_plan)),
    ];
    Verdict::of(Scope::All, cases.into_iter().filter(|(applies, _)| *applies).map(|(_, reason)| reason).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Evidence = Evidence {
        baseline_weeks: 52.0,
        reporting_weeks: 52.0,
        baseline_completeness: 1.0,
        reporting_completeness: 1.0,
        cv_rmse: 0.02,
        supported_energy: 0.97,
        inlet_shift_k: Some(0.0),
        it_outside: 0.0,
        mode_unseen: 0.0,
        humidity_error: 0.0,
    };

    #[test]
    fn good_evidence_claims_all() {
        let found = decide(&GOOD);
        assert_eq!((found.standing, found.scope, found.reasons.len()), (Standing::Claimed, Scope::All, 0));
    }

    #[test]
    fn each_gate_gives_its_reason() {
        use Standing::{Claimed, Indicative, Refused};
        let cases = [
            (Evidence { supported_energy: 0.59, ..GOOD }, Refused, Reason::SupportTooLow(0.59)),
            (Evidence { supported_energy: 0.89, ..GOOD }, Claimed, Reason::SupportPartial(0.89)),
            (Evidence { cv_rmse: 0.11, ..GOOD }, Indicative, Reason::ModelTooCoarse(0.11)),
            (Evidence { baseline_weeks: 3.9, ..GOOD }, Refused, Reason::BaselineTooShort(3.9)),
            (Evidence { baseline_completeness: 0.89, ..GOOD }, Refused, Reason::BaselineIncomplete(0.89)),
            (Evidence { reporting_completeness: 0.89, ..GOOD }, Refused, Reason::ReportingIncomplete(0.89)),
            (Evidence { inlet_shift_k: Some(-0.6), ..GOOD }, Claimed, Reason::InletShifted(-0.6)),
            (Evidence { it_outside: 0.06, ..GOOD }, Claimed, Reason::ItOutsideRange(0.06)),
            (Evidence { mode_unseen: 0.1, ..GOOD }, Claimed, Reason::ModeUnseen(0.1)),
            (Evidence { humidity_error: -0.01, ..GOOD }, Claimed, Reason::HumiditySensitive(-0.01)),
        ];
        for (evidence, standing, reason) in cases {
            let found = decide(&evidence);
            assert_eq!((found.standing, found.reasons), (standing, vec![reason]));
        }
    }

    #[test]
    fn each_gate_of_a_crossover_gives_its_reason() {
        use Standing::{Claimed, Refused};
        let good = CrossoverEvidence { days: 56, pairs: 28, completeness: 1.0, confirmed: 1.0, off_plan: 0.05 };
        assert_eq!(decide_crossover(&good), Verdict::of(Scope::All, vec![]));
        let cases = [
            (CrossoverEvidence { pairs: 2, ..good }, Refused, Reason::TooFewPairs(2.0)),
            (CrossoverEvidence { completeness: 0.89, ..good }, Refused, Reason::ReportingIncomplete(0.89)),
            (CrossoverEvidence { confirmed: 0.75, ..good }, Claimed, Reason::DaysUnconfirmed(0.25)),
            (CrossoverEvidence { off_plan: 0.11, ..good }, Claimed, Reason::PlanNotFollowed(0.11)),
        ];
        for (evidence, standing, reason) in cases {
            let found = decide_crossover(&evidence);
            assert_eq!((found.standing, found.reasons), (standing, vec![reason]));
        }
    }

    #[test]
    fn the_gravest_reason_decides() {
        let found = decide(&Evidence { cv_rmse: 0.2, supported_energy: 0.5, ..GOOD });
        assert_eq!((found.standing, found.scope), (Standing::Refused, Scope::Supported));
        assert_eq!(found.reasons.len(), 2);
    }
}
