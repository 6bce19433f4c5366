//! Audit events: actor, action, object, time, origin and outcome.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::access::Actor;
use crate::alerts::{RuleName, WebhookName};
use crate::canonical::Fingerprint;
use crate::contracts::ContractId;
use crate::ids::{AlertId, ApiKeyId, LegalHoldId, MassRequestId, SavingsProjectId, SavingsReportId, SessionId, UserId};
use crate::mappings::MappingName;
use crate::names::named_enum;
use crate::tenancy::TenantId;
use crate::time::Timestamp;
use crate::trace::{Origin, RequestId, TraceParent};

/// The text does not name an action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown action \"{0}\"")]
pub struct UnknownAction(String);

named_enum!(
    /// The action of an event.
    Action, UnknownAction {
        /// A request was stored.
        Accepted = "accepted",
        /// Documents of one call were refused: they violate their contracts, or conflict with stored requests.
        PayloadRefused = "payload_refused",
        /// A request was superseded by a correction.
        Corrected = "corrected",
        /// A superseded request became current again, because its correction was deleted.
        Reinstated = "reinstated",
        /// A request moved to another status.
        StatusChanged = "status_changed",
        /// A request's document was erased.
        Deleted = "deleted",
        /// A request was queued for the engine.
        Sent = "sent",
        /// The engine's answer to a request was stored.
        Delivered = "delivered",
        /// The engine gave no answer that could be stored, and is not asked again.
        DeliveryFailed = "delivery_failed",
        /// A dead delivery was queued again.
        DeliveryReplayed = "delivery_replayed",
        /// A delivery was cancelled.
        DeliveryCancelled = "delivery_cancelled",
        /// A user logged in, or failed to.
        LoggedIn = "logged_in",
        /// A user logged out.
        LoggedOut = "logged_out",
        /// A session was revoked because a refresh token was used twice.
        SessionRevoked = "session_revoked",
        /// A refused credential was presented.
        CredentialsRefused = "credentials_refused",
        /// An authenticated principal lacked a permission.
        AccessRefused = "access_refused",
        /// Requests of a principal were refused, because it or its tenant sent too many.
        Throttled = "throttled",
        /// A user changed its own password, or failed to.
        PasswordChanged = "password_changed",
        /// A user's password was reset by somebody else.
        PasswordReset = "password_reset",
        /// A user enrolled a second factor.
        SecondFactorEnrolled = "second_factor_enrolled",
        /// A user proved its second factor, or failed to.
        SecondFactorProved = "second_factor_proved",
        /// A user's second factor was removed, by itself or by somebody else.
        SecondFactorRemoved = "second_factor_removed",
        /// A user got new recovery codes.
        RecoveryCodesReplaced = "recovery_codes_replaced",
        /// A tenant was created.
        TenantCreated = "tenant_created",
        /// A tenant was suspended: nobody gets in, and nothing is stored.
        TenantSuspended = "tenant_suspended",
        /// A suspended tenant was resumed.
        TenantResumed = "tenant_resumed",
        /// The deletion of a tenant was requested, to be erased after a grace period.
        TenantDeletionRequested = "tenant_deletion_requested",
        /// The deletion of a tenant was cancelled within its grace period.
        TenantDeletionCancelled = "tenant_deletion_cancelled",
        /// All data of a tenant were erased, but for the hashes of its audit log.
        TenantErased = "tenant_erased",
        /// A user was created.
        UserCreated = "user_created",
        /// A user's address, roles or state were changed.
        UserChanged = "user_changed",
        /// A user was deleted: its address and its password. The id stays.
        UserDeleted = "user_deleted",
        /// An API key was created.
        ApiKeyCreated = "api_key_created",
        /// An API key was revoked.
        ApiKeyRevoked = "api_key_revoked",
        /// A tenant's quotas were set.
        QuotasSet = "quotas_set",
        /// A tenant's settings were changed.
        SettingsSet = "settings_set",
        /// A mapping profile was created or replaced.
        MappingSet = "mapping_set",
        /// A mapping profile was deleted.
        MappingDeleted = "mapping_deleted",
        /// An alert rule was created or replaced.
        AlertRuleSet = "alert_rule_set",
        /// An alert rule was deleted.
        AlertRuleDeleted = "alert_rule_deleted",
        /// An alert was acknowledged.
        AlertAcknowledged = "alert_acknowledged",
        /// A webhook was created or replaced.
        WebhookSet = "webhook_set",
        /// A webhook was deleted.
        WebhookDeleted = "webhook_deleted",
        /// A webhook was given another secret.
        WebhookRotated = "webhook_secret_rotated",
        /// A notification was queued to try a webhook.
        WebhookTested = "webhook_tested",
        /// A dead notification of a webhook was queued again.
        NotificationReplayed = "notification_replayed",
        /// A savings project was created.
        SavingsCreated = "savings_created",
        /// The terms of a savings project were replaced.
        SavingsChanged = "savings_changed",
        /// A non-routine adjustment of a savings project was recorded.
        SavingsAdjusted = "savings_adjusted",
        /// The schedule of a savings project was drawn.
        SavingsScheduled = "savings_scheduled",
        /// A day of a savings project's schedule was confirmed.
        SavingsDayConfirmed = "savings_day_confirmed",
        /// A savings project was deleted.
        SavingsDeleted = "savings_deleted",
        /// A savings report was asked for.
        SavingsReportRequested = "savings_report_requested",
        /// A savings report was computed and signed.
        SavingsReported = "savings_reported",
        /// A savings report could not be computed.
        SavingsReportFailed = "savings_report_failed",
        /// A savings report was deleted, or its computation cancelled.
        SavingsReportDeleted = "savings_report_deleted",
        /// The rules by which documents are erased were set.
        RetentionSet = "retention_set",
        /// A legal hold was set.
        LegalHoldSet = "legal_hold_set",
        /// A legal hold was released.
        LegalHoldReleased = "legal_hold_released",
        /// The audit trail was exported.
        AuditExported = "audit_exported",
        /// Events were moved from the database to an export file.
        AuditArchived = "audit_archived",
        /// A backup of the database was written and verified.
        BackedUp = "backed_up",
        /// The database was restored from a backup.
        Restored = "restored",
        /// A server started.
        Started = "started",
        /// A server stopped.
        Stopped = "stopped",
    }
);

