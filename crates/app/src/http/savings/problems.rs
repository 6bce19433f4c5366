//! The problems of the use cases on savings.

use std::time::Duration;

use mass_domain::ids::SavingsProjectId;
use mass_savings_service::{MAX_OPEN_REPORTS, MAX_PROJECTS, MAX_STORED_BYTES, PlanError, ProjectError, ReportError};

use crate::http::body::broken_rules;
use crate::http::path::InPath;
use crate::http::problem::{Problem, ProblemKind, problem_from};
use crate::http::query::foreign_cursor;

/// The time after which a plan may be asked for again while another one is being computed.
const PLAN_RETRY: Duration = Duration::from_secs(10);

/// The problem that a schedule does not have the day.
pub(super) fn no_such_day() -> Problem {
    Problem::new(ProblemKind::NotFound).detail("The schedule has no such day.")
}

fn not_allowed(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::SavingsNotAllowed).detail(detail)
}

problem_from! {
    ProjectError: Forbidden, Store;
        ProjectError::ForeignCursor(error) => foreign_cursor(error.to_string()),
        ProjectError::Invalid(faults) => broken_rules(faults),
        ProjectError::NotFound => SavingsProjectId::absent(),
        ProjectError::Stale { version } => {
            Self::new(ProblemKind::PreconditionFailed).detail(format!("The project has version {version}."))
        }
        ProjectError::TooMany => {
            let detail = format!("The tenant has {MAX_PROJECTS} savings projects, the most: delete one.");
            Self::new(ProblemKind::TooManySavings).detail(detail).member("limit", MAX_PROJECTS)
        }
        ProjectError::NotACrossover => not_allowed("The project is not a crossover."),
        ProjectError::ScheduleDrawn => not_allowed("The schedule has been drawn, and what it follows from stays as it is."),
        ProjectError::TooLate(day) => not_allowed(format!("The first day, {day}, has begun: a schedule is drawn before it.")),
        ProjectError::NoSuchDay => no_such_day(),
        ProjectError::TooEarly => not_allowed("The day has not begun."),
        ProjectError::HasReports => not_allowed("The project has reports: delete them first."),
}

problem_from! {
    ReportError: Forbidden, OverQuota, Store;
        ReportError::ForeignCursor(error) => foreign_cursor(error.to_string()),
        ReportError::NotFound => SavingsProjectId::absent(),
        ReportError::NoSchedule => not_allowed("The schedule of the crossover is not drawn."),
        ReportError::TooManySeries(detail) => Self::new(ProblemKind::InsufficientData).detail(format!("The method {detail}.")),
        ReportError::TooManyOpen => {
            let detail = format!("{MAX_OPEN_REPORTS} reports of the tenant wait or are being computed, the most.");
            Self::new(ProblemKind::TooManySavings).detail(detail).member("limit", MAX_OPEN_REPORTS)
        }
        ReportError::Full => {
            let detail = format!("The reports of the tenant take {MAX_STORED_BYTES} bytes, the most: delete some.");
            Self::new(ProblemKind::TooManySavings).detail(detail).member("limit", MAX_STORED_BYTES)
        }
}

problem_from! {
    PlanError: Forbidden, Store;
        PlanError::Invalid(faults) => broken_rules(faults),
        PlanError::Busy => Self::unavailable("The server is computing another plan.", PLAN_RETRY),
        PlanError::TooMany(detail) => Self::new(ProblemKind::InsufficientData).detail(format!("The method {detail}.")),
        PlanError::Method(error) => Self::new(ProblemKind::InsufficientData).detail(format!("The method {error}.")),
}
