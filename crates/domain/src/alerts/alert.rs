//! Alerts: a condition of a rule that holds for a subject, or did.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::condition::ConditionKind;
use super::names::RuleName;
use super::rule::Severity;
use crate::access::Actor;
use crate::canonical::{self, Fingerprint};
use crate::ids::AlertId;
use crate::json;
use crate::names::named_enum;
use crate::time::Timestamp;

/// The text does not name a state of an alert.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown state of an alert \"{0}\"")]
pub struct UnknownAlertState(String);

named_enum!(
    /// The state of an alert.
    AlertState, UnknownAlertState {
        /// The condition holds, but not yet for as long as the rule says. Not shown.
        Pending = "pending",
        /// The condition holds.
        Open = "open",
        /// The condition does not hold any more.
        Resolved = "resolved",
    }
);

/// The text does not name the reason of a resolution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown reason of a resolution \"{0}\"")]
pub struct UnknownResolution(String);

named_enum!(
    /// The reason for which an alert is resolved.
    Resolution, UnknownResolution {
        /// The condition does not hold any more.
        Cleared = "cleared",
        /// There is no such subject any more, or the rule does not watch it.
        SubjectGone = "subject_gone",
        /// The rule was deleted.
        RuleDeleted = "rule_deleted",
        /// The rule was disabled.
        RuleDisabled = "rule_disabled",
    }
);

/// The subject of an alert.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Subject {
    /// A device.
    Device {
        /// Its site, if its documents name one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        site_id: Option<String>,
        /// Its id.
        device_id: String,
    },
    /// A metric of a device, or of a site as a whole.
    Series {
        /// The site, if the documents name one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        site_id: Option<String>,
        /// The device; `None` for the site as a whole.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device_id: Option<String>,
        /// The metric.
        metric: String,
    },
    /// The quarantine of the tenant.
    Quarantine,
    /// The deliveries of the tenant.
    Deliveries,
    /// The audit trail of the tenant.
    AuditTrail,
    /// A user.
    User {
        /// Its id.
        id: Uuid,
    },
    /// An API key.
    ApiKey {
        /// Its id.
        id: Uuid,
    },
    /// A session.
    Session {
        /// Its id.
        id: Uuid,
    },
    /// The tenant as a whole.
    Tenant,
}

impl Subject {
    /// Returns the canonical text (RFC 8785).
    #[must_use]
    pub fn text(&self) -> String {
        // Neither can fail, since all keys are strings and there are no numbers.
        let text = serde_json::to_string(self).unwrap_or_default();
        json::parse(text.as_bytes()).map(|value| canonical::write(&value)).unwrap_or_default()
    }

    /// Returns the fingerprint of the canonical text.
    #[must_use]
    pub fn digest(&self) -> Fingerprint {
        Fingerprint::of(&self.text())
    }
}

/// The acknowledgement of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The caller.
    pub by: Actor,
    /// The time.
    pub at: Timestamp,
    /// What it has to say.
    pub note: Option<String>,
}

/// An alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// The name of its rule.
    pub rule: RuleName,
    /// The kind of the rule's condition.
    pub kind: ConditionKind,
    /// Its severity.
    pub severity: Severity,
    /// Its subject.
    pub subject: Subject,
    /// Its state.
    pub state: AlertState,
    /// The time since which the condition holds.
    pub since: Timestamp,
    /// The time at which it was opened; `None` while it is pending.
    pub opened_at: Option<Timestamp>,
    /// The time at which it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// The reason of the resolution.
    pub resolution: Option<Resolution>,
    /// The value by which it was opened, or last told of: seconds of silence, a metric's value, or a number.
    pub value: Option<f64>,
    /// The time at which webhooks were last told that it is open.
    pub notified_at: Option<Timestamp>,
    /// The acknowledgement.
    pub acknowledgement: Option<Acknowledgement>,
}

impl Alert {
    /// Returns a sentence for people.
    #[must_use]
    pub fn summary(&self) -> String {
        let value = self.value.unwrap_or_default();
        match (self.kind, &self.subject) {
            (ConditionKind::DeviceSilent, subject) => format!("No reading of {subject} for {value} s."),
            (ConditionKind::MetricOutOfRange, subject) => format!("{} is out of range: {value}.", capital(subject)),
            (ConditionKind::QuarantineGrowth, _) => format!("At least {value} records were put into the quarantine."),
            (ConditionKind::DeadLetters, _) => format!("At least {value} deliveries to the engine are dead letters."),
            (ConditionKind::AuditTrailBroken, _) => "The audit trail is not as it was signed.".to_owned(),
            (ConditionKind::RefreshTokenReused, subject) => {
                format!("A refresh token of {subject} was used twice, which has ended the session.")
            }
            (ConditionKind::FailedLogins, subject) => format!("{value} log-ins of {subject} have failed."),
            (ConditionKind::AccessRefused, subject) => {
                format!("{} was refused operations that it may not call: {value}.", capital(subject))
            }
            (ConditionKind::Throttled, subject) => format!("{} has sent too many requests.", capital(subject)),
            (ConditionKind::AccessGranted, subject) => format!("{} was given access.", capital(subject)),
        }
    }
}

fn capital(subject: &Subject) -> String {
    let text = subject.to_string();
    // The others begin with the name of a metric.
    text.strip_prefix("the ").map(|rest| format!("The {rest}")).unwrap_or(text)
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Device { site_id: Some(site_id), device_id } => {
                write!(f, "the device {device_id} at the site {site_id}")
            }
            Self::Device { site_id: None, device_id } => write!(f, "the device {device_id}"),
            Self::Series { site_id, device_id, metric } => {
                write!(f, "{metric} of ")?;
                match (site_id, device_id) {
                    (Some(site_id), Some(device_id)) => write!(f, "the device {device_id} at the site {site_id}"),
                    (Some(site_id), None) => write!(f, "the site {site_id}"),
                    (None, Some(device_id)) => write!(f, "the device {device_id}"),
                    (None, None) => f.write_str("the tenant"),
                }
            }
            Self::Quarantine => f.write_str("the quarantine"),
            Self::Deliveries => f.write_str("the deliveries"),
            Self::AuditTrail => f.write_str("the audit trail"),
            Self::User { id } => write!(f, "the user {id}"),
            Self::ApiKey { id } => write!(f, "the API key {id}"),
            Self::Session { id } => write!(f, "the session {id}"),
            Self::Tenant => f.write_str("the tenant"),
        }
    }
}
