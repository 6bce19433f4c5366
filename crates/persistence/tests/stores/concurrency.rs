//! Concurrent callers, in one process and in two.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use mass_admin_service::{CreateUserError, QuotaChange};
use mass_audit_service::StoredCheckpoint;
use mass_domain::audit::tree::{Frontier, TreeHash};
use mass_domain::audit::{Act, Action, Event, Object};
use mass_domain::mass_request::{Outcome, RequestFilter, Status};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::Quotas;
use mass_persistence::Database;
use mass_service::{Refusal, Submission, Transition, TransitionError};
use tokio::task::JoinSet;

use crate::databases::{DatabaseLocation, TestDatabase};
use crate::fixtures::{
    Vary, account, act, actor, at, deletion, event, founded, origin, other_tenant, reading, simple, tenant, transition,
};

on_both!(
    one_reading_sent_a_hundred_times_at_once_is_stored_once,
    a_key_used_a_hundred_times_concurrently_stores_one_request,
    concurrent_corrections_form_one_chain,
    a_concurrent_status_change_is_made_once,
    events_are_numbered_without_gaps,
    a_failed_call_does_not_affect_its_group,
    a_cancelled_call_does_not_block_others,
    an_email_address_is_given_once,
    concurrent_writers_leave_a_gapless_log,
    changes_by_another_process_are_seen,
);

/// Accepts submissions concurrently, each in its own call, alternating between two processes' databases; counts the
/// results by outcome, with a plus for replays.
async fn accept_at_once(db: &TestDatabase, submissions: Vec<Submission>) -> HashMap<String, usize> {
    let other = db.place.open();
    let stores = [Arc::clone(&db.database.stores().mass), Arc::clone(&other.stores().mass)];
    let mut calls = JoinSet::new();
    for (submission, store) in submissions.into_iter().zip(stores.into_iter().cycle()) {
        calls.spawn(async move {
            store.accept(&tenant(), vec![submission], Vec::new(), None).await.unwrap().unwrap().pop().unwrap()
        });
    }
    let mut counts = HashMap::new();
    for result in calls.join_all().await {
        let outcome = match result {
            Ok(receipt) => format!("{}{}", receipt.outcome, if receipt.replayed { "+" } else { "" }),
            Err(refusal) => format!("{refusal:?}"),
        };
        *counts.entry(outcome).or_default() += 1;
    }
    counts
}

fn counts<const N: usize>(counts: [(&str, usize); N]) -> HashMap<String, usize> {
    counts.into_iter().map(|(outcome, count)| (outcome.to_owned(), count)).collect()
}

/// Returns the sequences of a tenant's log, in order.
fn sequences(db: &TestDatabase) -> Vec<String> {
    db.place
        .lines("SELECT CAST(sequence AS text) AS line FROM audit_events WHERE tenant_id = 'default' ORDER BY sequence")
}

fn numbers(count: usize) -> Vec<String> {
    (1..=count).map(|number| number.to_string()).collect()
}

async fn one_reading_sent_a_hundred_times_at_once_is_stored_once(db: TestDatabase) {
    let submissions = (0..100).map(|_| reading("dev-1", 20)).collect();
    assert_eq!(accept_at_once(&db, submissions).await, counts([("accepted", 1), ("duplicate", 99)]));
    assert_eq!(sequences(&db), numbers(1));
}

async fn a_key_used_a_hundred_times_concurrently_stores_one_request(db: TestDatabase) {
    let submissions = (0..100).map(|_| simple(1).keyed("k")).collect();
    assert_eq!(accept_at_once(&db, submissions).await, counts([("accepted", 1), ("accepted+", 99)]));
    assert_eq!(sequences(&db), numbers(1));
}

async fn concurrent_corrections_form_one_chain(db: TestDatabase) {
    let submissions = (0..40).map(|celsius| reading("dev-1", celsius).correcting()).collect();
    assert_eq!(accept_at_once(&db, submissions).await, counts([("accepted", 1), ("correction", 39)]));
    let rows = db.mass().list(&tenant(), &RequestFilter::default(), None, Limit::DEFAULT).await.unwrap();
    let by_id: HashMap<_, _> = rows.iter().map(|row| (row.id, row)).collect();
    let standing: Vec<_> = rows.iter().filter(|row| row.corrected_by.is_none()).collect();
    assert_eq!(standing.len(), 1);
    let (mut length, mut version) = (1, standing[0]);
    while let Some(older) = version.corrects {
        assert_eq!(by_id[&older].corrected_by, Some(version.id));
        version = by_id[&older];
        length += 1;
    }
    assert_eq!(length, 40);
    assert_eq!(sequences(&db), numbers(40 + 39));
}

