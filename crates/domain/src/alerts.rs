//! Alerts: rules of a tenant, what they watch, and the life of an alert, as pure functions of what is observed.
//!
//! A rule watches *subjects*, such as devices. Each evaluation makes an [`Observation`] of every subject, and [`judge`]
//! decides what becomes of the rule's alerts.

mod alert;
mod condition;
mod evaluation;
mod names;
mod observe;
mod rule;
mod webhook;

pub use alert::{Acknowledgement, Alert, AlertState, Resolution, Subject, UnknownAlertState, UnknownResolution};
pub use condition::{Condition, ConditionKind, EventCount, MetricBounds, UnknownConditionKind, WatchedEvents};
pub use evaluation::{LiveAlert, MAX_LIVE, Move, Observation, Observations, Verdict, judge};
pub use names::{InvalidRuleName, InvalidWebhookName, RuleName, WebhookName};
pub use observe::{Last, counted, events, out_of_range, silence, subject_of, trail};
pub use rule::{MAX_WEBHOOKS_OF_RULE, Rule, Severity, UnknownSeverity};
pub use webhook::{MAX_URL, News, Notification, NotificationState, UnknownNews, UnknownNotificationState, Webhook};
