//! The shapes of administration and registration.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use garde::Validate;
use mass_admin_service as service;
use mass_auth::NewPassword;
use mass_domain::access::{Permission, Role};
use mass_domain::api_keys::{self, AddressRange, KeyName, MAX_ADDRESS_RANGES};
use mass_domain::page;
use mass_domain::tenancy::{self, TenantId};
use mass_domain::time::Timestamp;
use mass_domain::users::{self, Email};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Number, json};

use super::{ActorModel, optional_secret, secret};
use crate::http::auth::new_password;
use crate::http::problem::Problem;

/// A value that is sent as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text<T>(pub T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        String::deserialize(text)?.parse().map(Self).map_err(D::Error::custom)
    }
}

/// The values of texts.
fn values<T: Ord>(texts: Vec<Text<T>>) -> BTreeSet<T> {
    texts.into_iter().map(|text| text.0).collect()
}

fn password(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "format": "password", "writeOnly": true,
        "minLength": NewPassword::MIN_CHARACTERS, "maxLength": NewPassword::MAX_CHARACTERS,
    })
}

fn optional_password(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = password(generator);
    schema.insert("type".to_owned(), json!(["string", "null"]));
    schema
}

fn names(names: &[&str]) -> Schema {
    json_schema!({"type": "array", "items": {"type": "string", "enum": names}, "minItems": 1})
}

fn roles(_: &mut SchemaGenerator) -> Schema {
    names(&Role::ALL.iter().map(|role| role.as_str()).collect::<Vec<_>>())
}

fn optional_roles(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = roles(generator);
    schema.insert("type".to_owned(), json!(["array", "null"]));
    schema
}

fn permissions(_: &mut SchemaGenerator) -> Schema {
    names(&Permission::ALL.iter().map(|permission| permission.as_str()).collect::<Vec<_>>())
}

fn shown(password: Option<SecretString>) -> Option<String> {
    password.map(|password| password.expose_secret().to_owned())
}

/// What a stranger registers with.
#[derive(Deserialize, JsonSchema, Validate)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"email": "ana@example.test", "password": "correct horse battery staple"}))]
pub struct Registration {
    /// The address to log in with.
    #[schemars(with = "String", length(max = 254))]
    pub email: Text<Email>,
    /// The password to log in with.
    #[serde(deserialize_with = "secret")]
    #[schemars(schema_with = "password")]
    pub password: SecretString,
}

/// A tenant to be created.
#[derive(Deserialize, JsonSchema, Validate)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"id": "site-7", "admin": {"email": "ana@site-7.example"}}))]
pub struct NewTenant {
    /// Its slug, for ever: a DNS label in lower case.
    #[schemars(with = "String", length(max = 63), regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub id: Text<TenantId>,
    /// Its first administrator.
    pub admin: FirstAdmin,
}

/// The first administrator of a tenant.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstAdmin {
    /// The address to log in with.
    #[schemars(with = "String", length(max = 254))]
    pub email: Text<Email>,
    /// The password to log in with; one is made up, and shown once, if none is given.
    #[serde(default, deserialize_with = "optional_secret")]
    #[schemars(schema_with = "optional_password")]
    pub password: Option<SecretString>,
}

impl TryFrom<NewTenant> for service::NewTenant {
    type Error = Problem;

    fn try_from(NewTenant { id, admin }: NewTenant) -> Result<Self, Problem> {
        let admin_password = admin.password.map(|text| new_password("/admin/password", &text, &admin.email.0));
        Ok(Self { id: id.0, admin_email: admin.email.0, admin_password: admin_password.transpose()? })
    }
}

/// A tenant.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"id": "site-7", "created_at": "2026-11-24T18:00:00.123456Z"}))]
pub struct Tenant {
    /// Its slug.
    pub id: String,
    /// When it was created.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
}

impl From<tenancy::Tenant> for Tenant {
    fn from(tenant: tenancy::Tenant) -> Self {
        Self { id: tenant.id.to_string(), created_at: tenant.created_at.to_string() }
    }
}