async fn a_concurrent_status_change_is_made_once(db: TestDatabase) {
    let sent = simple(1);
    db.stored(sent.clone()).await;
    let other = db.place.open();
    let moves = [Status::Processing, Status::Failed, Status::Pending].into_iter().cycle().take(9);
    for (version, to) in (1..).zip(moves) {
        let mut calls = JoinSet::new();
        for database in [&db.database, &other].into_iter().cycle().take(16) {
            let store = Arc::clone(&database.stores().mass);
            let claim = Transition { expected: Some(vec![version]), ..transition(to) };
            calls.spawn(async move { store.transition(&tenant(), sent.id, claim).await });
        }
        let results = calls.join_all().await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        assert_eq!(
            results.iter().filter(|result| matches!(result, Err(TransitionError::Stale))).count(),
            15,
            "{results:?}"
        );
    }
    assert_eq!(db.events(sent.id).await.len(), 1 + 9);
}

async fn events_are_numbered_without_gaps(db: TestDatabase) {
    let submissions = (0..60).map(|n| reading(&format!("dev-{}", n % 20), n)).collect();
    let outcomes = accept_at_once(&db, submissions).await;
    assert_eq!(outcomes["accepted"], 20, "{outcomes:?}");
    assert_eq!(sequences(&db), numbers(20), "a refused document leaves no event of its own");
}

async fn a_failed_call_does_not_affect_its_group(db: TestDatabase) {
    let first = db.stored(simple(1)).await;
    let mut calls = JoinSet::new();
    for n in 0..30 {
        let store = Arc::clone(&db.database.stores().mass);
        let mut submission = simple(n);
        if n % 10 == 5 {
            submission.id = first.summary.id;
        }
        let object = Object::MassRequest(simple(n).id);
        let refused = Act::new(actor(), at(1), &origin()).refused(&tenant(), Action::PayloadRefused, object);
        calls.spawn(async move { store.accept(&tenant(), vec![submission], vec![refused], None).await });
    }
    let results = calls.join_all().await;
    assert_eq!(results.iter().filter(|result| matches!(result, Err(PortError::Unexpected(_)))).count(), 3);
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 27);
    assert_eq!(sequences(&db), numbers(1 + 27 * 2));
}

async fn a_cancelled_call_does_not_block_others(db: TestDatabase) {
    let mut given_up = Vec::new();
    let mut calls = JoinSet::new();
    for n in 0..60 {
        let store = Arc::clone(&db.database.stores().mass);
        let call = async move {
            store.accept(&tenant(), vec![simple(n)], Vec::new(), None).await.unwrap().unwrap().pop().unwrap().unwrap()
        };
        if n % 3 == 0 {
            given_up.push(tokio::spawn(call));
        } else {
            calls.spawn(call);
        }
        tokio::task::yield_now().await;
    }
    given_up.iter().for_each(|call| call.abort());
    assert_eq!(calls.join_all().await.len(), 40);
    let stored = sequences(&db);
    assert!(stored.len() >= 40);
    assert_eq!(stored, numbers(stored.len()));
}

async fn an_email_address_is_given_once(db: TestDatabase) {
    let other = db.place.open();
    let stores = [&db.database, &other].map(|database| Arc::clone(&database.stores().admin.accounts));
    let mut calls = JoinSet::new();
    for (n, store) in (0..20).zip(stores.into_iter().cycle()) {
        let tenant = if n % 3 == 0 { tenant() } else { other_tenant() };
        let account = account("ana@example.test", &tenant);
        calls.spawn(async move { store.insert(account, event(&tenant, at(0))).await });
    }
    let results = calls.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(results.iter().filter(|result| matches!(result, Err(CreateUserError::EmailTaken))).count(), 19);
    assert_eq!(db.place.lines("SELECT email AS line FROM users WHERE email LIKE 'ana%'").len(), 1);
}

