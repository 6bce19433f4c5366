//! Webhooks: where a tenant is told of its alerts, and the notifications that they are sent.

use actix_web::http::{StatusCode, header};
use actix_web::web;
use garde::Validate;
use mass_alert_service::{
    MAX_WAITING_NOTIFICATIONS, MAX_WEBHOOKS, NotificationFilter, ShownWebhook, StoredWebhook, WebhookError,
    WebhookService,
};
use mass_domain::access::Permission;
use mass_domain::alerts::{self as domain, News, NotificationState, WebhookName};
use mass_domain::ids::NotificationId;
use mass_domain::page::{Limit, Page};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::TAG;
use crate::http::actor::ActorModel;
use crate::http::body::{Valid, broken_rules};
use crate::http::headers::{IF_MATCH, IF_NONE_MATCH, UNLESS_MATCH, digest_tag, precondition};
use crate::http::operations::{Access, AnswerHeader, Operation, Parameter, Produces, model};
use crate::http::parameters::{CURSOR, LIMIT};
use crate::http::path::{InPath, PathId, uuid};
use crate::http::problem::{Problem, ProblemKind, problem_from};
use crate::http::query::{Query, foreign_cursor, page_limit};
use crate::http::reply::{Call, NoContent, Reply};

type Service = web::Data<WebhookService>;

// Where data of the tenant go is a setting, and URLs of webhooks hold secrets.
const MANAGE: Access = Access::Needs(Permission::SettingsManage);

impl InPath for WebhookName {
    const PARAMETER: Parameter = Parameter::new(
        "name",
        "The webhook's name.",
        || json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}),
    )
    .required();

    fn absent() -> Problem {
        Problem::new(ProblemKind::NotFound).detail("There is no such webhook.")
    }
}

impl InPath for NotificationId {
    const PARAMETER: Parameter = uuid("The notification's id.");
}

const STATE: Parameter = Parameter::new(
    "state",
    "Notifications in this state.",
    || json!({"type": "string", "enum": ["queued", "delivered", "dead"]}),
);

const WEBHOOK: Parameter = Parameter::new(
    "webhook",
    "Notifications of the webhook of this name, which may be gone.",
    || json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}),
);

const ETAG: AnswerHeader = AnswerHeader {
    name: "ETag",
    description: "The digest of the webhook.",
    example: "\"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
};

const LOCATION: AnswerHeader =
    AnswerHeader { name: "Location", description: "Where it is.", example: "/v1/webhooks/pager" };

pub(super) const LIST: Operation = Operation {
    id: "listWebhooks",
    summary: "List webhooks.",
    description: "All of the caller's tenant, by name, without their secrets.",
    tag: Some(TAG),
    produces: Produces::Json(model::<WebhookList>),
    answers: &[(200, "The webhooks.")],
    ..Operation::get("/v1/webhooks", MANAGE, || web::to(list))
};

async fn list(call: Call, service: Service, query: Query) -> Result<Reply<WebhookList>, Problem> {
    query.finish()?;
    let items = service.list(&call.principal).await?.into_iter().map(Webhook::from).collect();
    Reply::ok(&WebhookList { items })
}

pub(super) const GET: Operation = Operation {
    id: "getWebhook",
    summary: "Fetch a webhook.",
    description: "Without its secret, which is shown once.",
    tag: Some(TAG),
    in_path: &[WebhookName::PARAMETER],
    headers: &[IF_NONE_MATCH],
    produces: Produces::Json(model::<Webhook>),
    answers: &[(200, "The webhook."), (304, "It is as the client knows it.")],
    answer_headers: &[ETAG],
    problems: &[ProblemKind::NotFound],
    ..Operation::get("/v1/webhooks/{name}", MANAGE, || web::to(get))
};

async fn get(call: Call, service: Service, name: PathId<WebhookName>, query: Query) -> Result<Reply<Webhook>, Problem> {
    query.finish()?;
    let stored = service.get(&call.principal, &name.read()?).await?;
    let digest = stored.digest;
    if precondition(call.request()).differs.is_some_and(|digests| digests.name(Some(digest))) {
        return Ok(Reply::not_modified().header(header::ETAG, &digest_tag(digest).to_string()));
    }
    let tag = digest_tag(digest).to_string();
    Ok(Reply::ok(&Webhook::from(stored))?.header(header::ETAG, &tag))
}