impl Action {
    /// Returns true if the action is one that security teams watch: of accounts, credentials, access and configuration, and of
    /// the audit trail and the server themselves.
    #[must_use]
    pub const fn is_of_security(self) -> bool {
        match self {
            Self::LoggedIn
            | Self::LoggedOut
            | Self::SessionRevoked
            | Self::CredentialsRefused
            | Self::AccessRefused
            | Self::Throttled
            | Self::PasswordChanged
            | Self::PasswordReset
            | Self::SecondFactorEnrolled
            | Self::SecondFactorProved
            | Self::SecondFactorRemoved
            | Self::RecoveryCodesReplaced
            | Self::TenantCreated
            | Self::TenantSuspended
            | Self::TenantResumed
            | Self::TenantDeletionRequested
            | Self::TenantDeletionCancelled
            | Self::TenantErased
            | Self::RetentionSet
            | Self::LegalHoldSet
            | Self::LegalHoldReleased
            | Self::UserCreated
            | Self::UserChanged
            | Self::UserDeleted
            | Self::ApiKeyCreated
            | Self::ApiKeyRevoked
            | Self::QuotasSet
            | Self::SettingsSet
            | Self::MappingSet
            | Self::MappingDeleted
            | Self::AlertRuleSet
            | Self::AlertRuleDeleted
            | Self::AlertAcknowledged
            | Self::WebhookSet
            | Self::WebhookDeleted
            | Self::WebhookRotated
            | Self::WebhookTested
            | Self::NotificationReplayed
            | Self::AuditExported
            | Self::AuditArchived
            | Self::BackedUp
            | Self::Restored
            | Self::Started
            | Self::Stopped => true,
            Self::Accepted
            | Self::PayloadRefused
            | Self::Corrected
            | Self::Reinstated
            | Self::StatusChanged
            | Self::Deleted
            | Self::Sent
            | Self::Delivered
            | Self::DeliveryFailed
            | Self::DeliveryReplayed
            | Self::DeliveryCancelled
            | Self::SavingsCreated
            | Self::SavingsChanged
            | Self::SavingsAdjusted
            | Self::SavingsScheduled
            | Self::SavingsDayConfirmed
            | Self::SavingsDeleted
            | Self::SavingsReportRequested
            | Self::SavingsReported
            | Self::SavingsReportFailed
            | Self::SavingsReportDeleted => false,
        }
    }
}

