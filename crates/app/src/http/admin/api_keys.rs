//! The API keys of the caller's tenant.

use actix_web::http::{StatusCode, header};
use actix_web::web;
use garde::Validate;
use mass_admin_service::{self as service, CreateKeyError, RevokeKeyError};
use mass_domain::access::Permission;
use mass_domain::api_keys::{self, AddressRange, KeyName, MAX_ADDRESS_RANGES};
use mass_domain::ids::ApiKeyId;
use mass_domain::page;
use mass_domain::time::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Service, TAG, list_query, names};
use crate::http::actor::ActorModel;
use crate::http::body::{Valid, violation};
use crate::http::operations::{Access, Factor, Operation, Parameter, Produces, model};
use crate::http::parameters::{CURSOR, LIMIT};
use crate::http::path::{InPath, PathId, uuid};
use crate::http::problem::{Problem, ProblemKind, problem_from};
use crate::http::query::Query;
use crate::http::reply::{Call, NoContent, Reply};
use crate::http::text::{Text, values};

const KEYS: Access = Access::Needs(Permission::KeysManage);

const FILTERS: &[Parameter] = &[
    Parameter::new(
        "prefix",
        "The key whose token begins with `mass_` and this.",
        || json!({"type": "string", "pattern": "^[0-9a-hjkmnp-tv-z]{12}$"}),
    ),
    LIMIT,
    CURSOR,
];

impl InPath for ApiKeyId {
    const PARAMETER: Parameter = uuid("The key's id.");
}

/// The operations.
pub const OPERATIONS: &[Operation] = &[CREATE, LIST, GET, REVOKE];

const CREATE: Operation = Operation {
    id: "createApiKey",
    summary: "Create an API key.",
    description: "For a gateway of the caller's tenant. The token is shown once, in this answer; MASS keeps a hash of \
        it.",
    tag: Some(TAG),
    body: &[("application/json", model::<NewApiKey>)],
    produces: Produces::Json(model::<CreatedApiKey>),
    answers: &[(201, "The key with its token, which is shown this once.")],
    factor: Factor::Fresh,
    ..Operation::post("/v1/admin/api-keys", KEYS, || web::to(create))
};

async fn create(
    call: Call,
    service: Service,
    query: Query,
    body: Valid<NewApiKey>,
) -> Result<Reply<CreatedApiKey>, Problem> {
    query.finish()?;
    let created: CreatedApiKey = service.create_key(&call.principal, body.0.into(), &call.origin).await?.into();
    let location = format!("/v1/admin/api-keys/{}", created.key.id);
    Ok(Reply::with_status(StatusCode::CREATED, &created)?.header(header::LOCATION, &location))
}

const LIST: Operation = Operation {
    id: "listApiKeys",
    summary: "List API keys.",
    description: "Those of the caller's tenant, newest first, page by page; the revoked ones too.",
    tag: Some(TAG),
    query: FILTERS,
    produces: Produces::Json(model::<ApiKeyPage>),
    answers: &[(200, "A page of keys.")],
    ..Operation::get("/v1/admin/api-keys", KEYS, || web::to(list))
};

async fn list(call: Call, service: Service, mut query: Query) -> Result<Reply<ApiKeyPage>, Problem> {
    let prefix = query.take("prefix");
    let page: ApiKeyPage = service.keys(&call.principal, prefix.as_ref(), &list_query(query)?).await?.into();
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

const GET: Operation = Operation {
    id: "getApiKey",
    summary: "Fetch an API key.",
    description: "All but its secret, which is nowhere.",
    tag: Some(TAG),
    in_path: &[ApiKeyId::PARAMETER],
    produces: Produces::Json(model::<ApiKey>),
    answers: &[(200, "The key.")],
    problems: &[ProblemKind::NotFound],
    ..Operation::get("/v1/admin/api-keys/{id}", KEYS, || web::to(get))
};

async fn get(call: Call, service: Service, id: PathId<ApiKeyId>, query: Query) -> Result<Reply<ApiKey>, Problem> {
    query.finish()?;
    Reply::ok(&service.key(&call.principal, id.read()?).await?.into())
}

const REVOKE: Operation = Operation {
    id: "revokeApiKey",
    summary: "Revoke an API key.",
    description: "For good: its next request is refused, and so are those of the keys that it created, that these \
        created, and so on. Revoking it again changes nothing.",
    tag: Some(TAG),
    in_path: &[ApiKeyId::PARAMETER],
    answers: &[(204, "The key is revoked.")],
    problems: &[ProblemKind::NotFound],
    ..Operation::delete("/v1/admin/api-keys/{id}", KEYS, || web::to(revoke))
};

async fn revoke(call: Call, service: Service, id: PathId<ApiKeyId>, query: Query) -> Result<NoContent, Problem> {
    query.finish()?;
    service.revoke_key(&call.principal, id.read()?, &call.origin).await?;
    Ok(NoContent)
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
    /// Display name.
    #[schemars(with = "String", length(min = 1, max = 100))]
    pub name: Text<KeyName>,
    /// Permissions: a subset of the caller's and, if a user calls, of an operator's.
    #[garde(length(min = 1))]
    #[schemars(schema_with = "permissions")]
    pub permissions: Vec<Text<Permission>>,
    /// From when on it is refused. If absent, it never expires, or, if a key calls, when that key does, which is the
    /// latest possible.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<Text<Timestamp>>,
    /// The address ranges that it may be used from, in CIDR notation. If absent or empty, anywhere, or, if a key calls, where that
    /// key may be; no address beyond that is possible.
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
    /// The beginning of its token, after `mass_`.
    pub prefix: String,
    /// Display name.
    pub name: String,
    /// Permissions.
    pub permissions: Vec<&'static str>,
    /// The address ranges that it may be used from; anywhere, if empty.
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
    /// The creator.
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

fn permissions(_: &mut SchemaGenerator) -> Schema {
    names(&Permission::ALL.iter().map(|permission| permission.as_str()).collect::<Vec<_>>())
}

problem_from! {
    CreateKeyError: Forbidden, Store, Unexpected;
        CreateKeyError::CallerEnded => Self::ended_credential(),
        CreateKeyError::ExpiresInThePast => {
            violation("/expires_at".to_owned(), "range", "The key would have expired already.")
        }
        CreateKeyError::AddressBeyondCreator(allowed) => {
            let detail = format!("The creating key may be used from {allowed} only; so may the keys it creates.");
            violation("/addresses".to_owned(), "range", &detail)
        }
        CreateKeyError::ExpiresAfterCreator(end) => {
            let detail = format!("The creating key expires at {end}; the keys it creates expire no later.");
            violation("/expires_at".to_owned(), "range", &detail)
        }
}

problem_from! {
    RevokeKeyError: Forbidden, Store;
        RevokeKeyError::NotFound => ApiKeyId::absent(),
}
