//! Registering: how strangers make themselves an account, where the configuration allows it.

use std::collections::BTreeSet;

use anyhow::anyhow;
use mass_auth::NewPassword;
use mass_domain::access::{Actor, Role};
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::trace::Origin;
use mass_domain::users::Email;

use crate::AdminService;
use crate::users::{CreateUserError, NewUser};

/// Whether strangers may make themselves an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    /// They may not.
    Closed,
    /// They may, and become viewers in this tenant.
    Open(TenantId),
}

/// Why nobody is registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The configuration does not allow it.
    #[error("registration is closed")]
    Closed,
    /// Too many passwords are being hashed; trying again later helps.
    #[error("too many passwords are being hashed at the moment")]
    Busy,
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
    /// A fault of MASS or of its surroundings.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl AdminService {
    /// Refuses strangers where registration is closed, before anything that they say is looked at.
    ///
    /// # Errors
    /// [`RegisterError::Closed`].
    pub fn registration(&self) -> Result<&TenantId, RegisterError> {
        match &self.registration {
            Registration::Open(tenant) => Ok(tenant),
            Registration::Closed => Err(RegisterError::Closed),
        }
    }

    /// Creates a viewer. A taken address is answered like a free one, after the same hashing, and changes nothing:
    /// otherwise anybody could find out who has an account.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub async fn register(&self, email: Email, password: NewPassword, origin: &Origin) -> Result<(), RegisterError> {
        let tenant = self.registration()?;
        let new = NewUser { email, roles: BTreeSet::from([Role::Viewer]), password: Some(password) };
        match self.store_user(tenant, new, Actor::Anonymous, origin).await {
            Ok(_) | Err(CreateUserError::EmailTaken) => Ok(()),
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
