//! Savings projects, and the queue of their reports.

use mass_admin_service::QuotaChange;
use mass_domain::audit::{Action, Object};
use mass_domain::canonical::Fingerprint;
use mass_domain::delivery::WorkerName;
use mass_domain::ids::{SavingsProjectId, SavingsReportId};
use mass_domain::page::Limit;
use mass_domain::savings::{
    Adjustment, AsOf, Boundary, Confirmation, Design, Period, PlanFollowed, Project, Recorder, ReportFailure,
    ReportFailureCode, ReportState, Terms,
};
use mass_domain::tenancy::{OverQuota, Quotas};
use mass_domain::time::Timestamp;
use mass_savings_service::{
    Change, ClaimedReport, MAX_OPEN_REPORTS, MAX_PROJECTS, NewProject, ProjectChange, ProjectDeletion, ProjectError,
    ReportDeletion, ReportError, ReportOutcome, ReportRequest, ReportSummary, SignedDocument, StoredProject,
};
use mass_service::Refusal;
use uuid::Uuid;

use crate::databases::TestDatabase;
use crate::fixtures::{act, actor, at, other_tenant, simple, tenant};

on_both!(
    a_project_is_stored_and_changed_with_an_event_for_each_version,
    projects_are_listed_newest_first,
    a_tenant_has_a_limited_number_of_projects,
    a_report_is_queued_with_the_version_and_the_sequence_of_its_request,
    a_crossover_without_a_schedule_has_no_report,
    a_tenant_has_a_limited_number_of_open_reports,
    one_of_several_workers_claims_a_report,
    an_expired_lease_is_taken_over_and_its_holder_cannot_finish,
    a_postponed_report_is_due_again_and_counts_no_attempt,
    a_failed_report_keeps_its_reason,
    a_project_is_deleted_once_its_reports_are,
    a_deleted_report_is_lost_to_its_worker,
    reports_count_against_the_quota_of_stored_bytes,
    tenants_do_not_see_each_others_projects_and_reports,
);

/// The instant this number of seconds into the test's day.
fn second(seconds: i64) -> Timestamp {
    at(seconds * 1_000_000)
}

fn period(from: &str, until: &str) -> Period {
    Period { from: from.parse().unwrap(), until: until.parse().unwrap() }
}

