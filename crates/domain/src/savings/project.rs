//! A project and its parts, in the form in which reports quote them.

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::calendar::{Day, Period, instant};
use crate::access::Actor;
use crate::canonical::{self, Fingerprint};
use crate::ids::SavingsProjectId;
use crate::json;
use crate::time::Timestamp;

/// The energy that a saving is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Boundary {
    /// That of heating, ventilation and cooling: `hvac_power_kw`.
    Hvac,
    /// That of the facility less that of the IT equipment: `facility_power_kw` − `it_power_kw`.
    FacilityLessIt,
}

/// How the saving is measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Design {
    /// A period without the retrofit predicts what one with it would have used.
    PrePost {
        /// The period without the retrofit.
        baseline: Period,
        /// The period with it.
        reporting: Period,
    },
    /// Days with and without the retrofit, drawn at random, in pairs.
    Crossover {
        /// The first day, in the zone's standard time.
        first_day: Day,
        /// The number of pairs of days.
        pairs: u32,
        /// Whether the three hours after each switch are left out.
        washout: bool,
    },
}

/// The price of energy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WrittenPrice", into = "WrittenPrice")]
pub struct Price {
    /// In `currency` per kWh.
    pub rate: Rate,
    /// The currency, as its three letters of ISO 4217.
    pub currency: String,
}

/// The price of a kWh.
#[derive(Debug, Clone, PartialEq)]
pub enum Rate {
    /// The same in every hour.
    Fixed(f64),
    /// That of each hour.
    Series(PriceSeries),
}

/// A series whose hourly means are prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceSeries {
    /// The metric, such as `energy_price_usd_per_kwh`.
    pub metric: String,
    /// The device that reports it; `None` for the site's own reports.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub device_id: Option<String>,
}

impl Price {
    /// Returns the series, if the price is one.
    #[must_use]
    pub const fn series(&self) -> Option<&PriceSeries> {
        match &self.rate {
            Rate::Fixed(_) => None,
            Rate::Series(series) => Some(series),
        }
    }
}

/// A price in JSON: with `per_kwh` or with `series`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPrice {
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    per_kwh: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    series: Option<PriceSeries>,
    currency: String,
}

/// Reads a member that may be absent, but is not null.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl TryFrom<WrittenPrice> for Price {
    type Error = &'static str;

    fn try_from(written: WrittenPrice) -> Result<Self, Self::Error> {
        let WrittenPrice { per_kwh, series, currency } = written;
        let rate = match (per_kwh, series) {
            (Some(per_kwh), None) => Rate::Fixed(per_kwh),
            (None, Some(series)) => Rate::Series(series),
            _ => return Err("expected a price with either `per_kwh` or `series`"),
        };
        Ok(Self { rate, currency })
    }
}

impl From<Price> for WrittenPrice {
    fn from(Price { rate, currency }: Price) -> Self {
        match rate {
            Rate::Fixed(per_kwh) => Self { per_kwh: Some(per_kwh), series: None, currency },
            Rate::Series(series) => Self { per_kwh: None, series: Some(series), currency },
        }
    }
}

/// A declared mode of operation, such as an economiser that a calendar switches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mode {
    /// Its name.
    pub name: String,
    /// The periods in which it is active.
    pub periods: Vec<Period>,
}

/// The terms that the parties agree on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The name of the project.
    pub name: String,
    /// The site.
    pub site_id: String,
    /// The device that measures the weather: `temperature_celsius`, `humidity_percent` and `pressure_hpa`, outdoors.
    pub weather_device: String,
    /// The energy that the saving is measured in.
    pub boundary: Boundary,
    /// How the saving is measured.
    pub design: Design,
    /// The zone of the site, by its name in the IANA database.
    pub zone: String,
    /// The price of energy. Without one, the saving has no cost.
    #[serde(default)]
    pub price: Option<Price>,
    /// Greenhouse gases per kWh, in kg of CO₂ equivalent. Without a factor, the saving has no CO₂e.
    #[serde(default)]
    pub co2e_kg_per_kwh: Option<f64>,
    /// Assumptions, in words.
    #[serde(default)]
    pub assumptions: Vec<String>,
    /// Declared modes of operation.
    #[serde(default)]
    pub modes: Vec<Mode>,
}

