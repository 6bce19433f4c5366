//! The shapes of alerts and their rules in bodies and answers.

mod schemas;

use garde::Validate;
use mass_alert_service::StoredRule;
use mass_domain::alerts::{self, AlertState, Condition, ConditionKind, Rule, Severity, WebhookName};
use mass_domain::page::Page;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::http::actor::ActorModel;

/// A rule as it is set.
#[derive(Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(example = schemas::terms_example())]
pub struct AlertRuleTerms {
    /// What the rule watches.
    #[schemars(schema_with = "schemas::condition")]
    condition: Condition,
    /// What its alerts mean, for people.
    #[serde(default)]
    #[schemars(length(min = 1, max = 1000))]
    description: Option<String>,
    /// False while it is not evaluated.
    #[serde(default = "yes")]
    enabled: bool,
    /// The severity of its alerts.
    #[serde(default)]
    #[schemars(schema_with = "schemas::severity")]
    severity: Severity,
    /// The time for which the condition has to hold until an alert is opened, in seconds.
    #[serde(default)]
    #[schemars(range(max = 604_800))]
    for_seconds: u32,
    /// The interval at which webhooks are told again of an open alert that nobody has acknowledged, in seconds; 0 for never,
    /// otherwise 300 or more.
    #[serde(default)]
    #[schemars(range(max = 2_678_400))]
    repeat_seconds: u32,
    /// The names of the webhooks that are told of its alerts: at most 10.
    #[serde(default)]
    #[schemars(schema_with = "schemas::webhooks")]
    webhooks: Vec<WebhookName>,
}

const fn yes() -> bool {
    true
}

impl From<AlertRuleTerms> for Rule {
    fn from(terms: AlertRuleTerms) -> Self {
        let AlertRuleTerms { condition, description, enabled, severity, for_seconds, repeat_seconds, webhooks } = terms;
        Self { condition, description, enabled, severity, for_seconds, repeat_seconds, webhooks }
    }
}

impl From<Rule> for AlertRuleTerms {
    fn from(rule: Rule) -> Self {
        let Rule { condition, description, enabled, severity, for_seconds, repeat_seconds, webhooks } = rule;
        Self { condition, description, enabled, severity, for_seconds, repeat_seconds, webhooks }
    }
}

