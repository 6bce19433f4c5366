//! Sites and devices: what they last said, and how complete it is.

use mass_domain::access::{Forbidden, Principal};
use mass_domain::analytics::{Freshness, Micros};
use mass_domain::metrics::MetricKind;
use mass_domain::page::{ForeignCursor, Limit, Page};
use mass_domain::port::PortError;
use mass_domain::time::Timestamp;

use crate::{AnalyticsService, Answer};

/// Reason for which sources are not shown.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The cursor belongs to another list.
    #[error(transparent)]
    ForeignCursor(#[from] ForeignCursor),
    /// No document of the caller's tenant names it.
    #[error("no such site or device")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// A page of the list of sites, by id.
#[derive(Debug, Clone)]
pub struct SiteQuery {
    /// The size of the page.
    pub limit: Limit,
    /// The cursor that the page before ended with.
    pub cursor: Option<String>,
    /// Whether completeness is computed, which takes longer.
    pub completeness: bool,
}

/// A page of the list of devices, by device and then site.
#[derive(Debug, Clone)]
pub struct DeviceQuery {
    /// Of this site.
    pub site_id: Option<String>,
    /// The size of the page.
    pub limit: Limit,
    /// The cursor that the page before ended with.
    pub cursor: Option<String>,
    /// Whether completeness is computed, which takes longer.
    pub completeness: bool,
}

/// The last value of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct LastValue {
    /// The metric.
    pub metric: String,
    /// The symbol of its unit; `None` for unknown metrics.
    pub unit: Option<&'static str>,
    /// The way in which its values combine.
    pub kind: MetricKind,
    /// The value.
    pub value: f64,
    /// The time of its point.
    pub at: Timestamp,
}

/// The share of time for which the series of a source have values, of 0 to 1: of the time since their first points, up to
/// the last one of a fresh source and up to now for the others. `None` if there was no such time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Completeness {
    /// In the last 24 hours.
    pub day: Option<f64>,
    /// In the last 30 days.
    pub month: Option<f64>,
}

/// What is known of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceState {
    /// How recent the last point is.
    pub freshness: Freshness,
    /// The time of the first point.
    pub first_seen: Timestamp,
    /// The time of the last point.
    pub last_seen: Timestamp,
    /// The learned interval between points, in microseconds: the least among the series with the last point.
    pub interval: Micros,
    /// The last values, by metric.
    pub values: Vec<LastValue>,
    /// The completeness, if it was asked for.
    pub completeness: Option<Completeness>,
}

/// A site.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteState {
    /// Its id.
    pub site_id: String,
    /// The number of devices that name it.
    pub devices: u64,
    /// What its own documents say, which no device sent. `None` if there are none.
    pub state: Option<SourceState>,
}

/// A device at a site.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceState {
    /// Its id.
    pub device_id: String,
    /// The site, if its documents name one.
    pub site_id: Option<String>,
    /// The type that its newest document tells.
    pub device_type: Option<String>,
    /// The location that its newest document tells.
    pub location: Option<String>,
    /// What its documents say. `None` if none of them has a value.
    pub state: Option<SourceState>,
}

impl AnalyticsService {
    /// Lists a page of sites.
    ///
    /// # Errors
    /// [`SourceError`], but never [`SourceError::NotFound`].
    pub async fn sites(&self, principal: &Principal, query: &SiteQuery) -> Result<Answer<Page<SiteState>>, SourceError> {
        let _ = (principal, query);
        Err(SourceError::NotFound)
    }

    /// Lists a page of devices.
    ///
    /// # Errors
    /// [`SourceError`], but never [`SourceError::NotFound`].
    pub async fn devices(
        &self,
        principal: &Principal,
        query: &DeviceQuery,
    ) -> Result<Answer<Page<DeviceState>>, SourceError> {
        let _ = (principal, query);
        Err(SourceError::NotFound)
    }

    /// Gets a device, once for each site that its documents name: the one with the newest point first. Never empty.
    ///
    /// # Errors
    /// [`SourceError`], but never [`SourceError::ForeignCursor`].
    pub async fn device(&self, principal: &Principal, id: &str) -> Result<Answer<Vec<DeviceState>>, SourceError> {
        let _ = (principal, id);
        Err(SourceError::NotFound)
    }
}
