//! Decisions on changes of a project.

use jiff::tz::TimeZone;
use mass_domain::access::{Actor, Forbidden};
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::canonical::Fingerprint;
use mass_domain::faults::Fault;
use mass_domain::ids::SavingsProjectId;
use mass_domain::page::ForeignCursor;
use mass_domain::port::PortError;
use mass_domain::savings::{
    Adjustment, Confirmation, Day, Design, MAX_ADJUSTMENTS, Period, Project, Schedule, ScheduledDay, Terms,
};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

/// The most projects of a tenant.
pub const MAX_PROJECTS: u64 = 100;

/// Half a year, in which clocks are set back somewhere in it.
const HALF_YEAR_SECONDS: i64 = 26 * 7 * 86_400;

/// A project as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredProject {
    /// The project.
    pub project: Project,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The creator.
    pub created_by: Actor,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The author of the last change.
    pub updated_by: Actor,
}

/// Reason for which a project is not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The cursor belongs to another list.
    #[error(transparent)]
    ForeignCursor(#[from] ForeignCursor),
    /// Values break rules.
    #[error("values break rules")]
    Invalid(Vec<Fault>),
    /// The tenant has no such project.
    #[error("no such savings project")]
    NotFound,
    /// The stored version is none of those that the caller expects.
    #[error("the project has version {version}")]
    Stale {
        /// The stored version.
        version: u32,
    },
    /// The tenant has as many projects as it may.
    #[error("the tenant has {MAX_PROJECTS} savings projects, the most")]
    TooMany,
    /// The project is not a crossover.
    #[error("the project is not a crossover")]
    NotACrossover,
    /// The schedule is drawn, so that neither it nor what it follows from can change.
    #[error("the schedule has been drawn")]
    ScheduleDrawn,
    /// The first day has begun, so that a draw would come too late.
    #[error("the first day, {0}, has begun")]
    TooLate(Day),
    /// The schedule has no such day, or is not drawn.
    #[error("the schedule has no such day")]
    NoSuchDay,
    /// The day has not begun.
    #[error("the day has not begun")]
    TooEarly,
    /// The project has reports, which would lose it.
    #[error("the project has reports")]
    HasReports,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// A project to be created.
#[derive(Debug, Clone)]
pub struct NewProject {
    /// The project, with the version 1.
    pub project: Project,
    /// The actor, the time and the origin of its creation.
    pub act: Act,
}

impl NewProject {
    /// Decides on the creation, from the number of projects that the tenant has.
    ///
    /// # Errors
    /// [`ProjectError::TooMany`].
    pub fn judge(&self, count: u64) -> Result<StoredProject, ProjectError> {
        if count >= MAX_PROJECTS {
            return Err(ProjectError::TooMany);
        }
        let Act { at, actor, .. } = self.act;
        let project = self.project.clone();
        Ok(StoredProject { project, created_at: at, created_by: actor, updated_at: at, updated_by: actor })
    }

    /// Builds the event of the creation, with the fingerprint of the project.
    #[must_use]
    pub fn event(&self, tenant: &TenantId, fingerprint: Fingerprint) -> NewEvent {
        event(&self.act, tenant, Action::SavingsCreated, &self.project, fingerprint)
    }
}

/// The change of a project.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Other terms, with the standard time of their zone in seconds east of Greenwich.
    Terms(Box<Terms>, i32),
    /// One more adjustment.
    Adjust(Adjustment),
    /// The draw of the schedule by a seed.
    Draw(u64),
    /// The confirmation of a day, in place of an earlier one.
    Confirm(Confirmation),
}

/// A change of a stored project.
#[derive(Debug, Clone)]
pub struct ProjectChange {
    /// The project.
    pub id: SavingsProjectId,
    /// The change.
    pub change: Change,
    /// The versions under which the caller makes it; `None` for any.
    pub expected: Option<Vec<i64>>,
    /// The actor, the time and the origin of the change.
    pub act: Act,
}

