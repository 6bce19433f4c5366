//! The shapes of savings in bodies and answers.

mod plans;
mod reports;
mod schemas;

use garde::Validate;
use mass_domain::page::Page;
use mass_domain::savings::{
    Adjustment, Boundary, Confirmation, Design, Mode, Period, PlanFollowed, Price, Project, Terms,
};
use mass_savings_service::{self as service, NewAdjustment, NewConfirmation, StoredProject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use self::plans::{SavingsAsOf, SavingsPlan, SavingsPlanQuery, SavingsPlannedPilot, SavingsPrediction};
pub use self::reports::{SavingsReport, SavingsReportPage, SavingsReportSummary};
use crate::http::actor::ActorModel;

/// The terms that the parties of a savings project agree on.
#[derive(Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(example = schemas::terms_example())]
pub struct SavingsTerms {
    /// The name of the project.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// The site.
    #[schemars(length(min = 1, max = 200))]
    site_id: String,
    /// The device that measures the weather outdoors: `temperature_celsius`, `humidity_percent` and `pressure_hpa`.
    #[schemars(length(min = 1, max = 200))]
    weather_device: String,
    /// The energy that the saving is measured in: that of the HVAC (`hvac_power_kw`), or that of the facility less that of the IT
    /// equipment.
    #[schemars(schema_with = "schemas::boundary")]
    boundary: Boundary,
    /// How the saving is measured.
    #[schemars(schema_with = "schemas::design")]
    design: Design,
    /// The zone of the site, by its name in the IANA database. Days are told by its standard time.
    #[schemars(length(min = 1, max = 200))]
    zone: String,
    /// The price of energy; without one, the saving has no cost.
    #[serde(default)]
    #[schemars(schema_with = "schemas::price")]
    price: Option<Price>,
    /// Greenhouse gases per kWh, in kg of CO₂ equivalent; without a factor, the saving has no CO₂e.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 100.0))]
    co2e_kg_per_kwh: Option<f64>,
    /// Assumptions, in words.
    #[serde(default)]
    #[schemars(length(max = 50))]
    assumptions: Vec<String>,
    /// Declared modes of operation, such as an economiser that a calendar switches.
    #[serde(default)]
    #[schemars(schema_with = "schemas::modes")]
    modes: Vec<Mode>,
}

impl From<SavingsTerms> for Terms {
    fn from(terms: SavingsTerms) -> Self {
        let SavingsTerms {
            name,
            site_id,
            weather_device,
            boundary,
            design,
            zone,
            price,
            co2e_kg_per_kwh,
            assumptions,
            modes,
        } = terms;
        Self { name, site_id, weather_device, boundary, design, zone, price, co2e_kg_per_kwh, assumptions, modes }
    }
}

impl From<Terms> for SavingsTerms {
    fn from(terms: Terms) -> Self {
        let Terms { name, site_id, weather_device, boundary, design, zone, price, co2e_kg_per_kwh, assumptions, modes } =
            terms;
        Self { name, site_id, weather_device, boundary, design, zone, price, co2e_kg_per_kwh, assumptions, modes }
    }
}

/// A non-routine adjustment to be recorded.
#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(example = json!({
    "author": "A. Engineer", "reason": "A hall with 40 kW was opened.", "kwh": 11520.0,
    "period": {"from": "2026-03-01T00:00:00Z", "until": "2026-04-01T00:00:00Z"},
}))]
pub struct SavingsNewAdjustment {
    /// The person who is responsible for it.
    #[schemars(length(min = 1, max = 200))]
    author: String,
    /// The event, for people.
    #[schemars(length(min = 1, max = 1000))]
    reason: String,
    /// Its time, within the reporting period.
    #[schemars(schema_with = "schemas::period")]
    period: Period,
    /// The energy that the baseline would have used more because of the event, in kWh over the period; negative for less.
    #[schemars(range(min = -3e10, max = 3e10))]
    kwh: f64,
}

