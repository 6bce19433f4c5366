//! The form of a report.

use mass_domain::canonical::{self, Fingerprint};
use mass_domain::json;
use mass_domain::savings::{AsOf, Project};
use mass_savings::{Coverage, CrossoverEvidence, CrossoverReport, PrePostResult, Redrawn, Verdict};
use serde::{Deserialize, Serialize};

/// The name and version of the form.
pub const FORMAT: &str = "mass-savings-report/1";

/// A report. All energies are in kWh, temperatures in °C, times in seconds since 1970-01-01T00:00:00Z, half-widths are
/// those of intervals at 90 % confidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportDocument {
    /// [`FORMAT`].
    pub format: String,
    /// The version of the program that computed it.
    pub program: String,
    /// The project, in the version that the report is on.
    pub project: Project,
    /// The fingerprint of the project's canonical text, which its audit event has as `output`.
    pub project_fingerprint: String,
    /// The events of the audit trail that the hours follow from.
    pub as_of: AsOf,
    /// The contracts that the documents behind the hours were checked by.
    pub contracts: Vec<Contract>,
    /// The hours that went in.
    pub hours: Hours,
    /// The prices of hours that went in, if the project's price is a series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Hours>,
    /// The constants of the method.
    pub parameters: Parameters,
    /// The claim, and the reasons for it. It was decided before the saving was known.
    pub verdict: Verdict,
    /// The saving; `null` if the claim is refused.
    pub saving: Option<Figures>,
    /// The saving of the supported hours alone, if too few are supported for a claim, and nothing else stands against
    /// it.
    pub offer: Option<Figures>,
    /// The result that the figures follow from.
    pub result: DesignResult,
}

/// A contract of documents.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The hours that went in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// Their number.
    pub count: usize,
    /// The fingerprint of their canonical text: an array with an array per hour of start, HVAC, IT and facility energy,
    /// outdoor temperature, relative humidity, pressure and inlet temperature; of prices: of start and price.
    pub fingerprint: String,
}

/// The constants of the method, so that a reader need not look for them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// The seed of bootstraps, placebo pilots and redrawn schedules: the project's.
    pub seed: u64,
    /// The confidence of all intervals.
    pub confidence: f64,
    /// The number of bootstraps of a pre/post report.
    pub bootstraps: usize,
    /// The number of redrawn schedules of a crossover.
    pub redraws: usize,
    /// The thresholds of the verdict.
    pub thresholds: Thresholds,
}

/// The thresholds of the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// The least share of supported energy of a claim.
    pub least_support: f64,
    /// The least share of supported energy of a claim for all hours.
    pub full_support: f64,
    /// The CV(RMSE) of hours out of sample above which a saving is indicative.
    pub most_cv_rmse: f64,
    /// The least weeks of baseline.
    pub least_weeks: f64,
    /// The least completeness of a period.
    pub least_completeness: f64,
    /// The least pairs of a crossover.
    pub least_pairs: usize,
}

/// A saving in the units that people ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// The energy saved, in kWh. Negative if more was used.
    pub energy_kwh: f64,
    /// Its half-width, in kWh.
    pub half_width_kwh: f64,
    /// The energy saved in % of what would have been used.
    pub percent: f64,
    /// Its half-width in the same percent.
    pub half_width_percent: f64,
    /// The cost saved, if the project has a price. If that is a series, the sum of each hour's saving times its price;
    /// `null` if too few hours have a price.
    pub cost: Option<Cost>,
    /// The hours of the saving that have a price, if the price is a series. The cost is that of these hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priced: Option<Priced>,
    /// The greenhouse gases saved, if the project has a factor.
    pub co2e: Option<Co2e>,
}

/// A cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// The currency, as its three letters of ISO 4217.
    pub currency: String,
    /// The amount.
    pub amount: f64,
    /// Its half-width.
    pub half_width: f64,
}

/// The hours of a saving that have a price.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Priced {
    /// Their number.
    pub hours: usize,
    /// Their share of all hours of the saving. Below the least completeness of a period no cost is named.
    pub share: f64,
}

/// Greenhouse gases.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Co2e {
    /// The mass in kg of CO₂ equivalent.
    pub kg: f64,
    /// Its half-width.
    pub half_width_kg: f64,
}

/// The result that the figures follow from, by the project's design.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "design", rename_all = "snake_case")]
pub enum DesignResult {
    /// A period before the retrofit and one after it.
    PrePost(Box<PrePostResult>),
    /// Days with the retrofit on and off.
    Crossover(Box<CrossoverResult>),
}

/// The result of a crossover.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrossoverResult {
    /// The evidence for the verdict.
    pub evidence: CrossoverEvidence,
    /// The evaluation: the headline by intention to treat, as treated beside it, effects on IT and facility; `null` if it
    /// is refused.
    pub evaluation: Option<CrossoverReport>,
    /// As treated, in the units that people ask for.
    pub as_treated: Option<Figures>,
    /// The measured energy of the hours of the claim, which are those planned on in complete pairs.
    pub measured_kwh: f64,
    /// The hours of both kinds of days by outdoor temperature and IT load.
    pub coverage: Coverage,
    /// The savings that chance alone would have found.
    pub redrawn: Option<Redrawn>,
}

/// The text is not a report of this form.
#[derive(Debug, thiserror::Error)]
pub enum InvalidReport {
    /// The text is not JSON, or lacks members.
    #[error("not a report: {0}")]
    Form(#[from] serde_json::Error),
    /// The form has another name or version.
    #[error("expected the format {FORMAT}, found {0}")]
    Format(String),
}

impl ReportDocument {
    /// Parses a report.
    ///
    /// # Errors
    /// [`InvalidReport`].
    pub fn parse(text: &str) -> Result<Self, InvalidReport> {
        let document: Self = serde_json::from_str(text)?;
        if document.format == FORMAT { Ok(document) } else { Err(InvalidReport::Format(document.format)) }
    }

    /// Returns the canonical text (RFC 8785).
    #[must_use]
    pub fn text(&self) -> String {
        canonical_text(self)
    }

    /// Returns the fingerprint of the canonical text.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.text())
    }
}

/// Returns the canonical text of a value without infinite numbers.
pub(crate) fn canonical_text(value: &impl Serialize) -> String {
    // Neither can fail: all keys are strings, and all numbers are finite.
    let text = serde_json::to_string(value).unwrap_or_default();
    json::parse(text.as_bytes()).map(|value| canonical::write(&value)).unwrap_or_default()
}