/// The account or key that recorded something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorder {
    /// `user`, `api_key` or `system`.
    pub kind: String,
    /// The id of the user or API key.
    pub id: Option<Uuid>,
}

impl From<Actor> for Recorder {
    fn from(actor: Actor) -> Self {
        Self { kind: actor.kind().to_owned(), id: actor.id() }
    }
}

/// A non-routine adjustment: an event that changed the use of energy and is no part of the retrofit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adjustment {
    /// The person who is responsible for it, as they were named.
    pub author: String,
    /// The event.
    pub reason: String,
    /// Its time, within the reporting period.
    pub period: Period,
    /// The energy that the baseline would have used more because of the event, in kWh over the period; negative for less.
    pub kwh: f64,
    /// The account or key that recorded it.
    pub recorded_by: Recorder,
    /// The time at which it was recorded.
    #[serde(with = "instant")]
    pub recorded_at: Timestamp,
}

/// A day of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledDay {
    /// The day.
    pub day: Day,
    /// The pair it belongs to, from 0.
    pub pair: u32,
    /// Whether the retrofit is planned to be on.
    pub on: bool,
}

/// The schedule of a crossover. It is drawn before its first day and never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// The seed that it was drawn with, below 2⁵³.
    pub seed: u64,
    /// The time at which it was drawn.
    #[serde(with = "instant")]
    pub drawn_at: Timestamp,
    /// The days, in their order.
    pub days: Vec<ScheduledDay>,
}

/// Whether the plan of a day was followed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "plan", rename_all = "snake_case")]
pub enum PlanFollowed {
    /// The retrofit was on or off as planned.
    Applied,
    /// It was the other way all day.
    NotApplied,
    /// It was on for a share of the day.
    Partly {
        /// The share of the day for which the retrofit was on, of 0 to 1.
        share: f64,
    },
}

/// The confirmation of a day by those who operate the site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The day.
    pub day: Day,
    /// Whether its plan was followed.
    #[serde(flatten)]
    pub followed: PlanFollowed,
    /// Why not, if it was not.
    pub reason: Option<String>,
    /// The person who confirms it, as they were named.
    pub author: String,
    /// The account or key that recorded it.
    pub recorded_by: Recorder,
    /// The time at which it was recorded.
    #[serde(with = "instant")]
    pub recorded_at: Timestamp,
}

/// A version of a project: all that its figures follow from, but for the measured hours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    #[serde(with = "project_id")]
    pub id: SavingsProjectId,
    /// The version: from 1, one more with every change.
    pub version: u32,
    /// The seed of the bootstraps, below 2⁵³. It is drawn when the project is created and never changes.
    pub seed: u64,
    /// The zone's standard time, in seconds east of Greenwich. Days and hours of the week are told by it.
    pub utc_offset_seconds: i32,
    /// The terms that the parties agree on.
    pub terms: Terms,
    /// Non-routine adjustments, in the order in which they were recorded.
    pub adjustments: Vec<Adjustment>,
    /// The schedule of a crossover, once it is drawn.
    pub schedule: Option<Schedule>,
    /// The confirmations, in the order of days.
    pub confirmations: Vec<Confirmation>,
}

impl Project {
    /// Returns the canonical text (RFC 8785).
    #[must_use]
    pub fn text(&self) -> String {
        // Neither can fail: all keys are strings, and no number of a checked project is infinite.
        let text = serde_json::to_string(self).unwrap_or_default();
        json::parse(text.as_bytes()).map(|value| canonical::write(&value)).unwrap_or_default()
    }

    /// Returns the fingerprint of the canonical text, which the audit event of each version has as its `output`.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.text())
    }
}

mod project_id {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::ids::SavingsProjectId;

