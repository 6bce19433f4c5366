//! Authorisation of every operation: all callers on all objects, as one table says.
//!
//! The table is written by hand and independent of the program's own, so that it finds mistakes there. `judgement.rs`
//! tests documents that name another tenant; `auth.rs` tests tokens.

use futures_util::stream::{self, StreamExt};
use mass_domain::access::{Permission, Role};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::client::{Answer, Client};
use crate::support::documents::reading;
use crate::support::operations::{self, Operation};
use crate::support::{FOUNDER, OTHER_TENANT, PASSWORD, TENANT, TestApp};

use Needs::{Nothing, Permits, PermitsToGive, Person, Token};
use Permission::{
    AlertsManage, AlertsRead, AnalyticsRead, AuditRead, DeliveriesManage, KeysManage, MassRead, MassWrite, MetricsRead,
    SavingsManage, SettingsManage, TenantsManage, UsersManage,
};

on_both!(every_caller_gets_what_the_table_says);

also_restricted!(every_caller_gets_what_the_table_says);

/// Every operation of the document: the access it needs, its success status, and the object of its path.
const TABLE: &[(&str, Needs, u16, Object)] = &[
    ("GET /.well-known/jwks.json", Nothing, 200, Object::None),
    ("GET /.well-known/mass-audit-key", Nothing, 200, Object::None),
    ("GET /health", Nothing, 200, Object::None),
    ("GET /ready", Nothing, 200, Object::None),
    ("GET /version", Nothing, 200, Object::None),
    ("GET /metrics", Permits(MetricsRead), 200, Object::None),
    ("POST /v1/auth/login", Nothing, 200, Object::None),
    ("POST /v1/auth/refresh", Nothing, 200, Object::None),
    ("POST /v1/auth/register", Nothing, 204, Object::None),
    ("POST /v1/auth/logout", Token, 204, Object::None),
    ("POST /v1/auth/password", Person, 204, Object::None),
    // None of them has a second factor yet.
    ("GET /v1/auth/second-factor", Token, 200, Object::None),
    ("POST /v1/auth/second-factor/confirm", Person, 409, Object::None),
    ("POST /v1/auth/second-factor/prove", Person, 409, Object::None),
    ("POST /v1/auth/second-factor/recovery-codes", Person, 409, Object::None),
    ("DELETE /v1/auth/second-factor", Person, 409, Object::None),
    ("POST /v1/auth/second-factor", Person, 201, Object::None),
    ("GET /v1/auth/me", Token, 200, Object::None),
    ("GET /v1/auth/sessions", Token, 200, Object::None),
    ("DELETE /v1/auth/sessions/{id}", Token, 204, Object::Session),
    ("GET /v1/contracts", Token, 200, Object::None),
    ("GET /v1/contracts/{name}/{version}", Token, 200, Object::None),
    ("POST /v1/mass-requests/validate", Permits(MassWrite), 200, Object::None),
    ("POST /v1/mass-requests/normalize", Permits(MassWrite), 200, Object::None),
    ("POST /v1/mass-requests", Permits(MassWrite), 201, Object::None),
    ("POST /v1/mass-requests/batch", Permits(MassWrite), 200, Object::None),
    ("GET /v1/mass-requests", Permits(MassRead), 200, Object::None),
    ("DELETE /v1/mass-requests", Permits(MassWrite), 200, Object::None),
    ("GET /v1/mass-requests/export", Permits(MassRead), 200, Object::None),
    ("GET /v1/mass-requests/{id}", Permits(MassRead), 200, Object::Request),
    ("GET /v1/mass-requests/{id}/events", Permits(MassRead), 200, Object::Request),
    ("GET /v1/mass-requests/{id}/receipt", Permits(MassRead), 200, Object::Request),
    ("PATCH /v1/mass-requests/{id}/status", Permits(MassWrite), 200, Object::Request),
    ("DELETE /v1/mass-requests/{id}", Permits(MassWrite), 204, Object::Request),
    ("POST /v1/mass-requests/{id}/send", Permits(MassWrite), 202, Object::Request),
    ("GET /v1/mass-requests/{id}/recommendations", Permits(MassRead), 200, Object::Request),
    ("GET /v1/recommendations", Permits(MassRead), 200, Object::None),
    ("GET /v1/mappings", Permits(MassRead), 200, Object::None),
    ("GET /v1/mappings/{name}", Permits(MassRead), 200, Object::Mapping),
    ("PUT /v1/mappings/{name}", Permits(SettingsManage), 201, Object::NewMapping),
    ("DELETE /v1/mappings/{name}", Permits(SettingsManage), 204, Object::Mapping),
    ("POST /v1/mappings/{name}/preview", Permits(MassWrite), 200, Object::Mapping),
    ("GET /v1/quarantine", Permits(MassRead), 200, Object::None),
    ("GET /v1/quarantine/{id}", Permits(MassRead), 200, Object::Quarantined),
    ("POST /v1/quarantine/{id}/retry", Permits(MassWrite), 201, Object::Quarantined),
    ("DELETE /v1/quarantine/{id}", Permits(MassWrite), 204, Object::Quarantined),
    ("DELETE /v1/quarantine", Permits(MassWrite), 200, Object::None),
    ("GET /v1/sites", Permits(AnalyticsRead), 200, Object::None),
    ("GET /v1/devices", Permits(AnalyticsRead), 200, Object::None),
    ("GET /v1/devices/{id}", Permits(AnalyticsRead), 200, Object::Device),
    ("GET /v1/analytics/series", Permits(AnalyticsRead), 200, Object::None),
    ("GET /v1/analytics/kpis", Permits(AnalyticsRead), 200, Object::None),
    ("GET /v1/analytics/quality", Permits(AnalyticsRead), 200, Object::None),
    ("GET /v1/analytics/usage", Permits(SettingsManage), 200, Object::None),
    ("POST /v1/savings/plans", Permits(AnalyticsRead), 422, Object::None),
    ("POST /v1/savings/projects", Permits(SavingsManage), 201, Object::None),
    ("GET /v1/savings/projects", Permits(AnalyticsRead), 200, Object::None),
    ("GET /v1/savings/projects/{id}", Permits(AnalyticsRead), 200, Object::Project),
    ("PUT /v1/savings/projects/{id}", Permits(SavingsManage), 200, Object::Project),
    ("POST /v1/savings/projects/{id}/adjustments", Permits(SavingsManage), 201, Object::Project),
    ("POST /v1/savings/projects/{id}/schedule", Permits(SavingsManage), 201, Object::Undrawn),
    ("GET /v1/savings/projects/{id}/schedule", Permits(AnalyticsRead), 200, Object::Drawn),
    // The day is in the future.
    ("PUT /v1/savings/projects/{id}/days/{date}", Permits(SavingsManage), 409, Object::Drawn),
    ("POST /v1/savings/projects/{id}/reports", Permits(SavingsManage), 202, Object::Project),
    ("GET /v1/savings/projects/{id}/reports", Permits(AnalyticsRead), 200, Object::Project),
    ("GET /v1/savings/reports/{id}", Permits(AnalyticsRead), 200, Object::Report),
    ("DELETE /v1/savings/reports/{id}", Permits(SavingsManage), 204, Object::Report),
    ("DELETE /v1/savings/projects/{id}", Permits(SavingsManage), 204, Object::Undrawn),
    ("GET /v1/alerts", Permits(AlertsRead), 200, Object::None),
    ("GET /v1/alerts/{id}", Permits(AlertsRead), 200, Object::Alert),
    ("POST /v1/alerts/{id}/acknowledge", Permits(AlertsManage), 200, Object::Alert),
    ("GET /v1/alert-rules", Permits(AlertsRead), 200, Object::None),
    ("GET /v1/alert-rules/{name}", Permits(AlertsRead), 200, Object::AlertRule),
    ("PUT /v1/alert-rules/{name}", Permits(AlertsManage), 201, Object::NewAlertRule),
    ("DELETE /v1/alert-rules/{name}", Permits(AlertsManage), 204, Object::AlertRule),
    ("GET /v1/webhooks", Permits(SettingsManage), 200, Object::None),
    ("GET /v1/webhooks/{name}", Permits(SettingsManage), 200, Object::Webhook),
    ("PUT /v1/webhooks/{name}", Permits(SettingsManage), 201, Object::NewWebhook),
    ("POST /v1/webhooks/{name}/secret", Permits(SettingsManage), 200, Object::Webhook),
    ("POST /v1/webhooks/{name}/test", Permits(SettingsManage), 202, Object::Webhook),
    ("DELETE /v1/webhooks/{name}", Permits(SettingsManage), 204, Object::Webhook),
    ("GET /v1/notifications", Permits(SettingsManage), 200, Object::None),
    ("POST /v1/notifications/{id}/replay", Permits(SettingsManage), 200, Object::Notification),
    ("GET /v1/admin/deliveries", Permits(DeliveriesManage), 200, Object::None),
    ("GET /v1/admin/deliveries/{id}", Permits(DeliveriesManage), 200, Object::Delivery),
    ("POST /v1/admin/deliveries/{id}/replay", Permits(DeliveriesManage), 200, Object::Delivery),
    ("POST /v1/admin/deliveries/{id}/cancel", Permits(DeliveriesManage), 200, Object::Delivery),
    ("POST /v1/admin/tenants", Permits(TenantsManage), 201, Object::None),
    ("GET /v1/admin/tenants", Permits(TenantsManage), 200, Object::None),
    ("GET /v1/admin/tenants/{tenant}", Permits(TenantsManage), 200, Object::Tenant),
    ("POST /v1/admin/tenants/{tenant}/suspend", Permits(TenantsManage), 200, Object::Spare),
    ("POST /v1/admin/tenants/{tenant}/resume", Permits(TenantsManage), 200, Object::Spare),
    ("POST /v1/admin/tenants/{tenant}/deletion", Permits(TenantsManage), 202, Object::Spare),
    ("POST /v1/admin/tenants/{tenant}/deletion/cancel", Permits(TenantsManage), 200, Object::Spare),
    ("GET /v1/admin/usage", Permits(TenantsManage), 200, Object::None),
    ("POST /v1/admin/users", PermitsToGive(UsersManage), 201, Object::None),
    ("GET /v1/admin/users", Permits(UsersManage), 200, Object::None),
    ("GET /v1/admin/users/{id}", Permits(UsersManage), 200, Object::User),
    ("PATCH /v1/admin/users/{id}", PermitsToGive(UsersManage), 200, Object::User),
    ("POST /v1/admin/users/{id}/password", PermitsToGive(UsersManage), 200, Object::User),
    ("DELETE /v1/admin/users/{id}/second-factor", PermitsToGive(UsersManage), 204, Object::User),
    ("DELETE /v1/admin/users/{id}", PermitsToGive(UsersManage), 204, Object::User),
    ("GET /v1/admin/sessions", Permits(UsersManage), 200, Object::None),
    ("DELETE /v1/admin/sessions/{id}", PermitsToGive(UsersManage), 204, Object::OtherSession),
    ("POST /v1/admin/api-keys", Permits(KeysManage), 201, Object::None),
    ("GET /v1/admin/api-keys", Permits(KeysManage), 200, Object::None),
    ("GET /v1/admin/api-keys/{id}", Permits(KeysManage), 200, Object::ApiKey),
    ("DELETE /v1/admin/api-keys/{id}", Permits(KeysManage), 204, Object::ApiKey),
    ("GET /v1/audit/events", Permits(AuditRead), 200, Object::None),
    ("GET /v1/audit/checkpoint", Permits(AuditRead), 200, Object::None),
    ("GET /v1/audit/proofs/inclusion", Permits(AuditRead), 200, Object::None),
    ("GET /v1/audit/proofs/consistency", Permits(AuditRead), 200, Object::None),
    ("GET /v1/audit/security-events", Permits(AuditRead), 200, Object::None),
    ("GET /v1/audit/export", Permits(AuditRead), 200, Object::None),
    ("GET /v1/admin/quotas", Permits(SettingsManage), 200, Object::None),
    ("PUT /v1/admin/quotas", Permits(SettingsManage), 200, Object::None),
    ("GET /v1/admin/settings", Permits(SettingsManage), 200, Object::None),
    ("PUT /v1/admin/settings", Permits(SettingsManage), 200, Object::None),
    ("GET /v1/admin/retention", Permits(SettingsManage), 200, Object::None),
    ("PUT /v1/admin/retention", Permits(SettingsManage), 200, Object::None),
    ("GET /v1/admin/legal-holds", Permits(SettingsManage), 200, Object::None),
    // Last, since holds refuse deletions.
    ("POST /v1/admin/legal-holds", Permits(SettingsManage), 201, Object::None),
    ("POST /v1/admin/legal-holds/{id}/release", Permits(SettingsManage), 204, Object::Hold),
];

