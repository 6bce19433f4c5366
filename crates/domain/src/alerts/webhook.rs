//! Webhooks, and the notifications that they are sent.

use serde::{Deserialize, Serialize};

use super::names::WebhookName;
use crate::canonical::{self, Fingerprint};
use crate::faults::{Fault, MAX_TEXT};
use crate::ids::{AlertId, NotificationId};
use crate::json;
use crate::names::named_enum;
use crate::time::Timestamp;

/// The most characters of a webhook's URL.
pub const MAX_URL: usize = 2000;

/// A webhook of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The receiver's URL.
    pub url: String,
    /// Its purpose, for people.
    pub description: Option<String>,
    /// False while it is sent nothing.
    pub enabled: bool,
}

impl Webhook {
    /// Returns the fingerprint of the canonical text: the version of the webhook.
    #[must_use]
    pub fn digest(&self) -> Fingerprint {
        // Neither can fail, since all keys are strings and there are no numbers.
        let text = serde_json::to_string(self).unwrap_or_default();
        Fingerprint::of(&json::parse(text.as_bytes()).map(|value| canonical::write(&value)).unwrap_or_default())
    }

    /// Returns the values that break a rule of the domain, without those of the URL's form.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let url = Fault::in_text("/url", &self.url, MAX_URL);
        let description = self.description.as_deref().and_then(|text| Fault::in_text("/description", text, MAX_TEXT));
        url.into_iter().chain(description).collect()
    }
}

/// The text does not name the news of a notification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown news \"{0}\"")]
pub struct UnknownNews(String);

named_enum!(
    /// What a notification tells, as its `type`.
    News, UnknownNews {
        /// An alert was opened.
        Opened = "alert.opened",
        /// An alert is still open.
        Reminded = "alert.reminded",
        /// An alert was resolved.
        Resolved = "alert.resolved",
        /// Nothing: somebody tries whether the webhook works.
        Test = "webhook.test",
    }
);

/// The text does not name the state of a notification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown state of a notification \"{0}\"")]
pub struct UnknownNotificationState(String);

named_enum!(
    /// The state of a notification.
    NotificationState, UnknownNotificationState {
        /// It waits, or is being sent.
        Queued = "queued",
        /// The receiver has taken it.
        Delivered = "delivered",
        /// A dead letter: it is not sent again unless somebody replays it.
        Dead = "dead",
    }
);

/// A notification of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Its id: the `webhook-id` of each attempt.
    pub id: NotificationId,
    /// The name of the webhook, which may be gone.
    pub webhook: WebhookName,
    /// What it tells.
    pub news: News,
    /// The alert; `None` for a test.
    pub alert_id: Option<AlertId>,
    /// Its state.
    pub state: NotificationState,
    /// The number of attempts that have begun, since it was queued last.
    pub attempts: u32,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// What the last failed attempt failed by.
    pub failure: Option<String>,
}