/// A tenant, just created.
#[derive(Serialize, JsonSchema)]
#[schemars(extend("examples" = [{
    "id": "site-7", "created_at": "2026-11-24T18:00:00.123456Z",
    "admin": {
        "id": "0199d3a0-0000-7000-8000-000000000001", "tenant_id": "site-7", "email": "ana@site-7.example",
        "roles": ["operator", "admin"], "disabled_at": null, "created_at": "2026-11-24T18:00:00.123456Z",
        "password": "7k2p-9qzr-4wxy-0123-abcd-efgh-jkmn",
    },
}]))]
pub struct CreatedTenant {
    /// The tenant.
    #[serde(flatten)]
    pub tenant: Tenant,
    /// Its first administrator.
    pub admin: CreatedUser,
}

impl From<service::CreatedTenant> for CreatedTenant {
    fn from(created: service::CreatedTenant) -> Self {
        Self { tenant: created.tenant.into(), admin: created.admin.into() }
    }
}

/// A page of tenants, by their slugs.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "items": [{"id": "site-7", "created_at": "2026-11-24T18:00:00.123456Z"}], "next_cursor": null,
}))]
pub struct TenantPage {
    /// The tenants.
    pub items: Vec<Tenant>,
    /// To be sent as `cursor` for the page that follows; null on the last one.
    pub next_cursor: Option<String>,
}

impl From<page::Page<tenancy::Tenant>> for TenantPage {
    fn from(page: page::Page<tenancy::Tenant>) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), next_cursor: page.next_cursor }
    }
}

/// A user to be created.
#[derive(Deserialize, JsonSchema, Validate)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"email": "ana@example.test", "roles": ["operator"]}))]
pub struct NewUser {
    /// The address to log in with.
    #[schemars(with = "String", length(max = 254))]
    pub email: Text<Email>,
    /// What it may do. `platform_admin` is given by who manages tenants alone.
    #[garde(length(min = 1))]
    #[schemars(schema_with = "roles")]
    pub roles: Vec<Text<Role>>,
    /// The password to log in with; one is made up, and shown once, if none is given.
    #[serde(default, deserialize_with = "optional_secret")]
    #[schemars(schema_with = "optional_password")]
    pub password: Option<SecretString>,
}

impl TryFrom<NewUser> for service::NewUser {
    type Error = Problem;

    fn try_from(NewUser { email, roles, password }: NewUser) -> Result<Self, Problem> {
        let password = password.map(|text| new_password("/password", &text, &email.0)).transpose()?;
        Ok(Self { email: email.0, roles: values(roles), password })
    }
}

/// A user.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "id": "0199d3a0-0000-7000-8000-000000000001", "tenant_id": "default", "email": "ana@example.test",
    "roles": ["operator"], "disabled_at": null, "created_at": "2026-11-24T18:00:00.123456Z",
}))]
pub struct User {
    /// Its id, a UUID of version 7: newer users have greater ids.
    #[schemars(extend("format" = "uuid"))]
    pub id: String,
    /// The tenant that it belongs to.
    pub tenant_id: String,
    /// The address that it logs in with.
    pub email: String,
    /// What it may do.
    pub roles: Vec<&'static str>,
    /// Since when it may do nothing any more.
    #[schemars(extend("format" = "date-time"))]
    pub disabled_at: Option<String>,
    /// When it was created.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
}

impl From<users::User> for User {
    fn from(user: users::User) -> Self {
        Self {
            id: user.id.to_string(),
            tenant_id: user.tenant_id.to_string(),
            email: user.email.to_string(),
            roles: user.roles.iter().map(|role| role.as_str()).collect(),
            disabled_at: user.disabled_at.map(|at| at.to_string()),
            created_at: user.created_at.to_string(),
        }
    }
}