    pub(super) fn serialize<S: Serializer>(id: &SavingsProjectId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SavingsProjectId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Fault;

    fn period(from: &str, until: &str) -> Period {
        Period { from: from.parse().unwrap(), until: until.parse().unwrap() }
    }

    fn terms() -> Terms {
        Terms {
            name: "Fans of hall 2".to_owned(),
            site_id: "tampa-1".to_owned(),
            weather_device: "weather".to_owned(),
            boundary: Boundary::Hvac,
            design: Design::PrePost {
                baseline: period("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
                reporting: period("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            },
            zone: "America/New_York".to_owned(),
            price: Some(Price { rate: Rate::Fixed(0.1), currency: "USD".to_owned() }),
            co2e_kg_per_kwh: Some(0.4),
            assumptions: vec!["The IT load is that of the meters at the PDUs.".to_owned()],
            modes: vec![Mode {
                name: "economiser".to_owned(),
                periods: vec![period("2025-11-01T00:00:00Z", "2026-03-01T00:00:00Z")],
            }],
        }
    }

    #[test]
    fn projects_round_trip_and_their_fingerprint_follows_every_member() {
        let recorded_by = Recorder { kind: "user".to_owned(), id: Some(Uuid::nil()) };
        let recorded_at = "2026-03-01T12:00:00Z".parse().unwrap();
        let confirmation = |followed| Confirmation {
            day: "2026-03-01".parse().unwrap(),
            followed,
            reason: None,
            author: "A. Operator".to_owned(),
            recorded_by: recorded_by.clone(),
            recorded_at,
        };
        let project = Project {
            id: SavingsProjectId::from_uuid(Uuid::nil()),
            version: 3,
            seed: 9_007_199_254_740_991,
            utc_offset_seconds: -18_000,
            terms: terms(),
            adjustments: Vec::new(),
            schedule: Some(Schedule {
                seed: 7,
                drawn_at: recorded_at,
                days: vec![ScheduledDay { day: "2026-03-01".parse().unwrap(), pair: 0, on: true }],
            }),
            confirmations: [PlanFollowed::Applied, PlanFollowed::NotApplied, PlanFollowed::Partly { share: 0.25 }]
                .map(confirmation)
                .to_vec(),
        };
        let text = project.text();
        assert!(text.contains(r#""plan":"partly""#) && text.contains(r#""share":0.25"#), "{text}");
        assert!(text.contains(r#""seed":9007199254740991"#), "{text}");
        assert_eq!(serde_json::from_str::<Project>(&text).unwrap(), project);
        let mut changed = project.clone();
        changed.confirmations[1].followed = PlanFollowed::Applied;
        assert_ne!(changed.fingerprint(), project.fingerprint());
    }

    #[test]
    fn a_price_is_fixed_or_a_series() {
        let read = |text: &str| serde_json::from_str::<Price>(text);
        for text in [
            r#"{"per_kwh":0.1,"currency":"EUR"}"#,
            r#"{"series":{"metric":"spot_price"},"currency":"EUR"}"#,
            r#"{"series":{"metric":"spot_price","device_id":"meter-1"},"currency":"EUR"}"#,
        ] {
            assert_eq!(serde_json::to_string(&read(text).unwrap()).unwrap(), text);
        }
        for text in [
            r#"{"currency":"EUR"}"#,
            r#"{"per_kwh":0.1,"series":{"metric":"spot_price"},"currency":"EUR"}"#,
            r#"{"per_kwh":0.1,"series":null,"currency":"EUR"}"#,
            r#"{"series":{"metric":"spot_price","device_id":null},"currency":"EUR"}"#,
            r#"{"series":{"metric":"spot_price","site_id":"a"},"currency":"EUR"}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn good_terms_have_no_faults() {
        assert_eq!(terms().faults(), Vec::new());
        for (metric, currency) in [("energy_price_usd_per_kwh", "USD"), ("spot_price", "EUR")] {
            let series = PriceSeries { metric: metric.to_owned(), device_id: Some("meter-1".to_owned()) };
            let price = Some(Price { rate: Rate::Series(series), currency: currency.to_owned() });
            assert_eq!(Terms { price, ..terms() }.faults(), Vec::new());
        }
    }

    #[test]
    fn each_broken_rule_is_named() {
        type Change = fn(&mut Terms);
        let pre_post = |terms: &mut Terms, from: &str, until: &str| {
            terms.design = Design::PrePost {
                baseline: period("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
                reporting: period(from, until),
            };
        };
        let crossover = |terms: &mut Terms, pairs, first_day: &str| {
            terms.design = Design::Crossover { first_day: first_day.parse().unwrap(), pairs, washout: false };
        };
        fn by_series(terms: &mut Terms, metric: &str, device_id: Option<&str>) {
            let series = PriceSeries { metric: metric.to_owned(), device_id: device_id.map(str::to_owned) };
            terms.price = Some(Price { rate: Rate::Series(series), currency: "EUR".to_owned() });
        }
        let cases: [(&str, Change); 17] = [
            ("/name", |terms| terms.name = " ".to_owned()),
            ("/site_id", |terms| terms.site_id = "a\u{202e}b".to_owned()),
            ("/weather_device", |terms| terms.weather_device = "x".repeat(201)),
            ("/zone", |terms| terms.zone.clear()),
            ("/price/per_kwh", |terms| terms.price.as_mut().unwrap().rate = Rate::Fixed(f64::NAN)),
            ("/price/series/metric", |terms| by_series(terms, "Price", None)),
            ("/price/series/metric", |terms| by_series(terms, "energy_kwh", None)),
            ("/price/series/metric", |terms| by_series(terms, "temperature_celsius", None)),
            ("/price/series/metric", |terms| by_series(terms, "energy_price_usd_per_kwh", None)),
            ("/price/series/device_id", |terms| by_series(terms, "spot_price", Some(""))),
            ("/price/currency", |terms| terms.price.as_mut().unwrap().currency = "usd".to_owned()),
            ("/co2e_kg_per_kwh", |terms| terms.co2e_kg_per_kwh = Some(-0.1)),
            ("/assumptions", |terms| terms.assumptions = vec!["x".to_owned(); 51]),
            ("/assumptions/0", |terms| terms.assumptions = vec![String::new()]),
            ("/modes", |terms| terms.modes = vec![terms.modes[0].clone(); 9]),
            ("/modes/0/periods", |terms| terms.modes[0].periods = vec![terms.modes[0].periods[0]; 201]),
            ("/modes/0/periods/0/until", |terms| {
                let Period { from, until } = terms.modes[0].periods[0];
                terms.modes[0].periods[0] = Period { from: until, until: from };
            }),
        ];
        let pointers = |terms: &Terms| terms.faults().into_iter().map(|it: Fault| it.pointer).collect::<Vec<_>>();
        for (pointer, change) in cases {
            let mut terms = terms();
            change(&mut terms);
            assert_eq!(pointers(&terms), [pointer]);
        }
        let mut terms = terms();
        for (from, until, pointer) in [
            ("2025-06-01T00:00:00Z", "2026-06-01T00:00:00Z", "/design/reporting"),
            ("2026-01-01T00:00:00Z", "2030-06-01T00:00:00Z", "/design/reporting"),
            ("2026-01-01T00:30:00Z", "2026-06-01T00:00:00Z", "/design/reporting/from"),
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "/design/reporting/until"),
        ] {
            pre_post(&mut terms, from, until);
            assert_eq!(pointers(&terms), [pointer]);
        }
        for (pairs, first_day, pointer) in [
            (2, "2026-01-01", "/design/pairs"),
            (92, "2026-01-01", "/design/pairs"),
            (28, "9999-12-01", "/design/first_day"),
        ] {
            crossover(&mut terms, pairs, first_day);
            assert_eq!(pointers(&terms), [pointer]);
        }
        crossover(&mut terms, 28, "2026-01-01");
        assert_eq!(pointers(&terms), Vec::<String>::new());
    }
}
