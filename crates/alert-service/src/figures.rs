//! What rules on figures read of a tenant's projection.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use mass_analytics_service::{AnalyticsStore, Position, SeriesFilter, Snapshot, SourceFilter};
use mass_domain::alerts::{Condition, Last, Observations, Subject, out_of_range, silence};
use mass_domain::analytics::{Micros, Source};
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

/// The most devices or series that a rule watches.
pub(crate) const MOST_WATCHED: u32 = 20_000;

/// What was read for a condition.
enum Found {
    Sources(Vec<(Source, Micros)>),
    Values(Vec<Last>),
}

/// What rules on figures see, by the place of the rule, from one snapshot.
pub(crate) struct Figures {
    /// The position of the projection.
    pub(crate) position: Position,
    found: BTreeMap<usize, Found>,
}

impl Figures {
    /// Reads what conditions need, each with its place among the rules. Those that need no figures are left out.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn read(
        store: &dyn AnalyticsStore,
        tenant: &TenantId,
        conditions: Vec<(usize, Condition)>,
    ) -> Result<Option<Self>, PortError> {
        let answer = Arc::new(Mutex::new(None));
        let put = Arc::clone(&answer);
        let job = move |snapshot: &mut dyn Snapshot| {
            let position = snapshot.position()?;
            let mut found = BTreeMap::new();
            for (place, condition) in &conditions {
                if let Some(it) = look(snapshot, condition)? {
                    found.insert(*place, it);
                }
            }
            *put.lock().unwrap_or_else(PoisonError::into_inner) = Some(Self { position, found });
            Ok(())
        };
        store.read(tenant, Box::new(job)).await?;
        let mut answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(answer.take())
    }

    /// Observes what the condition of a rule watches, and tells whether all of it could be read.
    pub(crate) fn observe(
        &mut self,
        place: usize,
        condition: &Condition,
        open: &HashSet<Subject>,
        as_of: Timestamp,
    ) -> Observations {
        let is_complete = |length: usize| length <= MOST_WATCHED as usize;
        match (condition, self.found.remove(&place)) {
            (Condition::DeviceSilent { after_seconds, .. }, Some(Found::Sources(sources))) => {
                let is_complete = is_complete(sources.len());
                silence(*after_seconds, sources, as_of, is_complete)
            }
            (Condition::MetricOutOfRange(bounds), Some(Found::Values(values))) => {
                let is_complete = is_complete(values.len());
                out_of_range(bounds, values, open, as_of, is_complete)
            }
            _ => Observations::default(),
        }
    }
}

/// Reads one row more than is watched, to tell whether there are more.
fn look(snapshot: &mut dyn Snapshot, condition: &Condition) -> Result<Option<Found>, PortError> {
    if let Condition::DeviceSilent { site_id, device_id, .. } = condition {
        let filter =
            SourceFilter { sites: site_id.iter().cloned().collect(), device_id: device_id.clone(), after: None };
        let rows = snapshot.devices(&filter, MOST_WATCHED + 1)?;
        return Ok(Some(Found::Sources(rows.into_iter().map(|row| (row.source, row.at)).collect())));
    }
    let Condition::MetricOutOfRange(bounds) = condition else { return Ok(None) };
    let filter = SeriesFilter {
        sites: bounds.site_id.iter().cloned().collect(),
        devices: bounds.device_id.iter().cloned().collect(),
        metrics: vec![bounds.metric.clone()],
        without_devices: false,
    };
    let rows = snapshot.series(&filter, MOST_WATCHED + 1)?;
    let values = rows.into_iter().map(|row| Last { key: row.key, at: row.last_at, value: row.last_value });
    Ok(Some(Found::Values(values.collect())))
}