pub(super) const PUT: Operation = Operation {
    id: "putWebhook",
    summary: "Store a webhook.",
    description: "Creates the webhook of this name, or replaces it and keeps its secret. The answer to a new one has the secret \
        (`whsec_…`), which is shown this once; what the webhook is sent is signed by it (Standard Webhooks). Rules name the webhooks \
        that are told of their alerts. At most 10 webhooks a tenant.",
    tag: Some(TAG),
    in_path: &[WebhookName::PARAMETER],
    headers: &[IF_MATCH, UNLESS_MATCH],
    body: &[("application/json", model::<WebhookTerms>)],
    produces: Produces::Json(model::<Webhook>),
    answers: &[
        (200, "The webhook, which replaces another, or was stored already."),
        (201, "The webhook, with its secret."),
    ],
    answer_headers: &[ETAG, LOCATION],
    problems: &[ProblemKind::NotFound, ProblemKind::PreconditionFailed, ProblemKind::TooManyWebhooks],
    ..Operation::put("/v1/webhooks/{name}", MANAGE, || web::to(put))
};

async fn put(
    call: Call,
    service: Service,
    name: PathId<WebhookName>,
    query: Query,
    body: Valid<WebhookTerms>,
) -> Result<Reply<Webhook>, Problem> {
    query.finish()?;
    let (name, precondition) = (name.read()?, precondition(call.request()));
    let shown = service.set(&call.principal, name, body.0.into(), precondition, &call.origin).await?;
    let status = if shown.is_new { StatusCode::CREATED } else { StatusCode::OK };
    representation(status, shown)
}

pub(super) const DELETE: Operation = Operation {
    id: "deleteWebhook",
    summary: "Delete a webhook.",
    description: "Notifications that wait for it become dead letters. Rules that name it tell the others.",
    tag: Some(TAG),
    in_path: &[WebhookName::PARAMETER],
    headers: &[IF_MATCH],
    answers: &[(204, "The webhook is deleted.")],
    problems: &[ProblemKind::NotFound, ProblemKind::PreconditionFailed],
    ..Operation::delete("/v1/webhooks/{name}", MANAGE, || web::to(delete))
};

async fn delete(call: Call, service: Service, name: PathId<WebhookName>, query: Query) -> Result<NoContent, Problem> {
    query.finish()?;
    service.delete(&call.principal, name.read()?, precondition(call.request()), &call.origin).await?;
    Ok(NoContent)
}

pub(super) const ROTATE: Operation = Operation {
    id: "rotateWebhookSecret",
    summary: "Give a webhook another secret.",
    description: "Shows the new secret, this once. The one before still signs for a day, beside it, so that a receiver can change \
        over at any time of it.",
    tag: Some(TAG),
    in_path: &[WebhookName::PARAMETER],
    produces: Produces::Json(model::<Webhook>),
    answers: &[(200, "The webhook, with its new secret.")],
    answer_headers: &[ETAG, LOCATION],
    problems: &[ProblemKind::NotFound],
    ..Operation::post("/v1/webhooks/{name}/secret", MANAGE, || web::to(rotate))
};

async fn rotate(
    call: Call,
    service: Service,
    name: PathId<WebhookName>,
    query: Query,
) -> Result<Reply<Webhook>, Problem> {
    query.finish()?;
    representation(StatusCode::OK, service.rotate(&call.principal, name.read()?, &call.origin).await?)
}

pub(super) const TEST: Operation = Operation {
    id: "testWebhook",
    summary: "Try a webhook.",
    description: "Queues a notification of the type `webhook.test`; what becomes of it is shown among the notifications.",
    tag: Some(TAG),
    in_path: &[WebhookName::PARAMETER],
    produces: Produces::Json(model::<Notification>),
    answers: &[(202, "The notification, which is queued.")],
    problems: &[ProblemKind::NotFound, ProblemKind::TooManyWebhooks, ProblemKind::WebhooksOff],
    ..Operation::post("/v1/webhooks/{name}/test", MANAGE, || web::to(test))
};

async fn test(
    call: Call,
    service: Service,
    name: PathId<WebhookName>,
    query: Query,
) -> Result<Reply<Notification>, Problem> {
    query.finish()?;
    let notification = service.test(&call.principal, name.read()?, &call.origin).await?;
    Reply::with_status(StatusCode::ACCEPTED, &notification.into())
}

pub(super) const NOTIFICATIONS: Operation = Operation {
    id: "listNotifications",
    summary: "List notifications.",
    description: "What webhooks were told, or are to be told, newest first, page by page. Delivered ones are kept for 7 days, dead \
        letters for 30.",
    tag: Some(TAG),
    query: &[STATE, WEBHOOK, LIMIT, CURSOR],
    produces: Produces::Json(model::<NotificationPage>),
    answers: &[(200, "A page of notifications.")],
    ..Operation::get("/v1/notifications", MANAGE, || web::to(notifications))
};

