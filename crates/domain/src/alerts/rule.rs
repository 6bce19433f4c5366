//! Rules: a condition, and what is made of it.

use serde::{Deserialize, Serialize};

use super::condition::{Condition, within};
use super::names::WebhookName;
use crate::canonical::{self, Fingerprint};
use crate::faults::{Fault, MAX_TEXT};
use crate::json;
use crate::names::named_enum;

/// The most webhooks that a rule names.
pub const MAX_WEBHOOKS_OF_RULE: usize = 10;

/// The longest time for which a condition has to hold, in seconds: 7 days.
const LONGEST_FOR: u32 = 7 * 86_400;
/// The shortest interval between two notifications of an open alert, in seconds.
const MIN_REPEAT: u32 = 300;
/// The longest interval between two notifications of an open alert, in seconds: 31 days.
const LONGEST_REPEAT: u32 = 31 * 86_400;

/// The text does not name a severity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown severity \"{0}\"")]
pub struct UnknownSeverity(String);

named_enum!(
    /// The severity of a rule's alerts.
    #[derive(Default, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    Severity, UnknownSeverity {
        /// Worth knowing.
        Info = "info",
        /// To be looked at.
        #[default]
        Warning = "warning",
        /// To be acted on at once.
        Critical = "critical",
    }
);

/// A rule of a tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it watches.
    pub condition: Condition,
    /// What its alerts mean, for people.
    pub description: Option<String>,
    /// False while it is not evaluated.
    pub enabled: bool,
    /// The severity of its alerts.
    pub severity: Severity,
    /// The time for which the condition has to hold until an alert is opened, in seconds.
    pub for_seconds: u32,
    /// The interval at which an open alert that nobody has acknowledged is told of again, in seconds; 0 for never.
    pub repeat_seconds: u32,
    /// The webhooks that are told of its alerts.
    pub webhooks: Vec<WebhookName>,
}

impl Rule {
    /// Returns the canonical text (RFC 8785).
    #[must_use]
    pub fn text(&self) -> String {
        // Neither can fail: all keys are strings, and no number of a checked rule is infinite.
        let text = serde_json::to_string(self).unwrap_or_default();
        json::parse(text.as_bytes()).map(|value| canonical::write(&value)).unwrap_or_default()
    }

    /// Returns the fingerprint of the canonical text: the version of the rule.
    #[must_use]
    pub fn digest(&self) -> Fingerprint {
        Fingerprint::of(&self.text())
    }

    /// Returns the values that break a rule of the domain.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = self.condition.faults("/condition");
        faults.extend(self.description.as_deref().and_then(|text| Fault::in_text("/description", text, MAX_TEXT)));
        faults.extend(within("/for_seconds", self.for_seconds, 0, LONGEST_FOR));
        if self.repeat_seconds != 0 {
            faults.extend(within("/repeat_seconds", self.repeat_seconds, MIN_REPEAT, LONGEST_REPEAT));
        }
        let mut named: Vec<&WebhookName> = self.webhooks.iter().collect();
        named.sort();
        named.dedup();
        if named.len() != self.webhooks.len() || named.len() > MAX_WEBHOOKS_OF_RULE {
            faults.push(Fault::new("/webhooks", format!("at most {MAX_WEBHOOKS_OF_RULE} webhooks, each once")));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Rule {
        Rule {
            condition: Condition::DeadLetters { count: 1 },
            description: None,
            enabled: true,
            severity: Severity::default(),
            for_seconds: 0,
            repeat_seconds: 0,
            webhooks: Vec::new(),
        }
    }

    #[test]
    fn the_text_of_a_rule_is_read_as_the_same_rule() {
        let rule = Rule { description: Some("Hall 7".to_owned()), ..rule() };
        assert_eq!(serde_json::from_str::<Rule>(&rule.text()).unwrap(), rule);
        assert_ne!(Rule { for_seconds: 60, ..rule.clone() }.digest(), rule.digest());
    }

    #[test]
    fn values_that_break_rules_are_named() {
        let hook = |name: &str| WebhookName::parse(name).unwrap();
        assert_eq!(rule().faults(), []);
        assert_eq!(Rule { repeat_seconds: 300, ..rule() }.faults(), []);
        let bad = Rule {
            description: Some("\u{202e}".to_owned()),
            for_seconds: LONGEST_FOR + 1,
            repeat_seconds: 1,
            webhooks: vec![hook("a"), hook("a")],
            ..rule()
        };
        let pointers: Vec<String> = bad.faults().into_iter().map(|fault| fault.pointer).collect();
        assert_eq!(pointers, ["/description", "/for_seconds", "/repeat_seconds", "/webhooks"]);
        let many = (0..=MAX_WEBHOOKS_OF_RULE).map(|number| hook(&number.to_string())).collect();
        assert_eq!(Rule { webhooks: many, ..rule() }.faults().len(), 1);
    }
}
