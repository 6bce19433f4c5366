//! The parameters of figures, and how they are read.

use actix_web::http::header::HeaderMap;
use mass_domain::analytics::{Aggregate, Resolution, Split};
use mass_domain::time::Timestamp;
use serde_json::json;

use crate::exported::ParquetTable;
use crate::figures::Form;
use crate::http::accept;
use crate::http::operations::Parameter;
use crate::http::parameters;
use crate::http::problem::{Problem, ProblemKind};
use crate::http::query::{Query, short_text};

/// The media type of Parquet.
pub(super) const PARQUET: &str = "application/vnd.apache.parquet";

/// The most metrics of a query.
const MAX_METRICS: usize = 50;

pub(super) const METRIC: Parameter = Parameter::new(
    "metric",
    "Series of these metrics, separated by commas: those of docs/metrics.md and docs/analytics.md, and any others that the \
     tenant's devices report.",
    || {
        json!({"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}(,[a-z][a-z0-9_]{0,63}){0,49}$",
               "examples": ["temperature_celsius", "it_power_kw,facility_power_kw"]})
    },
)
.required();

pub(super) const SITE_ID: Parameter = Parameter::new("site_id", "Of this site.", parameters::short_text);

pub(super) const DEVICE_ID: Parameter = Parameter::new("device_id", "Of this device.", parameters::short_text);

pub(super) const FROM: Parameter = Parameter::new(
    "from",
    "The begin of the period.",
    || json!({"type": "string", "format": "date-time", "examples": ["2026-11-24T00:00:00Z"]}),
)
.required();

pub(super) const TO: Parameter = Parameter::new(
    "to",
    "The end of the period, which is no part of it.",
    || json!({"type": "string", "format": "date-time", "examples": ["2026-11-25T00:00:00Z"]}),
)
.required();

pub(super) const SERIES_STEP: Parameter = Parameter::new(
    "step",
    "The length of the stretches: each value by itself (at most 31 days of them), five minutes (92 days), an hour (3 years), a \
     calendar day or a month (20 years).",
    || json!({"type": "string", "enum": ["raw", "5m", "hour", "day", "month"], "default": "hour"}),
);

pub(super) const KPI_STEP: Parameter = Parameter::new(
    "step",
    "The stretches that each have indicators: the whole period, or each calendar day (at most 3 years) or month (20 years).",
    || json!({"type": "string", "enum": ["period", "day", "month"], "default": "period"}),
);

pub(super) const ZONE: Parameter = Parameter::new(
    "zone",
    "The zone of hours, days and months, of the IANA database. Days of 23 and 25 hours are such.",
    || json!({"type": "string", "minLength": 1, "maxLength": 64, "default": "UTC", "examples": ["Europe/Madrid"]}),
);

pub(super) const AGGREGATE: Parameter = Parameter::new(
    "aggregate",
    "The value of a stretch: of counters the consumption (`sum`) unless another one is asked for, of all others the mean. The \
     `sum` of a power is its energy.",
    || json!({"type": "string", "enum": ["mean", "min", "max", "sum", "last"]}),
);

pub(super) const TARIFF: Parameter = Parameter::new(
    "tariff",
    "The price of a kWh, in any currency: the cost is computed with it instead of the site's series of prices.",
    || json!({"type": "number", "minimum": 0, "maximum": 1_000_000, "examples": [0.18]}),
);

pub(super) const CARBON: Parameter = Parameter::new(
    "carbon",
    "The greenhouse gases of a kWh, in kg of CO₂ equivalent: instead of the site's series of carbon intensities.",
    || json!({"type": "number", "minimum": 0, "maximum": 1_000_000, "examples": [0.231]}),
);

pub(super) const INCLUDE: Parameter = Parameter::new(
    "include",
    "`completeness`: with the share of the time for which there are values, which takes longer.",
    || json!({"type": "string", "enum": ["completeness"]}),
);

/// Reads `include`.
pub(super) fn include(text: &str) -> Result<(), String> {
    if text == "completeness" { Ok(()) } else { Err("Only completeness.".to_owned()) }
}