/// A user, just created.
#[derive(Serialize, JsonSchema)]
#[schemars(extend("examples" = [{
    "id": "0199d3a0-0000-7000-8000-000000000001", "tenant_id": "default", "email": "ana@example.test",
    "roles": ["operator"], "disabled_at": null, "created_at": "2026-11-24T18:00:00.123456Z",
    "password": "7k2p-9qzr-4wxy-0123-abcd-efgh-jkmn",
}]))]
pub struct CreatedUser {
    /// The user.
    #[serde(flatten)]
    pub user: User,
    /// Its password if that was made up: it is shown this once and can only be replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

impl From<service::CreatedUser> for CreatedUser {
    fn from(created: service::CreatedUser) -> Self {
        Self { user: created.user.into(), password: shown(created.generated_password) }
    }
}

/// A page of users, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "items": [{
        "id": "0199d3a0-0000-7000-8000-000000000001", "tenant_id": "default", "email": "ana@example.test",
        "roles": ["operator"], "disabled_at": null, "created_at": "2026-11-24T18:00:00.123456Z",
    }],
    "next_cursor": null,
}))]
pub struct UserPage {
    /// The users.
    pub items: Vec<User>,
    /// To be sent as `cursor` for the page that follows; null on the last one.
    pub next_cursor: Option<String>,
}

impl From<page::Page<users::User>> for UserPage {
    fn from(page: page::Page<users::User>) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), next_cursor: page.next_cursor }
    }
}

/// A change of a user; what is absent stays as it is.
#[derive(Deserialize, JsonSchema, Validate)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"roles": ["viewer", "auditor"], "disabled": false}))]
pub struct UserChange {
    /// All the roles that it has from now on.
    #[serde(default)]
    #[garde(inner(length(min = 1)))]
    #[schemars(schema_with = "optional_roles")]
    pub roles: Option<Vec<Text<Role>>>,
    /// Whether it is disabled from now on.
    #[serde(default)]
    pub disabled: Option<bool>,
    /// Whether the API keys stay good that a user created who is disabled by this. Otherwise they are revoked, and so are
    /// those that they created.
    #[serde(default)]
    pub keep_keys: bool,
}

impl From<UserChange> for service::Wanted {
    fn from(UserChange { roles, disabled, keep_keys }: UserChange) -> Self {
        Self { roles: roles.map(values), disabled, keep_keys }
    }
}

/// A user after a change.
#[derive(Serialize, JsonSchema)]
#[schemars(extend("examples" = [{
    "id": "0199d3a0-0000-7000-8000-000000000001", "tenant_id": "default", "email": "ana@example.test",
    "roles": ["operator"], "disabled_at": "2026-11-25T18:00:00.123456Z", "created_at": "2026-11-24T18:00:00.123456Z",
    "revoked_keys": 2,
}]))]
pub struct ChangedUser {
    /// The user as it is now.
    #[serde(flatten)]
    pub user: User,
    /// How many API keys were revoked with the change.
    pub revoked_keys: usize,
}

impl From<service::ChangedUser> for ChangedUser {
    fn from(changed: service::ChangedUser) -> Self {
        Self { user: changed.user.into(), revoked_keys: changed.revoked_keys }
    }
}

/// An API key to be created.
#[derive(Deserialize, JsonSchema, Validate)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({
    "name": "gateway, hall 2", "permissions": ["mass:write"], "expires_at": "2099-12-31T00:00:00Z",
    "addresses": ["127.0.0.0/8", "2001:db8::/32"],
}))]
pub struct NewApiKey {
    /// What people call it.
    #[schemars(with = "String", length(min = 1, max = 100))]
    pub name: Text<KeyName>,
    /// What it may do: anything that the caller may, and, if a user calls, what an operator may.
    #[garde(length(min = 1))]
    #[schemars(schema_with = "permissions")]
    pub permissions: Vec<Text<Permission>>,
    /// From when on it is refused. If absent, it never expires, or, if a key calls, when that key does, which is the
    /// latest possible.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<Text<Timestamp>>,
    /// Where it may be used from, in CIDR notation. If absent or empty, anywhere, or, if a key calls, where that key may
    /// be; no address beyond that is possible.
    #[serde(default)]
    #[garde(length(max = MAX_ADDRESS_RANGES))]
    #[schemars(with = "Vec<String>", length(max = 32))]
    pub addresses: Vec<Text<AddressRange>>,
}

