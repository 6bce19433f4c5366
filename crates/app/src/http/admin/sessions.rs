//! The sessions of the users of the caller's tenant.

use actix_web::web;
use mass_admin_service::TenantSessionError;
use mass_auth::Session as StoredSession;
use mass_domain::access::Permission;
use mass_domain::ids::{SessionId, UserId};
use mass_domain::page::Page;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::{Service, TAG, list_query};
use crate::http::operations::{Access, Operation, Parameter, Produces, model};
use crate::http::parameters::{CURSOR, LIMIT};
use crate::http::path::{InPath, PathId, no_such_object};
use crate::http::problem::{Problem, ProblemKind, problem_from};
use crate::http::query::{Query, foreign_cursor};
use crate::http::reply::{Call, NoContent, Reply};

const USERS: Access = Access::Needs(Permission::UsersManage);

/// The operations.
pub const OPERATIONS: &[Operation] = &[LIST, END];

const FILTERS: &[Parameter] = &[
    Parameter::new("user", "Sessions of the user with this id.", || json!({"type": "string", "format": "uuid"})),
    LIMIT,
    CURSOR,
];

const LIST: Operation = Operation {
    id: "listTenantSessions",
    summary: "List the sessions of the tenant.",
    description: "Who is logged in: the live sessions of the caller's tenant, newest first, page by page.",
    tag: Some(TAG),
    query: FILTERS,
    produces: Produces::Json(model::<TenantSessionPage>),
    answers: &[(200, "A page of sessions.")],
    ..Operation::get("/v1/admin/sessions", USERS, || web::to(list))
};

async fn list(call: Call, service: Service, mut query: Query) -> Result<Reply<TenantSessionPage>, Problem> {
    let user = query.take::<UserId>("user");
    let page = service.sessions(&call.principal, user, &list_query(query)?).await?;
    let page = TenantSessionPage::new(page, call.principal.session());
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

const END: Operation = Operation {
    id: "endTenantSession",
    summary: "End a session of the tenant.",
    description: "With all its tokens; its next request is refused. The user's other sessions and API keys go on.",
    tag: Some(TAG),
    in_path: &[SessionId::PARAMETER],
    answers: &[(204, "The session is over.")],
    problems: &[ProblemKind::NotFound],
    ..Operation::delete("/v1/admin/sessions/{id}", USERS, || web::to(end))
};

async fn end(call: Call, service: Service, id: PathId<SessionId>, query: Query) -> Result<NoContent, Problem> {
    query.finish()?;
    service.end_session(&call.principal, id.read().map_err(|_| no_such_object())?, &call.origin).await?;
    Ok(NoContent)
}

/// A live session.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "id": "0199d3a0-0000-7000-8000-000000000005", "user_id": "0199d3a0-0000-7000-8000-000000000001", "current": true,
    "created_at": "2026-11-24T18:00:00.123456Z", "expires_at": "2026-12-08T18:00:00.123456Z",
}))]
pub struct TenantSession {
    /// Its id, a UUID of version 7: newer sessions have greater ids.
    #[schemars(extend("format" = "uuid"))]
    pub id: String,
    /// The user who logged in.
    #[schemars(extend("format" = "uuid"))]
    pub user_id: String,
    /// Whether it is the session of this call.
    pub current: bool,
    /// When the user logged in.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// When it ends unless it is refreshed before.
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: String,
}

/// A page of live sessions, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "items": [{
        "id": "0199d3a0-0000-7000-8000-000000000005", "user_id": "0199d3a0-0000-7000-8000-000000000001", "current": true,
        "created_at": "2026-11-24T18:00:00.123456Z", "expires_at": "2026-12-08T18:00:00.123456Z",
    }],
    "next_cursor": null,
}))]
pub struct TenantSessionPage {
    /// The sessions.
    pub items: Vec<TenantSession>,
    /// To be sent as `cursor` for the page that follows; null on the last one.
    pub next_cursor: Option<String>,
}

impl TenantSessionPage {
    /// Shows a page to a caller in a session, or in none.
    pub fn new(page: Page<StoredSession>, current: Option<SessionId>) -> Self {
        let shown = |session: StoredSession| TenantSession {
            id: session.id.to_string(),
            user_id: session.user_id.to_string(),
            current: Some(session.id) == current,
            created_at: session.created_at.to_string(),
            expires_at: session.expires_at.to_string(),
        };
        Self { items: page.items.into_iter().map(shown).collect(), next_cursor: page.next_cursor }
    }
}

problem_from! {
    TenantSessionError: Forbidden, Store;
        TenantSessionError::ForeignCursor(error) => foreign_cursor(error.to_string()),
        TenantSessionError::NotFound => no_such_object(),
}