async fn notifications(call: Call, service: Service, mut query: Query) -> Result<Reply<NotificationPage>, Problem> {
    let filter = NotificationFilter { state: query.take("state"), webhook: query.take("webhook") };
    let limit = query.take_with("limit", page_limit).unwrap_or(Limit::DEFAULT);
    let cursor: Option<String> = query.take("cursor");
    query.finish()?;
    let page = service.notifications(&call.principal, filter, limit, cursor.as_deref()).await?;
    let page = NotificationPage::from(page);
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

pub(super) const REPLAY: Operation = Operation {
    id: "replayNotification",
    summary: "Send a dead letter again.",
    description: "Queues it anew, with all attempts and under the same `webhook-id`.",
    tag: Some(TAG),
    in_path: &[NotificationId::PARAMETER],
    produces: Produces::Json(model::<Notification>),
    answers: &[(200, "The notification, which is queued.")],
    problems: &[ProblemKind::NotFound, ProblemKind::NotificationNotDead, ProblemKind::TooManyWebhooks],
    ..Operation::post("/v1/notifications/{id}/replay", MANAGE, || web::to(replay))
};

async fn replay(
    call: Call,
    service: Service,
    id: PathId<NotificationId>,
    query: Query,
) -> Result<Reply<Notification>, Problem> {
    query.finish()?;
    Reply::ok(&service.replay(&call.principal, id.read()?, &call.origin).await?.into())
}

fn representation(status: StatusCode, shown: ShownWebhook) -> Result<Reply<Webhook>, Problem> {
    let ShownWebhook { stored, secret, .. } = shown;
    let (tag, location) = (digest_tag(stored.digest).to_string(), format!("/v1/webhooks/{}", stored.name));
    let webhook = Webhook { secret, ..stored.into() };
    Ok(Reply::with_status(status, &webhook)?.header(header::ETAG, &tag).header(header::LOCATION, &location))
}

/// A webhook as it is set.
#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(example = terms_example())]
pub struct WebhookTerms {
    /// The receiver's URL: `https`, with a host that is neither private nor special-purpose, unless the operator lists it.
    #[schemars(length(min = 1, max = 2000))]
    url: String,
    /// Its purpose, for people.
    #[serde(default)]
    #[schemars(length(min = 1, max = 1000))]
    description: Option<String>,
    /// False while it is sent nothing.
    #[serde(default = "yes")]
    enabled: bool,
}

const fn yes() -> bool {
    true
}

fn terms_example() -> Value {
    json!({"url": "https://hooks.example.org/mass", "description": "The pager of hall 2.", "enabled": true})
}

impl From<WebhookTerms> for domain::Webhook {
    fn from(WebhookTerms { url, description, enabled }: WebhookTerms) -> Self {
        Self { url, description, enabled }
    }
}

/// A stored webhook.
#[derive(Serialize, JsonSchema)]
#[schemars(example = webhook_example())]
pub struct Webhook {
    /// Its name.
    pub name: String,
    /// `sha256:` and the SHA-256 of its canonical text: its version.
    pub digest: String,
    /// The receiver's URL.
    pub url: String,
    /// Its purpose, for people; null for none.
    pub description: Option<String>,
    /// False while it is sent nothing.
    pub enabled: bool,
    /// The secret by which what it is sent is signed: `whsec_` and base64. Only in the answer that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Until when the secret before the present one signs, too; null if there is none.
    #[schemars(extend("format" = "date-time"))]
    pub previous_secret_until: Option<String>,
    /// When it was created.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// The creator.
    pub created_by: ActorModel,
    /// When it was changed last.
    #[schemars(extend("format" = "date-time"))]
    pub updated_at: String,
    /// The author of the last change.
    pub updated_by: ActorModel,
}

fn webhook_example() -> Value {
    let actor = json!({"kind": "user", "id": "0199d3a0-0000-7000-8000-000000000003"});
    json!({
        "name": "pager", "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "url": "https://hooks.example.org/mass", "description": "The pager of hall 2.", "enabled": true,
        "secret": "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "previous_secret_until": null,
        "created_at": "2026-11-24T18:00:00.123456Z", "created_by": actor,
        "updated_at": "2026-11-24T18:00:00.123456Z", "updated_by": actor,
    })
}

impl From<StoredWebhook> for Webhook {
    fn from(stored: StoredWebhook) -> Self {
        Self {
            name: stored.name.to_string(),
            digest: stored.digest.to_string(),
            url: stored.webhook.url,
            description: stored.webhook.description,
            enabled: stored.webhook.enabled,
            secret: None,
            previous_secret_until: stored.previous.map(|(_, until)| until.to_string()),
            created_at: stored.created_at.to_string(),
            created_by: stored.created_by.into(),
            updated_at: stored.updated_at.to_string(),
            updated_by: stored.updated_by.into(),
        }
    }
}

/// The webhooks of a tenant.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"items": []}))]
pub struct WebhookList {
    /// The webhooks, by name.
    pub items: Vec<Webhook>,
}

/// A notification of a webhook.
#[derive(Serialize, JsonSchema)]
#[schemars(example = notification_example())]
pub struct Notification {
    /// Its id: the `webhook-id` of each attempt.
    #[schemars(extend("format" = "uuid"))]
    pub id: String,
    /// The name of the webhook.
    pub webhook: String,
    /// What it tells: the `type` of its body.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["alert.opened", "alert.reminded", "alert.resolved", "webhook.test"]))]
    pub news: &'static str,
    /// The alert; null for a test.
    #[schemars(extend("format" = "uuid"))]
    pub alert_id: Option<String>,
    /// Its state.
    #[schemars(extend("enum" = ["queued", "delivered", "dead"]))]
    pub state: &'static str,
    /// The number of attempts that have begun, since it was queued last.
    pub attempts: u32,
    /// What the last failed attempt failed by; null if none did.
    pub failure: Option<String>,
    /// When it was created.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// When its state changed last.
    #[schemars(extend("format" = "date-time"))]
    pub updated_at: String,
}

fn notification_example() -> Value {
    json!({
        "id": "0199d3a0-0000-7000-8000-000000000006", "webhook": "pager", "type": "alert.opened",
        "alert_id": "0199d3a0-0000-7000-8000-000000000005", "state": "dead", "attempts": 20,
        "failure": "The receiver answered with status 500.", "created_at": "2026-11-24T18:00:00.123456Z",
        "updated_at": "2026-11-25T17:00:00.123456Z",
    })
}

impl From<domain::Notification> for Notification {
    fn from(notification: domain::Notification) -> Self {
        Self {
            id: notification.id.to_string(),
            webhook: notification.webhook.to_string(),
            news: News::as_str(notification.news),
            alert_id: notification.alert_id.map(|id| id.to_string()),
            state: NotificationState::as_str(notification.state),
            attempts: notification.attempts,
            failure: notification.failure,
            created_at: notification.created_at.to_string(),
            updated_at: notification.updated_at.to_string(),
        }
    }
}

/// A page of notifications, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"items": [notification_example()], "next_cursor": null}))]
pub struct NotificationPage {
    /// The notifications.
    pub items: Vec<Notification>,
    /// To be sent as `cursor`, with the same filters, for the page that follows; null on the last one.
    pub next_cursor: Option<String>,
}

impl From<Page<domain::Notification>> for NotificationPage {
    fn from(page: Page<domain::Notification>) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), next_cursor: page.next_cursor }
    }
}