impl From<NewApiKey> for service::NewKey {
    fn from(new: NewApiKey) -> Self {
        Self {
            name: new.name.0,
            permissions: values(new.permissions),
            addresses: values(new.addresses),
            expires_at: new.expires_at.map(|at| at.0),
        }
    }
}

/// An API key, without its secret.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "id": "0199d3a0-0000-7000-8000-000000000004", "tenant_id": "default", "prefix": "7k2p9qzr4wxy",
    "name": "gateway, hall 2", "permissions": ["mass:write"], "addresses": ["192.0.2.0/24"],
    "expires_at": "2027-12-31T00:00:00Z", "last_used_at": null, "created_at": "2026-11-24T18:00:00.123456Z",
    "created_by": {"kind": "user", "id": "0199d3a0-0000-7000-8000-000000000001"}, "revoked_at": null,
}))]
pub struct ApiKey {
    /// Its id, a UUID of version 7: newer keys have greater ids.
    #[schemars(extend("format" = "uuid"))]
    pub id: String,
    /// The tenant whose data it opens.
    pub tenant_id: String,
    /// What its token begins with after `mass_`.
    pub prefix: String,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub permissions: Vec<&'static str>,
    /// Where it may be used from; anywhere, if empty.
    pub addresses: Vec<String>,
    /// From when on it is refused.
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: Option<String>,
    /// When it was used last, to the minute.
    #[schemars(extend("format" = "date-time"))]
    pub last_used_at: Option<String>,
    /// When it was created.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// Who created it.
    pub created_by: ActorModel,
    /// Since when it is refused for good.
    #[schemars(extend("format" = "date-time"))]
    pub revoked_at: Option<String>,
}

impl From<api_keys::ApiKey> for ApiKey {
    fn from(key: api_keys::ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            tenant_id: key.tenant_id.to_string(),
            prefix: key.prefix.to_string(),
            name: key.name.to_string(),
            permissions: key.permissions.iter().map(|permission| permission.as_str()).collect(),
            addresses: key.addresses.iter().map(ToString::to_string).collect(),
            expires_at: key.expires_at.map(|at| at.to_string()),
            last_used_at: key.last_used_at.map(|at| at.to_string()),
            created_at: key.created_at.to_string(),
            created_by: key.created_by.into(),
            revoked_at: key.revoked_at.map(|at| at.to_string()),
        }
    }
}

/// An API key, just created.
#[derive(Serialize, JsonSchema)]
#[schemars(extend("examples" = [{
    "id": "0199d3a0-0000-7000-8000-000000000004", "tenant_id": "default", "prefix": "7k2p9qzr4wxy",
    "name": "gateway, hall 2", "permissions": ["mass:write"], "addresses": ["192.0.2.0/24"],
    "expires_at": "2027-12-31T00:00:00Z", "last_used_at": null, "created_at": "2026-11-24T18:00:00.123456Z",
    "created_by": {"kind": "user", "id": "0199d3a0-0000-7000-8000-000000000001"}, "revoked_at": null,
    "token": "mass_7k2p9qzr4wxy_0123456789abcdefghjkmnpqrstvwxyz",
}]))]
pub struct CreatedApiKey {
    /// The key.
    #[serde(flatten)]
    pub key: ApiKey,
    /// To be sent as `Authorization: Bearer …`. It is shown this once.
    pub token: String,
}

impl From<service::CreatedKey> for CreatedApiKey {
    fn from(created: service::CreatedKey) -> Self {
        Self { key: created.key.into(), token: created.token.expose_secret().to_owned() }
    }
}

