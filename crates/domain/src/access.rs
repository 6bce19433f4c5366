//! Authorisation: permissions, the roles that bundle them, and the [`Principal`] that every use case receives.

use std::collections::BTreeSet;

use crate::email::Email;
use crate::ids::{ApiKeyId, SessionId, UserId};
use crate::names::named_enum;
use crate::second_factor::SecondFactor;
use crate::tenancy::TenantId;

/// Error for an unknown permission name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown permission \"{0}\"")]
pub struct UnknownPermission(String);

/// Error for an unknown role name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown role \"{0}\"")]
pub struct UnknownRole(String);

named_enum!(
    /// A permission that a use case requires of its caller.
    Permission, UnknownPermission {
        /// Read MASS requests, their events, recommendations and receipts.
        MassRead = "mass:read",
        /// Send, transition and delete MASS requests.
        MassWrite = "mass:write",
        /// Read KPIs, series and savings.
        AnalyticsRead = "analytics:read",
        /// Read the audit trail and its proofs.
        AuditRead = "audit:read",
        /// Administer users.
        UsersManage = "users:manage",
        /// Administer API keys.
        KeysManage = "keys:manage",
        /// Administer quotas and settings.
        SettingsManage = "settings:manage",
        /// Replay and cancel deliveries to the engine.
        DeliveriesManage = "deliveries:manage",
        /// Read alerts and their rules.
        AlertsRead = "alerts:read",
        /// Change alert rules, and acknowledge alerts.
        AlertsManage = "alerts:manage",
        /// Plan pilots, and change, confirm and report savings projects.
        SavingsManage = "savings:manage",
        /// Administer tenants.
        TenantsManage = "tenants:manage",
        /// Read the program's metrics.
        MetricsRead = "metrics:read",
    }
);

named_enum!(
    /// A set of permissions granted to a user.
    Role, UnknownRole {
        /// Reads telemetry and figures.
        Viewer = "viewer",
        /// A viewer who also sends requests, handles deliveries and alerts, and runs savings projects.
        Operator = "operator",
        /// Reads everything of a tenant, its audit trail included.
        Auditor = "auditor",
        /// Administers a tenant.
        Admin = "admin",
        /// Administers tenants; sees no telemetry.
        PlatformAdmin = "platform_admin",
    }
);

impl Role {
    /// Returns true if the role administers a tenant or the installation: a tenant can demand a second factor of users with it.
    #[must_use]
    pub const fn administers(self) -> bool {
        matches!(self, Self::Admin | Self::PlatformAdmin)
    }

    /// Returns the permissions that the role grants.
    #[must_use]
    pub const fn permissions(self) -> &'static [Permission] {
        use Permission::{
            AlertsManage, AlertsRead, AnalyticsRead, AuditRead, DeliveriesManage, KeysManage, MassRead, MassWrite,
            MetricsRead, SavingsManage, SettingsManage, TenantsManage, UsersManage,
        };
        match self {
            Self::Viewer => &[MassRead, AnalyticsRead, AlertsRead],
            Self::Operator => {
                &[MassRead, AnalyticsRead, AlertsRead, MassWrite, DeliveriesManage, AlertsManage, SavingsManage]
            }
            Self::Auditor => &[MassRead, AnalyticsRead, AlertsRead, AuditRead],
            Self::Admin => &[
                MassRead,
                AnalyticsRead,
                AlertsRead,
                AuditRead,
                UsersManage,
                KeysManage,
                SettingsManage,
                DeliveriesManage,
                AlertsManage,
                SavingsManage,
                MetricsRead,
            ],
            Self::PlatformAdmin => &[TenantsManage, MetricsRead],
        }
    }
}

/// The author of an action, as stored and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A user account.
    User(UserId),
    /// A gateway or script that authenticates with an API key.
    ApiKey(ApiKeyId),
    /// MASS itself: workers and local commands.
    System,
    /// An unauthenticated caller. Stored as `stranger`.
    Anonymous,
}

impl Actor {
    /// Returns `user`, `api_key`, `system` or `stranger`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::ApiKey(_) => "api_key",
            Self::System => "system",
            Self::Anonymous => "stranger",
        }
    }

    /// Returns the id of the user or API key; `None` for the other kinds.
    #[must_use]
    pub const fn id(&self) -> Option<uuid::Uuid> {
        match self {
            Self::User(id) => Some(id.as_uuid()),
            Self::ApiKey(id) => Some(id.as_uuid()),
            Self::System | Self::Anonymous => None,
        }
    }

    /// Rebuilds an actor from its [`kind`](Self::kind) and [`id`](Self::id).
    #[must_use]
    pub fn from_parts(kind: &str, id: Option<uuid::Uuid>) -> Option<Self> {
        match (kind, id) {
            ("user", Some(id)) => Some(Self::User(UserId::from_uuid(id))),
            ("api_key", Some(id)) => Some(Self::ApiKey(ApiKeyId::from_uuid(id))),
            ("system", None) => Some(Self::System),
            ("stranger", None) => Some(Self::Anonymous),
            _ => None,
        }
    }
}