/// An id that does not exist for any kind of object.
const NOBODY: &str = "0199d3a0-0000-7000-8000-000000000001";
/// A malformed id for every path.
const MALFORMED: &str = "NO-ID";

/// The roles with a permission.
const fn roles_with(permission: Permission) -> &'static [Role] {
    use Role::{Admin, Auditor, Operator, PlatformAdmin, Viewer};
    match permission {
        Permission::MassRead | Permission::AnalyticsRead | Permission::AlertsRead => {
            &[Viewer, Operator, Auditor, Admin]
        }
        Permission::MassWrite => &[Operator],
        Permission::DeliveriesManage | Permission::SavingsManage | Permission::AlertsManage => &[Operator, Admin],
        Permission::AuditRead => &[Auditor, Admin],
        Permission::UsersManage | Permission::KeysManage | Permission::SettingsManage => &[Admin],
        Permission::TenantsManage => &[PlatformAdmin],
        Permission::MetricsRead => &[Admin, PlatformAdmin],
    }
}

/// The access that an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Token,
    /// A user's token, not an API key.
    Person,
    Permits(Permission),
    /// This permission; for an API key also every permission of the roles in the body.
    PermitsToGive(Permission),
}

/// The object of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Object {
    None,
    Request,
    Delivery,
    Device,
    User,
    /// A session of a user who logs in for nothing else.
    OtherSession,
    ApiKey,
    /// Belongs to one user.
    Session,
    Mapping,
    /// A name that no mapping profile has yet.
    NewMapping,
    Quarantined,
    Alert,
    AlertRule,
    /// A name that no alert rule has yet.
    NewAlertRule,
    Webhook,
    /// A name that no webhook has yet.
    NewWebhook,
    /// A dead notification.
    Notification,
    /// A savings project with a baseline.
    Project,
    /// A crossover without a schedule.
    Undrawn,
    /// A crossover with one, in the future.
    Drawn,
    /// A savings report.
    Report,
    Hold,
    /// Belongs to nobody: a caller who may see tenants sees all of them.
    Tenant,
    /// A suspended tenant that nobody uses.
    Spare,
}

