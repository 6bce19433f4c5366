//! What a tenant has sent, day by day.

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::port::PortError;
use mass_domain::time::Timestamp;

use crate::period::{self, PeriodError};
use crate::store::Intake;
use crate::{AnalyticsService, Answer};

/// Reason for which usage is not shown.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The period cannot be used.
    #[error(transparent)]
    Period(#[from] PeriodError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// What a tenant has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The days in UTC on which requests were accepted that are current now.
    pub days: Vec<Intake>,
    /// The number of devices now.
    pub devices: u64,
    /// The number of series now.
    pub series: u64,
}

impl AnalyticsService {
    /// Returns what the caller's tenant sent on the days in UTC that begin within a period of at most three years.
    ///
    /// # Errors
    /// [`UsageError`].
    pub async fn usage(
        &self,
        principal: &Principal,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Answer<Usage>, UsageError> {
        principal.require(Permission::SettingsManage)?;
        let period = period::check(from, to, &[("day", 1096)])?;
        self.answer(principal.tenant(), move |snapshot| {
            let days = snapshot.intake(period)?;
            let (devices, series) = snapshot.counts()?;
            Ok(Usage { days, devices, series })
        })
        .await
    }
}