/// Error: the caller lacks a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the permission {0} is needed")]
pub struct Forbidden(pub Permission);

/// An authenticated caller: the first argument of every use case except logging in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    actor: Actor,
    tenant: TenantId,
    email: Option<Email>,
    session: Option<SessionId>,
    roles: BTreeSet<Role>,
    permissions: BTreeSet<Permission>,
    factor: SecondFactor,
}

impl Principal {
    /// Builds the principal of a user, with the permissions of all its roles.
    #[must_use]
    pub fn user(id: UserId, tenant: TenantId, email: Email, roles: BTreeSet<Role>, session: SessionId) -> Self {
        let permissions = roles.iter().flat_map(|role| role.permissions()).copied().collect();
        let (actor, factor) = (Actor::User(id), SecondFactor::default());
        Self { actor, tenant, email: Some(email), session: Some(session), roles, permissions, factor }
    }

    /// Adds a user's second factor. A user who has to enrol one has no permission until then.
    #[must_use]
    pub fn with_factor(mut self, factor: SecondFactor) -> Self {
        if factor.must_enrol() {
            self.permissions.clear();
        }
        self.factor = factor;
        self
    }

    /// Builds the principal of an API key, with the permissions that the key was given.
    #[must_use]
    pub fn api_key(id: ApiKeyId, tenant: TenantId, permissions: BTreeSet<Permission>) -> Self {
        let (actor, factor) = (Actor::ApiKey(id), SecondFactor::default());
        Self { actor, tenant, email: None, session: None, roles: BTreeSet::new(), permissions, factor }
    }

    /// Builds the principal of MASS itself in one tenant: workers and local commands, with all permissions there.
    #[must_use]
    pub fn system(tenant: TenantId) -> Self {
        let permissions = Permission::ALL.iter().copied().collect();
        let (actor, factor) = (Actor::System, SecondFactor::default());
        Self { actor, tenant, email: None, session: None, roles: BTreeSet::new(), permissions, factor }
    }

    /// Requires a permission.
    ///
    /// # Errors
    /// [`Forbidden`] with the missing permission.
    pub fn require(&self, permission: Permission) -> Result<(), Forbidden> {
        if self.permissions.contains(&permission) { Ok(()) } else { Err(Forbidden(permission)) }
    }

    /// Requires the right to grant these permissions to a user or an API key. Without this check, a caller that only
    /// manages users could make itself an administrator.
    ///
    /// A caller may grant its own permissions and those of an operator. The second group exists because an
    /// administrator has to create gateway keys with `mass:write`, which the administrator role itself lacks.
    ///
    /// # Errors
    /// [`Forbidden`] with the first permission that the caller lacks.
    pub fn require_can_grant(&self, permissions: impl IntoIterator<Item = Permission>) -> Result<(), Forbidden> {
        let ordinary = Role::Operator.permissions();
        let mut beyond = permissions.into_iter().filter(|permission| !ordinary.contains(permission));
        beyond.try_for_each(|permission| self.require(permission))
    }

    /// Requires authority over users with these roles: to assign the roles, and to change users that hold them. A
    /// tenant administrator must not become, or take over, a platform administrator. An API key needs every permission
    /// of the roles itself: its holder could otherwise log in as the user and exceed the key's permissions.
    ///
    /// # Errors
    /// [`Forbidden`] with the first permission that the caller lacks.
    pub fn require_authority_over(&self, roles: &BTreeSet<Role>) -> Result<(), Forbidden> {
        self.require(Permission::UsersManage)?;
        let mut permissions = roles.iter().flat_map(|role| role.permissions()).copied();
        match self.actor {
            Actor::ApiKey(_) => permissions.try_for_each(|permission| self.require(permission)),
            Actor::User(_) | Actor::System | Actor::Anonymous => self.require_can_grant(permissions),
        }
    }

    /// Returns the actor to record in the audit log.
    #[must_use]
    pub const fn actor(&self) -> Actor {
        self.actor
    }

    /// Returns the caller's tenant, the only tenant whose data the caller can reach.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Returns a user's e-mail address.
    #[must_use]
    pub const fn email(&self) -> Option<&Email> {
        self.email.as_ref()
    }

    /// Returns the session of a user's access token.
    #[must_use]
    pub const fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// Returns a user's second factor; of others, none that is demanded.
    #[must_use]
    pub const fn factor(&self) -> SecondFactor {
        self.factor
    }

    /// Returns a user's roles.
    #[must_use]
    pub const fn roles(&self) -> &BTreeSet<Role> {
        &self.roles
    }