impl From<SavingsNewAdjustment> for NewAdjustment {
    fn from(new: SavingsNewAdjustment) -> Self {
        let SavingsNewAdjustment { author, reason, period, kwh } = new;
        Self { author, reason, period, kwh }
    }
}

/// Whether the plan of a day was followed.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SavingsPlanFollowed {
    /// The retrofit was on or off as planned.
    Applied,
    /// It was the other way all day.
    NotApplied,
    /// It was on for a share of the day.
    Partly,
}

/// The confirmation of a day.
#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(example = json!({
    "plan": "partly", "share": 0.75, "reason": "The retrofit was switched on at 06:00.", "author": "O. Operator",
}))]
pub struct SavingsConfirmationChange {
    /// Whether the plan was followed: the retrofit was on or off as planned, the other way all day, or on for a `share` of the day.
    plan: SavingsPlanFollowed,
    /// With `partly`: the share of the day for which the retrofit was on, of 0 to 1.
    #[garde(custom(goes_with(&self.plan)))]
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    share: Option<f64>,
    /// Why the plan was not followed. Needed unless it was applied.
    #[serde(default)]
    #[schemars(length(min = 1, max = 1000))]
    reason: Option<String>,
    /// The person who confirms it.
    #[schemars(length(min = 1, max = 200))]
    author: String,
}

/// Requires a share with `partly`, and none without.
fn goes_with(plan: &SavingsPlanFollowed) -> impl FnOnce(&Option<f64>, &()) -> garde::Result + '_ {
    move |share, ()| match (plan, share) {
        (SavingsPlanFollowed::Partly, Some(_))
        | (SavingsPlanFollowed::Applied | SavingsPlanFollowed::NotApplied, None) => Ok(()),
        (SavingsPlanFollowed::Partly, None) => Err(garde::Error::new("expected a share with the plan \"partly\"")),
        (SavingsPlanFollowed::Applied | SavingsPlanFollowed::NotApplied, Some(_)) => {
            Err(garde::Error::new("expected a share with the plan \"partly\" alone"))
        }
    }
}

impl From<SavingsConfirmationChange> for NewConfirmation {
    fn from(change: SavingsConfirmationChange) -> Self {
        let followed = match change.plan {
            SavingsPlanFollowed::Applied => PlanFollowed::Applied,
            SavingsPlanFollowed::NotApplied => PlanFollowed::NotApplied,
            SavingsPlanFollowed::Partly => PlanFollowed::Partly { share: change.share.unwrap_or_default() },
        };
        Self { followed, reason: change.reason, author: change.author }
    }
}

/// A savings project.
#[derive(Serialize, JsonSchema)]
#[schemars(example = schemas::project_example())]
pub struct SavingsProject {
    /// Its id.
    #[schemars(extend("format" = "uuid"))]
    id: String,
    /// Its version: from 1, one more with every change.
    version: u32,
    /// The seed of the bootstraps of its reports, below 2⁵³. It was drawn when the project was created.
    seed: u64,
    /// The standard time of the zone, in seconds east of Greenwich.
    utc_offset_seconds: i32,
    /// The terms that the parties agree on.
    terms: SavingsTerms,
    /// Non-routine adjustments, in the order in which they were recorded.
    #[schemars(schema_with = "schemas::adjustments")]
    adjustments: Vec<Adjustment>,
    /// The schedule of a crossover, once it is drawn.
    #[schemars(schema_with = "schemas::schedule")]
    schedule: Option<mass_domain::savings::Schedule>,
    /// The confirmations, in the order of days.
    #[schemars(schema_with = "schemas::confirmations")]
    confirmations: Vec<Confirmation>,
    /// When it was created.
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    /// The creator.
    created_by: ActorModel,
    /// When it was changed last.
    #[schemars(extend("format" = "date-time"))]
    updated_at: String,
    /// The author of the last change.
    updated_by: ActorModel,
}

