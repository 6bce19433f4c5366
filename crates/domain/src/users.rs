//! User accounts.

use std::collections::BTreeSet;

use crate::access::{Principal, Role};
use crate::ids::{SessionId, UserId};
use crate::tenancy::TenantId;
use crate::time::Timestamp;

pub use crate::email::{Email, InvalidEmail};

/// A user account without its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user's id.
    pub id: UserId,
    /// The tenant that the user belongs to.
    pub tenant_id: TenantId,
    /// The e-mail address.
    pub email: Email,
    /// Roles granted to the user.
    pub roles: BTreeSet<Role>,
    /// Instant at which the account was disabled; `None` if it is enabled.
    pub disabled_at: Option<Timestamp>,
    /// Instant at which the user was deleted, who is disabled since then; `None` if it was not.
    pub deleted_at: Option<Timestamp>,
    /// Instant since which the user has a second factor; `None` if it has none.
    pub second_factor_at: Option<Timestamp>,
    /// Instant of creation.
    pub created_at: Timestamp,
}

impl User {
    /// Tells whether the user is an enabled administrator of the tenant.
    #[must_use]
    pub fn is_active_admin(&self) -> bool {
        self.disabled_at.is_none() && self.roles.contains(&Role::Admin)
    }

    /// Builds the user's principal in one of its sessions; `None` if the account is disabled.
    #[must_use]
    pub fn into_principal(self, session: SessionId) -> Option<Principal> {
        match self.disabled_at {
            None => Some(Principal::user(self.id, self.tenant_id, self.email, self.roles, session)),
            Some(_) => None,
        }
    }
}