/// The owner of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Own,
    Foreign,
    Nobodys,
    Malformed,
}

impl Object {
    const fn cases(self) -> &'static [Whose] {
        match self {
            Self::None | Self::NewMapping | Self::NewAlertRule | Self::NewWebhook => &[Whose::Own],
            Self::Spare => &[Whose::Own, Whose::Nobodys, Whose::Malformed],
            Self::Request
            | Self::Delivery
            | Self::Device
            | Self::User
            | Self::OtherSession
            | Self::ApiKey
            | Self::Session
            | Self::Mapping
            | Self::Quarantined
            | Self::Alert
            | Self::AlertRule
            | Self::Webhook
            | Self::Notification
            | Self::Project
            | Self::Undrawn
            | Self::Drawn
            | Self::Report
            | Self::Hold
            | Self::Tenant => &[Whose::Own, Whose::Foreign, Whose::Nobodys, Whose::Malformed],
        }
    }
}

/// A caller.
struct Caller {
    kind: Kind,
    client: Client,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Stranger,
    /// A user with only this role.
    User(Role),
    /// An API key with only this permission.
    Key(Permission),
}

/// The decision about a call before its object is looked up.
enum Verdict {
    Unauthenticated,
    Forbidden,
    /// Allowed, but the body grants more than the caller has.
    GivesTooMuch,
    Admitted,
}

