//! `device/1.1`: one reading of one device.

use serde_json::json;

use super::rules::{
    Characters, Check, ClosedObject, ContractVersion, DocumentView, Field, Quantity, Text, Time, optional, required,
};
use super::{Contract, ContractId, Marker, Sources, air};
use crate::validation::WarningCode;

/// The contract's id.
pub const ID: ContractId = ContractId { name: "device", version: "1.1" };

/// The marker of all versions.
pub(super) const MARKER: &str = "mass_version";
const TIMESTAMP: &str = "/timestamp";
const TEMPERATURE: &str = "/metrics/temperature_celsius";
const HUMIDITY: &str = "/metrics/humidity_percent";
const PRESSURE: &str = "/metrics/pressure_hpa";

pub(super) static CONTRACT: Contract = Contract {
    id: ID,
    summary: "One reading of one device.",
    marker: Marker::Version(MARKER),
    max_bytes: None,
    body: &ClosedObject(BODY),
    coherence: &[],
    advice: ADVICE,
    further_advice: None,
    sources: SOURCES,
    example: |_, now| {
        json!({
            "mass_version": ID.version,
            "timestamp": now.to_string(),
            "device": {"id": "rack-07:inlet", "type": "rack-sensor", "location": "Hall 2, row C"},
            "metrics": {"temperature_celsius": 22.4, "humidity_percent": 45.0, "pressure_hpa": 1013.2},
            "metadata": {"operator": "facility-team", "batch_id": "2026-01", "notes": "Cold aisle."},
        })
    },
};

/// The sources of the index in every version.
pub(super) const SOURCES: Sources = Sources {
    device_id: Some("/device/id"),
    observed_at: Some(TIMESTAMP),
    batch_id: Some("/metadata/batch_id"),
    natural_key: &["/device/id", TIMESTAMP],
    ..Sources::NONE
};

/// The id of a device.
pub(super) static DEVICE_ID: Text = Text { may_be_empty: false, max: 128, of: Characters::Identifier };

/// The meaning of a device's type.
pub(super) const ABOUT_TYPE: &str = "The type of the device. Readings of types that begin with rack, server, room, crac or crah are compared \
    with the ASHRAE envelopes.";

static BODY: &[Field] = &[
    required(MARKER, &ContractVersion { marker: MARKER, version: ID.version }, "The version of the contract."),
    required("timestamp", &Time::Reported, "The time of the reading."),
    required(
        "device",
        &ClosedObject(&[
            required("id", &DEVICE_ID, "Identifies the device within the tenant."),
            required("type", &Text::up_to(64), ABOUT_TYPE),
            required("location", &Text::up_to(256), "The location of the device."),
        ]),
        "The device that took the reading.",
    ),
    required(
        "metrics",
        &ClosedObject(&[
            required("temperature_celsius", &Quantity::between(-60.0, 150.0), "The air's temperature in °C."),
            required("humidity_percent", &Quantity::between(0.0, 100.0), "The air's relative humidity in %."),
            required("pressure_hpa", &Quantity::between(300.0, 1100.0), "The air's pressure in hPa."),
        ]),
        "The measured values.",
    ),
    required(
        "metadata",
        &ClosedObject(&[
            required("operator", &Text::NAME, "The operator of the device."),
            required("batch_id", &Text::NAME, "The batch in which the reading is delivered."),
            optional("notes", &Text { may_be_empty: true, max: 2000, of: Characters::Any }, "Free text."),
        ]),
        "The origin of the reading.",
    ),
];

/// The warnings about the air and the age of a reading.
pub(super) static ADVICE: &[Check<WarningCode>] = &[
    Check {
        code: WarningCode::OutsideRecommended,
        pointer: TEMPERATURE,
        about: "The recommended temperature is 18–27 °C.",
        finding: |view| {
            let celsius = indoors(view)?.number(TEMPERATURE)?;
            (!within(18.0, celsius, 27.0) && within(15.0, celsius, 32.0)).then(|| format!("{celsius} °C"))
        },
    },
    Check {
        code: WarningCode::OutsideAllowable,
        pointer: TEMPERATURE,
        about: "The allowable temperature (class A1) is 15–32 °C.",
        finding: |view| {
            let celsius = indoors(view)?.number(TEMPERATURE)?;
            (!within(15.0, celsius, 32.0)).then(|| format!("{celsius} °C"))
        },
    },
    Check {
        code: WarningCode::OutsideRecommended,
        pointer: HUMIDITY,
        about: "The recommended relative humidity is at most 70 %.",
        finding: |view| {
            let percent = indoors(view)?.number(HUMIDITY)?;
            (percent > 70.0 && percent <= 80.0).then(|| format!("{percent} %"))
        },
    },
    Check {
        code: WarningCode::OutsideAllowable,
        pointer: HUMIDITY,
        about: "The allowable relative humidity (class A1) is 8–80 %.",
        finding: |view| {
            let percent = indoors(view)?.number(HUMIDITY)?;
            (!within(8.0, percent, 80.0)).then(|| format!("{percent} %"))
        },
    },
    Check {
        code: WarningCode::OutsideRecommended,
        pointer: HUMIDITY,
        about: "The recommended dew point is −9 … 15 °C.",
        finding: |view| {
            let celsius = dew_point(indoors(view)?)?;
            (!within(-9.0, celsius, 15.0) && celsius <= 17.0).then(|| format!("a dew point of {celsius:.1} °C"))
        },
    },
    Check {
        code: WarningCode::OutsideAllowable,
        pointer: HUMIDITY,
        about: "The allowable dew point (class A1) is at most 17 °C.",
        finding: |view| {
            let celsius = dew_point(indoors(view)?)?;
            (celsius > 17.0).then(|| format!("a dew point of {celsius:.1} °C"))
        },
    },
    Check {
        code: WarningCode::UnusualPressure,
        pointer: PRESSURE,
        about: "The usual pressure is 690 … 1085 hPa.",
        finding: |view| {
            let hectopascal = view.number(PRESSURE)?;
            (!within(690.0, hectopascal, 1085.0)).then(|| format!("{hectopascal} hPa"))
        },
    },
    super::old_timestamp(TIMESTAMP, |view| super::age_if_old(view, TIMESTAMP)),
];

fn within(least: f64, value: f64, greatest: f64) -> bool {
    (least..=greatest).contains(&value)
}

/// Returns the document if its device is in a location to which the ASHRAE envelopes apply.
fn indoors<'a, 'b>(view: &'b DocumentView<'a>) -> Option<&'b DocumentView<'a>> {
    let device_type = view.text("/device/type")?.to_ascii_lowercase();
    ["rack", "server", "room", "crac", "crah"].iter().any(|prefix| device_type.starts_with(prefix)).then_some(view)
}

fn dew_point(view: &DocumentView<'_>) -> Option<f64> {
    Some(air::dew_point(view.number(TEMPERATURE)?, view.number(HUMIDITY)?))
}
