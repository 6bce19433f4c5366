//! The conditions that rules watch.

use serde::{Deserialize, Serialize};

use crate::audit::{Action, Outcome};
use crate::faults::Fault;
use crate::metrics::is_name;
use crate::names::named_enum;

/// The shortest silence that a rule can wait for, in seconds.
const MIN_SILENCE: u32 = 60;
/// The longest time in a condition, in seconds: 31 days.
const LONGEST: u32 = 31 * 86_400;
/// The longest window in which events are counted, in seconds: 7 days.
const LONGEST_WINDOW: u32 = 7 * 86_400;
/// The shortest window in which records and events are counted, in seconds.
const MIN_WINDOW: u32 = 60;
/// The most records or deliveries that a rule counts.
const MOST_COUNTED: u32 = 100_000;
/// The most events that a rule counts.
const MOST_EVENTS: u32 = 100;

/// The age beyond which a value is no evidence, unless the rule says otherwise: an hour.
const DEFAULT_MAX_AGE: u32 = 3600;

/// The text does not name a kind of condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of condition \"{0}\"")]
pub struct UnknownConditionKind(String);

named_enum!(
    /// The kind of a condition.
    ConditionKind, UnknownConditionKind {
        /// A device sends nothing.
        DeviceSilent = "device_silent",
        /// The last value of a metric is out of bounds.
        MetricOutOfRange = "metric_out_of_range",
        /// Many records were put into the quarantine.
        QuarantineGrowth = "quarantine_growth",
        /// Deliveries to the engine are dead letters.
        DeadLetters = "dead_letters",
        /// The audit trail is not as it was signed.
        AuditTrailBroken = "audit_trail_broken",
        /// A refresh token was used twice.
        RefreshTokenReused = "refresh_token_reused",
        /// Log-ins of a user failed.
        FailedLogins = "failed_logins",
        /// A caller was refused operations that it may not call.
        AccessRefused = "access_refused",
        /// Requests of a caller or of the tenant were refused, because there were too many.
        Throttled = "throttled",
        /// An API key was created, or a user was given access.
        AccessGranted = "access_granted",
    }
);

impl ConditionKind {
    /// Returns true if the condition and its alerts tell of what the audit trail tells, which needs `audit:read`.
    #[must_use]
    pub const fn is_security(self) -> bool {
        match self {
            Self::DeviceSilent | Self::MetricOutOfRange | Self::QuarantineGrowth | Self::DeadLetters => false,
            Self::AuditTrailBroken
            | Self::RefreshTokenReused
            | Self::FailedLogins
            | Self::AccessRefused
            | Self::Throttled
            | Self::AccessGranted => true,
        }
    }

    /// Returns true if the condition is judged by figures, which a server without analytics does not keep up to date.
    #[must_use]
    pub const fn needs_figures(self) -> bool {
        matches!(self, Self::DeviceSilent | Self::MetricOutOfRange)
    }
}

/// The bounds of a metric's last value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricBounds {
    /// The metric.
    pub metric: String,
    /// Only at this site.
    #[serde(default)]
    pub site_id: Option<String>,
    /// Only of this device.
    #[serde(default)]
    pub device_id: Option<String>,
    /// The least value within the range.
    #[serde(default)]
    pub min: Option<f64>,
    /// The greatest value within the range.
    #[serde(default)]
    pub max: Option<f64>,
    /// The distance from the bound, within the range, that a value has to reach until the alert is resolved.
    #[serde(default)]
    pub hysteresis: f64,
    /// The age in seconds beyond which a value is no evidence: it neither opens an alert nor resolves one.
    #[serde(default = "default_max_age")]
    pub max_age_seconds: u32,
}

const fn default_max_age() -> u32 {
    DEFAULT_MAX_AGE
}

const fn one() -> u32 {
    1
}

/// A number of events within a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventCount {
    /// The number of events of one subject.
    #[serde(default = "one")]
    pub count: u32,
    /// The time in which they happen, in seconds.
    #[serde(default = "default_max_age")]
    pub within_seconds: u32,
}