/// Two processes that accept, change, delete, record, administrate and store checkpoints concurrently.
async fn concurrent_writers_leave_a_gapless_log(db: TestDatabase) {
    let other = db.place.open();
    let (mut calls, mut events) = (JoinSet::new(), 0);
    for (n, database) in (0..60).zip([&db.database, &other].into_iter().cycle()) {
        let stores = database.stores().clone();
        let record = move |at| event(&tenant(), at);
        events += if n % 3 == 0 { 3 } else { 11 };
        calls.spawn(async move {
            match n % 3 {
                0 => {
                    let sent = simple(n);
                    let id = sent.id;
                    stores.mass.accept(&tenant(), vec![sent], vec![], None).await.unwrap().unwrap();
                    stores.mass.transition(&tenant(), id, transition(Status::Failed)).await.unwrap();
                    stores.mass.delete(&tenant(), id, deletion()).await.unwrap();
                }
                1 => {
                    let account = account(&format!("user-{n}@example.test"), &tenant());
                    stores.admin.accounts.insert(account, record(at(n))).await.unwrap();
                    stores.audit.append(&tenant(), (0..10).map(|m| record(at(m))).collect()).await.unwrap();
                }
                _ => {
                    let submissions = (0..9).map(simple).collect();
                    stores.mass.accept(&tenant(), submissions, vec![record(at(n))], None).await.unwrap().unwrap();
                    // A value of its own each time, so that it is a change.
                    let quotas = Quotas { requests_per_day: Some(1_000_000 + n.unsigned_abs()), ..Quotas::default() };
                    stores.admin.quotas.update(&tenant(), QuotaChange { quotas, act: act(at(n)) }).await.unwrap();
                    let size = stores.audit.head(&tenant()).await.unwrap().size();
                    let checkpoint = StoredCheckpoint { size, at: at(n), note: String::new() };
                    stores.audit.keep_checkpoint(&tenant(), checkpoint).await.unwrap();
                }
            }
        });
    }
    calls.join_all().await;
    assert_eq!(sequences(&db), numbers(events));
    let trail = &db.database.stores().audit;
    let entries = trail.entries(&tenant(), 0, events + 1).await.unwrap();
    let mut naive = Frontier::default();
    for entry in &entries {
        assert_eq!(Event::read(&entry.event).unwrap().sequence, entry.sequence);
        naive.push(TreeHash::of_leaf(entry.event.as_bytes()), |_| {});
    }
    let size = events.try_into().unwrap();
    assert_eq!(trail.head(&tenant()).await.unwrap(), naive);
    assert_eq!(trail.frontier_at(&tenant(), size).await.unwrap(), Some(naive));
}

/// A process may cache a tenant's state after its writes; changes by another process have to be noticed all the same.
async fn changes_by_another_process_are_seen(db: TestDatabase) {
    let opened = db.place.open();
    let other = opened.stores();
    let theirs = |submission| async {
        other.mass.accept(&tenant(), vec![submission], vec![], None).await.unwrap().unwrap().remove(0)
    };
    let (mut number, mut events) = (0, 0);
    for round in 0..12 {
        // Repeated until the cache is used again after earlier failures.
        for _ in 0..70 {
            number += 1;
            db.stored(simple(number).keyed(&format!("own-{number}"))).await;
        }
        let device = format!("dev-{round}");
        match round % 4 {
            0 => {
                let stored = theirs(reading(&device, 20)).await.unwrap();
                let duplicate = db.accept(reading(&device, 20)).await.unwrap();
                assert_eq!((duplicate.outcome, duplicate.request), (Outcome::Duplicate, stored.request));
                events += 70 + 1;
            }
            1 => {
                let stored = theirs(simple(0).keyed(&device)).await.unwrap();
                let replay = db.accept(simple(0).keyed(&device)).await.unwrap();
                assert!(replay.replayed);
                assert_eq!(replay.request, stored.request);
                let refused = db.accept(simple(1).keyed(&device)).await;
                assert!(matches!(refused, Err(Refusal::KeyReused { .. })), "{refused:?}");
                events += 70 + 1;
            }
            2 => {
                let used = db.place.lines("SELECT CAST(requests AS text) AS line FROM tenant_usage").remove(0);
                let quotas = Quotas { requests_per_day: Some(used.parse().unwrap()), ..Quotas::default() };
                other.admin.quotas.update(&tenant(), QuotaChange { quotas, act: act(at(1)) }).await.unwrap();
                let refused = db.accept(simple(0)).await;
                assert!(matches!(refused, Err(Refusal::OverQuota(_))), "{refused:?}");
                let quotas = Quotas::default();
                other.admin.quotas.update(&tenant(), QuotaChange { quotas, act: act(at(2)) }).await.unwrap();
                events += 70 + 2;
            }
            _ => {
                let stored = theirs(reading(&device, 20)).await.unwrap().request.summary;
                other.mass.delete(&tenant(), stored.id, deletion()).await.unwrap();
                db.stored(reading(&device, 20)).await;
                events += 70 + 3;
            }
        }
    }
    assert_eq!(sequences(&db), numbers(events));
}

