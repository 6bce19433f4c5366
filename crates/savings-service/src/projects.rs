//! The use cases on projects.

use mass_domain::access::{Permission, Principal};
use mass_domain::audit::Act;
use mass_domain::faults::Fault;
use mass_domain::ids::SavingsProjectId;
use mass_domain::page::{CursorScope, Limit, Page, decode_cursor};
use mass_domain::savings::{Adjustment, Confirmation, Day, Design, Period, PlanFollowed, Project, Terms};
use mass_domain::trace::Origin;
use uuid::Uuid;

use crate::SavingsService;
use crate::change::{Change, NewProject, ProjectChange, ProjectDeletion, ProjectError, StoredProject, standard_time};
use crate::store::ProjectSummary;

/// An adjustment to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAdjustment {
    /// The person who is responsible for it.
    pub author: String,
    /// The event.
    pub reason: String,
    /// Its time, within the reporting period.
    pub period: Period,
    /// The energy that the baseline would have used more because of it, in kWh; negative for less.
    pub kwh: f64,
}

/// A confirmation to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct NewConfirmation {
    /// Whether the plan of the day was followed.
    pub followed: PlanFollowed,
    /// Why not, if it was not.
    pub reason: Option<String>,
    /// The person who confirms it.
    pub author: String,
}

impl SavingsService {
    /// Creates a project in the caller's tenant.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub async fn create(
        &self,
        principal: &Principal,
        terms: Terms,
        origin: &Origin,
    ) -> Result<StoredProject, ProjectError> {
        principal.require(Permission::SavingsManage)?;
        let utc_offset_seconds = check(&terms)?;
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        let project = Project {
            id: SavingsProjectId::from_uuid(self.next_id(act.at)),
            version: 1,
            seed: self.draw_seed(),
            utc_offset_seconds,
            terms,
            adjustments: Vec::new(),
            schedule: None,
            confirmations: Vec::new(),
        };
        self.store.insert(principal.tenant(), NewProject { project, act }).await
    }

    /// Returns a project of the caller's tenant.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub async fn get(&self, principal: &Principal, id: SavingsProjectId) -> Result<StoredProject, ProjectError> {
        principal.require(Permission::AnalyticsRead)?;
        self.store.find(principal.tenant(), id).await?.ok_or(ProjectError::NotFound)
    }

    /// Returns a page of the projects of the caller's tenant, the newest first.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub async fn list(
        &self,
        principal: &Principal,
        limit: Limit,
        cursor: Option<&str>,
    ) -> Result<Page<ProjectSummary>, ProjectError> {
        principal.require(Permission::AnalyticsRead)?;
        let scope = CursorScope::of("savings-projects", [Some(principal.tenant().as_str())]);
        let before: Option<Uuid> = cursor.map(|cursor| decode_cursor(scope, cursor)).transpose()?;
        let before = before.map(SavingsProjectId::from_uuid);
        let rows = self.store.list(principal.tenant(), before, limit).await?;
        Ok(Page::from_lookahead(rows, limit, scope, |row| row.id.as_uuid()))
    }

    /// Replaces the terms of a project.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub async fn replace_terms(
        &self,
        principal: &Principal,
        id: SavingsProjectId,
        terms: Terms,
        expected: Option<Vec<i64>>,
        origin: &Origin,
    ) -> Result<StoredProject, ProjectError> {
        principal.require(Permission::SavingsManage)?;
        let offset = check(&terms)?;
        self.change(principal, id, Change::Terms(Box::new(terms), offset), expected, origin).await
    }

    /// Records a non-routine adjustment of a project.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub async fn adjust(
        &self,
        principal: &Principal,
        id: SavingsProjectId,
        new: NewAdjustment,
        expected: Option<Vec<i64>>,
        origin: &Origin,
    ) -> Result<StoredProject, ProjectError> {
        principal.require(Permission::SavingsManage)?;
        let NewAdjustment { author, reason, period, kwh } = new;
        let (recorded_by, recorded_at) = (principal.actor().into(), self.clock.now());
        let adjustment = Adjustment { author, reason, period, kwh, recorded_by, recorded_at };
        refuse(adjustment.faults())?;
        self.change(principal, id, Change::Adjust(adjustment), expected, origin).await
    }

    /// Draws the schedule of a crossover, which never changes afterwards.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub async fn draw_schedule(
        &self,
        principal: &Principal,
        id: SavingsProjectId,
        expected: Option<Vec<i64>>,
        origin: &Origin,
    ) -> Result<StoredProject, ProjectError> {
        principal.require(Permission::SavingsManage)?;
        self.change(principal, id, Change::Draw(self.draw_seed()), expected, origin).await
    }

    /// Records the confirmation of a day.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub async fn confirm(
        &self,
        principal: &Principal,
        id: SavingsProjectId,
        day: Day,
        new: NewConfirmation,
        expected: Option<Vec<i64>>,
        origin: &Origin,
    ) -> Result<StoredProject, ProjectError> {
        principal.require(Permission::SavingsManage)?;
        let NewConfirmation { followed, reason, author } = new;
        let (recorded_by, recorded_at) = (principal.actor().into(), self.clock.now());
        let confirmation = Confirmation { day, followed, reason, author, recorded_by, recorded_at };
        refuse(confirmation.faults())?;
        self.change(principal, id, Change::Confirm(confirmation), expected, origin).await
    }

    /// Deletes a project without reports.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub async fn delete(
        &self,
        principal: &Principal,
        id: SavingsProjectId,
        expected: Option<Vec<i64>>,
        origin: &Origin,
    ) -> Result<(), ProjectError> {
        principal.require(Permission::SavingsManage)?;
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        self.store.delete(principal.tenant(), ProjectDeletion { id, expected, act }).await
    }

    async fn change(
        &self,
        principal: &Principal,
        id: SavingsProjectId,
        change: Change,
        expected: Option<Vec<i64>>,
        origin: &Origin,
    ) -> Result<StoredProject, ProjectError> {
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        self.store.change(principal.tenant(), ProjectChange { id, change, expected, act }).await
    }
}

/// Checks terms. Returns the standard time of their zone.
fn check(terms: &Terms) -> Result<i32, ProjectError> {
    let no_day = || ProjectError::Invalid(vec![Fault::new("/design/first_day", "a day of the years 0001 to 9999")]);
    let begin = match &terms.design {
        Design::PrePost { baseline, .. } => baseline.from,
        Design::Crossover { first_day, .. } => first_day.begin(0).ok_or_else(no_day)?,
    };
    let mut faults = terms.faults();
    match standard_time(&terms.zone, begin) {
        Ok(offset) => refuse(faults).map(|()| offset),
        Err(fault) => {
            faults.push(fault);
            Err(ProjectError::Invalid(faults))
        }
    }
}

fn refuse(faults: Vec<Fault>) -> Result<(), ProjectError> {
    if faults.is_empty() { Ok(()) } else { Err(ProjectError::Invalid(faults)) }
}