impl Needs {
    fn verdict(self, kind: Kind) -> Verdict {
        let may = match (self, kind) {
            (Nothing, _) | (Token, Kind::User(_) | Kind::Key(_)) | (Person, Kind::User(_)) => true,
            (Token | Person | Permits(_) | PermitsToGive(_), Kind::Stranger) => return Verdict::Unauthenticated,
            (Person, Kind::Key(_)) => false,
            // These keys have one permission, and every role has several.
            (PermitsToGive(permission), Kind::Key(own)) if own == permission => return Verdict::GivesTooMuch,
            (PermitsToGive(_), Kind::Key(_)) => false,
            (Permits(permission) | PermitsToGive(permission), Kind::User(role)) => {
                roles_with(permission).contains(&role)
            }
            (Permits(permission), Kind::Key(own)) => own == permission,
        };
        if may { Verdict::Admitted } else { Verdict::Forbidden }
    }

    /// The permission that all refusals name.
    const fn permission(self) -> Option<Permission> {
        match self {
            Permits(permission) | PermitsToGive(permission) => Some(permission),
            Nothing | Token | Person => None,
        }
    }
}

fn name(operation: &Operation) -> String {
    format!("{} {}", operation.method, operation.path)
}

#[test]
fn every_operation_has_its_row() {
    let documented_form = |needs| if let PermitsToGive(permission) = needs { Permits(permission) } else { needs };
    let mut rows: Vec<_> =
        TABLE.iter().map(|(name, needs, ..)| ((*name).to_owned(), documented_form(*needs))).collect();
    let mut documented: Vec<_> = operations::all().iter().map(|each| (name(each), documented_needs(each))).collect();
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    documented.sort_by(|one, other| one.0.cmp(&other.0));
    let missing: Vec<_> = documented.iter().filter(|each| !rows.contains(each)).collect();
    let unknown: Vec<_> = rows.iter().filter(|each| !documented.contains(each)).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "without a row: {missing:?}, without an operation: {unknown:?}");
    assert_eq!(rows.len(), documented.len());
}

/// The access that the document describes. It mentions only in prose that an operation accepts no API keys.
fn documented_needs(operation: &Operation) -> Needs {
    match operation.permission() {
        Some(permission) => Permits(permission),
        None if operation.is_public() => Nothing,
        None if operation.path == "/v1/auth/password" => Person,
        None if operation.path.starts_with("/v1/auth/second-factor") && operation.method != Method::GET => Person,
        None => Token,
    }
}

async fn every_caller_gets_what_the_table_says(app: TestApp) {
    let app = app.another_with(&[("--allow-registration", "true"), ("--rate-limit-per-minute", "0")]).await;
    let stage = Stage::set(&app).await;
    let before = stage.standing().await;
    for (named, needs, success, object) in TABLE {
        let operations = operations::all();
        let operation = operations.iter().find(|each| name(each) == *named).unwrap();
        let row = Row { operation, needs: *needs, success: *success, object: *object };
        // The number of log-ins that may fail before anybody is throttled.
        stream::iter(&stage.callers).for_each_concurrent(4, |caller| stage.play(&row, caller)).await;
    }
    assert_eq!(stage.standing().await, before, "what nobody could reach has changed");
}

/// A row of the table with its operation.
struct Row<'a> {
    operation: &'a Operation,
    needs: Needs,
    success: u16,
    object: Object,
}

/// A request with its delivery, a device with figures, a user, an API key, a mapping profile and a record in the quarantine
/// of a tenant, with the role that may read them.
struct Belongings {
    operator: Client,
    admin: Client,
    request: String,
    delivery: String,
    device: String,
    user: String,
    other_session: LiveSession,
    key: String,
    session: String,
    mapping: String,
    quarantined: String,
    alert: String,
    rule: String,
    webhook: String,
    notification: String,
    savings: Savings,
    hold: String,
}