fn pre_post() -> Design {
    Design::PrePost {
        baseline: period("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        reporting: period("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    }
}

fn crossover() -> Design {
    Design::Crossover { first_day: "2026-11-25".parse().unwrap(), pairs: 3, washout: true }
}

fn project(number: u128, design: Design) -> Project {
    Project {
        id: SavingsProjectId::from_uuid(Uuid::from_u128(number)),
        version: 1,
        seed: 9_007_199_254_740_991,
        utc_offset_seconds: 3600,
        terms: Terms {
            name: "Fans".to_owned(),
            site_id: "a".to_owned(),
            weather_device: "w".to_owned(),
            boundary: Boundary::Hvac,
            design,
            zone: "Europe/Berlin".to_owned(),
            price: None,
            co2e_kg_per_kwh: Some(0.1),
            assumptions: Vec::new(),
            modes: Vec::new(),
        },
        adjustments: Vec::new(),
        schedule: None,
        confirmations: Vec::new(),
    }
}

async fn created(db: &TestDatabase, number: u128, design: Design) -> StoredProject {
    let new = NewProject { project: project(number, design), act: act(second(0)) };
    db.savings().insert(&tenant(), new).await.unwrap()
}

async fn changed(db: &TestDatabase, id: SavingsProjectId, change: Change) -> Result<StoredProject, ProjectError> {
    let change = ProjectChange { id, change, expected: None, act: act(second(5)) };
    db.savings().change(&tenant(), change).await
}

fn adjustment() -> Adjustment {
    Adjustment {
        author: "A. Engineer".to_owned(),
        reason: "A new hall.".to_owned(),
        period: period("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        kwh: -12.5,
        recorded_by: Recorder::from(actor()),
        recorded_at: second(5),
    }
}

fn request(number: u128, project_id: SavingsProjectId, seconds: i64) -> ReportRequest {
    ReportRequest { id: SavingsReportId::from_uuid(Uuid::from_u128(number)), project_id, act: act(second(seconds)) }
}

async fn requested(db: &TestDatabase, number: u128, project: &StoredProject, seconds: i64) -> ReportSummary {
    let request = request(number, project.project.id, seconds);
    db.savings().insert_report(&tenant(), request).await.unwrap()
}

async fn claim(db: &TestDatabase, worker: &str, now: i64) -> Option<ClaimedReport> {
    let worker = WorkerName::parse(worker).unwrap();
    db.report_queue().claim(&worker, second(now), second(now + 60)).await.unwrap()
}

fn done() -> ReportOutcome {
    let signed = SignedDocument { document: "{\"a\":1}".to_owned(), note: "note".to_owned() };
    ReportOutcome::Done { signed, as_of: AsOf { sequence: 2, root: "ab".repeat(32) } }
}

/// The events about savings: action, object and output.
async fn events(db: &TestDatabase) -> Vec<(Action, Object, Option<Fingerprint>)> {
    let events = db.place.lines("SELECT event AS line FROM audit_events WHERE tenant_id = 'default' ORDER BY sequence");
    let event = |text: String| mass_domain::audit::Event::read(&text).unwrap().event;
    let events = events.into_iter().map(event).filter(|event| event.object.kind().starts_with("savings"));
    events.map(|event| (event.action, event.object, event.output)).collect()
}

async fn a_project_is_stored_and_changed_with_an_event_for_each_version(db: TestDatabase) {
    let stored = created(&db, 1, crossover()).await;
    let id = stored.project.id;
    assert_eq!(db.savings().find(&tenant(), id).await.unwrap(), Some(stored.clone()));
    let drawn = changed(&db, id, Change::Draw(7)).await.unwrap();
    assert_eq!((drawn.project.version, drawn.created_at, drawn.updated_at), (2, second(0), second(5)));
    let confirmation = Confirmation {
        day: "2026-11-25".parse().unwrap(),
        followed: PlanFollowed::Applied,
        reason: None,
        author: "O. Operator".to_owned(),
        recorded_by: Recorder::from(actor()),
        recorded_at: second(5),
    };
    // The first day begins only eleven hours later.
    let early = changed(&db, id, Change::Confirm(confirmation)).await;
    assert!(matches!(early, Err(ProjectError::TooEarly)), "{early:?}");
    assert!(matches!(changed(&db, id, Change::Draw(8)).await, Err(ProjectError::ScheduleDrawn)));
    assert_eq!(db.savings().find(&tenant(), id).await.unwrap(), Some(drawn.clone()));
    let expected = [(Action::SavingsCreated, &stored), (Action::SavingsScheduled, &drawn)];
    let expected =
        expected.map(|(action, stored)| (action, Object::SavingsProject(id), Some(stored.project.fingerprint())));
    assert_eq!(events(&db).await, expected);
    let absent = changed(&db, SavingsProjectId::from_uuid(Uuid::from_u128(9)), Change::Draw(7)).await;
    assert!(matches!(absent, Err(ProjectError::NotFound)), "{absent:?}");
}

async fn projects_are_listed_newest_first(db: TestDatabase) {
    for number in 1..=3 {
        created(&db, number, pre_post()).await;
    }
    let list = async |before: Option<u128>| {
        let before = before.map(|number| SavingsProjectId::from_uuid(Uuid::from_u128(number)));
        let rows = db.savings().list(&tenant(), before, Limit::new(1).unwrap()).await.unwrap();
        rows.iter().map(|row| row.id.as_uuid().as_u128()).collect::<Vec<_>>()
    };
    assert_eq!((list(None).await, list(Some(3)).await, list(Some(1)).await), (vec![3, 2], vec![2, 1], vec![]));
}

async fn a_tenant_has_a_limited_number_of_projects(db: TestDatabase) {
    for number in 1..=MAX_PROJECTS {
        created(&db, number.into(), pre_post()).await;
    }
    let new = NewProject { project: project(1000, pre_post()), act: act(second(0)) };
    assert!(matches!(db.savings().insert(&tenant(), new.clone()).await, Err(ProjectError::TooMany)));
    assert!(db.savings().insert(&other_tenant(), new).await.is_ok());
}

async fn a_report_is_queued_with_the_version_and_the_sequence_of_its_request(db: TestDatabase) {
    let stored = created(&db, 1, pre_post()).await;
    let report = requested(&db, 1, &stored, 10).await;
    // A later change is no part of the report.
    changed(&db, stored.project.id, Change::Adjust(adjustment())).await.unwrap();
    let claimed = claim(&db, "a", 10).await.unwrap();
    assert_eq!((claimed.project.clone(), claimed.sequence, claimed.attempts), (stored.project.clone(), 2, 1));
    assert!(db.report_queue().finish(&claimed.claim, done(), second(20)).await.unwrap());
    let found = db.savings().find_report(&tenant(), report.id).await.unwrap().unwrap();
    let ReportOutcome::Done { signed, as_of } = done() else { unreachable!() };
    let finished_at = Some(second(20));
    let expected = ReportSummary { state: ReportState::Done, finished_at, as_of: Some(as_of), ..report.clone() };
    assert_eq!((found.summary.clone(), found.signed), (expected, Some(signed.clone())));
    let listed = db.savings().list_reports(&tenant(), stored.project.id, None, Limit::DEFAULT).await.unwrap();
    assert_eq!(listed, Some(vec![found.summary]));
    let object = Object::SavingsReport(report.id);
    let (asked, reported) = (Action::SavingsReportRequested, Action::SavingsReported);
    let events = events(&db).await;
    assert_eq!(events[1], (asked, object.clone(), Some(stored.project.fingerprint())));
    assert_eq!(events[3], (reported, object, Some(Fingerprint::of(&signed.document))));
    assert_eq!(claim(&db, "a", 1000).await, None);
}

async fn a_crossover_without_a_schedule_has_no_report(db: TestDatabase) {
    let stored = created(&db, 1, crossover()).await;
    let refused = db.savings().insert_report(&tenant(), request(1, stored.project.id, 1)).await;
    assert!(matches!(refused, Err(ReportError::NoSchedule)), "{refused:?}");
    let absent = request(1, SavingsProjectId::from_uuid(Uuid::from_u128(9)), 1);
    assert!(matches!(db.savings().insert_report(&tenant(), absent).await, Err(ReportError::NotFound)));
    changed(&db, stored.project.id, Change::Draw(7)).await.unwrap();
    requested(&db, 1, &stored, 10).await;
}

async fn a_tenant_has_a_limited_number_of_open_reports(db: TestDatabase) {
    let stored = created(&db, 1, pre_post()).await;
    for number in 1..=MAX_OPEN_REPORTS {
        requested(&db, number.into(), &stored, 1).await;
    }
    let more = || db_request(&db, stored.project.id);
    assert!(matches!(more().await, Err(ReportError::TooManyOpen)));
    let claimed = claim(&db, "a", 10).await.unwrap();
    assert!(matches!(more().await, Err(ReportError::TooManyOpen)));
    db.report_queue().finish(&claimed.claim, failed("x"), second(11)).await.unwrap();
    assert!(more().await.is_ok());
}

async fn db_request(db: &TestDatabase, project: SavingsProjectId) -> Result<ReportSummary, ReportError> {
    db.savings().insert_report(&tenant(), request(100, project, 2)).await
}

async fn one_of_several_workers_claims_a_report(db: TestDatabase) {
    let stored = created(&db, 1, pre_post()).await;
    requested(&db, 1, &stored, 10).await;
    assert_eq!(claim(&db, "a", 9).await, None);
    let (first, second) = tokio::join!(claim(&db, "a", 10), claim(&db, "b", 10));
    assert_eq!(first.iter().chain(&second).count(), 1);
    assert_eq!(claim(&db, "c", 20).await, None);
}

async fn an_expired_lease_is_taken_over_and_its_holder_cannot_finish(db: TestDatabase) {
    let stored = created(&db, 1, pre_post()).await;
    let report = requested(&db, 1, &stored, 10).await;
    let queue = db.report_queue();
    let lost = claim(&db, "a", 10).await.unwrap();
    assert!(queue.extend(&lost.claim, second(100)).await.unwrap());
    assert_eq!(claim(&db, "b", 99).await, None);
    let taken = claim(&db, "b", 100).await.unwrap();
    assert_eq!((taken.attempts, taken.claim.fence), (2, lost.claim.fence + 1));
    assert!(!queue.extend(&lost.claim, second(1000)).await.unwrap());
    assert!(!queue.postpone(&lost.claim, second(1000)).await.unwrap());
    assert!(!queue.finish(&lost.claim, done(), second(101)).await.unwrap());
    let found = db.savings().find_report(&tenant(), report.id).await.unwrap().unwrap();
    assert_eq!((found.summary.state, found.signed), (ReportState::Computing, None));
    assert!(queue.finish(&taken.claim, done(), second(102)).await.unwrap());
    assert!(!queue.finish(&taken.claim, done(), second(103)).await.unwrap());
}

async fn a_postponed_report_is_due_again_and_counts_no_attempt(db: TestDatabase) {
    let stored = created(&db, 1, pre_post()).await;
    let report = requested(&db, 1, &stored, 10).await;
    let claimed = claim(&db, "a", 10).await.unwrap();
    assert!(db.report_queue().postpone(&claimed.claim, second(30)).await.unwrap());
    let found = db.savings().find_report(&tenant(), report.id).await.unwrap().unwrap();
    assert_eq!(found.summary.state, ReportState::Queued);
    assert_eq!(claim(&db, "a", 29).await, None);
    assert_eq!(claim(&db, "a", 30).await.unwrap().attempts, 1);
}

fn failed(detail: &str) -> ReportOutcome {
    ReportOutcome::Failed(ReportFailure { code: Some(ReportFailureCode::InsufficientData), detail: detail.to_owned() })
}

async fn a_failed_report_keeps_its_reason(db: TestDatabase) {
    let stored = created(&db, 1, pre_post()).await;
    let report = requested(&db, 1, &stored, 10).await;
    let claimed = claim(&db, "a", 10).await.unwrap();
    assert!(db.report_queue().finish(&claimed.claim, failed("too few hours"), second(20)).await.unwrap());
    let found = db.savings().find_report(&tenant(), report.id).await.unwrap().unwrap().summary;
    assert_eq!(found.state, ReportState::Failed);
    let failure = found.failure.unwrap();
    assert_eq!((failure.code, &*failure.detail), (Some(ReportFailureCode::InsufficientData), "too few hours"));
    assert_eq!(events(&db).await.pop().unwrap().0, Action::SavingsReportFailed);
}

async fn delete(db: &TestDatabase, id: SavingsProjectId, expected: Option<Vec<i64>>) -> Result<(), ProjectError> {
    db.savings().delete(&tenant(), ProjectDeletion { id, expected, act: act(second(30)) }).await
}

async fn delete_report(db: &TestDatabase, id: SavingsReportId) -> Result<(), ReportError> {
    db.savings().delete_report(&tenant(), ReportDeletion { id, act: act(second(30)) }).await
}

async fn a_project_is_deleted_once_its_reports_are(db: TestDatabase) {
    let stored = created(&db, 1, pre_post()).await;
    let (id, report) = (stored.project.id, requested(&db, 1, &stored, 10).await);
    let claimed = claim(&db, "a", 10).await.unwrap();
    assert!(db.report_queue().finish(&claimed.claim, done(), second(20)).await.unwrap());
    assert!(matches!(delete(&db, id, None).await, Err(ProjectError::HasReports)));
    delete_report(&db, report.id).await.unwrap();
    assert_eq!(db.savings().find_report(&tenant(), report.id).await.unwrap(), None);
    assert!(matches!(delete_report(&db, report.id).await, Err(ReportError::NotFound)));
    assert!(matches!(delete(&db, id, Some(vec![2])).await, Err(ProjectError::Stale { version: 1 })));
    delete(&db, id, Some(vec![1])).await.unwrap();
    assert_eq!(db.savings().find(&tenant(), id).await.unwrap(), None);
    assert!(matches!(delete(&db, id, None).await, Err(ProjectError::NotFound)));
    let expected = [
        (Action::SavingsReportDeleted, Object::SavingsReport(report.id), None),
        (Action::SavingsDeleted, Object::SavingsProject(id), None),
    ];
    assert_eq!(events(&db).await[3..], expected);
}

async fn a_deleted_report_is_lost_to_its_worker(db: TestDatabase) {
    let stored = created(&db, 1, pre_post()).await;
    let report = requested(&db, 1, &stored, 10).await;
    let claimed = claim(&db, "a", 10).await.unwrap();
    delete_report(&db, report.id).await.unwrap();
    assert!(!db.report_queue().extend(&claimed.claim, second(100)).await.unwrap());
    assert!(!db.report_queue().postpone(&claimed.claim, second(100)).await.unwrap());
    assert!(!db.report_queue().finish(&claimed.claim, done(), second(20)).await.unwrap());
    assert_eq!(claim(&db, "b", 1000).await, None);
}

async fn reports_count_against_the_quota_of_stored_bytes(db: TestDatabase) {
    let stored = created(&db, 1, pre_post()).await;
    let used = async || db.quotas().get_usage(&tenant()).await.unwrap().stored_bytes;
    let text = stored.project.text().len() as u64;
    assert_eq!(used().await, 0);
    let first = requested(&db, 1, &stored, 10).await;
    assert_eq!(used().await, text);
    let claimed = claim(&db, "a", 10).await.unwrap();
    assert!(db.report_queue().finish(&claimed.claim, done(), second(20)).await.unwrap());
    let whole = text + "{\"a\":1}".len() as u64;
    assert_eq!(used().await, whole);

    let allow = async |bytes: u64| {
        let quotas = Quotas { stored_bytes: Some(bytes), ..Quotas::default() };
        db.quotas().update(&tenant(), QuotaChange { quotas, act: act(second(21)) }).await.unwrap();
    };
    allow(whole + text - 1).await;
    let refused = db.savings().insert_report(&tenant(), request(2, stored.project.id, 22)).await;
    let over = OverQuota::StoredBytes { allowed: whole + text - 1, used: whole, needed: text };
    assert!(matches!(refused, Err(ReportError::OverQuota(found)) if found == over), "{refused:?}");
    // Documents have no room either.
    allow(whole).await;
    assert!(matches!(db.accept(simple(1)).await, Err(Refusal::OverQuota(OverQuota::StoredBytes { .. }))));
    allow(whole + text).await;
    let second_report = requested(&db, 2, &stored, 23).await;
    delete_report(&db, first.id).await.unwrap();
    assert_eq!(used().await, text);
    delete_report(&db, second_report.id).await.unwrap();
    assert_eq!(used().await, 0);
}

async fn tenants_do_not_see_each_others_projects_and_reports(db: TestDatabase) {
    let stored = created(&db, 1, pre_post()).await;
    let report = requested(&db, 1, &stored, 10).await;
    let (savings, other, id) = (db.savings(), other_tenant(), stored.project.id);
    assert_eq!(savings.find(&other, id).await.unwrap(), None);
    assert_eq!(savings.list(&other, None, Limit::DEFAULT).await.unwrap(), []);
    assert_eq!(savings.find_report(&other, report.id).await.unwrap(), None);
    assert_eq!(savings.list_reports(&other, id, None, Limit::DEFAULT).await.unwrap(), None);
    let change = ProjectChange { id, change: Change::Adjust(adjustment()), expected: None, act: act(second(5)) };
    assert!(matches!(savings.change(&other, change).await, Err(ProjectError::NotFound)));
    assert!(matches!(savings.insert_report(&other, request(2, id, 1)).await, Err(ReportError::NotFound)));
    let deletion = ReportDeletion { id: report.id, act: act(second(5)) };
    assert!(matches!(savings.delete_report(&other, deletion).await, Err(ReportError::NotFound)));
    let deletion = ProjectDeletion { id, expected: None, act: act(second(5)) };
    assert!(matches!(savings.delete(&other, deletion).await, Err(ProjectError::NotFound)));
    // The same ids may occur in another tenant.
    let new = NewProject { project: stored.project.clone(), act: act(second(0)) };
    savings.insert(&other, new).await.unwrap();
    savings.insert_report(&other, request(1, id, 1)).await.unwrap();
    assert_eq!(claim(&db, "a", 100).await.unwrap().claim.tenant_id, other);
    assert_eq!(claim(&db, "a", 100).await.unwrap().claim.tenant_id, tenant());
}
