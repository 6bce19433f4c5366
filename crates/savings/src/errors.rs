//! Errors of the input. A report that cannot claim anything is no error: see [`crate::Verdict`].

/// A mistake in the input, which leaves nothing to compute.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Two hours have the same start, or the hours are not in the order of time.
    #[error("expected hours in the order of time, each once; found {start} out of order")]
    Unordered {
        /// The start of the hour that is not later than the one before it, in seconds since 1970.
        start: i64,
    },
    /// An hour does not start on the hour.
    #[error("expected hours that start on the hour, found {start}")]
    Unaligned {
        /// The start, in seconds since 1970.
        start: i64,
    },
    /// A period ends before it starts, is longer than five years, lies after the year 9999, or the reporting period
    /// overlaps the baseline.
    #[error("expected periods of at most five years that do not overlap")]
    Periods,
    /// There are too few usable hours to fit anything.
    #[error("expected at least {expected} usable hours, found {found}")]
    TooFewHours {
        /// The least number of hours.
        expected: usize,
        /// The number of usable hours.
        found: usize,
    },
    /// The boundary is facility minus IT, and hours lack the facility's energy.
    #[error("expected the energy of the facility in every hour")]
    NoFacility,
    /// An adjustment is not a finite number, has no author or reason, or lies outside the reporting period.
    #[error("expected adjustments with author, reason and a finite amount, within the reporting period")]
    Adjustment,
    /// A crossover has fewer than three pairs in which both days have hours.
    #[error("expected at least 3 complete pairs of days, found {found}")]
    TooFewPairs {
        /// The number of complete pairs.
        found: usize,
    },
    /// Normal equations cannot be solved. No hours are known that lead to it: see `linear`.
    #[error("expected normal equations that are positive definite")]
    Singular,
}
