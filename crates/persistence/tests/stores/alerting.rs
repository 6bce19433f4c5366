//! Alert rules, their evaluation under leases, and the outbox of webhooks.

use mass_alert_service::{
    AlertChange, AlertFilter, ChangeKind, MAX_WAITING_NOTIFICATIONS, NewNotification, NotificationClaim,
    NotificationFilter, RuleChange, RuleOutcome, SecretSeed, Sent, WebhookChange,
};
use mass_domain::alerts::{
    Alert, AlertState, Condition, ConditionKind, News, NotificationState, Resolution, Rule, RuleName, Severity,
    Subject, Webhook, WebhookName,
};
use mass_domain::delivery::WorkerName;
use mass_domain::ids::{AlertId, NotificationId};
use mass_domain::page::Limit;
use mass_domain::precondition::Precondition;
use mass_domain::tasks::{TaskClaim, TenantTask};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use uuid::Uuid;

use crate::databases::{DatabaseLocation, TestDatabase};
use crate::fixtures::{act, at, other_tenant, tenant};

on_both!(
    one_of_several_workers_evaluates_a_tenant,
    a_change_of_rules_takes_an_evaluation_away,
    an_expired_evaluation_is_taken_over_and_its_holder_cannot_finish,
    old_resolved_alerts_are_deleted,
    a_notification_is_sent_by_one_worker_and_concluded_once,
    busy_tenants_are_passed_over,
    a_bounded_number_of_notifications_waits,
    old_notifications_are_deleted,
);

mod upgrading {
    use super::evaluations_that_waited_before_an_upgrade_go_on;

    on_one_node!(evaluations_that_waited_before_an_upgrade_go_on);
}

/// The instant this number of seconds into the test's day.
fn second(seconds: i64) -> Timestamp {
    at(seconds * 1_000_000)
}

fn worker(name: &str) -> WorkerName {
    WorkerName::parse(name).unwrap()
}

fn rule_name() -> RuleName {
    RuleName::parse("dead").unwrap()
}

fn pager() -> WebhookName {
    WebhookName::parse("pager").unwrap()
}

async fn set_rule(db: &TestDatabase, tenant: &TenantId, count: u32, seconds: i64) {
    let rule = Rule {
        condition: Condition::DeadLetters { count },
        description: None,
        enabled: true,
        severity: Severity::Warning,
        for_seconds: 0,
        repeat_seconds: 0,
        webhooks: Vec::new(),
    };
    let (name, precondition, act) = (rule_name(), Precondition::default(), act(second(seconds)));
    let change = RuleChange { name, rule, precondition, may_watch_security: false, act };
    db.alerts().upsert_rule(tenant, change).await.unwrap();
}

async fn claim(db: &TestDatabase, name: &str, now: i64) -> Option<TaskClaim> {
    db.tasks().claim(TenantTask::Alerts, &worker(name), second(now), second(now + 60)).await.unwrap()
}

fn alert(number: u128, state: AlertState, resolved: Option<i64>) -> Alert {
    Alert {
        id: AlertId::from_uuid(Uuid::from_u128(number)),
        rule: rule_name(),
        kind: ConditionKind::DeadLetters,
        severity: Severity::Warning,
        subject: Subject::Device { site_id: None, device_id: number.to_string() },
        state,
        since: second(0),
        opened_at: Some(second(0)),
        resolved_at: resolved.map(second),
        resolution: resolved.map(|_| Resolution::Cleared),
        value: Some(1.5),
        notified_at: None,
        acknowledgement: None,
    }
}

fn outcome(alerts: Vec<Alert>, notifications: Vec<NewNotification>) -> Vec<RuleOutcome> {
    let changes = alerts.into_iter().map(|alert| AlertChange { alert, kind: ChangeKind::Insert }).collect();
    vec![RuleOutcome { rule: rule_name(), problem: None, changes, notifications }]
}

async fn listed(db: &TestDatabase) -> Vec<Alert> {
    db.alerts().list(&tenant(), AlertFilter::default(), None, Limit::DEFAULT).await.unwrap()
}

