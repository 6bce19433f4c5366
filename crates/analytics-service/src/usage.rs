//! Requests and bytes that a tenant has sent, day by day.

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

/// The current requests of a tenant by day, and the size of its projection.
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
    /// Returns the usage of the caller's tenant: of the days in UTC that begin within a period of at most three years.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Event, Memory, at, run, tenant};

    #[test]
    fn counts_the_requests_that_are_current_by_the_day_of_their_acceptance() {
        let memory = Memory::default();
        let begin = at("2026-03-01T00:00:00Z");
        // One acceptance an hour from 2026-06-01T01:00:00Z on.
        for hour in 0..30 {
            memory.read_device(Some("a"), "rack-1", begin + hour, &[("power_kw", 1.0)]);
        }
        memory.append(Event::Removed(2));
        let usage = run(async {
            let service = memory.service("2026-12-01T00:00:00Z").await;
            let (from, to) = ("2026-06-01T00:00:00Z".parse().unwrap(), "2026-06-30T00:00:00Z".parse().unwrap());
            assert!(service.usage(&Principal::system(tenant()), to, from).await.is_err());
            service.usage(&Principal::system(tenant()), from, to).await.unwrap()
        });
        let days: Vec<i64> = usage.data.days.iter().map(|day| day.requests).collect();
        assert_eq!((days, usage.data.devices, usage.data.series), (vec![22, 7], 1, 1));
        assert_eq!((usage.as_of.sequence, usage.as_of.head), (31, 31));
    }
}
