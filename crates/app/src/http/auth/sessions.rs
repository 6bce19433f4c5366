//! The caller's own sessions.

use actix_web::web;
use mass_auth::{self as auth, AuthService, SessionError};
use mass_domain::ids::SessionId;
use mass_domain::page::{self, Limit};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::TAG;
use crate::http::operations::{Access, Operation, Parameter, Produces, model};
use crate::http::parameters::PAGE;
use crate::http::path::{InPath, PathId, uuid};
use crate::http::problem::{Problem, ProblemKind, problem_from};
use crate::http::query::{Query, foreign_cursor, page_limit};
use crate::http::reply::{Call, NoContent, Reply};

type Service = web::Data<AuthService>;

impl InPath for SessionId {
    const PARAMETER: Parameter = uuid("The session's id.");

    fn absent() -> Problem {
        Problem::new(ProblemKind::NotFound).detail("The caller has no such session.")
    }
}

pub(super) const LIST: Operation = Operation {
    id: "listSessions",
    summary: "List the caller's sessions.",
    description: "Those that go on, newest first, page by page: where the caller is logged in. An API key has none.",
    tag: Some(TAG),
    query: PAGE,
    produces: Produces::Json(model::<SessionPage>),
    answers: &[(200, "A page of sessions.")],
    ..Operation::get("/v1/auth/sessions", Access::Authenticated, || web::to(list))
};

async fn list(call: Call, service: Service, mut query: Query) -> Result<Reply<SessionPage>, Problem> {
    let limit = query.take_with("limit", page_limit).unwrap_or(Limit::DEFAULT);
    let cursor: Option<String> = query.take("cursor");
    query.finish()?;
    let sessions = service.sessions(&call.principal, limit, cursor.as_deref()).await?;
    let page = SessionPage::of(sessions, call.principal.session());
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

pub(super) const END: Operation = Operation {
    id: "endSession",
    summary: "End one of the caller's sessions.",
    description: "With all its tokens, at once; the present one, too. An API key has none.",
    tag: Some(TAG),
    in_path: &[SessionId::PARAMETER],
    answers: &[(204, "The session is over.")],
    problems: &[ProblemKind::NotFound],
    ..Operation::delete("/v1/auth/sessions/{id}", Access::Authenticated, || web::to(end))
};

async fn end(call: Call, service: Service, id: PathId<SessionId>, query: Query) -> Result<NoContent, Problem> {
    query.finish()?;
    service.end_session(&call.principal, id.read()?, &call.origin).await?;
    Ok(NoContent)
}

/// A session of the caller.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "id": "0199d3a0-0000-7000-8000-000000000005", "created_at": "2026-11-24T18:00:00.123456Z",
    "refreshed_at": "2026-11-24T18:10:00.123456Z", "expires_at": "2026-12-08T18:10:00.123456Z", "current": true,
}))]
pub(super) struct Session {
    /// Its id, a UUID of version 7: newer sessions have greater ids.
    #[schemars(extend("format" = "uuid"))]
    id: String,
    /// When it began with a log-in.
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    /// When it was refreshed last; null in the last days of its 90, when that is not known.
    #[schemars(extend("format" = "date-time"))]
    refreshed_at: Option<String>,
    /// When it ends unless it is refreshed before.
    #[schemars(extend("format" = "date-time"))]
    expires_at: String,
    /// True of the session that calls.
    current: bool,
}

/// A page of sessions, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "items": [{
        "id": "0199d3a0-0000-7000-8000-000000000005", "created_at": "2026-11-24T18:00:00.123456Z",
        "refreshed_at": "2026-11-24T18:10:00.123456Z", "expires_at": "2026-12-08T18:10:00.123456Z", "current": true,
    }],
    "next_cursor": null,
}))]
pub(super) struct SessionPage {
    /// The sessions.
    items: Vec<Session>,
    /// To be sent as `cursor` for the page that follows; null on the last one.
    next_cursor: Option<String>,
}

impl SessionPage {
    fn of(page: page::Page<auth::Session>, current: Option<SessionId>) -> Self {
        let session = |session: auth::Session| Session {
            id: session.id.to_string(),
            created_at: session.created_at.to_string(),
            refreshed_at: session.refreshed_at().map(|at| at.to_string()),
            expires_at: session.expires_at.to_string(),
            current: Some(session.id) == current,
        };
        Self { items: page.items.into_iter().map(session).collect(), next_cursor: page.next_cursor }
    }
}

problem_from! {
    SessionError: Store;
        SessionError::NotFound => SessionId::absent(),
        SessionError::ForeignCursor(error) => foreign_cursor(error.to_string()),
}