/// The text does not name an outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown outcome \"{0}\"")]
pub struct UnknownOutcome(String);

named_enum!(
    /// The outcome of an action.
    Outcome, UnknownOutcome {
        /// The action was done.
        Success = "success",
        /// The action was refused, and nothing changed.
        Refused = "refused",
    }
);

/// The detail with the digest of a user's new password hash.
pub const CREDENTIALS: &str = "credentials";

/// The object of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// A MASS request. A refused call names the id that the request of its first refused document would have had.
    MassRequest(MassRequestId),
    /// A user, or somebody who claims to be that user.
    User(UserId),
    /// A session.
    Session(SessionId),
    /// An API key.
    ApiKey(ApiKeyId),
    /// A tenant as such.
    Tenant(TenantId),
    /// The quotas of the event's tenant.
    Quotas,
    /// The settings of the event's tenant.
    Settings,
    /// A mapping profile of the event's tenant.
    Mapping(MappingName),
    /// An alert rule of the event's tenant.
    AlertRule(RuleName),
    /// An alert of the event's tenant.
    Alert(AlertId),
    /// A webhook of the event's tenant.
    Webhook(WebhookName),
    /// A savings project of the event's tenant.
    SavingsProject(SavingsProjectId),
    /// A report of a savings project of the event's tenant.
    SavingsReport(SavingsReportId),
    /// The rules by which documents of the event's tenant are erased.
    Retention,
    /// A legal hold of the event's tenant.
    LegalHold(LegalHoldId),
    /// The audit trail of the event's tenant.
    AuditTrail,
    /// An operation of the API: method and path pattern.
    Operation(String),
    /// The database of all tenants.
    Database,
    /// The server process.
    Server,
}

/// The kind and id do not name an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no object \"{kind}\" with this id")]
pub struct UnknownObject {
    kind: String,
}