/// A session and its user.
struct LiveSession {
    id: String,
    user: String,
}

/// The ids of savings projects and of a report.
struct Savings {
    project: String,
    undrawn: String,
    drawn: String,
    report: String,
}

/// All callers, who belong to one tenant, and the objects of that tenant and of another one.
struct Stage<'a> {
    app: &'a TestApp,
    callers: Vec<Caller>,
    own: Belongings,
    foreign: Belongings,
}

impl<'a> Stage<'a> {
    async fn set(app: &'a TestApp) -> Self {
        let mut callers = vec![Caller { kind: Kind::Stranger, client: app.anonymous() }];
        for role in Role::ALL {
            callers.push(Caller { kind: Kind::User(*role), client: app.user(*role).await });
        }
        for permission in Permission::ALL {
            let token = create_key(app.founder(), *permission).await.text("/token");
            callers.push(Caller { kind: Kind::Key(*permission), client: app.bearer(&token) });
        }
        let own = Belongings::of(app, app.founder().clone(), app.founder().clone()).await;
        let (operator, admin) = (app.foreigner(Role::Operator).await, app.foreigner(Role::Admin).await);
        let foreign = Belongings::of(app, operator, admin).await;
        Self { app, callers, own, foreign }
    }

    /// The objects of both tenants, which no call may change.
    async fn standing(&self) -> Vec<Value> {
        let mut found = Vec::new();
        for Belongings {
            operator,
            admin,
            request,
            delivery,
            device,
            user,
            key,
            session,
            other_session,
            mapping,
            quarantined,
            alert,
            rule,
            webhook,
            notification: _,
            savings,
            hold: _,
        } in [&self.own, &self.foreign]
        {
            let sessions = operator.get("/v1/auth/sessions").await.expect(200).json();
            let ids: Vec<&Value> = sessions["items"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
            assert!(ids.contains(&&json!(session)), "{ids:?}");
            for (reader, path) in [
                (operator, format!("/v1/mass-requests/{request}")),
                (operator, format!("/v1/admin/deliveries/{delivery}")),
                (operator, format!("/v1/devices/{device}")),
                (admin, format!("/v1/admin/users/{user}")),
                (admin, format!("/v1/admin/sessions?user={}", other_session.user)),
                (admin, format!("/v1/admin/api-keys/{key}")),
                (admin, format!("/v1/mappings/{mapping}")),
                (operator, format!("/v1/quarantine/{quarantined}")),
                (operator, format!("/v1/alerts/{alert}")),
                (operator, format!("/v1/alert-rules/{rule}")),
                (admin, format!("/v1/webhooks/{webhook}")),
                (operator, format!("/v1/savings/projects/{}", savings.project)),
                (operator, format!("/v1/savings/projects/{}", savings.undrawn)),
                (operator, format!("/v1/savings/projects/{}", savings.drawn)),
                (operator, format!("/v1/savings/reports/{}", savings.report)),
            ] {
                let mut shown = reader.get(&path).await.expect(200).json();
                // How recent and complete values are changes by itself.
                found.push(shown.pointer_mut("/items/0/state/values").map(Value::take).unwrap_or(shown));
            }
        }
        found
    }

    /// Calls an operation on every object as a caller. Refusals must be the same for all objects.
    async fn play(&self, row: &Row<'_>, caller: &Caller) {
        let mut refusals: Vec<Answer> = Vec::new();
        for whose in row.object.cases() {
            let case = format!("{} as {:?} on {whose:?}", name(row.operation), caller.kind);
            let answer = self.call(row, caller, *whose).await;
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            let (status, problem) = row.expected(caller, *whose);
            assert_eq!(answer.status, status, "{case}: {body}");
            let Some(slug) = problem else {
                let Belongings {
                    request,
                    delivery,
                    device,
                    user,
                    session,
                    other_session,
                    key,
                    mapping,
                    quarantined,
                    hold,
                    alert,
                    rule,
                    webhook,
                    notification,
                    ..
                } = &self.foreign;
                let Savings { project, undrawn, drawn, report } = &self.foreign.savings;
                let leaked = [
                    request,
                    delivery,
                    device,
                    user,
                    session,
                    &other_session.id,
                    key,
                    mapping,
                    quarantined,
                    alert,
                    rule,
                    webhook,
                    notification,
                    project,
                    undrawn,
                    drawn,
                    report,
                    hold,
                ];
                assert!(!leaked.iter().any(|id| body.contains(*id)), "{case}: {body}");
                continue;
            };
            assert_eq!(answer.text("/type"), format!("/problems/{slug}"), "{case}");
            if status == 403 && matches!(row.needs.verdict(caller.kind), Verdict::GivesTooMuch) {
                continue;
            }
            if let (403, Some(permission)) = (status, row.needs.permission()) {
                assert_eq!(answer.text("/permission"), permission.as_str(), "{case}");
            }
            if let Some(first) = refusals.first() {
                assert_eq!(answer.without_ids(), first.without_ids(), "{case}");
                assert_eq!(answer.header_names(), first.header_names(), "{case}");
            }
            refusals.push(answer);
        }
    }

    async fn call(&self, row: &Row<'_>, caller: &Caller, whose: Whose) -> Answer {
        let admitted = matches!(row.needs.verdict(caller.kind), Verdict::Admitted);
        let body = if admitted { self.fresh_body(row.operation).await } else { row.operation.body() };
        let client = self.expendable(row, caller).await;
        let id = match whose {
            Whose::Own if admitted && row.object == Object::Session => {
                if matches!(caller.kind, Kind::User(_)) {
                    session(&client).await
                } else {
                    NOBODY.to_owned()
                }
            }
            Whose::Own if admitted => self.fresh(row.object).await,
            Whose::Own => self.own.id(row.object, TENANT),
            Whose::Foreign => self.foreign.id(row.object, OTHER_TENANT),
            Whose::Nobodys => NOBODY.to_owned(),
            Whose::Malformed => MALFORMED.to_owned(),
        };
        let call = client.call(row.operation.method.clone(), &row.operation.target(&id));
        match body {
            None if row.operation.path.ends_with("/preview") => {
                call.header("Content-Type", "text/csv").bytes("A\n1\n").await
            }
            Some(body) => call.json(&body).await,
            None => call.await,
        }
    }

    /// The caller, or an equivalent one if the call may end its session or change its password.
    async fn expendable(&self, row: &Row<'_>, caller: &Caller) -> Client {
        match (row.operation.path.as_str(), caller.kind) {
            ("/v1/auth/logout" | "/v1/auth/password" | "/v1/auth/sessions/{id}", Kind::User(role)) => {
                self.app.user(role).await
            }
            _ => caller.client.clone(),
        }
    }

    /// A new object of the callers' tenant.
    async fn fresh(&self, object: Object) -> String {
        match object {
            Object::None => String::new(),
            Object::Tenant => TENANT.to_owned(),
            Object::Spare => suspended(self.app.founder()).await,
            Object::Request => send(self.app.founder()).await,
            Object::Delivery => deliver(self.app.founder(), &send(self.app.founder()).await).await,
            Object::Device => measure(self.app, self.app.founder()).await,
            Object::User => invite(self.app.founder()).await,
            Object::OtherSession => log_in(self.app, self.app.founder()).await.id,
            Object::ApiKey => give_key(self.app.founder()).await,
            Object::Session => session(self.app.founder()).await,
            Object::Mapping => keep_mapping(self.app.founder()).await,
            Object::NewMapping => Uuid::now_v7().to_string(),
            Object::Quarantined => quarantine(self.app.founder()).await,
            Object::Alert => raise_alert(self.app, self.app.founder()).await,
            Object::AlertRule => keep_rule(self.app.founder()).await,
            Object::NewAlertRule | Object::NewWebhook => Uuid::now_v7().to_string(),
            Object::Webhook => keep_webhook(self.app, self.app.founder(), "passing").await,
            Object::Notification => kill_notification(self.app, self.app.founder()).await,
            Object::Project => plan_pilot(self.app.founder()).await,
            Object::Undrawn => plan_crossover(self.app.founder()).await,
            Object::Drawn => draw_crossover(self.app.founder()).await,
            Object::Report => ask_for_report(self.app, self.app.founder()).await,
            Object::Hold => hold(self.app.founder()).await,
        }
    }

    /// A body that no earlier call has used up.
    async fn fresh_body(&self, operation: &Operation) -> Option<Value> {
        let unique = Uuid::now_v7();
        let account = || json!({"email": format!("{unique}@example.test"), "password": PASSWORD});
        Some(match name(operation).as_str() {
            "POST /v1/mass-requests" | "POST /v1/quarantine/{id}/retry" => reading(&unique.to_string()),
            "POST /v1/auth/refresh" => {
                let credentials = json!({"email": FOUNDER, "password": PASSWORD});
                let login = self.app.anonymous().post("/v1/auth/login").json(&credentials).await.expect(200);
                json!({"refresh_token": login.text("/refresh_token")})
            }
            "POST /v1/auth/register" => account(),
            "POST /v1/admin/users" => new_user(),
            // A role that a manager of users may grant.
            "PATCH /v1/admin/users/{id}" => json!({"roles": ["operator"]}),
            // A permission that a manager of keys may grant.
            "POST /v1/admin/api-keys" => json!({"name": "gateway", "permissions": ["keys:manage"]}),
            "POST /v1/admin/tenants" => json!({"id": format!("tenant-{unique}"), "admin": account()}),
            _ => return operation.body(),
        })
    }
}

impl Row<'_> {
    /// The expected status, and the problem if it is one.
    fn expected(&self, caller: &Caller, whose: Whose) -> (u16, Option<&'static str>) {
        match (self.needs.verdict(caller.kind), whose) {
            (Verdict::Unauthenticated, _) => (401, Some("unauthenticated")),
            (Verdict::Forbidden, _) | (Verdict::GivesTooMuch, Whose::Own) => (403, Some("forbidden")),
            // A key has no session.
            (Verdict::Admitted, Whose::Own)
                if self.object == Object::Session && matches!(caller.kind, Kind::Key(_)) =>
            {
                (404, Some("not-found"))
            }
            (Verdict::Admitted, Whose::Own) => (self.success, None),
            (Verdict::Admitted, Whose::Foreign) if self.object == Object::Tenant => (self.success, None),
            (Verdict::Admitted | Verdict::GivesTooMuch, Whose::Foreign | Whose::Nobodys | Whose::Malformed) => {
                (404, Some("not-found"))
            }
        }
    }
}

