//! Indicators of sites.

use mass_domain::access::{Forbidden, Principal};
use mass_domain::analytics::{Indicator, Split};
use mass_domain::port::PortError;
use mass_domain::time::Timestamp;

use crate::period::PeriodError;
use crate::{AnalyticsService, AnswerStream, TooSlow};

/// The most sites of one answer.
pub const MAX_SITES: usize = 1000;

/// Reason for which indicators are not shown.
#[derive(Debug, thiserror::Error)]
pub enum KpiError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The period, its step or its zone cannot be used.
    #[error(transparent)]
    Period(#[from] PeriodError),
    /// No document names the site.
    #[error("unknown site \"{0}\"")]
    UnknownSite(String),
    /// The tenant has more sites.
    #[error("expected at most {MAX_SITES} sites, found more: name sites")]
    TooMany,
    /// A tariff or a factor is negative or not finite.
    #[error("expected a finite number of 0 or more, found {0}")]
    Rate(f64),
    /// It took too long.
    #[error(transparent)]
    TooSlow(#[from] TooSlow),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// A selection of sites and a period.
#[derive(Debug, Clone)]
pub struct KpiQuery {
    /// The sites; empty for all.
    pub sites: Vec<String>,
    /// The begin of the period.
    pub from: Timestamp,
    /// Its end, which is not part of it.
    pub to: Timestamp,
    /// The stretches: the whole period (at most 20 years), days (at most 3 years) or months (at most 20 years).
    pub step: Split,
    /// The zone of days and months; `None` for UTC.
    pub zone: Option<String>,
    /// The price of a kWh, in any currency, instead of the series of prices.
    pub tariff: Option<f64>,
    /// The carbon dioxide of a kWh, in kg, instead of the series of carbon intensities.
    pub carbon: Option<f64>,
}

/// The value of an indicator.
#[derive(Debug, Clone, PartialEq)]
pub struct Kpi {
    /// The indicator.
    pub indicator: Indicator,
    /// Its value; `None` rather than a made-up number.
    pub value: Option<f64>,
    /// The unit; `1` for a quantity of dimension one, `currency` for a cost by a tariff.
    pub unit: &'static str,
    /// The share of the stretch that the value is computed from, of 0 to 1.
    pub coverage: f64,
    /// The reason for which there is no value, as a phrase. Exactly those without a value have one.
    pub reason: Option<String>,
}

/// The indicators of a site for a stretch of time.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteKpis {
    /// The site.
    pub site_id: String,
    /// The begin of the stretch.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// The indicators, in the order of [`Indicator::ALL`].
    pub kpis: Vec<Kpi>,
    /// The hour in which the facility's power was greatest, by its begin.
    pub peak_at: Option<Timestamp>,
}

/// Indicators, page by page: by site, and then by stretch. The head has the sites.
pub type KpiStream = AnswerStream<Vec<String>, Vec<SiteKpis>, KpiError>;

impl AnalyticsService {
    /// Begins to compute the indicators of sites.
    ///
    /// # Errors
    /// [`KpiError`].
    pub async fn kpis(&self, principal: &Principal, query: KpiQuery) -> Result<KpiStream, KpiError> {
        let _ = (principal, query);
        Err(KpiError::TooMany)
    }
}