async fn one_of_several_workers_evaluates_a_tenant(db: TestDatabase) {
    set_rule(&db, &tenant(), 1, 0).await;
    assert_eq!(claim(&db, "one", -1).await, None, "it is not due yet");
    let claimed = claim(&db, "one", 0).await.unwrap();
    assert_eq!(claim(&db, "two", 0).await, None);
    let work = db.evaluation().work(&tenant()).await.unwrap();
    assert_eq!((work.rules.len(), work.live.len()), (1, 0));
    let alerts = vec![alert(1, AlertState::Open, None), alert(2, AlertState::Pending, None)];
    assert!(db.evaluation().finish(&claimed, outcome(alerts.clone(), Vec::new()), second(30)).await.unwrap());
    assert_eq!(listed(&db).await, alerts[..1], "pending alerts are not shown");
    assert_eq!(db.evaluation().work(&tenant()).await.unwrap().live, alerts);
    assert_eq!(db.alerts().find(&tenant(), alerts[1].id).await.unwrap(), None);
    assert_eq!(db.alerts().find(&other_tenant(), alerts[0].id).await.unwrap(), None);
    assert!(claim(&db, "two", 29).await.is_none() && claim(&db, "two", 30).await.is_some());
}

async fn a_change_of_rules_takes_an_evaluation_away(db: TestDatabase) {
    set_rule(&db, &tenant(), 1, 0).await;
    let claimed = claim(&db, "one", 0).await.unwrap();
    set_rule(&db, &tenant(), 2, 5).await;
    let late = outcome(vec![alert(1, AlertState::Open, None)], Vec::new());
    assert!(!db.evaluation().finish(&claimed, late, second(30)).await.unwrap());
    assert_eq!(listed(&db).await, []);
    assert!(claim(&db, "one", 5).await.is_some(), "the changed rule is evaluated at once");
}

async fn an_expired_evaluation_is_taken_over_and_its_holder_cannot_finish(db: TestDatabase) {
    set_rule(&db, &tenant(), 1, 0).await;
    let first = claim(&db, "one", 0).await.unwrap();
    let second_claim = claim(&db, "two", 60).await.unwrap();
    assert!(!db.evaluation().finish(&first, Vec::new(), second(90)).await.unwrap());
    assert!(db.evaluation().finish(&second_claim, Vec::new(), second(90)).await.unwrap());
}

async fn evaluations_that_waited_before_an_upgrade_go_on(db: TestDatabase) {
    macro_rules! migration {
        ($database:literal, $file:literal) => {
            include_str!(concat!(
                "../../../../migrations/",
                $database,
                "/2026-12-24-000001_alert_tasks/",
                $file,
                ".sql"
            ))
        };
    }
    let [up, down] = match &db.place {
        DatabaseLocation::Sqlite(_) => [migration!("sqlite", "up"), migration!("sqlite", "down")],
        _ => [migration!("postgres", "up"), migration!("postgres", "down")],
    };
    for tenant in [tenant(), other_tenant()] {
        set_rule(&db, &tenant, 1, 0).await;
    }
    db.place.execute(down);
    assert_eq!(claim(&db, "one", 0).await, None);
    db.place.execute(&format!("UPDATE tenants SET suspended_at = created_at WHERE id = '{}'", other_tenant()));
    db.place.execute(up);
    assert_eq!(claim(&db, "one", 0).await.unwrap().tenant_id, tenant());
    assert_eq!(claim(&db, "one", 0).await, None, "the other tenant is suspended");
}

async fn old_resolved_alerts_are_deleted(db: TestDatabase) {
    set_rule(&db, &tenant(), 1, 0).await;
    let claimed = claim(&db, "one", 0).await.unwrap();
    let alerts = vec![
        alert(1, AlertState::Resolved, Some(10)),
        alert(2, AlertState::Resolved, Some(20)),
        alert(3, AlertState::Open, None),
    ];
    db.evaluation().finish(&claimed, outcome(alerts, Vec::new()), second(30)).await.unwrap();
    assert_eq!(db.evaluation().purge(second(20)).await.unwrap(), 1);
    let left: Vec<u128> = listed(&db).await.iter().map(|alert| alert.id.as_uuid().as_u128()).collect();
    assert_eq!(left, [3, 2]);
}

async fn set_webhook(db: &TestDatabase, tenant: &TenantId) {
    let change = WebhookChange {
        name: pager(),
        webhook: Webhook { url: "https://hooks.example/".to_owned(), description: None, enabled: true },
        seed: SecretSeed { salt: [7; 16], key_id: "key".to_owned() },
        precondition: Precondition::default(),
        act: act(second(0)),
    };
    db.webhooks().upsert_webhook(tenant, change).await.unwrap();
}

fn notification(number: u128) -> NewNotification {
    let id = NotificationId::from_uuid(Uuid::from_u128(number));
    let (webhook, body) = (pager(), format!("{{\"number\":{number}}}"));
    NewNotification { id, webhook, news: News::Opened, alert_id: None, body, at: second(0) }
}

