//! The shapes of sites and devices in answers.

use mass_analytics_service as service;
use mass_domain::analytics::{Freshness, Micros};
use mass_domain::page;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::{AnalyticsAsOf, as_of_example, at};

/// The last value of a metric.
#[derive(Serialize, JsonSchema)]
pub struct AnalyticsLastValue {
    /// The metric.
    pub metric: String,
    /// The value.
    pub value: f64,
    /// The symbol of its unit; null for a metric that MASS does not know.
    pub unit: Option<&'static str>,
    /// The way in which its values combine.
    #[schemars(extend("enum" = ["gauge", "power", "counter"]))]
    pub kind: &'static str,
    /// The time of the value.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
}

/// The share of the time for which there are values, from 0 to 1; null if there was no time in which there could be any.
#[derive(Serialize, JsonSchema)]
pub struct AnalyticsCompleteness {
    /// Of the last 24 hours.
    pub last_24_hours: Option<f64>,
    /// Of the last 30 days.
    pub last_30_days: Option<f64>,
}

/// The reports of a site or device.
#[derive(Serialize, JsonSchema)]
pub struct AnalyticsSourceState {
    /// How recent the last value is: `fresh` up to three learned intervals (or two minutes), `late` up to twelve (or a day),
    /// `silent` beyond.
    #[schemars(extend("enum" = ["fresh", "late", "silent"]))]
    pub freshness: &'static str,
    /// The time of the first value.
    #[schemars(extend("format" = "date-time"))]
    pub first_seen: String,
    /// The time of the last value.
    #[schemars(extend("format" = "date-time"))]
    pub last_seen: String,
    /// The interval between values that was learned from the last ones, in seconds.
    pub interval_seconds: f64,
    /// The last values, by metric.
    pub values: Vec<AnalyticsLastValue>,
    /// The completeness; null unless it was asked for.
    pub completeness: Option<AnalyticsCompleteness>,
}

fn state_example() -> Value {
    json!({
        "freshness": "fresh", "first_seen": at("00:00:00"), "last_seen": at("18:00:00"), "interval_seconds": 60.0,
        "values": [{"metric": "power_kw", "value": 3.2, "unit": "kW", "kind": "power", "at": at("18:00:00")}],
        "completeness": {"last_24_hours": 0.998, "last_30_days": 0.998},
    })
}

#[expect(clippy::cast_precision_loss, reason = "an interval is at most a day")]
fn seconds(micros: Micros) -> f64 {
    micros as f64 / 1e6
}

impl From<service::SourceState> for AnalyticsSourceState {
    fn from(state: service::SourceState) -> Self {
        let service::SourceState { freshness, first_seen, last_seen, interval, values, completeness } = state;
        let value = |value: service::LastValue| AnalyticsLastValue {
            metric: value.metric,
            value: value.value,
            unit: value.unit,
            kind: value.kind.as_str(),
            at: value.at.to_string(),
        };
        let completeness = completeness.map(|service::Completeness { day, month }| AnalyticsCompleteness {
            last_24_hours: day,
            last_30_days: month,
        });
        Self {
            freshness: Freshness::as_str(freshness),
            first_seen: first_seen.to_string(),
            last_seen: last_seen.to_string(),
            interval_seconds: seconds(interval),
            values: values.into_iter().map(value).collect(),
            completeness,
        }
    }
}

/// A site that documents name.
#[derive(Serialize, JsonSchema)]
pub struct AnalyticsSite {
    /// Its id.
    pub site_id: String,
    /// The number of devices that name it.
    pub devices: u64,
    /// Its own reports, without those of its devices; null if there are none.
    pub state: Option<AnalyticsSourceState>,
}

/// A page of sites, by id.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "as_of": as_of_example(), "items": [{"site_id": "tampa-1", "devices": 42, "state": state_example()}], "next_cursor": null,
}))]
pub struct AnalyticsSitePage {
    /// The events that it is computed from.
    pub as_of: AnalyticsAsOf,
    /// The sites.
    pub items: Vec<AnalyticsSite>,
    /// To be sent as `cursor` for the page that follows; null on the last one.
    pub next_cursor: Option<String>,
}

impl From<service::Answer<page::Page<service::SiteState>>> for AnalyticsSitePage {
    fn from(answer: service::Answer<page::Page<service::SiteState>>) -> Self {
        let site = |service::SiteState { site_id, devices, state }: service::SiteState| AnalyticsSite {
            site_id,
            devices,
            state: state.map(Into::into),
        };
        let page::Page { items, next_cursor } = answer.data;
        Self { as_of: answer.as_of.into(), items: items.into_iter().map(site).collect(), next_cursor }
    }
}

/// A device at a site. A device that reports from two sites is two of these.
#[derive(Serialize, JsonSchema)]
pub struct AnalyticsDevice {
    /// The device's id.
    pub device_id: String,
    /// The site; null if the device's documents name none.
    pub site_id: Option<String>,
    /// The type that the newest document tells.
    #[serde(rename = "type")]
    pub device_type: Option<String>,
    /// The location that the newest document tells.
    pub location: Option<String>,
    /// Its reports; null if none of its documents has a value.
    pub state: Option<AnalyticsSourceState>,
}

fn device_example() -> Value {
    json!({
        "device_id": "pdu-17", "site_id": "tampa-1", "type": "pdu", "location": "Hall 2", "state": state_example(),
    })
}

impl From<service::DeviceState> for AnalyticsDevice {
    fn from(device: service::DeviceState) -> Self {
        let service::DeviceState { device_id, site_id, device_type, location, state } = device;
        Self { device_id, site_id, device_type, location, state: state.map(Into::into) }
    }
}

/// A page of devices, by device and then site.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"as_of": as_of_example(), "items": [device_example()], "next_cursor": null}))]
pub struct AnalyticsDevicePage {
    /// The events that it is computed from.
    pub as_of: AnalyticsAsOf,
    /// The devices.
    pub items: Vec<AnalyticsDevice>,
    /// To be sent as `cursor`, with the same filters, for the page that follows; null on the last one.
    pub next_cursor: Option<String>,
}

impl From<service::Answer<page::Page<service::DeviceState>>> for AnalyticsDevicePage {
    fn from(answer: service::Answer<page::Page<service::DeviceState>>) -> Self {
        let page::Page { items, next_cursor } = answer.data;
        Self { as_of: answer.as_of.into(), items: items.into_iter().map(Into::into).collect(), next_cursor }
    }
}

/// A device, at each site that its documents name.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"as_of": as_of_example(), "items": [device_example()]}))]
pub struct AnalyticsDeviceSites {
    /// The events that it is computed from.
    pub as_of: AnalyticsAsOf,
    /// The device at each site: the one with the newest value first.
    pub items: Vec<AnalyticsDevice>,
}

impl From<service::Answer<Vec<service::DeviceState>>> for AnalyticsDeviceSites {
    fn from(answer: service::Answer<Vec<service::DeviceState>>) -> Self {
        Self { as_of: answer.as_of.into(), items: answer.data.into_iter().map(Into::into).collect() }
    }
}
