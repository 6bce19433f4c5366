//! A value with the credentials version that it was read at.

use mass_domain::tenancy::CredentialsVersion;

/// A value that was read together with the credentials version of its tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value.
    pub found: T,
    /// The credentials version, read in the same snapshot or before.
    pub version: CredentialsVersion,
    /// True if the tenant is suspended, so that the credential opens nothing. Every change of it increments the version.
    pub is_suspended: bool,
}