impl From<StoredProject> for SavingsProject {
    fn from(stored: StoredProject) -> Self {
        let StoredProject { project, created_at, created_by, updated_at, updated_by } = stored;
        Self {
            id: project.id.to_string(),
            version: project.version,
            seed: project.seed,
            utc_offset_seconds: project.utc_offset_seconds,
            terms: project.terms.into(),
            adjustments: project.adjustments,
            schedule: project.schedule,
            confirmations: project.confirmations,
            created_at: created_at.to_string(),
            created_by: created_by.into(),
            updated_at: updated_at.to_string(),
            updated_by: updated_by.into(),
        }
    }
}

/// A savings project in a list.
#[derive(Serialize, JsonSchema)]
pub struct SavingsProjectSummary {
    /// Its id.
    #[schemars(extend("format" = "uuid"))]
    id: String,
    /// Its version.
    version: u32,
    /// Its name.
    name: String,
    /// Its site.
    site_id: String,
    /// When it was created.
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    /// The creator.
    created_by: ActorModel,
    /// When it was changed last.
    #[schemars(extend("format" = "date-time"))]
    updated_at: String,
    /// The author of the last change.
    updated_by: ActorModel,
}

impl From<service::ProjectSummary> for SavingsProjectSummary {
    fn from(project: service::ProjectSummary) -> Self {
        Self {
            id: project.id.to_string(),
            version: project.version,
            name: project.name,
            site_id: project.site_id,
            created_at: project.created_at.to_string(),
            created_by: project.created_by.into(),
            updated_at: project.updated_at.to_string(),
            updated_by: project.updated_by.into(),
        }
    }
}

/// A page of savings projects.
#[derive(Serialize, JsonSchema)]
#[schemars(example = schemas::page_example())]
pub struct SavingsProjectPage {
    /// The projects.
    items: Vec<SavingsProjectSummary>,
    /// The cursor of the next page; null on the last one.
    pub(super) next_cursor: Option<String>,
}

impl From<Page<service::ProjectSummary>> for SavingsProjectPage {
    fn from(page: Page<service::ProjectSummary>) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), next_cursor: page.next_cursor }
    }
}

/// A schedule with the confirmations of its days.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "seed": 4_503_599_627_370_495_u64, "drawn_at": "2026-02-24T18:00:00Z",
    "days": [{"day": "2026-03-02", "pair": 0, "on": true, "confirmation": null},
             {"day": "2026-03-03", "pair": 0, "on": false, "confirmation": null}],
}))]
pub struct SavingsSchedule {
    /// The seed that it was drawn with, below 2⁵³.
    seed: u64,
    /// When it was drawn.
    #[schemars(extend("format" = "date-time"))]
    drawn_at: String,
    /// The days, in their order.
    days: Vec<SavingsDay>,
}

/// A day of a schedule.
#[derive(Serialize, JsonSchema)]
pub struct SavingsDay {
    /// The day, in the standard time of the project's zone.
    #[schemars(extend("format" = "date"))]
    day: String,
    /// The pair it belongs to, from 0.
    pair: u32,
    /// Whether the retrofit is planned to be on.
    on: bool,
    /// Its confirmation; null if there is none.
    #[schemars(schema_with = "schemas::confirmation_or_null")]
    confirmation: Option<Confirmation>,
}

impl SavingsSchedule {
    /// Builds the schedule of a project; `None` if it is not drawn.
    pub(super) fn of(project: Project) -> Option<Self> {
        let (schedule, confirmations) = (project.schedule?, project.confirmations);
        let days = schedule.days.into_iter().map(|scheduled| {
            let confirmed = confirmations.binary_search_by_key(&scheduled.day, |it| it.day).ok();
            SavingsDay {
                day: scheduled.day.to_string(),
                pair: scheduled.pair,
                on: scheduled.on,
                confirmation: confirmed.and_then(|place| confirmations.get(place)).cloned(),
            }
        });
        Some(Self { seed: schedule.seed, drawn_at: schedule.drawn_at.to_string(), days: days.collect() })
    }
}