impl Object {
    /// Returns the name of the kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::MassRequest(_) => "mass_request",
            Self::User(_) => "user",
            Self::Session(_) => "session",
            Self::ApiKey(_) => "api_key",
            Self::Tenant(_) => "tenant",
            Self::Quotas => "quotas",
            Self::Settings => "settings",
            Self::Mapping(_) => "mapping",
            Self::AlertRule(_) => "alert_rule",
            Self::Alert(_) => "alert",
            Self::Webhook(_) => "webhook",
            Self::SavingsProject(_) => "savings_project",
            Self::SavingsReport(_) => "savings_report",
            Self::Retention => "retention",
            Self::LegalHold(_) => "legal_hold",
            Self::AuditTrail => "audit_trail",
            Self::Operation(_) => "operation",
            Self::Database => "database",
            Self::Server => "server",
        }
    }

    /// Returns the id, if the kind has more than one object.
    #[must_use]
    pub fn id(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::MassRequest(id) => Some(Cow::Owned(id.to_string())),
            Self::User(id) => Some(Cow::Owned(id.to_string())),
            Self::Session(id) => Some(Cow::Owned(id.to_string())),
            Self::ApiKey(id) => Some(Cow::Owned(id.to_string())),
            Self::Tenant(id) => Some(Cow::Borrowed(id.as_str())),
            Self::Mapping(name) => Some(Cow::Borrowed(name.as_str())),
            Self::AlertRule(name) => Some(Cow::Borrowed(name.as_str())),
            Self::Alert(id) => Some(Cow::Owned(id.to_string())),
            Self::Webhook(name) => Some(Cow::Borrowed(name.as_str())),
            Self::SavingsProject(id) => Some(Cow::Owned(id.to_string())),
            Self::SavingsReport(id) => Some(Cow::Owned(id.to_string())),
            Self::LegalHold(id) => Some(Cow::Owned(id.to_string())),
            Self::Operation(text) => Some(Cow::Borrowed(text)),
            Self::Quotas | Self::Settings | Self::Retention | Self::AuditTrail | Self::Database | Self::Server => None,
        }
    }

    /// Restores an object from [`kind`](Self::kind) and [`id`](Self::id).
    ///
    /// # Errors
    /// [`UnknownObject`].
    pub fn from_parts(kind: &str, id: Option<&str>) -> Result<Self, UnknownObject> {
        let unknown = || UnknownObject { kind: kind.to_owned() };
        let uuid = |id: &str| Uuid::parse_str(id).map_err(|_| unknown());
        Ok(match (kind, id) {
            ("mass_request", Some(id)) => Self::MassRequest(MassRequestId::from_uuid(uuid(id)?)),
            ("user", Some(id)) => Self::User(UserId::from_uuid(uuid(id)?)),
            ("session", Some(id)) => Self::Session(SessionId::from_uuid(uuid(id)?)),
            ("api_key", Some(id)) => Self::ApiKey(ApiKeyId::from_uuid(uuid(id)?)),
            ("tenant", Some(id)) => Self::Tenant(TenantId::parse(id).map_err(|_| unknown())?),
            ("mapping", Some(id)) => Self::Mapping(MappingName::parse(id).map_err(|_| unknown())?),
            ("alert_rule", Some(id)) => Self::AlertRule(RuleName::parse(id).map_err(|_| unknown())?),
            ("webhook", Some(id)) => Self::Webhook(WebhookName::parse(id).map_err(|_| unknown())?),
            ("alert", Some(id)) => Self::Alert(AlertId::from_uuid(uuid(id)?)),
            ("savings_project", Some(id)) => Self::SavingsProject(SavingsProjectId::from_uuid(uuid(id)?)),
            ("savings_report", Some(id)) => Self::SavingsReport(SavingsReportId::from_uuid(uuid(id)?)),
            ("legal_hold", Some(id)) => Self::LegalHold(LegalHoldId::from_uuid(uuid(id)?)),
            ("operation", Some(id)) => Self::Operation(id.to_owned()),
            ("quotas", None) => Self::Quotas,
            ("settings", None) => Self::Settings,
            ("retention", None) => Self::Retention,
            ("audit_trail", None) => Self::AuditTrail,
            ("database", None) => Self::Database,
            ("server", None) => Self::Server,
            _ => return Err(unknown()),
        })
    }
}

/// The program that wrote an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The commit that it was built from.
    pub commit: String,
    /// Its version.
    pub version: String,
}

/// An event that has no sequence yet.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The tenant whose log it belongs to.
    pub tenant_id: TenantId,
    /// The time of the action.
    pub at: Timestamp,
    /// The actor.
    pub actor: Actor,
    /// The action.
    pub action: Action,
    /// The object of the action.
    pub object: Object,
    /// The outcome.
    pub outcome: Outcome,
    /// The contract of the document.
    pub contract: Option<ContractId>,
    /// The fingerprint of the document as it was sent.
    pub input: Option<Fingerprint>,
    /// The fingerprint of the normalised document. It stays after the document is erased.
    pub output: Option<Fingerprint>,
    /// The origin of the call.
    pub origin: Origin,
    /// Details of the action. Never a secret or a document; keys are ASCII, numbers are integers.
    pub detail: Map<String, Value>,
}

/// An event with its place in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its sequence in the tenant's log: from 1, without gaps.
    pub sequence: i64,
    /// The program that wrote it.
    pub program: Program,
    /// The event itself.
    pub event: NewEvent,
}

/// The text is not an audit event.
#[derive(Debug, thiserror::Error)]
#[error("not an audit event: {0}")]
pub struct UnreadableEvent(String);