/// The deletion of a stored project.
#[derive(Debug, Clone)]
pub struct ProjectDeletion {
    /// The project.
    pub id: SavingsProjectId,
    /// The versions under which the caller deletes it; `None` for any.
    pub expected: Option<Vec<i64>>,
    /// The actor, the time and the origin of the deletion.
    pub act: Act,
}

impl ProjectDeletion {
    /// Decides on the deletion of a project in a version.
    ///
    /// # Errors
    /// [`ProjectError::Stale`] and [`ProjectError::HasReports`].
    pub fn judge(&self, version: u32, has_reports: bool) -> Result<(), ProjectError> {
        expect(self.expected.as_deref(), version)?;
        if has_reports { Err(ProjectError::HasReports) } else { Ok(()) }
    }

    /// Builds the event of the deletion of a version.
    #[must_use]
    pub fn event(&self, tenant: &TenantId, version: u32) -> NewEvent {
        let object = Object::SavingsProject(self.id);
        self.act.done(tenant, Action::SavingsDeleted, object).with("version", version)
    }
}

/// Requires that a stored version is one of those that the caller expects.
fn expect(expected: Option<&[i64]>, version: u32) -> Result<(), ProjectError> {
    let is_stale = expected.is_some_and(|expected| !expected.contains(&i64::from(version)));
    if is_stale { Err(ProjectError::Stale { version }) } else { Ok(()) }
}

impl ProjectChange {
    /// Decides on the change. Returns the next version; `None` if nothing changes.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub fn judge(&self, stored: &Project) -> Result<Option<Project>, ProjectError> {
        let version = stored.version;
        expect(self.expected.as_deref(), version)?;
        let mut next = stored.clone();
        match &self.change {
            Change::Terms(terms, offset) => replace(&mut next, terms, *offset)?,
            Change::Adjust(adjustment) => adjust(&mut next, adjustment)?,
            Change::Draw(seed) => draw(&mut next, *seed, self.act.at)?,
            Change::Confirm(confirmation) => confirm(&mut next, confirmation, self.act.at)?,
        }
        if next == *stored {
            return Ok(None);
        }
        next.version = version.saturating_add(1);
        Ok(Some(next))
    }

    /// Builds the event of the change from the next version and its fingerprint.
    #[must_use]
    pub fn event(&self, tenant: &TenantId, next: &Project, fingerprint: Fingerprint) -> NewEvent {
        let of = |action| event(&self.act, tenant, action, next, fingerprint);
        match &self.change {
            Change::Terms(..) => of(Action::SavingsChanged),
            Change::Adjust(_) => of(Action::SavingsAdjusted).with("adjustments", next.adjustments.len()),
            Change::Draw(seed) => of(Action::SavingsScheduled).with("seed", *seed),
            Change::Confirm(it) => of(Action::SavingsDayConfirmed).with("day", it.day.to_string()),
        }
    }
}

/// Builds the event of a version. Its output is the version's fingerprint, so that the trail proves what was agreed when.
fn event(act: &Act, tenant: &TenantId, action: Action, project: &Project, fingerprint: Fingerprint) -> NewEvent {
    let mut event = act.done(tenant, action, Object::SavingsProject(project.id)).with("version", project.version);
    event.output = Some(fingerprint);
    event
}

fn replace(project: &mut Project, terms: &Terms, offset: i32) -> Result<(), ProjectError> {
    let is_same = project.terms.design == terms.design && project.utc_offset_seconds == offset;
    if project.schedule.is_some() && !is_same {
        return Err(ProjectError::ScheduleDrawn);
    }
    let covers = match &terms.design {
        Design::PrePost { reporting, .. } => project.adjustments.iter().all(|it| reporting.encloses(&it.period)),
        Design::Crossover { .. } => project.adjustments.is_empty(),
    };
    if !covers {
        let expected = "a reporting period that encloses the adjustments that are recorded";
        return Err(ProjectError::Invalid(vec![Fault::new("/design", expected)]));
    }
    project.terms = terms.clone();
    project.utc_offset_seconds = offset;
    Ok(())
}