impl Belongings {
    async fn of(app: &TestApp, operator: Client, admin: Client) -> Self {
        let (request, user, key) = (send(&operator).await, invite(&admin).await, give_key(&admin).await);
        let (delivery, mapping) = (deliver(&operator, &request).await, keep_mapping(&admin).await);
        let (quarantined, device) = (quarantine(&operator).await, measure(app, &operator).await);
        let (project, report) = (plan_pilot(&operator).await, ask_for_report(app, &operator).await);
        let (undrawn, drawn) = (plan_crossover(&operator).await, draw_crossover(&operator).await);
        let (alert, rule) = (raise_alert(app, &operator).await, keep_rule(&operator).await);
        let (webhook, notification) =
            (keep_webhook(app, &admin, "standing").await, kill_notification(app, &admin).await);
        let other_session = log_in(app, &admin).await;
        let savings = Savings { project, undrawn, drawn, report };
        let session = session(&operator).await;
        let hold = hold(&admin).await;
        Self {
            operator,
            admin,
            request,
            delivery,
            device,
            user,
            key,
            session,
            other_session,
            mapping,
            quarantined,
            alert,
            rule,
            webhook,
            notification,
            savings,
            hold,
        }
    }

    fn id(&self, object: Object, tenant: &str) -> String {
        match object {
            Object::None => String::new(),
            Object::Request => self.request.clone(),
            Object::Delivery => self.delivery.clone(),
            Object::Device => self.device.clone(),
            Object::User => self.user.clone(),
            Object::OtherSession => self.other_session.id.clone(),
            Object::ApiKey => self.key.clone(),
            Object::Session => self.session.clone(),
            Object::Mapping => self.mapping.clone(),
            Object::NewMapping => "new".to_owned(),
            Object::Quarantined => self.quarantined.clone(),
            Object::Alert => self.alert.clone(),
            Object::AlertRule => self.rule.clone(),
            Object::NewAlertRule | Object::NewWebhook => "new".to_owned(),
            Object::Webhook => self.webhook.clone(),
            Object::Notification => self.notification.clone(),
            Object::Project => self.savings.project.clone(),
            Object::Undrawn => self.savings.undrawn.clone(),
            Object::Drawn => self.savings.drawn.clone(),
            Object::Report => self.savings.report.clone(),
            Object::Hold => self.hold.clone(),
            Object::Tenant => tenant.to_owned(),
            Object::Spare => "spare".to_owned(),
        }
    }
}

