//! The shapes of plans.

use garde::Validate;
use mass_domain::savings::{Boundary, Mode, Period};
use mass_savings_service::{self as service, PlanQuery};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::schemas;

/// A pilot to be planned.
#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(example = json!({
    "site_id": "tampa-1", "weather_device": "weather-1", "boundary": "hvac", "zone": "America/New_York",
    "baseline": {"from": "2025-01-01T05:00:00Z", "until": "2025-04-01T05:00:00Z"},
}))]
pub struct SavingsPlanQuery {
    /// The site.
    #[schemars(length(min = 1, max = 200))]
    site_id: String,
    /// The device that measures the weather outdoors.
    #[schemars(length(min = 1, max = 200))]
    weather_device: String,
    /// The energy that the saving would be measured in.
    #[schemars(schema_with = "schemas::boundary")]
    boundary: Boundary,
    /// The baseline: at most 366 days, from a full hour to a full hour.
    #[schemars(schema_with = "schemas::period")]
    baseline: Period,
    /// The zone of the site, by its name in the IANA database.
    #[schemars(length(min = 1, max = 200))]
    zone: String,
    /// Declared modes of operation.
    #[serde(default)]
    #[schemars(schema_with = "schemas::modes")]
    modes: Vec<Mode>,
    /// The seed of the trials: the same seed gives the same plan.
    #[serde(default)]
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    seed: u64,
}

impl From<SavingsPlanQuery> for PlanQuery {
    fn from(query: SavingsPlanQuery) -> Self {
        let SavingsPlanQuery { site_id, weather_device, boundary, baseline, zone, modes, seed } = query;
        Self { site_id, weather_device, boundary, baseline, zone, modes, seed }
    }
}

/// The events of the audit trail that hours follow from.
#[derive(Serialize, JsonSchema)]
pub struct SavingsAsOf {
    /// The number of events.
    sequence: i64,
    /// The root of the log's tree with that many events.
    #[schemars(extend("pattern" = "^[0-9a-f]{64}$"))]
    root: String,
}

impl From<mass_domain::savings::AsOf> for SavingsAsOf {
    fn from(as_of: mass_domain::savings::AsOf) -> Self {
        Self { sequence: as_of.sequence, root: as_of.root }
    }
}

/// A plan.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "as_of": {"sequence": 1812, "root": "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
    "hours": 2160,
    "pilots": [{
        "weeks": 4, "crossover_false_positives": 0.083,
        "crossover": {"half_width_percent": 1.2, "smallest_saving_percent": 1.8},
        "pre_post": {"half_width_percent": 3.1, "smallest_saving_percent": 4.7},
    }],
}))]
pub struct SavingsPlan {
    /// The events that its hours follow from.
    as_of: SavingsAsOf,
    /// The number of hours of the baseline with all values that the method needs.
    hours: usize,
    /// The predictions, by the length of the pilot.
    pilots: Vec<SavingsPlannedPilot>,
}

/// The prediction for a pilot of so many weeks.
#[derive(Serialize, JsonSchema)]
pub struct SavingsPlannedPilot {
    /// The length in weeks; for pre/post that of the reporting period.
    weeks: usize,
    /// A crossover; null if the baseline is too short to try one.
    crossover: Option<SavingsPrediction>,
    /// The share of tried crossovers without any effect that found one, of 0 to 1. The method promises 0.1.
    crossover_false_positives: Option<f64>,
    /// Pre/post with the whole baseline, in the same season; null if the baseline is too short to try it.
    pre_post: Option<SavingsPrediction>,
}

/// A prediction, in % of the energy that is used without the retrofit.
#[derive(Serialize, JsonSchema)]
pub struct SavingsPrediction {
    /// The half-width at 90 % confidence.
    half_width_percent: f64,
    /// The smallest saving that is shown with 90 % confidence and 80 % power.
    smallest_saving_percent: f64,
}

impl From<service::SavingsPlan> for SavingsPlan {
    fn from(plan: service::SavingsPlan) -> Self {
        let prediction = |it: service::Prediction| SavingsPrediction {
            half_width_percent: it.half_width_percent,
            smallest_saving_percent: it.smallest_saving_percent,
        };
        let pilot = |row: service::PlanRow| SavingsPlannedPilot {
            weeks: row.weeks,
            crossover: row.crossover.map(prediction),
            crossover_false_positives: row.crossover_false_positives,
            pre_post: row.pre_post.map(prediction),
        };
        Self { as_of: plan.as_of.into(), hours: plan.hours, pilots: plan.rows.into_iter().map(pilot).collect() }
    }
}
