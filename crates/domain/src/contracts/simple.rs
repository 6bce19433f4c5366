//! `simple/1.0`: quick tests and free-form data.

use serde_json::json;

use super::rules::{ClosedObject, FreeObject, required};
use super::{Contract, ContractId, Marker, Sources};

/// The contract's id.
pub const ID: ContractId = ContractId { name: "simple", version: "1.0" };

/// Description of the payload, for the schema and the documentation.
const ABOUT: &str = "Any data. A string becomes a number, true or false only if that value is printed as exactly the same text: \
    \"24.5\" and \"true\" do; \"1.10\", \"1E5\", \"0.50\", \"007\", \"TRUE\" and \"yes\" stay strings.";

pub(super) static CONTRACT: Contract = Contract {
    id: ID,
    summary: "Quick tests and free-form data: any JSON object under \"payload\".",
    marker: Marker::Payload("payload"),
    max_bytes: Some(256 * 1024),
    body: &ClosedObject(&[required("payload", &FreeObject { may_be_empty: false }, ABOUT)]),
    coherence: &[],
    advice: &[],
    further_advice: None,
    sources: Sources::NONE,
    example: |_, now| {
        json!({"payload": {
            "rackTemperature": "24.5",
            "fan-speed_rpm": 4200,
            "doorOpen": "false",
            "readAt": now.to_string(),
        }})
    },
};