/// Sends a request; returns its id.
async fn send(client: &Client) -> String {
    client.post("/v1/mass-requests").json(&reading(&Uuid::now_v7().to_string())).await.expect(201).id()
}

/// Sends a reading and projects it; returns the id of its device.
async fn measure(app: &TestApp, client: &Client) -> String {
    let device = Uuid::now_v7().to_string();
    client.post("/v1/mass-requests").json(&reading(&device)).await.expect(201);
    app.project().await;
    device
}

/// Queues a request for the engine; returns the id of the delivery.
async fn deliver(client: &Client, request: &str) -> String {
    client.post(&format!("/v1/mass-requests/{request}/send")).await.expect(202).id()
}

/// Sends a document that is refused and kept; returns its id in the quarantine.
async fn quarantine(client: &Client) -> String {
    let refused = json!({"number": Uuid::now_v7().to_string()});
    client.post("/v1/mass-requests?quarantine=true").json(&refused).await.expect(422).text("/quarantine_id")
}

/// The terms of the document's example.
fn terms() -> Value {
    let operations = operations::all();
    operations.iter().find(|each| name(each) == "POST /v1/savings/projects").unwrap().body().unwrap()
}

/// Creates a savings project with a baseline; returns its id.
async fn plan_pilot(client: &Client) -> String {
    client.post("/v1/savings/projects").json(&terms()).await.expect(201).id()
}

/// Creates a crossover without a schedule; returns its id.
async fn plan_crossover(client: &Client) -> String {
    let mut terms = terms();
    terms["design"] = json!({"kind": "crossover", "first_day": "9000-01-01", "pairs": 3, "washout": true});
    client.post("/v1/savings/projects").json(&terms).await.expect(201).id()
}

/// Creates a crossover with a schedule; returns its id.
async fn draw_crossover(client: &Client) -> String {
    let id = plan_crossover(client).await;
    client.post(&format!("/v1/savings/projects/{id}/schedule")).await.expect(201);
    id
}

