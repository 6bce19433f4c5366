//! A newtype per identifier, so that one kind of id can never stand where another is due.
//!
//! All are UUIDs of version 7 (RFC 9562, section 5.7): their byte order is the order of creation.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The text is not a UUID in its hyphenated form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: a UUID in its hyphenated form is due")]
pub struct InvalidId;

macro_rules! uuid_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes a UUID as this kind of id.
            #[must_use]
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The id as a plain UUID.
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
                // Uuid::try_parse also takes braced, URN and hyphen-less forms; one id has one spelling here.
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
    /// Identifies a person who can log in.
    UserId
);
uuid_id!(
    /// Identifies a machine credential.
    ApiKeyId
);
uuid_id!(
    /// Identifies what begins with a login and ends with a logout.
    SessionId
);
uuid_id!(
    /// Identifies the intention to ask the engine about a request, which has one at most.
    DeliveryId
);

impl DeliveryId {
    /// The id that the delivery of a request has. Those that were made before this was so have another one.
    #[must_use]
    pub const fn of(request: MassRequestId) -> Self {
        Self(request.0)
    }
}

uuid_id!(
    /// Identifies a stored answer of the engine.
    RecommendationId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_exactly_one_spelling_length() {
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
