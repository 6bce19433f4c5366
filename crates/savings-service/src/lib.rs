//! The use cases on savings projects: agreeing on terms, drawing a schedule, confirming days, planning, and reports.
//!
//! Belongs here: the use cases with their permissions, limits and errors, the pure decisions on changes, the conversion of
//! a site's hours for the method, and the ports that they need.
//! Does not belong here: HTTP, SQL, the method itself (`mass-savings`), the form of a report (`mass-savings-report`).

mod change;
mod hours;
mod plan;
mod projects;
mod reporter;
mod reports;
mod store;
mod writer;

use std::sync::{Arc, Mutex};

use mass_analytics_service::AnalyticsService;
use mass_domain::time::{Clock, Timestamp};
use tokio::sync::Semaphore;
use uuid::{ContextV7, Uuid};

pub use change::{Change, MAX_PROJECTS, NewProject, ProjectChange, ProjectDeletion, ProjectError, StoredProject};
pub use hours::{NoSchedule, hours, hours_query, prices};
pub use plan::{PlanError, PlanQuery, SavingsPlan};
pub use projects::{NewAdjustment, NewConfirmation};
pub use reporter::{Reporter, Worked};
pub use reports::{
    MAX_OPEN_REPORTS, MAX_STORED_BYTES, ReportDeletion, ReportError, ReportLoad, ReportRequest, ReportSummary,
    StoredReport,
};
pub use store::{ClaimedReport, ProjectSummary, ReportClaim, ReportOutcome, ReportQueue, SavingsStore};
pub use writer::{ReportData, ReportWriter, SignedDocument, Unreportable};

pub use mass_savings::{PlanRow, Prediction};

/// Draws a random number.
pub type RandomNumber = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The seeds that JSON can carry exactly are below 2⁵³.
const SEED_BITS: u32 = 53;

/// The use cases on savings projects.
pub struct SavingsService {
    store: Arc<dyn SavingsStore>,
    analytics: Arc<AnalyticsService>,
    clock: Arc<dyn Clock>,
    random: RandomNumber,
    ids: Mutex<ContextV7>,
    /// One plan is computed at a time, since each keeps a processor busy for seconds.
    planning: Arc<Semaphore>,
}

impl SavingsService {
    /// Puts the use cases on top of a store and of a site's figures.
    #[must_use]
    pub fn new(
        store: Arc<dyn SavingsStore>,
        analytics: Arc<AnalyticsService>,
        clock: Arc<dyn Clock>,
        random: RandomNumber,
    ) -> Self {
        let planning = Arc::new(Semaphore::new(1));
        Self { store, analytics, clock, random, ids: Mutex::new(ContextV7::new()), planning }
    }

    fn next_id(&self, at: Timestamp) -> Uuid {
        Uuid::new_v7(at.for_uuid(&self.ids))
    }

    fn draw_seed(&self) -> u64 {
        (self.random)() >> (u64::BITS - SEED_BITS)
    }
}
