//! Figures of a tenant's data: the series that documents fill, and what follows from their points.
//!
//! Everything here is a pure function of the points of a series. The figures of an hour therefore depend neither on the
//! order in which its documents came, nor on how many of them were read at once.

mod choices;
mod effects;
mod figures;
mod fold;
mod keys;
mod readings;
mod signals;

pub use choices::{
    AbsenceCode, Aggregate, Finding, Freshness, Indicator, Resolution, Split, UnknownAbsence, UnknownAggregate,
    UnknownFinding, UnknownFreshness, UnknownIndicator, UnknownResolution, UnknownSplit,
};
pub use effects::{Effect, effect};
pub use figures::Figures;
pub use fold::{
    CONTEXT, LONGEST_SPAN, PATIENCE, Point, Segment, floor, fold, fold_hours, interval_at, segments, valid,
};
pub use keys::{SeriesId, SeriesKey, Source, SourceId};
pub use readings::{Reading, UnreadableDocument, has_readings, reading};
pub use signals::{COST_RATE, ENERGY_PRICE, FACILITY_POWER, SIGNALS, Signal, kind_of, unit_of};

/// Microseconds since 1970-01-01T00:00:00Z, or a number of microseconds.
pub type Micros = i64;

/// An hour, in microseconds.
pub const HOUR: Micros = 3_600_000_000;

/// A day in UTC, in microseconds.
pub const DAY: Micros = 24 * HOUR;
