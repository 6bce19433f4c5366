//! Periods and zones.

use mass_domain::time::Timestamp;

/// Reason for which a period cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// It ends before it begins, or where it begins.
    #[error("expected a period that ends after {from}, found {to}")]
    Empty {
        /// Its begin.
        from: Timestamp,
        /// Its end.
        to: Timestamp,
    },
    /// It is too long for the step.
    #[error("expected at most {most} days{}, found {found}", advice(*.take))]
    TooLong {
        /// The most days.
        most: i64,
        /// Its days, rounded up.
        found: i64,
        /// The step that allows such a period, if there is one.
        take: Option<&'static str>,
    },
    /// The zone is unknown.
    #[error("expected a zone of the IANA database, such as Europe/Berlin, found \"{0}\"")]
    Zone(String),
}

fn advice(take: Option<&'static str>) -> String {
    take.map_or_else(String::new, |step| format!(" (the step {step} allows it)"))
}