/// A condition, judged for each of its subjects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// A device has sent no reading for a while.
    DeviceSilent {
        /// Only devices at this site.
        #[serde(default)]
        site_id: Option<String>,
        /// Only this device.
        #[serde(default)]
        device_id: Option<String>,
        /// The time since the newest reading, in seconds.
        after_seconds: u32,
    },
    /// The last value of a metric is out of bounds.
    MetricOutOfRange(MetricBounds),
    /// Records were put into the quarantine and are still there.
    QuarantineGrowth {
        /// The number of records.
        records: u32,
        /// The time in which they came, in seconds.
        within_seconds: u32,
    },
    /// Deliveries to the engine are dead letters now.
    DeadLetters {
        /// The number of deliveries.
        #[serde(default = "one")]
        count: u32,
    },
    /// The audit trail is not as it was signed.
    AuditTrailBroken {},
    /// A refresh token was used twice.
    RefreshTokenReused(EventCount),
    /// Log-ins of a user failed.
    FailedLogins(EventCount),
    /// A caller was refused operations that it may not call.
    AccessRefused(EventCount),
    /// Requests of a caller or of the tenant were refused, because there were too many.
    Throttled(EventCount),
    /// An API key was created, or a user was given access.
    AccessGranted(EventCount),
}

/// The events of the audit trail that a condition counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchedEvents {
    /// The actions.
    pub actions: &'static [Action],
    /// The outcome that counts.
    pub outcome: Outcome,
    /// How many, and within which time.
    pub count: EventCount,
}

impl Condition {
    /// Returns the kind.
    #[must_use]
    pub const fn kind(&self) -> ConditionKind {
        match self {
            Self::DeviceSilent { .. } => ConditionKind::DeviceSilent,
            Self::MetricOutOfRange(_) => ConditionKind::MetricOutOfRange,
            Self::QuarantineGrowth { .. } => ConditionKind::QuarantineGrowth,
            Self::DeadLetters { .. } => ConditionKind::DeadLetters,
            Self::AuditTrailBroken {} => ConditionKind::AuditTrailBroken,
            Self::RefreshTokenReused(_) => ConditionKind::RefreshTokenReused,
            Self::FailedLogins(_) => ConditionKind::FailedLogins,
            Self::AccessRefused(_) => ConditionKind::AccessRefused,
            Self::Throttled(_) => ConditionKind::Throttled,
            Self::AccessGranted(_) => ConditionKind::AccessGranted,
        }
    }

    /// Returns the events that the condition counts; `None` if it counts none.
    #[must_use]
    pub const fn watched_events(&self) -> Option<WatchedEvents> {
        let (actions, outcome, count): (&'static [Action], _, _) = match self {
            Self::RefreshTokenReused(count) => (&[Action::SessionRevoked], Outcome::Success, *count),
            Self::FailedLogins(count) => (&[Action::LoggedIn, Action::PasswordChanged], Outcome::Refused, *count),
            Self::AccessRefused(count) => (&[Action::AccessRefused], Outcome::Refused, *count),
            Self::Throttled(count) => (&[Action::Throttled], Outcome::Refused, *count),
            Self::AccessGranted(count) => {
                (&[Action::ApiKeyCreated, Action::UserCreated, Action::UserChanged], Outcome::Success, *count)
            }
            Self::DeviceSilent { .. }
            | Self::MetricOutOfRange(_)
            | Self::QuarantineGrowth { .. }
            | Self::DeadLetters { .. }
            | Self::AuditTrailBroken {} => return None,
        };
        Some(WatchedEvents { actions, outcome, count })
    }

    /// Returns the values that break a rule, with pointers from the condition on.
    #[must_use]
    pub fn faults(&self, at: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut check = |fault: Option<Fault>| faults.extend(fault);
        let pointer = |member: &str| format!("{at}/{member}");
        match self {
            Self::DeviceSilent { site_id, device_id, after_seconds } => {
                check(site_id.as_deref().and_then(|name| Fault::in_name(&pointer("site_id"), name)));
                check(device_id.as_deref().and_then(|name| Fault::in_name(&pointer("device_id"), name)));
                check(within(&pointer("after_seconds"), *after_seconds, MIN_SILENCE, LONGEST));
            }
            Self::MetricOutOfRange(bounds) => faults.extend(bounds.faults(at)),
            Self::QuarantineGrowth { records, within_seconds } => {
                check(within(&pointer("records"), *records, 1, MOST_COUNTED));
                check(within(&pointer("within_seconds"), *within_seconds, MIN_WINDOW, LONGEST_WINDOW));
            }
            Self::DeadLetters { count } => check(within(&pointer("count"), *count, 1, MOST_COUNTED)),
            Self::AuditTrailBroken {} => {}
            Self::RefreshTokenReused(it)
            | Self::FailedLogins(it)
            | Self::AccessRefused(it)
            | Self::Throttled(it)
            | Self::AccessGranted(it) => {
                check(within(&pointer("count"), it.count, 1, MOST_EVENTS));
                check(within(&pointer("within_seconds"), it.within_seconds, MIN_WINDOW, LONGEST_WINDOW));
            }
        }
        faults
    }
}

