//! One newtype per kind of identifier, so that the compiler refuses an id of the wrong kind.
//!
//! All ids are UUIDs of version 7 (RFC 9562, section 5.7): their byte order is the order of creation.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// Error for a text that is not a UUID in its hyphenated form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: expected a UUID in its hyphenated form")]
pub struct InvalidId;

macro_rules! uuid_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID.
            #[must_use]
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// Returns the UUID.
            #[must_use]
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                // `Uuid::try_parse` also accepts braced, URN and hyphen-less forms. Only one spelling of an id is valid
                // here.
                if text.len() != uuid::fmt::Hyphenated::LENGTH {
                    return Err(InvalidId);
                }
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId)
            }
        }
    };
}

uuid_id!(
    /// Identifies a stored MASS request within its tenant.
    MassRequestId
);
uuid_id!(
    /// Identifies a user account.
    UserId
);
uuid_id!(
    /// Identifies an API key.
    ApiKeyId
);
uuid_id!(
    /// Identifies a session: from a login to its logout.
    SessionId
);
uuid_id!(
    /// Identifies a delivery. A request has at most one.
    DeliveryId
);

impl DeliveryId {
    /// Returns the id of a request's delivery. Deliveries from before this rule have unrelated ids.
    #[must_use]
    pub const fn of(request: MassRequestId) -> Self {
        Self(request.0)
    }
}

uuid_id!(
    /// Identifies a stored recommendation.
    RecommendationId
);
uuid_id!(
    /// Identifies a record in the quarantine.
    QuarantineId
);
uuid_id!(
    /// Identifies a savings project.
    SavingsProjectId
);
uuid_id!(
    /// Identifies a report of a savings project.
    SavingsReportId
);
uuid_id!(
    /// Identifies a legal hold.
    LegalHoldId
);
uuid_id!(
    /// Identifies an alert.
    AlertId
);
uuid_id!(
    /// Identifies a notification of a webhook.
    NotificationId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_ids_of_another_length() {
        let text = "0199d3a0-0000-7000-8000-000000000001";
        assert_eq!(text.parse::<UserId>().unwrap().to_string(), text);
        for bad in [
            "",
            "0199d3a0000070008000000000000001",
            "{0199d3a0-0000-7000-8000-000000000001}",
            "urn:uuid:0199d3a0-0000-7000-8000-000000000001",
            "0199d3a0-0000-7000-8000-00000000000g",
        ] {
            assert_eq!(bad.parse::<UserId>(), Err(InvalidId), "{bad}");
        }
    }
}