/// The serialised event. Members are in the order of RFC 8785, and absent ones are left out, so that an event keeps its
/// text when later versions add members.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    actor: WrittenActor<'a>,
    #[serde(borrow)]
    at: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contract: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_empty")]
    detail: Cow<'a, Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<Cow<'a, str>>,
    #[serde(borrow)]
    object: WrittenObject<'a>,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<Cow<'a, str>>,
    program: Cow<'a, Program>,
    #[serde(borrow)]
    request_id: Cow<'a, str>,
    sequence: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    span_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tenant_id: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_id: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenActor<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenObject<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

fn is_empty(detail: &Map<String, Value>) -> bool {
    detail.is_empty()
}

impl NewEvent {
    /// Returns the canonical text (RFC 8785) of the event with its sequence: the entry of the tree.
    #[must_use]
    pub fn write(&self, sequence: i64, program: &Program) -> String {
        let Origin { request_id, trace, address } = &self.origin;
        let written = Written {
            action: self.action.as_str().into(),
            actor: WrittenActor { address: *address, id: self.actor.id(), kind: self.actor.kind().into() },
            at: self.at.to_string().into(),
            contract: self.contract.map(|contract| contract.to_string().into()),
            detail: Cow::Borrowed(&self.detail),
            input: self.input.map(|fingerprint| fingerprint.to_string().into()),
            object: WrittenObject { id: self.object.id(), kind: self.object.kind().into() },
            outcome: self.outcome.as_str().into(),
            output: self.output.map(|fingerprint| fingerprint.to_string().into()),
            program: Cow::Borrowed(program),
            request_id: request_id.as_str().into(),
            sequence,
            span_id: trace.map(|trace| trace.span_id().into()),
            tenant_id: self.tenant_id.as_str().into(),
            trace_id: trace.map(|trace| trace.trace_id().into()),
        };
        // Serialisation could only fail for a map with keys that are not strings, which does not occur.
        serde_json::to_string(&written).unwrap_or_default()
    }
}

impl Event {
    /// Returns the canonical text (RFC 8785).
    #[must_use]
    pub fn write(&self) -> String {
        self.event.write(self.sequence, &self.program)
    }

    /// Parses the text of [`write`](Self::write).
    ///
    /// # Errors
    /// [`UnreadableEvent`].
    pub fn read(text: &str) -> Result<Self, UnreadableEvent> {
        fn wrong(error: impl ToString) -> UnreadableEvent {
            UnreadableEvent(error.to_string())
        }
        let written: Written<'_> = serde_json::from_str(text).map_err(wrong)?;
        let actor =
            Actor::from_parts(&written.actor.kind, written.actor.id).ok_or_else(|| wrong("an unknown actor"))?;
        let trace = match (&written.trace_id, &written.span_id) {
            (Some(trace), Some(span)) => Some(format!("00-{trace}-{span}-00").parse::<TraceParent>().map_err(wrong)?),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(wrong("half a trace")),
        };
        let origin = Origin {
            request_id: RequestId::parse(&written.request_id).map_err(wrong)?,
            trace,
            address: written.actor.address,
        };
        let fingerprint = |text: &Option<Cow<'_, str>>| -> Result<Option<Fingerprint>, UnreadableEvent> {
            text.as_ref().map(|text| text.parse().map_err(wrong)).transpose()
        };
        let event = NewEvent {
            tenant_id: TenantId::parse(&written.tenant_id).map_err(wrong)?,
            at: written.at.parse().map_err(wrong)?,
            actor,
            action: written.action.parse().map_err(wrong)?,
            object: Object::from_parts(&written.object.kind, written.object.id.as_deref()).map_err(wrong)?,
            outcome: written.outcome.parse().map_err(wrong)?,
            contract: written.contract.as_ref().map(|text| text.parse().map_err(wrong)).transpose()?,
            input: fingerprint(&written.input)?,
            output: fingerprint(&written.output)?,
            origin,
            detail: written.detail.into_owned(),
        };
        Ok(Self { sequence: written.sequence, program: written.program.into_owned(), event })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{canonical, json};

