//! The digest of the index columns of a request.

use serde::Serialize;

use crate::canonical::Fingerprint;

/// The stored values of a request that neither its document's fingerprint nor its events cover. Its acceptance event
/// carries their digest, so that the verification finds a change of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct IndexedValues<'a> {
    /// The batch that the document names. Left out of the digest if there is none, as before it was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<&'a str>,
    /// The id of the batch or import that stored the document. Left out like `batch_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<&'a str>,
    /// The sender's correlation id.
    pub correlation_id: Option<&'a str>,
    /// The device that the document is about.
    pub device_id: Option<&'a str>,
    /// The idempotency key that the document was sent with.
    pub idempotency_key: Option<&'a str>,
    /// The natural key within the contract.
    pub natural_key: Option<&'a str>,
    /// The time that the document is about, as shown to clients.
    pub observed_at: Option<&'a str>,
    /// The site that the document is about.
    pub site_id: Option<&'a str>,
    /// The warnings, as stored: JSON text.
    pub warnings: &'a str,
}

impl IndexedValues<'_> {
    /// The name of the digest among the details of an event.
    pub const DETAIL: &'static str = "index";

    /// The values of a request whose document was erased.
    pub const ERASED: Self = Self {
        batch_id: None,
        call_id: None,
        correlation_id: None,
        device_id: None,
        idempotency_key: None,
        natural_key: None,
        observed_at: None,
        site_id: None,
        warnings: "[]",
    };

    /// Returns the digest of the values as canonical JSON (RFC 8785).
    #[must_use]
    pub fn digest(&self) -> Fingerprint {
        // The members are in canonical order, and serde_json escapes strings as RFC 8785 demands. Serialisation could
        // only fail for a map with keys that are not strings, which does not occur.
        Fingerprint::of(&serde_json::to_string(self).unwrap_or_default())
    }
}