/// Asks for a savings report, for which those that wait make room; returns its id.
async fn ask_for_report(app: &TestApp, client: &Client) -> String {
    app.execute("DELETE FROM savings_queue");
    let project = plan_pilot(client).await;
    client.post(&format!("/v1/savings/projects/{project}/reports")).await.expect(202).id()
}

/// Sets a legal hold on documents that nobody sends; returns its id.
async fn hold(client: &Client) -> String {
    let new = json!({"reason": "A claim.", "contract": "enterprise/1.1"});
    client.post("/v1/admin/legal-holds").json(&new).await.expect(201).id()
}

/// Creates a tenant and suspends it; returns its slug.
async fn suspended(client: &Client) -> String {
    let slug = format!("tenant-{}", Uuid::now_v7());
    let admin = json!({"email": format!("{slug}@example.test"), "password": PASSWORD});
    client.post("/v1/admin/tenants").json(&json!({"id": slug, "admin": admin})).await.expect(201);
    let reason = json!({"reason": "Nobody uses it."});
    client.post(&format!("/v1/admin/tenants/{slug}/suspend")).json(&reason).await.expect(200);
    slug
}

/// Creates a user; returns its id.
async fn invite(client: &Client) -> String {
    client.post("/v1/admin/users").json(&new_user()).await.expect(201).id()
}

/// Creates a user and logs it in; returns its session.
async fn log_in(app: &TestApp, client: &Client) -> LiveSession {
    let new = new_user();
    let user = client.post("/v1/admin/users").json(&new).await.expect(201).id();
    let credentials = json!({"email": new["email"], "password": new["password"]});
    app.anonymous().post("/v1/auth/login").json(&credentials).await.expect(200);
    let sessions = client.get(&format!("/v1/admin/sessions?user={user}")).await.expect(200);
    LiveSession { id: sessions.text("/items/0/id"), user }
}

/// Creates an API key; returns its id.
async fn give_key(client: &Client) -> String {
    create_key(client, MassRead).await.id()
}

/// Returns the id of the newest session of a user.
async fn session(client: &Client) -> String {
    client.get("/v1/auth/sessions?limit=1").await.expect(200).text("/items/0/id")
}

/// Stores a mapping profile; returns its name.
async fn keep_mapping(client: &Client) -> String {
    let name = Uuid::now_v7().to_string();
    let profile = json!({"contract": "simple/1.0", "members": {"a": "A"}});
    client.put(&format!("/v1/mappings/{name}")).json(&profile).await.expect(201).text("/name")
}

/// Stores an alert rule; returns its name.
pub(crate) async fn keep_rule(client: &Client) -> String {
    let name = Uuid::now_v7().to_string();
    let rule = json!({"condition": {"kind": "dead_letters"}, "enabled": false});
    client.put(&format!("/v1/alert-rules/{name}")).json(&rule).await.expect(201).text("/name")
}

/// Opens an alert of a rule of its own; returns its id.
pub(crate) async fn raise_alert(app: &TestApp, client: &Client) -> String {
    quarantine(client).await;
    let name = Uuid::now_v7().to_string();
    let rule = json!({"condition": {"kind": "quarantine_growth", "records": 1, "within_seconds": 604_800}});
    client.put(&format!("/v1/alert-rules/{name}")).json(&rule).await.expect(201);
    loop {
        // Another call may have changed rules, or be evaluating them.
        app.evaluate().await;
        let alerts = client.get(&format!("/v1/alerts?rule={name}")).await.expect(200).json();
        if let Some(id) = alerts["items"][0]["id"].as_str() {
            return id.to_owned();
        }
    }
}

/// Stores a webhook, for which those of calls before make room; returns its name.
pub(crate) async fn keep_webhook(app: &TestApp, client: &Client, description: &str) -> String {
    app.execute(
        "DELETE FROM webhooks WHERE description = 'passing' AND name NOT IN
            (SELECT name FROM webhooks WHERE description = 'passing' ORDER BY name DESC LIMIT 4)",
    );
    let name = Uuid::now_v7().to_string();
    let webhook = json!({"url": "https://hooks.example/", "description": description});
    client.put(&format!("/v1/webhooks/{name}")).json(&webhook).await.expect(201).text("/name")
}

/// Leaves a dead notification of a webhook that is gone; returns its id.
async fn kill_notification(app: &TestApp, client: &Client) -> String {
    let webhook = keep_webhook(app, client, "passing").await;
    let id = client.post(&format!("/v1/webhooks/{webhook}/test")).await.expect(202).id();
    app.execute("DELETE FROM notification_queue");
    app.execute("UPDATE notifications SET state = 'dead'");
    id
}

async fn create_key(client: &Client, permission: Permission) -> Answer {
    let key = json!({"name": "gateway", "permissions": [permission.as_str()]});
    client.post("/v1/admin/api-keys").json(&key).await.expect(201)
}

fn new_user() -> Value {
    json!({"email": format!("{}@example.test", Uuid::now_v7()), "roles": ["viewer"], "password": PASSWORD})
}