/// A stored rule.
#[derive(Serialize, JsonSchema)]
#[schemars(example = schemas::rule_example())]
pub struct AlertRule {
    /// Its name.
    pub name: String,
    /// `sha256:` and the SHA-256 of the rule's canonical text: its version.
    pub digest: String,
    /// The rule.
    pub rule: AlertRuleTerms,
    /// Why it cannot be evaluated as it says; null if there is no reason.
    pub problem: Option<String>,
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

impl AlertRule {
    /// Builds the shape. `projects` tells whether this server keeps figures up to date.
    #[must_use]
    pub fn new(stored: StoredRule, projects: bool) -> Self {
        let is_blind = !projects && stored.rule.condition.kind().needs_figures();
        let off = "This server does not keep figures up to date (MASS_ANALYTICS=false), by which the rule is judged.";
        Self {
            name: stored.name.to_string(),
            digest: stored.digest.to_string(),
            problem: stored.problem.or_else(|| is_blind.then(|| off.to_owned())),
            rule: stored.rule.into(),
            created_at: stored.created_at.to_string(),
            created_by: stored.created_by.into(),
            updated_at: stored.updated_at.to_string(),
            updated_by: stored.updated_by.into(),
        }
    }
}

/// A page of rules, by name.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"items": [schemas::rule_example()], "next_cursor": null}))]
pub struct AlertRulePage {
    /// The rules.
    pub items: Vec<AlertRule>,
    /// To be sent as `cursor` for the page that follows; null on the last one.
    pub next_cursor: Option<String>,
}

impl AlertRulePage {
    /// Builds the shape, as [`AlertRule::new`] does.
    #[must_use]
    pub fn new(page: Page<StoredRule>, projects: bool) -> Self {
        let items = page.items.into_iter().map(|stored| AlertRule::new(stored, projects)).collect();
        Self { items, next_cursor: page.next_cursor }
    }
}

/// What an alert is about.
#[derive(Serialize, JsonSchema)]
pub struct AlertSubject {
    /// The kind: a device, a metric of it (`series`), a user, an API key, a session, or a part of the tenant.
    #[schemars(schema_with = "schemas::subject_kind")]
    pub kind: &'static str,
    /// The site; null where there is none.
    pub site_id: Option<String>,
    /// The device; null where there is none.
    pub device_id: Option<String>,
    /// The metric; null where there is none.
    pub metric: Option<String>,
    /// The id of the user, API key or session; null where there is none.
    #[schemars(extend("format" = "uuid"))]
    pub id: Option<String>,
}

impl From<alerts::Subject> for AlertSubject {
    fn from(subject: alerts::Subject) -> Self {
        use alerts::Subject;
        let of = |kind| Self { kind, site_id: None, device_id: None, metric: None, id: None };
        match subject {
            Subject::Device { site_id, device_id } => Self { site_id, device_id: Some(device_id), ..of("device") },
            Subject::Series { site_id, device_id, metric } => {
                Self { site_id, device_id, metric: Some(metric), ..of("series") }
            }
            Subject::Quarantine => of("quarantine"),
            Subject::Deliveries => of("deliveries"),
            Subject::AuditTrail => of("audit_trail"),
            Subject::User { id } => Self { id: Some(id.to_string()), ..of("user") },
            Subject::ApiKey { id } => Self { id: Some(id.to_string()), ..of("api_key") },
            Subject::Session { id } => Self { id: Some(id.to_string()), ..of("session") },
            Subject::Tenant => of("tenant"),
        }
    }
}

/// The acknowledgement of an alert.
#[derive(Serialize, JsonSchema)]
pub struct AlertAcknowledgement {
    /// The caller.
    pub by: ActorModel,
    /// When.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// What the caller had to say; null for nothing.
    pub note: Option<String>,
}

/// An acknowledgement to be stored.
#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(example = json!({"note": "The fan of unit 3 is replaced at noon."}))]
pub struct AlertAcknowledgementChange {
    /// What there is to say; null for nothing.
    #[serde(default)]
    #[schemars(length(min = 1, max = 1000))]
    pub(super) note: Option<String>,
}

/// An alert: a condition of a rule that holds for a subject, or did.
#[derive(Serialize, JsonSchema)]
#[schemars(example = schemas::alert_example())]
pub struct Alert {
    /// Its id.
    #[schemars(extend("format" = "uuid"))]
    pub id: String,
    /// The name of its rule.
    pub rule: String,
    /// The kind of the rule's condition.
    #[schemars(schema_with = "schemas::kind")]
    pub kind: &'static str,
    /// Its severity.
    #[schemars(schema_with = "schemas::severity")]
    pub severity: &'static str,
    /// Its state.
    #[schemars(extend("enum" = ["open", "resolved"]))]
    pub state: &'static str,
    /// A sentence for people.
    pub summary: String,
    /// Its subject.
    pub subject: AlertSubject,
    /// The value by which it was opened, or last told of: seconds of silence, the metric's value, or a number (at most that of the
    /// rule, beyond which nothing is counted, unless events are counted); null where there is none.
    pub value: Option<f64>,
    /// Since when the condition holds.
    #[schemars(extend("format" = "date-time"))]
    pub since: String,
    /// When it was opened.
    #[schemars(extend("format" = "date-time"))]
    pub opened_at: Option<String>,
    /// When it was resolved; null while it is open.
    #[schemars(extend("format" = "date-time"))]
    pub resolved_at: Option<String>,
    /// Why it was resolved; null while it is open.
    #[schemars(schema_with = "schemas::resolution")]
    pub resolution: Option<&'static str>,
    /// Who looks after it; null for nobody.
    pub acknowledgement: Option<AlertAcknowledgement>,
}

impl From<alerts::Alert> for Alert {
    fn from(alert: alerts::Alert) -> Self {
        let summary = alert.summary();
        let acknowledgement = alert.acknowledgement.map(|it| AlertAcknowledgement {
            by: it.by.into(),
            at: it.at.to_string(),
            note: it.note,
        });
        Self {
            id: alert.id.to_string(),
            rule: alert.rule.to_string(),
            kind: ConditionKind::as_str(alert.kind),
            severity: Severity::as_str(alert.severity),
            state: AlertState::as_str(alert.state),
            summary,
            subject: alert.subject.into(),
            value: alert.value,
            since: alert.since.to_string(),
            opened_at: alert.opened_at.map(|at| at.to_string()),
            resolved_at: alert.resolved_at.map(|at| at.to_string()),
            resolution: alert.resolution.map(alerts::Resolution::as_str),
            acknowledgement,
        }
    }
}

/// A page of alerts, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"items": [schemas::alert_example()], "next_cursor": null}))]
pub struct AlertPage {
    /// The alerts.
    pub items: Vec<Alert>,
    /// To be sent as `cursor`, with the same filters, for the page that follows; null on the last one.
    pub next_cursor: Option<String>,
}

impl From<Page<alerts::Alert>> for AlertPage {
    fn from(page: Page<alerts::Alert>) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), next_cursor: page.next_cursor }
    }
}

/// Reads a state that alerts are shown in.
///
/// # Errors
/// The expected values.
pub fn shown_state(text: &str) -> Result<AlertState, String> {
    text.parse().ok().filter(|state| *state != AlertState::Pending).ok_or_else(|| "One of open, resolved.".to_owned())
}