/// A page of API keys, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "items": [{
        "id": "0199d3a0-0000-7000-8000-000000000004", "tenant_id": "default", "prefix": "7k2p9qzr4wxy",
        "name": "gateway, hall 2", "permissions": ["mass:write"], "addresses": ["192.0.2.0/24"],
        "expires_at": "2027-12-31T00:00:00Z", "last_used_at": null, "created_at": "2026-11-24T18:00:00.123456Z",
        "created_by": {"kind": "user", "id": "0199d3a0-0000-7000-8000-000000000001"}, "revoked_at": null,
    }],
    "next_cursor": null,
}))]
pub struct ApiKeyPage {
    /// The keys.
    pub items: Vec<ApiKey>,
    /// To be sent as `cursor` for the page that follows; null on the last one.
    pub next_cursor: Option<String>,
}

impl From<page::Page<api_keys::ApiKey>> for ApiKeyPage {
    fn from(page: page::Page<api_keys::ApiKey>) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), next_cursor: page.next_cursor }
    }
}

/// What a tenant may use at most; null where there is no limit.
#[derive(Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"requests_per_day": 1_000_000, "stored_bytes": null}))]
pub struct Quotas {
    /// MASS requests that are stored in a day of UTC.
    #[serde(default, deserialize_with = "whole")]
    #[garde(inner(range(min = 1, max = MAX_QUOTA)))]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    pub requests_per_day: Option<u64>,
    /// Bytes of stored documents.
    #[serde(default, deserialize_with = "whole")]
    #[garde(inner(range(min = 1, max = MAX_QUOTA)))]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    pub stored_bytes: Option<u64>,
}

/// The greatest integer that every JSON reader keeps exactly (RFC 8259, section 6).
const MAX_QUOTA: u64 = (1 << 53) - 1;

/// An integer as JSON Schema has it (2020-12, section 4.2.3 of the core): 2.0 is one, too.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(deserializer)? else { return Ok(None) };
    let rounded = || format!("{:.0}", number.as_f64().filter(|value| value.fract() == 0.0)?).parse().ok();
    let whole = number.as_u64().or_else(rounded);
    whole.map(Some).ok_or_else(|| Error::custom(format_args!("{number} is no integer from 0 on")))
}

impl From<&Quotas> for tenancy::Quotas {
    fn from(quotas: &Quotas) -> Self {
        Self { requests_per_day: quotas.requests_per_day, stored_bytes: quotas.stored_bytes }
    }
}

impl From<tenancy::Quotas> for Quotas {
    fn from(tenancy::Quotas { requests_per_day, stored_bytes }: tenancy::Quotas) -> Self {
        Self { requests_per_day, stored_bytes }
    }
}

/// What a tenant decides for itself; what is absent or null is as the server is configured.
#[derive(Deserialize, JsonSchema, Validate)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"auto_send": true}))]
pub struct SettingsChange {
    /// Whether what is accepted is sent to the engine with that.
    #[serde(default)]
    pub auto_send: Option<bool>,
}

impl From<SettingsChange> for tenancy::Settings {
    fn from(SettingsChange { auto_send }: SettingsChange) -> Self {
        Self { auto_send }
    }
}

/// What a tenant has decided for itself, and what holds.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"auto_send": null, "in_force": {"auto_send": false}}))]
pub struct Settings {
    /// Whether what is accepted is sent to the engine with that; null where it is as the server is configured.
    pub auto_send: Option<bool>,
    /// What holds: what the tenant has decided, else what the server is configured to do.
    pub in_force: SettingsInForce,
}

/// What holds for a tenant.
#[derive(Serialize, JsonSchema)]
pub struct SettingsInForce {
    /// Whether what is accepted is sent to the engine with that; never where no engine is configured.
    pub auto_send: bool,
}

impl From<service::SettingsInForce> for Settings {
    fn from(service::SettingsInForce { settings, auto_send }: service::SettingsInForce) -> Self {
        Self { auto_send: settings.auto_send, in_force: SettingsInForce { auto_send } }
    }
}
