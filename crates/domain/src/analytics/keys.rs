//! Sources and series, and the ids that follow from their names.

use std::fmt;

use crate::canonical::{self, Fingerprint};
use crate::json::Value;

/// The origin of readings: a site, a device, or a device at a site.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The site, if the documents name one.
    pub site_id: Option<String>,
    /// The device; `None` for the site as a whole.
    pub device_id: Option<String>,
}

/// A metric of a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey {
    /// The source.
    pub source: Source,
    /// The metric.
    pub metric: String,
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// Restores an id.
            #[must_use]
            pub const fn from_i64(id: i64) -> Self {
                Self(id)
            }

            /// Returns the number.
            #[must_use]
            pub const fn as_i64(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }
    };
}

id!(
    /// Identifies a source within a tenant. It follows from the names, so that a rebuilt projection has the same.
    SourceId
);
id!(
    /// Identifies a series within a tenant. It follows from the names, so that a rebuilt projection has the same.
    SeriesId
);

impl SourceId {
    /// Returns the id under which readings of the source that have no values are marked, as points of no series.
    #[must_use]
    pub const fn without_values(self) -> SeriesId {
        SeriesId(self.0)
    }
}

impl Source {
    /// Returns the id.
    #[must_use]
    pub fn id(&self) -> SourceId {
        SourceId(digest([self.site_id.as_deref(), self.device_id.as_deref()]))
    }
}

impl SeriesKey {
    /// Returns the id.
    #[must_use]
    pub fn id(&self) -> SeriesId {
        let Self { source: Source { site_id, device_id }, metric } = self;
        SeriesId(digest([site_id.as_deref(), device_id.as_deref(), Some(metric)]))
    }
}

/// Returns the first eight bytes of the SHA-256 of the names, as a JSON array. Among a million series, two have the same
/// with a probability of 3 in 10^8; the projection then stops at the second.
fn digest<const N: usize>(names: [Option<&str>; N]) -> i64 {
    let names = names.map(|name| name.map_or(Value::Null, |name| Value::String(name.to_owned())));
    let digest = Fingerprint::of(&canonical::write(&Value::Array(names.into())));
    let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_that_differ_have_ids_that_differ_and_the_same_names_the_same() {
        let name = |name: &str| Some(name.to_owned());
        let sources =
            [(None, None), (name("a"), None), (None, name("a")), (name("a"), name("b")), (name("ab"), name(""))];
        let keys = sources.into_iter().flat_map(|(site_id, device_id)| {
            let source = Source { site_id, device_id };
            ["pue", "power_kw"].map(|metric| SeriesKey { source: source.clone(), metric: metric.to_owned() })
        });
        let keys: Vec<_> = keys.collect();
        let ids: HashSet<_> = keys.iter().map(SeriesKey::id).collect();
        let sources: HashSet<_> = keys.iter().map(|key| key.source.id()).collect();
        assert_eq!((ids.len(), sources.len()), (10, 5));
        assert_eq!(keys[0].id(), keys[0].clone().id());
    }
}