/// Queues notifications of a webhook of this tenant.
async fn told(db: &TestDatabase, tenant: &TenantId, count: u128) {
    set_rule(db, tenant, 1, 0).await;
    set_webhook(db, tenant).await;
    let claimed = claim(db, "evaluator", 0).await.unwrap();
    let all = outcome(Vec::new(), (1..=count).map(notification).collect());
    assert!(db.evaluation().finish(&claimed, all, second(1_000_000)).await.unwrap());
}

async fn claim_one(db: &TestDatabase, now: i64, except: &[TenantId]) -> Option<(NotificationClaim, u32)> {
    let queue = db.notifications();
    let claimed = queue.claim_notification(&worker("one"), second(now), second(now + 60), except).await.unwrap()?;
    assert!(claimed.webhook.is_some_and(|webhook| webhook.seed.salt == [7; 16]));
    Some((claimed.claim, claimed.attempts))
}

async fn states(db: &TestDatabase, tenant: &TenantId) -> Vec<NotificationState> {
    let filter = NotificationFilter::default();
    let found = db.webhooks().list_notifications(tenant, filter, None, Limit::DEFAULT).await.unwrap();
    found.iter().map(|notification| notification.state).collect()
}

async fn a_notification_is_sent_by_one_worker_and_concluded_once(db: TestDatabase) {
    told(&db, &tenant(), 1).await;
    let (first, attempts) = claim_one(&db, 0, &[]).await.unwrap();
    assert_eq!((attempts, claim_one(&db, 0, &[]).await), (1, None));
    // The worker is lost, and another one takes over.
    let (second_claim, attempts) = claim_one(&db, 60, &[]).await.unwrap();
    assert_eq!(attempts, 2);
    assert!(!db.notifications().conclude(&first, Sent::Delivered, second(61)).await.unwrap());
    let retry = Sent::Retry { due_at: second(90), failure: "Not now.".to_owned() };
    assert!(db.notifications().conclude(&second_claim, retry, second(61)).await.unwrap());
    assert_eq!(claim_one(&db, 89, &[]).await, None);
    let (third, attempts) = claim_one(&db, 90, &[]).await.unwrap();
    assert_eq!(attempts, 3);
    assert!(db.notifications().conclude(&third, Sent::Delivered, second(91)).await.unwrap());
    assert_eq!(states(&db, &tenant()).await, [NotificationState::Delivered]);
    assert_eq!(claim_one(&db, 1000, &[]).await, None);
}

async fn busy_tenants_are_passed_over(db: TestDatabase) {
    told(&db, &tenant(), 2).await;
    told(&db, &other_tenant(), 1).await;
    let (claimed, _) = claim_one(&db, 0, &[tenant()]).await.unwrap();
    assert_eq!(claimed.tenant_id, other_tenant());
    assert_eq!(claim_one(&db, 0, &[tenant()]).await, None);
    assert_eq!(claim_one(&db, 0, &[]).await.unwrap().0.tenant_id, tenant());
}

async fn a_bounded_number_of_notifications_waits(db: TestDatabase) {
    told(&db, &tenant(), u128::from(MAX_WAITING_NOTIFICATIONS) + 7).await;
    let waiting = db.place.lines("SELECT CAST(count(*) AS text) AS line FROM notification_queue");
    assert_eq!(waiting, [MAX_WAITING_NOTIFICATIONS.to_string()]);
    let stored = db.place.lines("SELECT CAST(count(*) AS text) AS line FROM notifications");
    assert_eq!(stored, waiting);
}

async fn old_notifications_are_deleted(db: TestDatabase) {
    told(&db, &tenant(), 3).await;
    for sent in [Sent::Delivered, Sent::Dead { failure: "Gone.".to_owned() }] {
        let (claimed, _) = claim_one(&db, 0, &[]).await.unwrap();
        db.notifications().conclude(&claimed, sent, second(10)).await.unwrap();
    }
    assert_eq!(db.notifications().purge_notifications(second(10), second(10)).await.unwrap(), 0);
    assert_eq!(db.notifications().purge_notifications(second(11), second(10)).await.unwrap(), 1);
    assert_eq!(states(&db, &tenant()).await, [NotificationState::Queued, NotificationState::Dead]);
    assert_eq!(db.notifications().purge_notifications(second(11), second(11)).await.unwrap(), 1);
    assert_eq!(states(&db, &tenant()).await, [NotificationState::Queued]);
}