fn adjust(project: &mut Project, adjustment: &Adjustment) -> Result<(), ProjectError> {
    let fault = |pointer, expected: String| ProjectError::Invalid(vec![Fault::new(pointer, expected)]);
    let Design::PrePost { reporting, .. } = &project.terms.design else {
        return Err(fault("/period", "a project with a baseline: a crossover needs no adjustment".to_owned()));
    };
    if !reporting.encloses(&adjustment.period) {
        let Period { from, until } = reporting;
        return Err(fault("/period", format!("a period within the reporting period, from {from} until {until}")));
    }
    if project.adjustments.len() >= MAX_ADJUSTMENTS {
        return Err(fault("", format!("at most {MAX_ADJUSTMENTS} adjustments of a project")));
    }
    project.adjustments.push(adjustment.clone());
    Ok(())
}

fn draw(project: &mut Project, seed: u64, at: Timestamp) -> Result<(), ProjectError> {
    let Design::Crossover { first_day, pairs, .. } = project.terms.design else {
        return Err(ProjectError::NotACrossover);
    };
    if project.schedule.is_some() {
        return Err(ProjectError::ScheduleDrawn);
    }
    if first_day.begin(project.utc_offset_seconds).is_none_or(|begin| at >= begin) {
        return Err(ProjectError::TooLate(first_day));
    }
    let drawn = mass_savings::draw_schedule(first_day.number(), usize::try_from(pairs).unwrap_or_default(), seed);
    let day = |day: &mass_savings::Day| {
        Some(ScheduledDay { day: Day::from_number(day.day)?, pair: u32::try_from(day.pair).ok()?, on: day.on })
    };
    let days = drawn.iter().filter_map(day).collect();
    project.schedule = Some(Schedule { seed, drawn_at: at, days });
    Ok(())
}

fn confirm(project: &mut Project, confirmation: &Confirmation, at: Timestamp) -> Result<(), ProjectError> {
    let day = confirmation.day;
    let days = project.schedule.iter().flat_map(|schedule| &schedule.days);
    if !days.into_iter().any(|scheduled| scheduled.day == day) {
        return Err(ProjectError::NoSuchDay);
    }
    if day.begin(project.utc_offset_seconds).is_none_or(|begin| at < begin) {
        return Err(ProjectError::TooEarly);
    }
    match project.confirmations.binary_search_by_key(&day, |stored| stored.day) {
        Ok(place) if says_the_same(&project.confirmations[place], confirmation) => {}
        Ok(place) => project.confirmations[place] = confirmation.clone(),
        Err(place) => project.confirmations.insert(place, confirmation.clone()),
    }
    Ok(())
}

fn says_the_same(stored: &Confirmation, new: &Confirmation) -> bool {
    (stored.followed, &stored.reason, &stored.author) == (new.followed, &new.reason, &new.author)
}

/// Returns the standard time of a zone around the begin of a design, in seconds east of Greenwich.
///
/// # Errors
/// A fault at `/zone`, if there is no such zone.
pub(crate) fn standard_time(zone: &str, begin: Timestamp) -> Result<i32, Fault> {
    let unknown = || Fault::new("/zone", "a zone of the IANA database, such as Europe/Berlin");
    let zone = TimeZone::get(zone).map_err(|_| unknown())?;
    let at = |after: i64| {
        // The last hours of the year 9999 are beyond what the library of time zones knows.
        let seconds = (begin.unix_micros().div_euclid(1_000_000) + after).min(jiff::Timestamp::MAX.as_second());
        let at = jiff::Timestamp::from_second(seconds).ok()?;
        let info = zone.to_offset_info(at);
        Some((info.dst().is_dst(), info.offset().seconds()))
    };
    let found: Vec<(bool, i32)> = [0, HALF_YEAR_SECONDS].into_iter().filter_map(at).collect();
    let standard = found.iter().find(|(is_dst, _)| !is_dst).or_else(|| found.first());
    standard.map(|(_, offset)| *offset).ok_or_else(unknown)
}

#[cfg(test)]
mod tests;
