//! Projects and their parts in the terms of the method.

use mass_domain::savings::{self as domain, PlanFollowed, Project};
use mass_domain::time::Timestamp;
use mass_savings::{Adjustment, Boundary, Confirmation, Day, Hour, Mode, Period, Settings};

fn seconds(at: Timestamp) -> i64 {
    at.unix_micros().div_euclid(1_000_000)
}

/// Returns a period in seconds.
#[must_use]
pub fn period(period: &domain::Period) -> Period {
    Period { from: seconds(period.from), until: seconds(period.until) }
}

/// Returns a boundary.
#[must_use]
pub const fn boundary(of: domain::Boundary) -> Boundary {
    match of {
        domain::Boundary::Hvac => Boundary::Hvac,
        domain::Boundary::FacilityLessIt => Boundary::FacilityMinusIt,
    }
}

/// Returns the hours that have the energy of the project's boundary. Others count as missing.
pub(crate) fn measured(project: &Project, hours: &[Hour]) -> Vec<Hour> {
    let boundary = boundary(project.terms.boundary);
    hours.iter().filter(|hour| boundary.energy(hour).is_some()).copied().collect()
}

/// Returns declared modes.
#[must_use]
pub fn modes(of: &[domain::Mode]) -> Vec<Mode> {
    let mode = |it: &domain::Mode| Mode { name: it.name.clone(), periods: it.periods.iter().map(period).collect() };
    of.iter().map(mode).collect()
}

/// Returns the settings of a pre/post pilot.
pub(crate) fn settings(project: &Project) -> Settings {
    let adjustment = |it: &domain::Adjustment| Adjustment {
        author: it.author.clone(),
        reason: it.reason.clone(),
        period: period(&it.period),
        kwh: it.kwh,
    };
    Settings {
        boundary: boundary(project.terms.boundary),
        utc_offset_seconds: project.utc_offset_seconds,
        modes: modes(&project.terms.modes),
        adjustments: project.adjustments.iter().map(adjustment).collect(),
        seed: project.seed,
        placebo: true,
    }
}

/// Returns the days of a crossover with their confirmations; `None` if no schedule is drawn.
pub(crate) fn days(project: &Project) -> Option<Vec<Day>> {
    let confirmation = |day: domain::Day| {
        let found = project.confirmations.iter().find(|it| it.day == day)?;
        Some(match found.followed {
            PlanFollowed::Applied => Confirmation::AsPlanned,
            PlanFollowed::NotApplied => Confirmation::Opposite,
            PlanFollowed::Partly { share } => Confirmation::Partly(share),
        })
    };
    let schedule = project.schedule.as_ref()?;
    let day = |it: &domain::ScheduledDay| Day {
        day: it.day.number(),
        pair: usize::try_from(it.pair).unwrap_or(usize::MAX),
        on: it.on,
        confirmation: confirmation(it.day),
    };
    Some(schedule.days.iter().map(day).collect())
}
