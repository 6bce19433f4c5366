//! A value with the credentials version that it was read at.

use mass_domain::tenancy::CredentialsVersion;

/// What a credential was found to stand for, and the version of its tenant's credentials at that instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// What was found.
    pub found: T,
    /// The version at which it was so: read in the same snapshot, or before.
    pub version: CredentialsVersion,
}