/// Reads names of metrics.
pub(super) fn metrics(text: &str) -> Result<Vec<String>, String> {
    let is_name = |name: &str| {
        name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            && name.len() <= 64
    };
    let names: Vec<String> = text.split(',').map(str::to_owned).collect();
    if names.len() <= MAX_METRICS && names.iter().all(|name| is_name(name)) {
        return Ok(names);
    }
    Err(format!(
        "1 to {MAX_METRICS} names of 1 to 64 characters a–z, 0–9 and _ that begin with a letter, separated by commas."
    ))
}

/// Takes a parameter with the name of one site or device.
pub(super) fn one(query: &mut Query, name: &str) -> Option<String> {
    query.take_with(name, short_text)
}

/// Takes the period. Without one, the query is refused later.
pub(super) fn period(query: &mut Query) -> (Timestamp, Timestamp) {
    let read = |text: &str| text.parse().map_err(|error: mass_domain::time::InvalidTimestamp| error.to_string());
    let none = || Timestamp::from_datetime(chrono::DateTime::UNIX_EPOCH);
    let (from, to) = (query.need_with("from", read), query.need_with("to", read));
    (from.unwrap_or_else(none), to.unwrap_or_else(none))
}

/// Takes the name of a zone, which the use case looks up.
pub(super) fn zone(query: &mut Query) -> Option<String> {
    query.take_with("zone", short_text)
}

/// Reads the step of series.
pub(super) fn step(text: &str) -> Result<Resolution, String> {
    text.parse().map_err(|_| one_of(Resolution::ALL.iter().map(|step| step.as_str())))
}

/// Reads the step of indicators.
pub(super) fn split(text: &str) -> Result<Split, String> {
    text.parse().map_err(|_| one_of(Split::ALL.iter().map(|step| step.as_str())))
}

/// Reads an aggregate.
pub(super) fn aggregate(text: &str) -> Result<Aggregate, String> {
    text.parse().map_err(|_| one_of(Aggregate::ALL.iter().map(|aggregate| aggregate.as_str())))
}

fn one_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    format!("One of {}.", names.collect::<Vec<_>>().join(", "))
}

/// Reads a price or a factor.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.0..=1e6).contains(rate));
    rate.ok_or_else(|| "A number from 0 to 1000000.".to_owned())
}

/// Returns the form of series that the client prefers.
pub(super) fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    let weight = |media_type| accept::media_type(headers, media_type);
    let (json, csv) = (weight("application/json"), weight("text/csv"));
    let parquet = if ParquetTable::IS_BUILT { weight(PARQUET) } else { 0.0 };
    if json.max(csv).max(parquet) <= 0.0 {
        let detail = "This build of MASS does not write Parquet. The container image does; others are built with the feature \
                      parquet.";
        return Err(Problem::new(ProblemKind::NotAcceptable).detail(detail));
    }
    Ok(if json >= csv && json >= parquet {
        Form::Json
    } else if parquet > csv {
        Form::Parquet
    } else {
        Form::Csv
    })
}

/// The id of a device in a path.
pub(super) mod device {
    use std::str::FromStr;

    use crate::http::operations::Parameter;
    use crate::http::parameters;
    use crate::http::path::InPath;
    use crate::http::problem::{Problem, ProblemKind};
    use crate::http::query::short_text;

    /// The id.
    pub(in super::super) struct Id(pub(in super::super) String);

    impl FromStr for Id {
        type Err = String;

        fn from_str(text: &str) -> Result<Self, String> {
            short_text(text).map(Self)
        }
    }

    impl InPath for Id {
        const PARAMETER: Parameter = Parameter::new("id", "The device's id.", parameters::short_text).required();

        fn absent() -> Problem {
            no_such_device()
        }
    }

    /// The problem that no document names a device.
    pub(in super::super) fn no_such_device() -> Problem {
        Problem::new(ProblemKind::NotFound).detail("There is no such device.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_of_metrics_and_rates() {
        assert_eq!(metrics("pue"), Ok(vec!["pue".to_owned()]));
        assert_eq!(metrics("it_power_kw,pue").map(|names| names.len()), Ok(2));
        let many = vec!["a"; 51].join(",");
        for wrong in ["", "pue,", "PUE", "1a", "a b", &"a".repeat(65), &many] {
            assert!(metrics(wrong).is_err(), "{wrong}");
        }
        assert_eq!((rate("0"), rate("0.18")), (Ok(0.0), Ok(0.18)));
        for wrong in ["-1", "NaN", "inf", "1e7", "cheap", ""] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