impl MetricBounds {
    fn faults(&self, at: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        let pointer = |member: &str| format!("{at}/{member}");
        if !is_name(&self.metric) {
            faults.push(Fault::new(&pointer("metric"), "the name of a metric"));
        }
        faults.extend(self.site_id.as_deref().and_then(|name| Fault::in_name(&pointer("site_id"), name)));
        faults.extend(self.device_id.as_deref().and_then(|name| Fault::in_name(&pointer("device_id"), name)));
        match (self.min, self.max) {
            (None, None) => faults.push(Fault::new(at, "min, max or both")),
            (Some(min), Some(max)) if min > max => faults.push(Fault::new(&pointer("max"), "at least min")),
            (Some(_), _) | (_, Some(_)) => {}
        }
        let width = self.min.zip(self.max).map(|(min, max)| max - min);
        let is_good = self.hysteresis >= 0.0 && width.is_none_or(|width| self.hysteresis <= width);
        if !is_good {
            faults.push(Fault::new(&pointer("hysteresis"), "0 or more, and at most the width of the range"));
        }
        faults.extend(within(&pointer("max_age_seconds"), self.max_age_seconds, MIN_WINDOW, LONGEST));
        faults
    }
}

/// Returns a fault if a number is not within these bounds.
pub(super) fn within(pointer: &str, value: u32, least: u32, most: u32) -> Option<Fault> {
    (!(least..=most).contains(&value)).then(|| Fault::new(pointer, format!("a whole number from {least} to {most}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_is_read_by_its_name_and_refuses_unknown_members() {
        let members = |kind: ConditionKind| match kind {
            ConditionKind::DeviceSilent => json!({"after_seconds": 600}),
            ConditionKind::MetricOutOfRange => json!({"metric": "temperature_celsius", "max": 27.0}),
            ConditionKind::QuarantineGrowth => json!({"records": 10, "within_seconds": 600}),
            ConditionKind::DeadLetters
            | ConditionKind::AuditTrailBroken
            | ConditionKind::RefreshTokenReused
            | ConditionKind::FailedLogins
            | ConditionKind::AccessRefused
            | ConditionKind::Throttled
            | ConditionKind::AccessGranted => json!({}),
        };
        for kind in ConditionKind::ALL {
            let mut text = members(*kind);
            text["kind"] = json!(kind.as_str());
            let condition: Condition = serde_json::from_value(text.clone()).unwrap();
            assert_eq!((condition.kind(), condition.faults("")), (*kind, Vec::new()));
            let again = serde_json::to_value(&condition).unwrap();
            assert_eq!(serde_json::from_value::<Condition>(again).unwrap(), condition);
            text["more"] = json!(1);
            assert!(serde_json::from_value::<Condition>(text).is_err(), "{kind}");
        }
    }

    #[test]
    fn values_that_break_rules_are_named() {
        let faults = |condition| {
            let condition: Condition = serde_json::from_value(condition).unwrap();
            condition.faults("/condition").into_iter().map(|fault| fault.pointer).collect::<Vec<_>>()
        };
        let metric = "temperature_celsius";
        for (condition, pointers) in [
            (json!({"kind": "device_silent", "after_seconds": 59}), vec!["/condition/after_seconds"]),
            (json!({"kind": "device_silent", "after_seconds": 60, "device_id": ""}), vec!["/condition/device_id"]),
            (json!({"kind": "metric_out_of_range", "metric": metric}), vec!["/condition"]),
            (json!({"kind": "metric_out_of_range", "metric": "No name", "min": 1}), vec!["/condition/metric"]),
            (
                json!({"kind": "metric_out_of_range", "metric": metric, "min": 2, "max": 1}),
                vec!["/condition/max", "/condition/hysteresis"],
            ),
            (
                json!({"kind": "metric_out_of_range", "metric": metric, "min": 1, "max": 2, "hysteresis": 1.5}),
                vec!["/condition/hysteresis"],
            ),
            (
                json!({"kind": "quarantine_growth", "records": 0, "within_seconds": 1}),
                vec!["/condition/records", "/condition/within_seconds"],
            ),
            (json!({"kind": "dead_letters", "count": 0}), vec!["/condition/count"]),
            (
                json!({"kind": "failed_logins", "count": 101, "within_seconds": 604_801}),
                vec!["/condition/count", "/condition/within_seconds"],
            ),
        ] {
            assert_eq!(faults(condition.clone()), pointers, "{condition}");
        }
    }
}