    /// Returns all permissions of the caller.
    #[must_use]
    pub const fn permissions(&self) -> &BTreeSet<Permission> {
        &self.permissions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_every_permission_role_and_actor_from_its_name() {
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse(), Ok(*permission));
        }
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(*role));
        }
        assert!("root".parse::<Role>().is_err());
    }

    fn with(role: Role) -> Principal {
        let email = Email::parse("a@example.test").unwrap();
        let tenant = TenantId::parse("default").unwrap();
        let nil = uuid::Uuid::nil();
        let (user, session) = (UserId::from_uuid(nil), SessionId::from_uuid(nil));
        Principal::user(user, tenant, email, BTreeSet::from([role]), session)
    }

    #[test]
    fn a_user_who_has_to_enrol_a_second_factor_has_no_permission() {
        let factor = SecondFactor { is_demanded: true, ..SecondFactor::default() };
        let principal = with(Role::Admin).with_factor(factor);
        assert!(principal.permissions().is_empty() && principal.roles().contains(&Role::Admin));
        let principal = with(Role::Admin).with_factor(SecondFactor { is_enrolled: true, ..factor });
        assert_eq!(principal.require(Permission::UsersManage), Ok(()));
    }

    #[test]
    fn admin_cannot_send_and_platform_admin_cannot_read_telemetry() {
        assert_eq!(with(Role::Admin).require(Permission::MassWrite), Err(Forbidden(Permission::MassWrite)));
        assert_eq!(with(Role::PlatformAdmin).require(Permission::MassRead), Err(Forbidden(Permission::MassRead)));
        assert_eq!(with(Role::Operator).require(Permission::MassWrite), Ok(()));
    }

    #[test]
    fn requires_tenants_manage_for_authority_over_platform_admins() {
        let ordinary = BTreeSet::from([Role::Admin, Role::Operator]);
        let platform = BTreeSet::from([Role::Viewer, Role::PlatformAdmin]);
        assert_eq!(with(Role::Admin).require_authority_over(&ordinary), Ok(()));
        let refused = Err(Forbidden(Permission::TenantsManage));
        assert_eq!(with(Role::Admin).require_authority_over(&platform), refused);
        let refused = Err(Forbidden(Permission::UsersManage));
        assert_eq!(with(Role::PlatformAdmin).require_authority_over(&ordinary), refused);
        assert_eq!(with(Role::Operator).require_authority_over(&ordinary), refused);
        assert_eq!(Principal::system(TenantId::parse("default").unwrap()).require_authority_over(&platform), Ok(()));
    }

    fn key(permissions: &[Permission]) -> Principal {
        let id = ApiKeyId::from_uuid(uuid::Uuid::nil());
        Principal::api_key(id, TenantId::parse("default").unwrap(), permissions.iter().copied().collect())
    }

    #[test]
    fn grants_own_permissions_and_those_of_an_operator() {
        let admin = key(Role::Admin.permissions());
        for permission in Permission::ALL {
            let refused = *permission == Permission::TenantsManage;
            let expected = if refused { Err(Forbidden(*permission)) } else { Ok(()) };
            assert_eq!(admin.require_can_grant([*permission]), expected);
        }
        let key_manager = key(&[Permission::KeysManage]);
        assert_eq!(key_manager.require_can_grant(Role::Operator.permissions().iter().copied()), Ok(()));
        let audit = [Permission::MassRead, Permission::AuditRead];
        assert_eq!(key_manager.require_can_grant(audit), Err(Forbidden(Permission::AuditRead)));
    }

    #[test]
    fn api_key_cannot_create_users_with_more_permissions_than_its_own() {
        use Permission::{AlertsRead, AnalyticsRead, AuditRead, MassRead, MassWrite, TenantsManage, UsersManage};
        let may = |permissions: &[Permission], role| key(permissions).require_authority_over(&BTreeSet::from([role]));
        for (role, missing) in [
            (Role::Viewer, MassRead),
            (Role::Operator, MassRead),
            (Role::Auditor, MassRead),
            (Role::Admin, MassRead),
            (Role::PlatformAdmin, TenantsManage),
        ] {
            assert_eq!(may(&[UsersManage], role), Err(Forbidden(missing)), "{role}");
        }
        let viewer = [UsersManage, MassRead, AnalyticsRead, AlertsRead];
        assert_eq!(may(&viewer, Role::Viewer), Ok(()));
        assert_eq!(may(&viewer, Role::Operator), Err(Forbidden(MassWrite)));
        assert_eq!(may(&viewer, Role::Auditor), Err(Forbidden(AuditRead)));
        assert_eq!(may(Permission::ALL, Role::Admin), Ok(()));
        assert_eq!(may(&[MassRead, AnalyticsRead], Role::Viewer), Err(Forbidden(UsersManage)));
    }
}
