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
    Adjustment, Boundary, Confirmation, Design, Mode, PlanFollowed, Price, Project, Recorder, Schedule, ScheduledDay,
    Terms,
};
pub use report::{AsOf, ReportState, UnknownReportState};
pub use rules::{
    Fault, LONGEST_PERIOD_DAYS, MAX_ADJUSTMENT_KWH, MAX_ADJUSTMENTS, MAX_ASSUMPTIONS, MAX_MODE_PERIODS, MAX_MODES,
    MAX_NAME, MAX_PAIRS, MAX_TEXT, MIN_PAIRS,
};