    fn event(detail: Map<String, Value>, request_id: &str) -> Event {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00".parse().unwrap();
        let new = NewEvent {
            tenant_id: TenantId::parse("default").unwrap(),
            at: "2026-11-24T18:00:00.120Z".parse().unwrap(),
            actor: Actor::User(UserId::from_uuid(Uuid::from_u128(7))),
            action: Action::Accepted,
            object: Object::MassRequest(MassRequestId::from_uuid(Uuid::from_u128(9))),
            outcome: Outcome::Success,
            contract: Some("device/1.1".parse().unwrap()),
            input: Some(Fingerprint::of("in")),
            output: Some(Fingerprint::of("out")),
            origin: Origin {
                request_id: RequestId::parse(request_id).unwrap(),
                trace: Some(trace),
                address: Some("::1".parse().unwrap()),
            },
            detail,
        };
        Event { sequence: 42, program: Program { commit: "abc".to_owned(), version: "0.1.0".to_owned() }, event: new }
    }

    #[test]
    fn events_round_trip_as_one_line() {
        let Value::Object(detail) = json!({"reason": "line\r\nforged \u{1b}[31m", "count": 3}) else { unreachable!() };
        let event = event(detail, "r-1");
        let text = event.write();
        assert!(!text.chars().any(char::is_control), "{text}");
        assert!(text.starts_with(r#"{"action":"accepted","actor":{"address":"::1","id":"0000"#), "{text}");
        assert_eq!(Event::read(&text).unwrap(), event);
    }

    #[test]
    fn refuses_texts_that_are_not_events() {
        let good = event(Map::new(), "r-1").write();
        for (from, to) in [
            ("\"accepted\"", "\"stolen\""),
            ("\"sequence\":42", "\"sequence\":\"42\""),
            ("\"kind\":\"user\"", "\"kind\":\"nobody\""),
            ("sha256:", "md5:"),
            ("\"outcome\":", "\"result\":"),
            ("\"span_id\":\"00f067aa0ba902b7\",", ""),
            ("\"trace_id\":\"4bf9", "\"trace_id\":\"+bf9"),
        ] {
            assert!(good.contains(from), "{from}");
            assert!(Event::read(&good.replacen(from, to, 1)).is_err(), "{to}");
        }
    }

    #[test]
    fn objects_round_trip_through_their_parts() {
        for object in [
            Object::Quotas,
            Object::Settings,
            Object::Mapping(MappingName::parse("site-7").unwrap()),
            Object::Retention,
            Object::LegalHold(LegalHoldId::from_uuid(Uuid::from_u128(4))),
            Object::AuditTrail,
            Object::Server,
            Object::Tenant(TenantId::parse("acme").unwrap()),
            Object::Operation("POST /v1/x".to_owned()),
            Object::AlertRule(RuleName::parse("hot").unwrap()),
            Object::Webhook(WebhookName::parse("pager").unwrap()),
            Object::Alert(AlertId::from_uuid(Uuid::from_u128(4))),
            Object::ApiKey(ApiKeyId::from_uuid(Uuid::from_u128(5))),
            Object::SavingsProject(SavingsProjectId::from_uuid(Uuid::from_u128(7))),
            Object::SavingsReport(SavingsReportId::from_uuid(Uuid::from_u128(8))),
            Object::Session(SessionId::from_uuid(Uuid::from_u128(6))),
        ] {
            assert_eq!(Object::from_parts(object.kind(), object.id().as_deref()), Ok(object));
        }
        assert!(Object::from_parts("user", Some("x")).is_err());
        assert!(Object::from_parts("quotas", Some("x")).is_err());
    }

    proptest! {
        #[test]
        fn the_text_of_events_is_canonical_json(text in any::<String>(), number in -9_007_199_254_740_991_i64..9_007_199_254_740_991) {
            prop_assume!(!text.contains('\0'));
            let Value::Object(detail) = json!({"reason": text, "n": number, "list": [{"b": text, "a": null}, true]})
                else { unreachable!() };
            let written = event(detail, "r-1").write();
            prop_assert_eq!(canonical::write(&json::parse(written.as_bytes()).unwrap()), written);
        }
    }
}