/// A key that another process stores for a duplicate adds no event: the document that was prepared without it collides
/// in the statement, which PostgreSQL refuses.
#[tokio::test]
async fn a_key_stored_by_another_process_meanwhile_is_found() {
    let db = TestDatabase::postgres().await;
    let known = db.stored(simple(1).keyed("own")).await;
    db.stored(simple(2)).await;
    let DatabaseLocation::Postgres(place) = &db.place else { panic!("not on PostgreSQL") };
    let mut other = place.connection();
    other.batch_execute("BEGIN; SELECT FROM audit_heads WHERE tenant_id = 'default' FOR UPDATE").unwrap();
    let store = Arc::clone(&db.database.stores().mass);
    let sending = tokio::spawn(async move {
        store.accept(&tenant(), vec![simple(3).keyed("theirs")], vec![], None).await.unwrap().unwrap().remove(0)
    });
    let waiting = "SELECT CAST(count(*) AS text) AS line FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while db.place.lines(waiting) == ["0"] {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let stored_by_another = "
        INSERT INTO idempotency_keys
            SELECT tenant_id, 'theirs', request_id, contract, fingerprint, outcome, status, version, updated_at,
                corrected_by, created_at
            FROM idempotency_keys WHERE key = 'own';
        UPDATE audit_heads SET size = size WHERE tenant_id = 'default';
        COMMIT";
    other.batch_execute(stored_by_another).unwrap();
    let refused = sending.await.unwrap();
    let expected = Refusal::KeyReused { request_id: known.summary.id };
    assert_eq!(refused, Err(expected));
    db.stored(simple(4)).await;
}

/// Several processes that start together on an empty database: one migrates, one bootstraps.
async fn start_together(place: DatabaseLocation) {
    let processes: Vec<Arc<Database>> = (0..4).map(|_| Arc::new(place.open())).collect();
    let mut starts = JoinSet::new();
    for database in &processes {
        let database = Arc::clone(database);
        starts.spawn_blocking(move || database.migrate().unwrap().len());
    }
    let mut applied = starts.join_all().await;
    applied.sort_unstable();
    assert_eq!(applied[..3], [0, 0, 0]);
    assert!(applied[3] > 0);

    assert!(processes[0].stores().auth.users.is_empty().await.unwrap());
    let mut starts = JoinSet::new();
    for (n, database) in processes.iter().enumerate() {
        let users = Arc::clone(&database.stores().auth.users);
        let account = account(&format!("admin-{n}@example.test"), &tenant());
        starts.spawn(async move { users.bootstrap(founded(tenant()), account, Vec::new()).await.unwrap() });
    }
    assert_eq!(starts.join_all().await.into_iter().filter(|founded| *founded).count(), 1);
    assert_eq!(place.lines("SELECT key AS line FROM directory").len(), 1);
}

#[tokio::test]
async fn processes_that_start_together_set_up_sqlite_once() {
    start_together(DatabaseLocation::sqlite()).await;
}

#[tokio::test]
async fn processes_that_start_together_set_up_postgres_once() {
    start_together(DatabaseLocation::postgres()).await;
}