problem_from! {
    WebhookError: Forbidden, Store;
        WebhookError::ForeignCursor(error) => foreign_cursor(error.to_string()),
        WebhookError::Invalid(faults) => broken_rules(faults),
        WebhookError::NotFound => WebhookName::absent(),
        WebhookError::NoNotification => NotificationId::absent(),
        WebhookError::Stale => Self::new(ProblemKind::PreconditionFailed)
            .detail("The stored webhook is not as If-Match or If-None-Match says."),
        WebhookError::TooMany => {
            let detail = format!("The tenant has {MAX_WEBHOOKS} webhooks, the most: delete one, or replace one.");
            Self::new(ProblemKind::TooManyWebhooks).detail(detail).member("limit", MAX_WEBHOOKS)
        }
        WebhookError::Full => {
            let detail = format!("{MAX_WAITING_NOTIFICATIONS} notifications of the tenant wait, the most.");
            Self::new(ProblemKind::TooManyWebhooks).detail(detail).member("limit", MAX_WAITING_NOTIFICATIONS)
        }
        WebhookError::NotDead(state) => Self::new(ProblemKind::NotificationNotDead)
            .detail(format!("The notification is {state}."))
            .member("state", state.as_str()),
        WebhookError::Off => Self::new(ProblemKind::WebhooksOff).detail("Whoever runs MASS has switched webhooks off (MASS_WEBHOOKS)."),
}
