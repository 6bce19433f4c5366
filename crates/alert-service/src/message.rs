//! What webhooks are told, as the bodies of notifications.

use std::sync::Mutex;

use mass_domain::access::Actor;
use mass_domain::alerts::{Alert, News, Subject, WebhookName};
use mass_domain::ids::{AlertId, NotificationId};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use serde_json::{Value, json};
use uuid::{ContextV7, Uuid};

/// A notification to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotification {
    /// Its id.
    pub id: NotificationId,
    /// The webhook.
    pub webhook: WebhookName,
    /// What it tells.
    pub news: News,
    /// The alert; `None` for a test.
    pub alert_id: Option<AlertId>,
    /// Its body.
    pub body: String,
    /// The time of its creation.
    pub at: Timestamp,
}

/// Returns the body that tells news of an alert.
#[must_use]
pub fn alert_body(news: News, tenant: &TenantId, alert: &Alert, at: Timestamp) -> String {
    let mut data = alert_in_json(alert);
    data["tenant_id"] = json!(tenant.as_str());
    json!({"type": news.as_str(), "timestamp": at.to_string(), "data": data}).to_string()
}

/// Builds the notifications of webhooks that these alerts are resolved. The ids follow from the time and randomness.
#[must_use]
pub fn resolved_notifications(
    tenant: &TenantId,
    webhooks: &[WebhookName],
    alerts: &[Alert],
    at: Timestamp,
) -> Vec<NewNotification> {
    let ids = Mutex::new(ContextV7::new());
    let all = alerts.iter().flat_map(|alert| webhooks.iter().map(move |webhook| (alert, webhook)));
    all.map(|(alert, webhook)| NewNotification {
        id: NotificationId::from_uuid(Uuid::new_v7(at.for_uuid(&ids))),
        webhook: webhook.clone(),
        news: News::Resolved,
        alert_id: Some(alert.id),
        body: alert_body(News::Resolved, tenant, alert, at),
        at,
    })
    .collect()
}

/// Returns the body of a test.
#[must_use]
pub(crate) fn test_body(tenant: &TenantId, at: Timestamp) -> String {
    let data = json!({"tenant_id": tenant.as_str()});
    json!({"type": News::Test.as_str(), "timestamp": at.to_string(), "data": data}).to_string()
}

/// Returns an alert as `GET /v1/alerts/{id}` answers it.
fn alert_in_json(alert: &Alert) -> Value {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let actor = |actor: Actor| json!({"kind": actor.kind(), "id": actor.id().map(|id| id.to_string())});
    let acknowledgement = alert.acknowledgement.as_ref();
    let acknowledgement =
        acknowledgement.map(|it| json!({"by": actor(it.by), "at": it.at.to_string(), "note": it.note}));
    json!({
        "id": alert.id.to_string(), "rule": alert.rule.as_str(), "kind": alert.kind.as_str(),
        "severity": alert.severity.as_str(), "state": alert.state.as_str(), "summary": alert.summary(),
        "subject": subject_in_json(&alert.subject), "value": alert.value, "since": alert.since.to_string(),
        "opened_at": time(alert.opened_at), "resolved_at": time(alert.resolved_at),
        "resolution": alert.resolution.map(|resolution| resolution.as_str()), "acknowledgement": acknowledgement,
    })
}

fn subject_in_json(subject: &Subject) -> Value {
    let mut all = json!({"kind": null, "site_id": null, "device_id": null, "metric": null, "id": null});
    // It cannot fail, since all keys are strings.
    if let (Some(all), Ok(Value::Object(own))) = (all.as_object_mut(), serde_json::to_value(subject)) {
        all.extend(own);
    }
    all
}
