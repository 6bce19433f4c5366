//! The digest of what a request is looked up by.

use serde::Serialize;

use crate::canonical::Fingerprint;

/// The stored values of a request that neither its document's fingerprint nor its events give. The event by which the
/// request was accepted has their digest, so that a change of one of them is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct IndexedValues<'a> {
    /// The sender's correlation id.
    pub correlation_id: Option<&'a str>,
    /// The device that the document tells of.
    pub device_id: Option<&'a str>,
    /// The idempotency key that the document was sent with.
    pub idempotency_key: Option<&'a str>,
    /// The natural key within the contract.
    pub natural_key: Option<&'a str>,
    /// The instant that the document tells of, as it is shown.
    pub observed_at: Option<&'a str>,
    /// The site that the document tells of.
    pub site_id: Option<&'a str>,
    /// The warnings, as they are stored: JSON text.
    pub warnings: &'a str,
}

impl IndexedValues<'_> {
    /// The name of the digest in an event's detail.
    pub const DETAIL: &'static str = "index";

    /// The values of a request whose document was erased.
    pub const ERASED: Self = Self {
        correlation_id: None,
        device_id: None,
        idempotency_key: None,
        natural_key: None,
        observed_at: None,
        site_id: None,
        warnings: "[]",
    };

    /// The digest over the values as canonical JSON (RFC 8785).
    #[must_use]
    pub fn digest(&self) -> Fingerprint {
        // The members are in their canonical order, and strings are escaped as RFC 8785 demands. What could fail is a map
        // whose keys are no strings, and there is none.
        Fingerprint::of(&serde_json::to_string(self).unwrap_or_default())
    }
}
