//! `device/2.0`: one reading of one device, with whatever it measures.

use serde_json::json;

use super::rules::{
    Characters, ClosedObject, ContractVersion, DocumentView, Field, MetricSet, OpenObject, Text, Time, optional,
    required,
};
use super::{Contract, ContractId, Marker, Sources, device};
use crate::json::Value;
use crate::metrics;
use crate::validation::{Warning, WarningCode};

/// The contract's id.
pub const ID: ContractId = ContractId { name: "device", version: "2.0" };

pub(super) static CONTRACT: Contract = Contract {
    id: ID,
    summary: "One reading of one device, with any metrics.",
    marker: Marker::Version(device::MARKER),
    max_bytes: None,
    body: &ClosedObject(BODY),
    coherence: &[],
    advice: device::ADVICE,
    further_advice: Some(other_units),
    sources: Sources { site_id: Some("/device/site_id"), ..device::SOURCES },
    example: |_, now| {
        json!({
            "mass_version": ID.version,
            "timestamp": now.to_string(),
            "device": {"id": "rack-07:pdu-a", "type": "rack-pdu", "location": "Hall 2, row C", "site_id": "tampa-1"},
            "metrics": {
                "temperature_celsius": 22.4,
                "power_kw": 4.35,
                "energy_kwh": 18250.4,
                "voltage_v": null,
                "outlets_on": 21,
            },
            "metadata": {"operator": "facility-team", "batch_id": "2026-01", "firmware": "5.1.2"},
        })
    },
};

static BODY: &[Field] = &[
    required(
        device::MARKER,
        &ContractVersion { marker: device::MARKER, version: ID.version },
        "The version of the contract.",
    ),
    required("timestamp", &Time::Reported, "The time of the reading."),
    required(
        "device",
        &ClosedObject(&[
            required("id", &device::DEVICE_ID, "Identifies the device within the tenant."),
            optional("type", &Text::up_to(64), device::ABOUT_TYPE),
            optional("location", &Text::up_to(256), "The location of the device."),
            optional("site_id", &Text::NAME, "The site of the device."),
        ]),
        "The device that took the reading.",
    ),
    required(
        "metrics",
        &MetricSet,
        "The measured values by name. Known names have one unit and bounds (docs/metrics.md); other names are taken as \
         they are. null says that the sensor was read and had no value.",
    ),
    optional(
        "metadata",
        &OpenObject(&[
            optional("operator", &Text::NAME, "The operator of the device."),
            optional("batch_id", &Text::NAME, "The batch in which the reading is delivered."),
            optional("notes", &Text { may_be_empty: true, max: 2000, of: Characters::Any }, "Free text."),
        ]),
        "The origin of the reading, with any further members.",
    ),
];

/// Warns of metrics whose quantity has a known name in another unit.
fn other_units(view: &DocumentView<'_>) -> Vec<Warning> {
    let Some(Value::Object(members)) = view.document.pointer("/metrics") else { return Vec::new() };
    let warning = |(name, _): &(String, Value)| {
        let known = metrics::in_other_unit(name)?;
        Some(Warning {
            pointer: format!("/metrics/{name}"),
            code: WarningCode::OtherUnit.as_str().to_owned(),
            detail: format!(
                "The known metric of this quantity is \"{}\", in {}. The value is stored under \"{name}\", unchecked.",
                known.name, known.unit
            ),
        })
    };
    members.iter().filter_map(warning).collect()
}
