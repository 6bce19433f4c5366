//! The problems of the use cases on figures.

use std::time::Duration;

use mass_analytics_service::{KpiError, PeriodError, QualityError, SeriesError, SourceError, TooSlow, UsageError};

use super::parameters::device::no_such_device;
use crate::http::problem::{Problem, problem_from};
use crate::http::query::{foreign_cursor, unexpected_parameter, wrong_parameter};

impl From<PeriodError> for Problem {
    fn from(error: PeriodError) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            PeriodError::Empty { .. } => wrong_parameter("to", detail),
            PeriodError::TooLong { take: Some(step), .. } => unexpected_parameter("step", detail, step.to_owned()),
            PeriodError::TooLong { take: None, .. } => wrong_parameter("to", detail),
            PeriodError::Zone(_) => wrong_parameter("zone", detail),
        }
    }
}

impl From<TooSlow> for Problem {
    fn from(error: TooSlow) -> Self {
        Self::unavailable(&sentence(&format!("{error}: ask for less at once")), Duration::from_secs(5))
    }
}

problem_from! {
    SourceError: Forbidden, Store;
        SourceError::ForeignCursor(error) => foreign_cursor(error.to_string()),
        SourceError::NotFound => no_such_device(),
}

problem_from! {
    SeriesError: Forbidden, Period, TooSlow, Store;
        SeriesError::UnknownMetric { name, known } => {
            unexpected_parameter("metric", format!("Unknown metric \"{name}\"."), known.join(", "))
        },
        error @ SeriesError::TooMany => wrong_parameter("metric", sentence(&error.to_string())),
}

problem_from! {
    KpiError: Forbidden, Period, TooSlow, Store;
        error @ (KpiError::UnknownSite(_) | KpiError::TooMany) => wrong_parameter("site_id", sentence(&error.to_string())),
        error @ KpiError::Rate(_) => wrong_parameter("tariff", sentence(&error.to_string())),
}

problem_from! {
    QualityError: Forbidden, Period, TooSlow, Store;
        error @ QualityError::TooMany => wrong_parameter("metric", sentence(&error.to_string())),
}

problem_from!(UsageError: Forbidden, Period, Store);

/// Returns an error as a sentence.
fn sentence(error: &str) -> String {
    let mut letters = error.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_becomes_a_sentence() {
        assert_eq!(sentence("expected a zone, found \"x\""), "Expected a zone, found \"x\".");
    }
}
