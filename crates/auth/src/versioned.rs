//! A value with the credentials version that it was read at.

use mass_domain::tenancy::CredentialsVersion;

/// A value that was read together with the credentials version of its tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value.
    pub found: T,
    /// The credentials version, read in the same snapshot or before.
    pub version: CredentialsVersion,
}
