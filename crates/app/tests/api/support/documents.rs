//! Documents to send, and edits of them.

use std::sync::LazyLock;

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use mass_domain::contracts;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use serde_json::{Value, json};

/// The present time, constant during a run.
static NOW: LazyLock<DateTime<Utc>> = LazyLock::new(|| Utc::now().trunc_subsecs(0));

/// A past instant, in its stored form.
pub(crate) fn hours_ago(hours: i64) -> String {
    (*NOW - TimeDelta::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A reading under `device/1.1` from an hour ago, without warnings.
pub(crate) fn reading(device: &str) -> Value {
    json!({
        "mass_version": "1.1",
        "timestamp": hours_ago(1),
        "device": {"id": device, "type": "rack-sensor", "location": "Hall 2"},
        "metrics": {"temperature_celsius": 22.5, "humidity_percent": 45, "pressure_hpa": 1013.25},
        "metadata": {"operator": "facility-team", "batch_id": "2026-01"},
    })
}

/// A site's report under `enterprise/1.1`; its request id is also its idempotency key.
pub(crate) fn report(request_id: &str) -> Value {
    let tenant = TenantId::parse(super::TENANT).unwrap();
    let contract = contracts::find("enterprise", "1.1").unwrap();
    let example = contract.example(&tenant, Timestamp::from_datetime(*NOW - TimeDelta::hours(1)));
    example.with("/request/request_id", request_id).with("/request/idempotency_key", request_id)
}

/// Free data under `simple/1.0`.
pub(crate) fn simple(payload: Value) -> Value {
    json!({"payload": payload})
}

/// Edits of a document.
pub(crate) trait Edit {
    /// Sets the value at the pointer.
    fn with(self, pointer: &str, value: impl Into<Value>) -> Self;
    /// Removes the member at the pointer.
    fn without(self, pointer: &str) -> Self;
}

impl Edit for Value {
    fn with(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        self.pointer_mut(parent).unwrap()[name] = value.into();
        self
    }

    fn without(mut self, pointer: &str) -> Self {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        self.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
        self
    }
}
