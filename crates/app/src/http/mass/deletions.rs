//! Deleting all requests that filters let through, in two steps.

use actix_web::web;
use mass_auth::{AuthService, Extent};
use mass_domain::mass_request::RequestFilter;
use mass_service::{CountedSet, MOST_DELETED};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::{FILTERS, Service, TAG, WRITE, filter};
use crate::http::operations::{Operation, Parameter, Produces, joined, model};
use crate::http::problem::{Problem, ProblemKind};
use crate::http::query::{Query, wrong_parameter};
use crate::http::reply::{Call, Reply};

const CONFIRM: Parameter = Parameter::new(
    "confirm",
    "The `token` that the same filters were answered with: deletes what was counted then.",
    || json!({"type": "string"}),
);

const MOST: Parameter = Parameter::new(
    "limit",
    "The most requests that this call deletes.",
    || json!({"type": "integer", "minimum": 1, "maximum": MOST_DELETED, "default": MOST_DELETED}),
);

const PARAMETERS: [Parameter; 13] = joined(FILTERS, [CONFIRM, MOST]);

pub(super) const DELETE: Operation = Operation {
    id: "deleteMassRequests",
    summary: "Delete the MASS requests that filters let through.",
    description: "The undo of a wrong import, in two steps. Without `confirm` nothing changes: the answer counts the requests \
        and has a token. With the same filters and this token, the same caller deletes what was counted, each request as by \
        `DELETE /v1/mass-requests/{id}`. Requests that came or changed since the count stay. A call deletes at most 10,000 \
        requests and takes about ten seconds at most: while `remaining` is not 0, repeat it. At least one filter is needed; \
        `created_to` with the present time matches everything. A legal hold on a contract, or on all documents, refuses both steps \
        unless `contract` names another contract.",
    tag: Some(TAG),
    query: &PARAMETERS,
    produces: Produces::Json(model::<MassRequestDeletion>),
    answers: &[(200, "Without `confirm`, the count and a token; with it, what was deleted.")],
    problems: &[ProblemKind::LegalHold],
    ..Operation::delete("/v1/mass-requests", WRITE, || web::to(delete))
};

/// The result of a deletion by filters: `token` and `expires_at` of its first step, or the other numbers of its second.
#[derive(Serialize, JsonSchema, Default)]
#[schemars(example = json!({"matched": 155, "token": "AAAAAAAAAJsAAAAAAAAAmwAGQ", "expires_at": "2026-11-24T19:00:00Z"}))]
struct MassRequestDeletion {
    /// The number of requests that matched when they were counted.
    matched: u64,
    /// The value for `confirm`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "String")]
    token: Option<String>,
    /// The instant from which on the token is refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "String", extend("format" = "date-time"))]
    expires_at: Option<String>,
    /// The number of requests that this call deleted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "u64")]
    deleted: Option<u64>,
    /// The number of requests that this call left, since they have changed after they were counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "u64")]
    changed: Option<u64>,
    /// The number of counted requests that this call did not come to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "u64")]
    remaining: Option<u64>,
}

async fn delete(
    call: Call,
    service: Service,
    auth: web::Data<AuthService>,
    mut query: Query,
) -> Result<Reply<MassRequestDeletion>, Problem> {
    let filter = filter(&mut query);
    let limit = query.take_with("limit", most).unwrap_or(MOST_DELETED);
    let token: Option<String> = query.take("confirm");
    query.finish()?;
    let Some(token) = token else { return count(&call, &service, &auth, &filter).await };
    let shown = auth.verify_confirmation(&call.principal, &action(&filter), &token);
    let shown = shown.map_err(|refused| wrong_parameter("confirm", format!("Not accepted: {refused}.")))?;
    let set = service.delete_counted(&call.principal, &filter, shown.log_size, limit, &call.origin).await?;
    let (deleted, changed, remaining) = (Some(set.deleted), Some(set.changed), Some(set.remaining));
    Reply::ok(&MassRequestDeletion { matched: shown.count, deleted, changed, remaining, ..Default::default() })
}

/// Counts the requests, and gives the token.
async fn count(
    call: &Call,
    service: &Service,
    auth: &AuthService,
    filter: &RequestFilter,
) -> Result<Reply<MassRequestDeletion>, Problem> {
    let CountedSet { matched, log_size } = service.count_for_deletion(&call.principal, filter).await?;
    let extent = Extent { count: matched, log_size };
    let token = auth.issue_confirmation(&call.principal, &action(filter), extent);
    let (token, expires_at) = (Some(token.text), Some(token.expires_at.to_string()));
    Reply::ok(&MassRequestDeletion { matched, token, expires_at, ..Default::default() })
}

/// Returns the text that stands for a deletion with this filter.
fn action(filter: &RequestFilter) -> String {
    json!(["deleteMassRequests", filter.conditions()]).to_string()
}

fn most(text: &str) -> Result<u16, String> {
    let limit = text.parse().ok().filter(|limit| (1..=MOST_DELETED).contains(limit));
    limit.ok_or_else(|| format!("A whole number from 1 to {MOST_DELETED}."))
}
