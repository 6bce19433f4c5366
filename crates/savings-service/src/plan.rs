//! Plans: what a pilot of a site could show, from its baseline alone.

use std::sync::Arc;
use std::time::Duration;

use mass_analytics_service::{HoursError, HoursQuery};
use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::analytics::DAY;
use mass_domain::faults::Fault;
use mass_domain::port::PortError;
use mass_domain::savings::{AsOf, Boundary, Mode, Period};
use mass_savings::{PlanRow, Settings};
use mass_savings_report::project;
use tokio::time::timeout;

use crate::SavingsService;
use crate::change::standard_time;
use crate::hours::{as_of, hours};

/// The longest baseline of a plan, in days.
const LONGEST_PLAN_DAYS: i64 = 366;

/// The time that a plan waits for those before it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A pilot to be planned.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanQuery {
    /// The site.
    pub site_id: String,
    /// The device that measures the weather.
    pub weather_device: String,
    /// The energy that the saving would be measured in.
    pub boundary: Boundary,
    /// The baseline.
    pub baseline: Period,
    /// The zone of the site, by its name in the IANA database.
    pub zone: String,
    /// Declared modes of operation.
    pub modes: Vec<Mode>,
    /// The seed of the trials. The same seed gives the same plan.
    pub seed: u64,
}

/// A plan.
#[derive(Debug, Clone, PartialEq)]
pub struct SavingsPlan {
    /// The events that its hours follow from.
    pub as_of: AsOf,
    /// The number of hours with all values.
    pub hours: usize,
    /// The predictions by the length of the pilot.
    pub rows: Vec<PlanRow>,
}

/// Reason for which a pilot is not planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Values break rules.
    #[error("values break rules")]
    Invalid(Vec<Fault>),
    /// Other plans are being computed by this server.
    #[error("other plans are being computed")]
    Busy,
    /// The site has too many series.
    #[error("{0}")]
    TooMany(String),
    /// The hours do not suffice for a plan.
    #[error(transparent)]
    Method(#[from] mass_savings::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl From<HoursError> for PlanError {
    fn from(error: HoursError) -> Self {
        match error {
            HoursError::Forbidden(error) => Self::Forbidden(error),
            HoursError::TooMany => Self::TooMany(error.to_string()),
            HoursError::Store(error) => Self::Store(error),
        }
    }
}

impl PlanQuery {
    /// Checks the query. Returns the settings of the method.
    fn settings(&self) -> Result<Settings, PlanError> {
        let mut faults = self.baseline.faults("/baseline");
        let length = self.baseline.until.unix_micros() - self.baseline.from.unix_micros();
        if faults.is_empty() && length > LONGEST_PLAN_DAYS * DAY {
            faults.push(Fault::new("/baseline", format!("a period of at most {LONGEST_PLAN_DAYS} days")));
        }
        faults.extend(Fault::in_name("/site_id", &self.site_id));
        faults.extend(Fault::in_name("/weather_device", &self.weather_device));
        faults.extend(Mode::faults(&self.modes));
        let offset = match standard_time(&self.zone, self.baseline.from) {
            Ok(offset) if faults.is_empty() => offset,
            Ok(_) => return Err(PlanError::Invalid(faults)),
            Err(fault) => {
                faults.push(fault);
                return Err(PlanError::Invalid(faults));
            }
        };
        Ok(Settings {
            boundary: project::boundary(self.boundary),
            utc_offset_seconds: offset,
            modes: project::modes(&self.modes),
            adjustments: Vec::new(),
            seed: self.seed,
            placebo: false,
        })
    }
}

impl SavingsService {
    /// Plans a pilot of a site. Takes seconds of a processor, on a thread of its own; one plan at a time.
    ///
    /// # Errors
    /// [`PlanError`].
    pub async fn plan(&self, principal: &Principal, query: PlanQuery) -> Result<SavingsPlan, PlanError> {
        principal.require(Permission::AnalyticsRead)?;
        let settings = query.settings()?;
        let permit = timeout(PATIENCE, Arc::clone(&self.planning).acquire_owned()).await;
        let permit = permit.ok().and_then(Result::ok).ok_or(PlanError::Busy)?;
        let stretch = query.baseline.from.unix_micros()..query.baseline.until.unix_micros();
        let (site_id, weather_device) = (query.site_id, query.weather_device);
        let wanted = HoursQuery { site_id, weather_device, price: None, within: vec![stretch] };
        let answer = self.analytics.site_hours(principal, wanted).await?;
        let (hours, baseline) = (hours(query.boundary, &answer.data), project::period(&query.baseline));
        let as_of = as_of(&answer.as_of);
        let count = hours.len();
        let work = move || {
            let rows = mass_savings::plan(&hours, baseline, &settings);
            // The computation goes on if the caller goes away, and so does the permit.
            drop(permit);
            rows
        };
        let rows = tokio::task::spawn_blocking(work).await.map_err(|error| PortError::Unexpected(error.into()))?;
        Ok(SavingsPlan { as_of, hours: count, rows: rows? })
    }
}
