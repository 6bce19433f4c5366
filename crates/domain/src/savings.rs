//! Savings projects: what a pilot is measured by, agreed on before its saving is known.
//!
//! The method that turns a project and its hours into figures is `mass-savings`'; it knows neither this crate nor a
//! calendar.

mod calendar;
mod project;
mod report;
mod rules;

pub use calendar::{Day, InvalidDay, Period};
pub use project::{
    Adjustment, Boundary, Confirmation, Design, Mode, PlanFollowed, Price, PriceSeries, Project, Rate, Recorder,
    Schedule, ScheduledDay, Terms,
};
pub use report::{AsOf, ReportFailure, ReportFailureCode, ReportState, UnknownReportFailure, UnknownReportState};
pub use rules::{
    LONGEST_PERIOD_DAYS, MAX_ADJUSTMENT_KWH, MAX_ADJUSTMENTS, MAX_ASSUMPTIONS, MAX_MODE_PERIODS, MAX_MODES, MAX_PAIRS,
    MIN_PAIRS,
};
