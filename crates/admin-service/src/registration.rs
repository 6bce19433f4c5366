//! Self-registration of users, where the configuration allows it.

use std::collections::BTreeSet;

use anyhow::anyhow;
use mass_auth::NewPassword;
use mass_domain::access::{Actor, Role};
use mass_domain::port::PortError;
use mass_domain::tenancy::{Suspended, TenantId};
use mass_domain::trace::Origin;
use mass_domain::users::Email;

use crate::AdminService;
use crate::users::{CreateUserError, NewUser};

/// The policy for self-registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationPolicy {
    /// Refuses all registrations.
    Closed,
    /// Accepts registrations. New users become viewers in this tenant.
    Open(TenantId),
}

/// Reason why a registration fails.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The configuration does not allow it.
    #[error("registration is closed")]
    Closed,
    /// The tenant of new users is suspended.
    #[error(transparent)]
    Suspended(#[from] Suspended),
    /// Too many passwords are being hashed. A later attempt may succeed.
    #[error("too many passwords are being hashed at the moment")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
    /// An internal error.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl AdminService {
    /// Returns the tenant of new users. Refuses unauthenticated callers before their input is read if registration is
    /// closed.
    ///
    /// # Errors
    /// [`RegisterError::Closed`].
    pub fn registration(&self) -> Result<&TenantId, RegisterError> {
        match &self.registration {
            RegistrationPolicy::Open(tenant) => Ok(tenant),
            RegistrationPolicy::Closed => Err(RegisterError::Closed),
        }
    }

    /// Creates a viewer. An address that is taken gets the same response as a free one, after the same password
    /// hashing, and changes nothing. Otherwise the response would reveal which addresses have an account.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub async fn register(&self, email: Email, password: NewPassword, origin: &Origin) -> Result<(), RegisterError> {
        let tenant = self.registration()?;
        let new = NewUser { email, roles: BTreeSet::from([Role::Viewer]), password: Some(password) };
        match self.store_user(tenant, new, Actor::Anonymous, origin).await {
            Ok(_) | Err(CreateUserError::EmailTaken) => Ok(()),
            // A tenant that is deleted is none, but it was one when the server was configured.
            Err(CreateUserError::Suspended(error)) => Err(error.into()),
            Err(CreateUserError::Busy) => Err(RegisterError::Busy),
            Err(CreateUserError::Store(error)) => Err(RegisterError::Store(error)),
            Err(
                error @ (CreateUserError::NoSuchTenant
                | CreateUserError::Forbidden(_)
                | CreateUserError::BoundKey(_)
                | CreateUserError::CallerEnded),
            ) => Err(RegisterError::Unexpected(anyhow!(error).context(format!("registering in the tenant {tenant}")))),
            Err(CreateUserError::Unexpected(cause)) => Err(RegisterError::Unexpected(cause)),
        }
    }
}
