//! The queue for the engine: leases, and one outcome per delivery under concurrent workers.

use std::cmp::Reverse;
use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::slice;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use mass_admin_service::SettingsChange;
use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::{Action, Event};
use mass_domain::canonical::Fingerprint;
use mass_domain::delivery::{
    Backlog, DeadReason, Delivery, DeliveryFilter, Failure, FailureCode, RetryPolicy, State, WorkerName,
};
use mass_domain::ids::{ApiKeyId, DeliveryId, MassRequestId, RecommendationId};
use mass_domain::mass_request::Status;
use mass_domain::page::Limit;
use mass_domain::recommendation::{self, Advice, Recommendation};
use mass_domain::tenancy::{AutoSend, TenantId, TenantSettings};
use mass_domain::time::{Clock, Timestamp};
use mass_domain::trace::Origin;
use mass_service::{
    Answer, Claim, Claimed, Conclusion, Deliverer, DeliveryError, DeliveryQuery, DeliveryService, DeliverySettings,
    DeliveryStore, Found, HandleError, Question, ReadError, RecommendationQuery, Recommender, RecommenderError,
    Recorded, Restraint, SendError, Submission,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::databases::{DatabaseLocation, TestDatabase};
use crate::fixtures::{Vary, act, at, deletion, event, other_tenant, reading, simple, tenant, transition};

on_both!(
    a_request_is_sent_once,
    finished_requests_are_not_sent,
    requests_are_stored_and_queued_in_one_transaction,
    auto_sent_deliveries_behave_like_others,
    claimed_but_not_started_deliveries_can_be_cancelled,
    a_delivery_outlives_the_event_of_its_request,
    a_delivery_may_have_an_id_of_its_own,
    orphaned_queue_entries_are_removed,
    deliveries_continue_the_trace_of_the_sending_call,
    documents_that_are_not_stored_are_not_queued,
    the_tenants_auto_send_overrides_the_servers,
    no_two_workers_have_the_same_delivery,
    tenants_take_turns_regardless_of_their_queues,
    claims_respect_open_and_half_open_circuits,
    free_slots_are_shared_between_tenants,
    remaining_slots_go_to_the_tenants_in_turn,
    deliveries_are_not_claimed_before_they_are_due,
    an_expired_lease_is_taken_over_and_its_holder_cannot_record,
    only_one_of_concurrent_outcomes_is_recorded,
    released_deliveries_are_due_at_once_and_count_no_attempt,
    a_lease_is_extended_while_it_is_held,
    deleting_a_request_cancels_its_delivery,
    finishing_a_request_cancels_its_delivery,
    a_cancelled_delivery_records_no_answer,
    a_dead_letter_is_replayed_in_a_new_round,
    a_tenant_sees_the_state_of_its_own_deliveries,
    callers_need_a_permission_and_an_engine,
    cursors_work_only_in_their_own_list,
    recommendations_are_found_by_their_filters,
    answers_are_judged_and_stored,
    answers_that_break_a_constraint_are_stored_and_flagged,
    failures_are_retried_until_the_delivery_is_dead,
    permanent_failures_make_the_delivery_dead_at_once,
    an_open_circuit_counts_no_attempt,
    a_delivery_that_kills_its_workers_becomes_dead,
);

/// The instant this number of seconds into the test's day.
fn second(seconds: i64) -> Timestamp {
    at(seconds * 1_000_000)
}

fn worker(name: &str) -> WorkerName {
    WorkerName::parse(name).unwrap()
}

/// A submission that is queued in the transaction that stores it.
fn sent(submission: Submission) -> Submission {
    Submission { auto_send: AutoSend::On, ..submission }
}

/// Stores and queues a request.
async fn queued(db: &TestDatabase, submission: Submission) -> Delivery {
    let id = db.stored(submission).await.summary.id;
    db.outbox().enqueue(&tenant(), id, act(second(1))).await.unwrap()
}

async fn claim(db: &TestDatabase, name: &str, now: i64) -> Vec<Claimed> {
    claim_but(db, name, now, &Restraint::default()).await
}

async fn claim_but(db: &TestDatabase, name: &str, now: i64, restraint: &Restraint) -> Vec<Claimed> {
    db.deliveries().claim(&worker(name), 100, second(now), second(now + 60), restraint).await.unwrap()
}

async fn claim_one(db: &TestDatabase, name: &str, now: i64) -> Claimed {
    let mut claimed = claim(db, name, now).await;
    assert_eq!(claimed.len(), 1, "{claimed:?}");
    claimed.pop().unwrap()
}

async fn record(db: &TestDatabase, claimed: &Claimed, conclusion: Conclusion) -> Recorded {
    db.deliveries().record(&claimed.claim, conclusion, second(200)).await.unwrap()
}

async fn found(db: &TestDatabase, id: DeliveryId) -> Delivery {
    db.outbox().find(&tenant(), id).await.unwrap().unwrap()
}

async fn status(db: &TestDatabase, id: MassRequestId) -> Status {
    db.present(id).await.summary.status
}

async fn recommended(db: &TestDatabase, id: MassRequestId) -> Vec<Recommendation> {
    match db.recommendations().list_of_request(&tenant(), id).await.unwrap() {
        Found::Present(recommendations) => recommendations,
        odd @ (Found::Deleted | Found::Absent) => panic!("{odd:?}"),
    }
}

async fn actions(db: &TestDatabase, id: MassRequestId) -> Vec<Action> {
    db.events(id).await.into_iter().map(|event| event.event.action).collect()
}

fn answer(fingerprint: Fingerprint) -> Value {
    json!({
        "decision_id": "1bf55342-4b7c-8b8b-ad25-f5ad6c942848",
        "model": {"name": "m", "version": "1", "policy": "p"},
        "input_fingerprint": fingerprint.to_string(),
        "confidence": 0.1, "risk_score": 0.3,
        "estimated_impact_24h": {"energy_kwh": 143.605, "cost": 15.8, "currency": "USD", "pue_delta": -0.0075, "co2e_kg": 57.4},
        "actions": [{
            "type": "raise_temperature", "target": "dev-1/temperature_c",
            "current": 22.4, "suggested": 22.9, "delta": 0.5, "units": "celsius"
        }],
        "expected_impact": null,
        "explanation": {"narrative": "Wärmer.", "reason_codes": ["STEP_UP"]},
        "guardrails": {"shadow_read_only_enforced": true, "no_control_actions_enforced": true}
    })
}

fn recommendation(claimed: &Claimed) -> Recommendation {
    let Claimed { claim, question, site_id, device_id, .. } = claimed;
    let body = answer(question.fingerprint).to_string();
    Recommendation {
        id: RecommendationId::from_uuid(Uuid::now_v7()),
        tenant_id: claim.tenant_id.clone(),
        request_id: question.request_id,
        delivery_id: claim.delivery_id,
        contract: question.contract,
        site_id: site_id.clone(),
        device_id: device_id.clone(),
        created_at: second(150),
        advice: Advice::read(body.as_bytes(), question.fingerprint).unwrap(),
        flags: Vec::new(),
        latency_ms: 40,
        slo_ms: Some(50),
    }
}

fn answered(claimed: &Claimed) -> Conclusion {
    Conclusion::Answered(Box::new(recommendation(claimed)))
}

fn failure() -> Failure {
    Failure { code: FailureCode::Timeout, detail: "No answer within 5 seconds.".to_owned() }
}

fn dead() -> Conclusion {
    Conclusion::Dead { failure: failure(), reason: DeadReason::AttemptsExhausted }
}

async fn a_request_is_sent_once(db: TestDatabase) {
    let id = db.stored(reading("dev-1", 20)).await.summary.id;
    let delivery = db.outbox().enqueue(&tenant(), id, act(second(1))).await.unwrap();
    assert_eq!((delivery.id, delivery.request_id, delivery.state), (DeliveryId::of(id), id, State::Queued));
    assert_eq!((delivery.round, delivery.attempts, delivery.due_at), (1, 0, Some(second(1))));
    assert_eq!(db.outbox().enqueue(&tenant(), id, act(second(2))).await.unwrap(), delivery);
    assert_eq!(status(&db, id).await, Status::Pending);
    assert_eq!(actions(&db, id).await, [Action::Accepted, Action::Sent]);

    let claimed = claim_one(&db, "a", 3).await;
    let leased = db.outbox().enqueue(&tenant(), id, act(second(4))).await.unwrap();
    assert_eq!((leased.id, leased.state, leased.due_at), (delivery.id, State::Leased, None));
    let lease = leased.lease.unwrap();
    assert_eq!((lease.owner, lease.until), (worker("a"), second(63)));
    assert_eq!(record(&db, &claimed, answered(&claimed)).await, Recorded::Recorded);
    let delivered = db.outbox().enqueue(&tenant(), id, act(second(5))).await.unwrap();
    assert_eq!((delivered.id, delivered.state, delivered.lease), (delivery.id, State::Delivered, None));

    assert_eq!(db.outbox().find(&other_tenant(), delivery.id).await.unwrap(), None);
    let foreign = db.outbox().enqueue(&other_tenant(), id, act(second(6))).await;
    assert!(matches!(foreign, Err(SendError::NotFound)), "{foreign:?}");
}

async fn finished_requests_are_not_sent(db: TestDatabase) {
    let cancelled = db.stored(simple(1)).await.summary.id;
    db.mass().transition(&tenant(), cancelled, transition(Status::Cancelled)).await.unwrap();
    let refused = db.outbox().enqueue(&tenant(), cancelled, act(second(1))).await;
    assert!(matches!(refused, Err(SendError::Ended { status: Status::Cancelled })), "{refused:?}");

    let deleted = db.stored(simple(2)).await.summary.id;
    db.mass().delete(&tenant(), deleted, deletion()).await.unwrap();
    let refused = db.outbox().enqueue(&tenant(), deleted, act(second(1))).await;
    assert!(matches!(refused, Err(SendError::Gone)), "{refused:?}");

    let failed = db.stored(simple(3)).await.summary.id;
    db.mass().transition(&tenant(), failed, transition(Status::Failed)).await.unwrap();
    db.outbox().enqueue(&tenant(), failed, act(second(1))).await.unwrap();
    assert_eq!(status(&db, failed).await, Status::Pending);
    assert_eq!(claim_one(&db, "a", 2).await.question.request_id, failed);
}

async fn requests_are_stored_and_queued_in_one_transaction(db: TestDatabase) {
    let submissions = vec![sent(reading("dev-1", 20)), simple(1), sent(simple(2))];
    let ids: Vec<_> = submissions.iter().map(|submission| DeliveryId::of(submission.id)).collect();
    let receipts = db.mass().accept(&tenant(), submissions, Vec::new(), None).await.unwrap().unwrap();
    let requests: Vec<_> = receipts.into_iter().map(|receipt| receipt.unwrap().request.summary).collect();
    // Accepting and auto-sending is one act with one event.
    let told = [json!(ids[0].to_string()), Value::Null, json!(ids[2].to_string())];
    for ((request, sequence), delivery) in requests.iter().zip(1..).zip(told) {
        let events = db.events(request.id).await;
        assert_eq!((request.audit.unwrap().sequence, events[0].sequence), (sequence, sequence));
        assert_eq!(
            (events.len(), &events[0].event.detail.get("delivery").cloned().unwrap_or_default()),
            (1, &delivery)
        );
    }
    let claimed = claim(&db, "a", 2).await;
    let claimed: HashSet<_> =
        claimed.iter().map(|claimed| (claimed.claim.delivery_id, claimed.question.request_id)).collect();
    assert_eq!(claimed, HashSet::from([(ids[0], requests[0].id), (ids[2], requests[2].id)]));
    assert_eq!(actions(&db, requests[0].id).await, [Action::Accepted, Action::StatusChanged]);
    assert_eq!(actions(&db, requests[1].id).await, [Action::Accepted]);

    // The database refuses the second of two equal ids, which rolls the first one back.
    let first = sent(simple(3));
    let second = Submission { id: first.id, ..sent(simple(4)) };
    assert!(db.mass().accept(&tenant(), vec![first, second], Vec::new(), None).await.is_err());
    assert_eq!(db.outbox().list(&tenant(), DeliveryFilter::default(), None, Limit::DEFAULT).await.unwrap().len(), 2);
    assert_eq!(db.outbox().get_backlog(at(3)).await.unwrap(), Backlog { waiting: 0, leased: 2, oldest_due: None });
}

async fn auto_sent_deliveries_behave_like_others(db: TestDatabase) {
    let outbox = db.outbox();
    let submissions: Vec<_> = (0..6).map(|value| sent(simple(value).sent(second(value)))).collect();
    let requests: Vec<_> = submissions.iter().map(|submission| submission.id).collect();
    let ids: Vec<_> = requests.iter().copied().map(DeliveryId::of).collect();
    db.mass()
        .accept(&tenant(), submissions, Vec::new(), None)
        .await
        .unwrap()
        .unwrap()
        .into_iter()
        .for_each(|stored| drop(stored.unwrap()));
    let asked_for = queued(&db, simple(9)).await;

    let delivery = found(&db, ids[2]).await;
    assert_eq!((delivery.id, delivery.request_id, delivery.state), (ids[2], requests[2], State::Queued));
    assert_eq!((delivery.round, delivery.attempts, delivery.due_at), (1, 0, Some(second(2))));
    assert_eq!((delivery.created_at, delivery.queued_at, delivery.updated_at), (second(2), second(2), second(2)));
    assert_eq!((&delivery.lease, &delivery.failure, delivery.dead_reason), (&None, &None, None));
    assert_eq!(outbox.find(&other_tenant(), ids[2]).await.unwrap(), None);
    assert_eq!(outbox.enqueue(&tenant(), requests[2], act(second(9))).await.unwrap(), delivery);
    assert_eq!(outbox.replay(&tenant(), ids[2], act(second(9))).await.unwrap(), delivery);
    assert_eq!(actions(&db, requests[2]).await, [Action::Accepted]);

    let cancelled = outbox.cancel(&tenant(), ids[0], act(second(9))).await.unwrap();
    assert_eq!((cancelled.state, cancelled.due_at, cancelled.updated_at), (State::Cancelled, None, second(9)));
    assert_eq!(status(&db, requests[0]).await, Status::Cancelled);
    db.mass().delete(&tenant(), requests[1], deletion()).await.unwrap();
    assert_eq!(found(&db, ids[1]).await.state, State::Cancelled);

    let mut all = vec![asked_for.id];
    all.extend(&ids);
    all.sort_by_key(|id| Reverse(*id));
    let pages = async |state: Option<State>| {
        let (mut listed, limit) = (Vec::new(), Limit::new(2).unwrap());
        for _ in 0..4 {
            let page = outbox.list(&tenant(), DeliveryFilter { state }, listed.last().copied(), limit).await.unwrap();
            listed.extend(page.iter().take(2).map(|delivery| delivery.id));
        }
        listed
    };
    assert_eq!(pages(None).await, all);
    let is_cancelled = |id: &DeliveryId| ids[..2].contains(id);
    let (gone, waiting): (Vec<_>, Vec<_>) = all.iter().partition(|id| is_cancelled(id));
    assert_eq!((pages(Some(State::Cancelled)).await, pages(Some(State::Queued)).await), (gone, waiting));
    assert_eq!(pages(Some(State::Dead)).await, []);
    let overview = outbox.get_overview(&tenant()).await.unwrap();
    assert_eq!((overview.depth, overview.oldest), (5, Some(second(1))));
    assert_eq!(overview.by_state.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [5, 0, 0, 0, 2]);
    let claimed =
        db.deliveries().claim(&worker("a"), 100, second(20), second(60), &Restraint::default()).await.unwrap();
    assert_eq!(claimed.len(), 5);
    assert!(claimed.iter().all(|claimed| claimed.queued_at == found_at(claimed, &requests)));
    assert_eq!(outbox.get_overview(&tenant()).await.unwrap().by_state[1], (State::Leased, 5));
}

/// Returns the expected time of queueing: with the request if it was auto-sent, otherwise the first second.
fn found_at(claimed: &Claimed, requests: &[MassRequestId]) -> Timestamp {
    let place = requests.iter().position(|id| *id == claimed.question.request_id);
    second(place.map_or(1, |place| i64::try_from(place).unwrap()))
}

async fn claimed_but_not_started_deliveries_can_be_cancelled(db: TestDatabase) {
    let requests: Vec<_> = (0..5).map(|value| sent(simple(value))).collect();
    let ids: Vec<_> = requests.iter().map(|request| request.id).collect();
    assert!(db.mass().accept(&tenant(), requests, Vec::new(), None).await.unwrap().unwrap().iter().all(Result::is_ok));
    let until = match db.place {
        DatabaseLocation::Sqlite(_) => "'2999-01-01T00:00:00.000000Z'",
        DatabaseLocation::Postgres(_) => "timestamptz '2999-01-01'",
    };
    db.place.execute(&format!("UPDATE delivery_queue SET worker = 'a', fence = 1, due_at = {until}"));
    let claimed = found(&db, DeliveryId::of(ids[0])).await;
    assert_eq!((claimed.state, claimed.due_at, claimed.queued_at), (State::Queued, None, at(1)));
    assert_eq!(claimed.lease.map(|lease| lease.owner), Some(worker("a")));

    db.outbox().cancel(&tenant(), DeliveryId::of(ids[0]), act(second(2))).await.unwrap();
    db.mass().delete(&tenant(), ids[1], deletion()).await.unwrap();
    db.mass().transition(&tenant(), ids[2], transition(Status::Failed)).await.unwrap();
    for id in &ids[..3] {
        assert_eq!(found(&db, DeliveryId::of(*id)).await.state, State::Cancelled);
    }
    assert_eq!(db.deliveries().release_all(&worker("a"), second(3)).await.unwrap(), 2);
    let again = claim(&db, "b", 3).await;
    assert_eq!(again.iter().map(|claimed| claimed.attempt).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(db.outbox().get_overview(&tenant()).await.unwrap().depth, 2);
}

async fn a_delivery_outlives_the_event_of_its_request(db: TestDatabase) {
    db.stored(sent(simple(1))).await;
    let trail = Arc::clone(&db.database.stores().audit);
    assert!(trail.archive(&tenant(), 1..=1, event(&tenant(), at(9))).await.unwrap());
    let claimed = claim_one(&db, "a", 2).await;
    assert_eq!((claimed.question.trace, claimed.attempt), (None, 1));
    assert_eq!(record(&db, &claimed, answered(&claimed)).await, Recorded::Recorded);
}

/// Returns an id as an SQL literal.
fn in_sql(db: &TestDatabase, id: DeliveryId) -> String {
    match db.place {
        DatabaseLocation::Sqlite(_) => format!("x'{}'", id.as_uuid().simple()),
        DatabaseLocation::Postgres(_) => format!("'{id}'"),
    }
}

/// Deliveries of older versions have ids that differ from their requests'.
async fn a_delivery_may_have_an_id_of_its_own(db: TestDatabase) {
    let delivery = queued(&db, simple(1)).await;
    let (old, new) = (delivery.id, DeliveryId::from_uuid(Uuid::now_v7()));
    for (table, id) in [("deliveries", "id"), ("delivery_queue", "delivery_id")] {
        let (old, new) = (in_sql(&db, old), in_sql(&db, new));
        db.place.execute(&format!("UPDATE {table} SET {id} = {new} WHERE {id} = {old}"));
    }
    let renamed = Delivery { id: new, ..delivery };
    assert_eq!(found(&db, new).await, renamed);
    assert_eq!(db.outbox().find(&tenant(), old).await.unwrap(), None);
    assert_eq!(db.outbox().enqueue(&tenant(), renamed.request_id, act(second(3))).await.unwrap(), renamed);
    let listed = db.outbox().list(&tenant(), DeliveryFilter::default(), None, Limit::DEFAULT).await.unwrap();
    assert_eq!(listed, slice::from_ref(&renamed));
    assert_eq!(claim_one(&db, "a", 3).await.claim.delivery_id, new);
    db.mass().delete(&tenant(), renamed.request_id, deletion()).await.unwrap();
    assert_eq!(found(&db, new).await.state, State::Cancelled);
}

/// As left by a server of an older version that still runs while others have been upgraded.
async fn orphaned_queue_entries_are_removed(db: TestDatabase) {
    let (twice, deleted) = (sent(simple(1)), sent(simple(2)));
    let [request, gone] = [twice.id, deleted.id].map(|id| in_sql(&db, DeliveryId::of(id)));
    assert!(
        db.mass()
            .accept(&tenant(), vec![twice, deleted], Vec::new(), None)
            .await
            .unwrap()
            .unwrap()
            .iter()
            .all(Result::is_ok)
    );
    let other = in_sql(&db, DeliveryId::from_uuid(Uuid::now_v7()));
    let columns = "tenant_id, id, request_id, state, round, attempts, created_at, queued_at, updated_at, call_id";
    let values = format!("tenant_id, {other}, id, 'queued', 1, 0, created_at, created_at, created_at, 'c'");
    let insert = format!("INSERT INTO deliveries ({columns}) SELECT {values} FROM mass_requests WHERE id = {request}");
    db.place.execute(&insert);
    db.place.execute(&format!("UPDATE mass_requests SET deleted_at = created_at WHERE id = {gone}"));
    assert_eq!(claim(&db, "a", 2).await, []);
    assert_eq!(db.outbox().get_backlog(second(2)).await.unwrap(), Backlog::default());
}

async fn deliveries_continue_the_trace_of_the_sending_call(db: TestDatabase) {
    let of = |flags: &str| format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}").parse().unwrap();
    for (value, trace) in [Some(of("01")), Some(of("00")), None].into_iter().enumerate() {
        let submission = sent(simple(i64::try_from(value).unwrap()));
        let origin = Origin { trace, ..submission.origin.clone() };
        db.stored(Submission { origin, ..submission }).await;
        let claimed = claim_one(&db, "a", 2).await;
        assert_eq!(claimed.question.trace, trace);
        assert_eq!(record(&db, &claimed, answered(&claimed)).await, Recorded::Recorded);
        let events = db.events(claimed.question.request_id).await;
        let told = events.iter().map(|event| event.event.origin.request_id.as_str());
        assert_eq!(told.collect::<Vec<_>>(), ["req-1"; 3], "the call by which it was sent");
    }
}

async fn documents_that_are_not_stored_are_not_queued(db: TestDatabase) {
    db.stored(reading("dev-1", 20).keyed("k")).await;
    for submission in [reading("dev-1", 20), reading("dev-1", 20).keyed("k"), reading("dev-1", 21)] {
        // A duplicate, a replay and a conflict.
        let _ = db.accept(sent(submission)).await;
    }
    let submissions = vec![sent(simple(1)), sent(reading("dev-1", 22))];
    assert!(db.mass().store_all_or_none(&tenant(), submissions).await.unwrap().iter().any(Result::is_err));
    assert_eq!(db.outbox().list(&tenant(), DeliveryFilter::default(), None, Limit::DEFAULT).await.unwrap(), []);
    assert_eq!(db.outbox().get_backlog(second(1)).await.unwrap(), Backlog::default());
}

async fn the_tenants_auto_send_overrides_the_servers(db: TestDatabase) {
    // It alternates with the first process, so that neither can rely on its cache.
    let other = db.place.open();
    let mut value = 0;
    for auto_send in [None, Some(true), Some(false), None] {
        let change =
            SettingsChange { settings: TenantSettings { auto_send, ..TenantSettings::default() }, act: act(at(5)) };
        db.settings().update(&tenant(), change).await.unwrap();
        for (server, by_default) in [(AutoSend::NoEngine, false), (AutoSend::Off, false), (AutoSend::On, true)] {
            let sent = server != AutoSend::NoEngine && auto_send.unwrap_or(by_default);
            for stores in [db.database.stores(), other.stores()] {
                value += 1;
                let submissions = |of| vec![Submission { auto_send: server, ..simple(of) }];
                let single =
                    stores.mass.accept(&tenant(), submissions(value), Vec::new(), None).await.unwrap().unwrap();
                let whole = stores.mass.store_all_or_none(&tenant(), submissions(-value)).await.unwrap();
                for receipt in [single, whole].concat() {
                    let receipt = receipt.unwrap();
                    assert_eq!(receipt.sent, sent, "{auto_send:?} {server:?}");
                    let accepted = &db.events(receipt.request.summary.id).await[0].event;
                    assert_eq!(accepted.detail.contains_key("delivery"), sent, "{auto_send:?} {server:?}");
                }
            }
            let change = SettingsChange {
                settings: TenantSettings { auto_send: Some(!sent), ..TenantSettings::default() },
                act: act(at(6)),
            };
            db.settings().update(&other_tenant(), change).await.unwrap();
        }
    }
    let sent = db.outbox().get_overview(&tenant()).await.unwrap();
    assert_eq!(sent.depth, 16);
}

async fn no_two_workers_have_the_same_delivery(db: TestDatabase) {
    for of in [tenant(), other_tenant()] {
        let submissions = (0..30).map(|value| sent(simple(value))).collect();
        assert!(db.mass().accept(&of, submissions, Vec::new(), None).await.unwrap().unwrap().iter().all(Result::is_ok));
    }
    let processes: Vec<_> = (0..3).map(|_| db.place.open()).collect();
    let work = |name: String, process: usize| {
        let store = Arc::clone(&processes[process].stores().deliveries);
        tokio::spawn(async move {
            let mut claims: Vec<Claim> = Vec::new();
            loop {
                let claimed =
                    store.claim(&worker(&name), 4, second(2), second(60), &Restraint::default()).await.unwrap();
                if claimed.is_empty() {
                    return claims;
                }
                assert!(claimed.len() <= 4 && claimed.iter().all(|claimed| claimed.attempt == 1), "{claimed:?}");
                claims.extend(claimed.into_iter().map(|claimed| claimed.claim));
            }
        })
    };
    let workers = (0..6).map(|index| work(format!("w{index}"), index % processes.len()));
    // A worker stops if it finds nothing while another one claims the rest, so that one more looks for missed
    // deliveries.
    let claims: Vec<Claim> = join_all(workers).await.into_iter().flat_map(Result::unwrap).collect();
    let rest = claim(&db, "last", 2).await;
    let distinct: HashSet<_> = claims.iter().map(|claim| (&claim.tenant_id, claim.delivery_id)).collect();
    assert_eq!(distinct.len(), claims.len());
    assert_eq!(claims.len() + rest.len(), 60);
    let of_tenant = |of: &TenantId| claims.iter().filter(|claim| claim.tenant_id == *of).count();
    assert!(of_tenant(&tenant()) <= 30 && of_tenant(&other_tenant()) <= 30);
}

async fn tenants_take_turns_regardless_of_their_queues(db: TestDatabase) {
    let (much, little) = (tenant(), other_tenant());
    let of = async |whose: &TenantId, values: Range<i64>| {
        let submissions = values.map(|value| sent(simple(value).sent(second(value)))).collect();
        assert!(
            db.mass().accept(whose, submissions, Vec::new(), None).await.unwrap().unwrap().iter().all(Result::is_ok)
        );
    };
    of(&much, 0..40).await;
    of(&little, 50..53).await;
    let claim = async |store: &dyn DeliveryStore, limit: u16| {
        let claimed = store.claim(&worker("a"), limit, second(60), second(300), &Restraint::default()).await.unwrap();
        let whose = |of: &TenantId| claimed.iter().filter(|claimed| claimed.claim.tenant_id == *of).count();
        (whose(&much), whose(&little))
    };
    let mut counts = Vec::new();
    for limit in [1, 1, 1, 1, 3] {
        counts.push(claim(db.deliveries(), limit).await);
    }
    assert_eq!(counts, [(1, 0), (0, 1), (1, 0), (0, 1), (2, 1)]);
    // Another process takes its own turns, and finds the tenant with the rest.
    let other = db.place.open();
    assert_eq!(claim(&*other.stores().deliveries, 1).await, (1, 0));
    assert_eq!(claim(db.deliveries(), 3).await, (3, 0));
    // Deliveries that are not due take no turn.
    of(&little, 100..101).await;
    assert_eq!(claim(db.deliveries(), 2).await, (2, 0));
    assert_eq!(claim(db.deliveries(), 100).await, (30, 0));
    assert_eq!(claim(db.deliveries(), 100).await, (0, 0));
}

async fn claims_respect_open_and_half_open_circuits(db: TestDatabase) {
    for whose in [tenant(), other_tenant()] {
        let submissions = (0..10).map(|value| sent(simple(value))).collect();
        assert!(
            db.mass().accept(&whose, submissions, Vec::new(), None).await.unwrap().unwrap().iter().all(Result::is_ok)
        );
    }
    let of = |claimed: &[Claimed], whose: &TenantId| {
        claimed.iter().filter(|claimed| claimed.claim.tenant_id == *whose).count()
    };
    let none = Restraint { none_of: vec![tenant(), other_tenant()], one_of: Vec::new() };
    assert_eq!(claim_but(&db, "a", 2, &none).await, []);
    let tried = Restraint { none_of: vec![tenant()], one_of: vec![other_tenant()] };
    for _ in 0..2 {
        let claimed = claim_but(&db, "a", 2, &tried).await;
        assert_eq!((claimed.len(), of(&claimed, &other_tenant())), (1, 1));
    }
    let but_one = Restraint { none_of: vec![other_tenant()], one_of: Vec::new() };
    let claimed = claim_but(&db, "a", 2, &but_one).await;
    assert_eq!((claimed.len(), of(&claimed, &tenant())), (10, 10));
    for delivery in db.outbox().list(&other_tenant(), DeliveryFilter::default(), None, Limit::DEFAULT).await.unwrap() {
        let attempts = i64::from(delivery.state == State::Leased);
        assert_eq!((delivery.attempts, delivery.updated_at > delivery.created_at), (attempts, attempts == 1));
    }
    assert_eq!(db.outbox().get_backlog(second(2)).await.unwrap().oldest_due, Some(at(1)));
    assert_eq!(claim(&db, "a", 2).await.len(), 8);
}

async fn free_slots_are_shared_between_tenants(db: TestDatabase) {
    for (whose, values) in [(tenant(), 0..20), (other_tenant(), 20..23)] {
        let submissions = values.map(|value| sent(simple(value))).collect();
        assert!(
            db.mass().accept(&whose, submissions, Vec::new(), None).await.unwrap().unwrap().iter().all(Result::is_ok)
        );
    }
    let claim = async |limit| {
        let (store, none) = (db.deliveries(), Restraint::default());
        let claimed = store.claim(&worker("a"), limit, second(2), second(60), &none).await.unwrap();
        let of_other = claimed.iter().filter(|claimed| claimed.claim.tenant_id == other_tenant()).count();
        (claimed.len() - of_other, of_other)
    };
    assert_eq!(claim(4).await, (2, 2));
    // Slots that one tenant does not need go to the other.
    assert_eq!(claim(8).await, (7, 1));
    assert_eq!(claim(5).await, (5, 0));
}

async fn remaining_slots_go_to_the_tenants_in_turn(db: TestDatabase) {
    for whose in [tenant(), other_tenant()] {
        let submissions = (0..20).map(|value| sent(simple(value).sent(second(value)))).collect();
        assert!(
            db.mass().accept(&whose, submissions, Vec::new(), None).await.unwrap().unwrap().iter().all(Result::is_ok)
        );
    }
    let mut counts = Vec::new();
    for _ in 0..4 {
        let (store, none) = (db.deliveries(), Restraint::default());
        let claimed = store.claim(&worker("a"), 5, second(60), second(300), &none).await.unwrap();
        counts.push(claimed.iter().filter(|claimed| claimed.claim.tenant_id == tenant()).count());
    }
    assert_eq!(counts, [3, 2, 3, 2]);
    // Of each tenant, the delivery that has waited longest.
    for whose in [tenant(), other_tenant()] {
        let waiting = DeliveryFilter { state: Some(State::Queued) };
        let waiting = db.outbox().list(&whose, waiting, None, Limit::DEFAULT).await.unwrap();
        let since: HashSet<_> = waiting.iter().map(|delivery| delivery.queued_at).collect();
        assert_eq!(since, (10..20).map(second).collect());
    }
}

async fn deliveries_are_not_claimed_before_they_are_due(db: TestDatabase) {
    let ids = [queued(&db, simple(1)).await.id, queued(&db, simple(2)).await.id];
    assert_eq!(claim(&db, "a", 0).await, []);
    let first = db.deliveries().claim(&worker("a"), 1, second(1), second(60), &Restraint::default()).await.unwrap();
    assert_eq!(first.len(), 1);
    let retry = Conclusion::Retry { failure: failure(), due_at: second(300) };
    assert_eq!(record(&db, &first[0], retry).await, Recorded::Recorded);
    let delivery = found(&db, first[0].claim.delivery_id).await;
    assert_eq!((delivery.state, delivery.attempts, delivery.due_at), (State::Queued, 1, Some(second(300))));
    assert_eq!((delivery.failure, delivery.lease), (Some(failure()), None));
    assert_eq!(status(&db, delivery.request_id).await, Status::Processing);

    let other = claim_one(&db, "b", 299).await;
    assert!(ids.contains(&other.claim.delivery_id) && other.claim.delivery_id != delivery.id);
    let again = claim_one(&db, "b", 300).await;
    assert_eq!((again.claim.delivery_id, again.attempt), (delivery.id, 2));
    assert_eq!(again.question.idempotency_key, first[0].question.idempotency_key);
}

async fn an_expired_lease_is_taken_over_and_its_holder_cannot_record(db: TestDatabase) {
    let delivery = queued(&db, reading("dev-1", 20)).await;
    let late = claim_one(&db, "a", 2).await;
    assert_eq!(late.question.request_id, delivery.request_id);
    assert_eq!(late.question.document, db.present(delivery.request_id).await.document);
    assert_eq!(late.question.trace, act(at(0)).origin.trace);
    assert_eq!(claim(&db, "b", 61).await, []);
    // A killed process had the same name as its successor.
    let next = claim_one(&db, "a", 62).await;
    assert_eq!((next.attempt, &next.question), (2, &late.question));
    assert!(next.claim.fence > late.claim.fence);

    for conclusion in [answered(&late), dead(), Conclusion::Postponed { due_at: second(300) }] {
        assert_eq!(record(&db, &late, conclusion).await, Recorded::LeaseLost);
    }
    assert_eq!(db.deliveries().extend(slice::from_ref(&late.claim), second(900)).await.unwrap(), [false]);
    assert_eq!(found(&db, delivery.id).await.lease.unwrap().until, second(122));
    assert_eq!(recommended(&db, delivery.request_id).await, []);

    assert_eq!(record(&db, &next, answered(&next)).await, Recorded::Recorded);
    for claimed in [&late, &next] {
        assert_eq!(record(&db, claimed, answered(claimed)).await, Recorded::LeaseLost);
    }
    let delivered = found(&db, delivery.id).await;
    assert_eq!((delivered.state, delivered.attempts, delivered.lease), (State::Delivered, 2, None));
    assert_eq!(status(&db, delivery.request_id).await, Status::Done);
    assert_eq!(recommended(&db, delivery.request_id).await.len(), 1);
    let expected = [Action::Accepted, Action::Sent, Action::StatusChanged, Action::Delivered];
    assert_eq!(actions(&db, delivery.request_id).await, expected);
}

async fn only_one_of_concurrent_outcomes_is_recorded(db: TestDatabase) {
    let delivery = queued(&db, simple(1)).await;
    let claimed = claim_one(&db, "a", 2).await;
    let processes: Vec<_> = (0..2).map(|_| db.place.open()).collect();
    let conclusions = (0..8).map(|index| if index % 2 == 0 { answered(&claimed) } else { dead() });
    let attempts = conclusions.enumerate().map(|(index, conclusion)| {
        let (store, claim) = (Arc::clone(&processes[index % 2].stores().deliveries), claimed.claim.clone());
        tokio::spawn(async move { store.record(&claim, conclusion, second(9)).await.unwrap() })
    });
    let recorded: Vec<_> = join_all(attempts).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(recorded.iter().filter(|recorded| **recorded == Recorded::Recorded).count(), 1);
    let (state, status) = (found(&db, delivery.id).await.state, status(&db, delivery.request_id).await);
    let kept = recommended(&db, delivery.request_id).await.len();
    let consistent = [(State::Delivered, Status::Done, 1), (State::Dead, Status::Failed, 0)];
    assert!(consistent.contains(&(state, status, kept)), "{state} {status} {kept}");
    assert_eq!(actions(&db, delivery.request_id).await.len(), 4);
}

async fn released_deliveries_are_due_at_once_and_count_no_attempt(db: TestDatabase) {
    let delivery = queued(&db, simple(1)).await;
    let given_back = claim_one(&db, "a", 2).await;
    assert_eq!(db.deliveries().release_all(&worker("b"), second(3)).await.unwrap(), 0);
    assert_eq!(db.deliveries().release_all(&worker("a"), second(3)).await.unwrap(), 1);
    assert_eq!(db.deliveries().release_all(&worker("a"), second(3)).await.unwrap(), 0);
    let waiting = found(&db, delivery.id).await;
    assert_eq!((waiting.state, waiting.attempts, waiting.due_at), (State::Queued, 0, Some(second(3))));
    assert_eq!(record(&db, &given_back, answered(&given_back)).await, Recorded::LeaseLost);
    let next = claim_one(&db, "a", 3).await;
    assert_eq!(next.attempt, 1);
    assert_eq!(record(&db, &given_back, answered(&given_back)).await, Recorded::LeaseLost);
    assert_eq!(record(&db, &next, answered(&next)).await, Recorded::Recorded);
}

async fn a_lease_is_extended_while_it_is_held(db: TestDatabase) {
    for value in 0..3 {
        queued(&db, simple(value)).await;
    }
    let mut claims: Vec<_> = claim(&db, "a", 2).await.into_iter().map(|claimed| claimed.claim).collect();
    claims.sort_by_key(|claim| Reverse(claim.delivery_id));
    let given_up = db.outbox().cancel(&tenant(), claims[0].delivery_id, act(second(3))).await.unwrap();
    assert_eq!(given_up.state, State::Cancelled);
    assert_eq!(db.deliveries().extend(&claims[..2], second(600)).await.unwrap(), [false, true]);
    assert_eq!(claim_one(&db, "b", 599).await.claim.delivery_id, claims[2].delivery_id);
    assert_eq!(db.outbox().get_backlog(second(599)).await.unwrap().leased, 2);
    assert_eq!(claim_one(&db, "b", 600).await.claim.delivery_id, claims[1].delivery_id);
}

async fn deleting_a_request_cancels_its_delivery(db: TestDatabase) {
    let waiting = queued(&db, simple(1)).await;
    let under_way = claim_one(&db, "a", 2).await;
    let delivered = queued(&db, simple(2)).await;
    let claimed = claim_one(&db, "a", 2).await;
    assert_eq!(record(&db, &claimed, answered(&claimed)).await, Recorded::Recorded);
    for delivery in [&waiting, &delivered] {
        db.mass().delete(&tenant(), delivery.request_id, deletion()).await.unwrap();
        let gone = db.recommendations().list_of_request(&tenant(), delivery.request_id).await.unwrap();
        assert_eq!(gone, Found::Deleted);
    }
    assert_eq!(record(&db, &under_way, answered(&under_way)).await, Recorded::LeaseLost);
    assert_eq!(found(&db, waiting.id).await.state, State::Cancelled);
    assert_eq!(found(&db, delivered.id).await.state, State::Delivered);
    assert_eq!(claim(&db, "b", 5000).await, []);
    let all = recommendation::RecommendationFilter::default();
    assert_eq!(db.recommendations().list(&tenant(), &all, None, Limit::DEFAULT).await.unwrap(), []);
    let replay = db.outbox().replay(&tenant(), waiting.id, act(second(9))).await;
    assert!(matches!(replay, Err(HandleError::NotAllowed { state: State::Cancelled })), "{replay:?}");
    let told = db.place.lines(&format!(
        "SELECT action AS line FROM audit_events WHERE object_id = '{}' ORDER BY sequence",
        waiting.request_id
    ));
    assert_eq!(told, ["accepted", "sent", "status_changed", "deleted", "delivery_cancelled"]);
}

async fn finishing_a_request_cancels_its_delivery(db: TestDatabase) {
    for (number, status) in [Status::Cancelled, Status::Failed].into_iter().enumerate() {
        let delivery = queued(&db, simple(i64::try_from(number).unwrap())).await;
        let claimed = claim_one(&db, "a", 2).await;
        db.mass().transition(&tenant(), delivery.request_id, transition(status)).await.unwrap();
        assert_eq!(found(&db, delivery.id).await.state, State::Cancelled);
        assert_eq!(record(&db, &claimed, answered(&claimed)).await, Recorded::LeaseLost);
        assert_eq!(self::status(&db, delivery.request_id).await, status);
        assert_eq!(claim(&db, "b", 5000).await, []);
        let last = actions(&db, delivery.request_id).await.split_off(3);
        assert_eq!(last, [Action::StatusChanged, Action::DeliveryCancelled]);
    }
}

async fn a_cancelled_delivery_records_no_answer(db: TestDatabase) {
    let delivery = queued(&db, simple(1)).await;
    let claimed = claim_one(&db, "a", 2).await;
    let foreign = db.outbox().cancel(&other_tenant(), delivery.id, act(second(3))).await;
    assert!(matches!(foreign, Err(HandleError::NotFound)), "{foreign:?}");
    let cancelled = db.outbox().cancel(&tenant(), delivery.id, act(second(3))).await.unwrap();
    assert_eq!((cancelled.state, cancelled.due_at, cancelled.lease.clone()), (State::Cancelled, None, None));
    assert_eq!(db.outbox().cancel(&tenant(), delivery.id, act(second(4))).await.unwrap(), cancelled);
    assert_eq!(record(&db, &claimed, answered(&claimed)).await, Recorded::LeaseLost);
    assert_eq!(claim(&db, "b", 5000).await, []);
    assert_eq!(status(&db, delivery.request_id).await, Status::Cancelled);
    let events = db.events(delivery.request_id).await;
    let last: &Event = events.last().unwrap();
    assert_eq!((last.event.action, last.event.actor), (Action::DeliveryCancelled, act(at(0)).actor));
    assert_eq!((&last.event.detail["from"], &last.event.detail["to"]), (&json!("processing"), &json!("cancelled")));
    assert_eq!(events.len(), 4);
}

async fn a_dead_letter_is_replayed_in_a_new_round(db: TestDatabase) {
    let delivery = queued(&db, simple(1)).await;
    let early = db.outbox().replay(&tenant(), delivery.id, act(second(2))).await.unwrap();
    assert_eq!(early, delivery);
    let first = claim_one(&db, "a", 2).await;
    assert_eq!(record(&db, &first, dead()).await, Recorded::Recorded);
    let letter = found(&db, delivery.id).await;
    assert_eq!((letter.state, letter.dead_reason), (State::Dead, Some(DeadReason::AttemptsExhausted)));
    assert_eq!((letter.failure, letter.due_at), (Some(failure()), None));
    assert_eq!(status(&db, delivery.request_id).await, Status::Failed);
    assert_eq!(claim(&db, "a", 5000).await, []);

    let replayed = db.outbox().replay(&tenant(), delivery.id, act(second(300))).await.unwrap();
    assert_eq!((replayed.id, replayed.state, replayed.round), (delivery.id, State::Queued, 2));
    assert_eq!((replayed.attempts, replayed.failure, replayed.dead_reason), (0, None, None));
    assert_eq!((replayed.queued_at, replayed.due_at), (second(300), Some(second(300))));
    assert_eq!(status(&db, delivery.request_id).await, Status::Pending);
    let second_round = claim_one(&db, "a", 300).await;
    assert_eq!(second_round.attempt, 1);
    // A new idempotency key, so that an engine that stores its answers computes a new one.
    assert_ne!(second_round.question.idempotency_key, first.question.idempotency_key);
    assert!(second_round.claim.fence > first.claim.fence);
    assert_eq!(record(&db, &first, answered(&first)).await, Recorded::LeaseLost);
    assert_eq!(record(&db, &second_round, answered(&second_round)).await, Recorded::Recorded);
    let refused = db.outbox().replay(&tenant(), delivery.id, act(second(400))).await;
    assert!(matches!(refused, Err(HandleError::NotAllowed { state: State::Delivered })), "{refused:?}");
    let refused = db.outbox().cancel(&tenant(), delivery.id, act(second(400))).await;
    assert!(matches!(refused, Err(HandleError::NotAllowed { state: State::Delivered })), "{refused:?}");
    let expected = [
        Action::Accepted,
        Action::Sent,
        Action::StatusChanged,
        Action::DeliveryFailed,
        Action::DeliveryReplayed,
        Action::StatusChanged,
        Action::Delivered,
    ];
    assert_eq!(actions(&db, delivery.request_id).await, expected);
    let failed = &db.events(delivery.request_id).await[3].event;
    assert_eq!(
        (&failed.detail["code"], &failed.detail["reason"]),
        (&json!("engine_timeout"), &json!("attempts_exhausted"))
    );
}

async fn a_tenant_sees_the_state_of_its_own_deliveries(db: TestDatabase) {
    let (outbox, limit) = (db.outbox(), Limit::new(2).unwrap());
    let mut ids = Vec::new();
    for value in 0..5 {
        ids.push(queued(&db, simple(value)).await.id);
    }
    let claimed = db.deliveries().claim(&worker("a"), 3, second(2), second(60), &Restraint::default()).await.unwrap();
    assert_eq!(record(&db, &claimed[0], answered(&claimed[0])).await, Recorded::Recorded);
    assert_eq!(record(&db, &claimed[1], dead()).await, Recorded::Recorded);
    let retry = Conclusion::Retry { failure: failure(), due_at: second(30) };
    assert_eq!(record(&db, &claimed[2], retry).await, Recorded::Recorded);

    let overview = outbox.get_overview(&tenant()).await.unwrap();
    assert_eq!((overview.depth, overview.oldest, overview.retrying), (3, Some(second(1)), 1));
    let by_state: Vec<_> = overview.by_state.iter().map(|(_, count)| *count).collect();
    assert_eq!(by_state, [3, 0, 1, 1, 0]);
    let nothing = outbox.get_overview(&other_tenant()).await.unwrap();
    assert_eq!((nothing.depth, nothing.oldest, nothing.by_state.len()), (0, None, State::ALL.len()));
    let backlog = outbox.get_backlog(second(2)).await.unwrap();
    assert_eq!(backlog, Backlog { waiting: 3, leased: 0, oldest_due: Some(second(1)) });

    let first = outbox.list(&tenant(), DeliveryFilter::default(), None, limit).await.unwrap();
    let first: Vec<_> = first.iter().map(|delivery| delivery.id).collect();
    assert_eq!(first, [ids[4], ids[3], ids[2]]);
    let next = outbox.list(&tenant(), DeliveryFilter::default(), Some(ids[3]), limit).await.unwrap();
    assert_eq!(next.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), [ids[2], ids[1], ids[0]]);
    let letters = outbox.list(&tenant(), DeliveryFilter { state: Some(State::Dead) }, None, limit).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.id).collect::<Vec<_>>(), [claimed[1].claim.delivery_id]);
    assert_eq!(outbox.list(&other_tenant(), DeliveryFilter::default(), None, limit).await.unwrap(), []);
}

/// A caller with only these permissions.
fn caller(permissions: &[Permission]) -> Principal {
    let id = ApiKeyId::from_uuid(Uuid::from_u128(5));
    Principal::api_key(id, tenant(), permissions.iter().copied().collect())
}

fn service(db: &TestDatabase, has_engine: bool) -> DeliveryService {
    let stores = db.database.stores();
    let clock = Arc::new(ManualClock(Mutex::new(second(5))));
    DeliveryService::new(Arc::clone(&stores.outbox), Arc::clone(&stores.recommendations), clock, has_engine)
}

async fn callers_need_a_permission_and_an_engine(db: TestDatabase) {
    let id = db.stored(simple(1)).await.summary.id;
    let (service, without) = (service(&db, true), service(&db, false));
    let but = |left_out: Permission| {
        let others = Permission::ALL.iter().copied().filter(|permission| *permission != left_out);
        caller(&others.collect::<Vec<_>>())
    };
    let (operator, origin) = (caller(&[Permission::MassWrite, Permission::DeliveriesManage]), || act(at(0)).origin);
    let refused = without.send(&operator, id, origin()).await;
    assert!(matches!(refused, Err(SendError::EngineMissing)), "{refused:?}");
    let refused = service.send(&but(Permission::MassWrite), id, origin()).await;
    assert!(matches!(refused, Err(SendError::Forbidden(Forbidden(Permission::MassWrite)))), "{refused:?}");
    let delivery = service.send(&operator, id, origin()).await.unwrap();
    assert_eq!((delivery.created_at, delivery.state), (second(5), State::Queued));

    let nobody = but(Permission::DeliveriesManage);
    let query = DeliveryQuery { filter: DeliveryFilter::default(), limit: Limit::DEFAULT, cursor: None };
    assert!(matches!(service.overview(&nobody).await, Err(DeliveryError::Forbidden(_))));
    assert!(matches!(service.deliveries(&nobody, &query).await, Err(DeliveryError::Forbidden(_))));
    assert!(matches!(service.delivery(&nobody, delivery.id).await, Err(DeliveryError::Forbidden(_))));
    assert!(matches!(service.replay(&nobody, delivery.id, origin()).await, Err(HandleError::Forbidden(_))));
    assert!(matches!(service.cancel(&nobody, delivery.id, origin()).await, Err(HandleError::Forbidden(_))));
    assert!(matches!(service.backlog(&operator).await, Err(DeliveryError::Forbidden(_))));
    assert_eq!(service.backlog(&caller(&[Permission::MetricsRead])).await.unwrap().waiting, 1);
    assert!(matches!(service.recommendations(&operator, id).await, Err(ReadError::Forbidden(_))));
    assert_eq!(service.recommendations(&caller(&[Permission::MassRead]), id).await.unwrap(), []);

    assert!(matches!(without.replay(&operator, delivery.id, origin()).await, Err(HandleError::EngineMissing)));
    let absent = DeliveryId::from_uuid(Uuid::from_u128(1));
    assert!(matches!(service.delivery(&operator, absent).await, Err(DeliveryError::NotFound)));
    assert!(matches!(service.replay(&operator, absent, origin()).await, Err(HandleError::NotFound)));
    // Deliveries that wait for an engine that is no longer configured can be cancelled.
    assert_eq!(without.cancel(&operator, delivery.id, origin()).await.unwrap().state, State::Cancelled);
}

async fn cursors_work_only_in_their_own_list(db: TestDatabase) {
    for value in 0..3 {
        queued(&db, simple(value)).await;
    }
    let (service, operator) = (service(&db, true), caller(&[Permission::DeliveriesManage, Permission::MassRead]));
    let query =
        |state, cursor| DeliveryQuery { filter: DeliveryFilter { state }, limit: Limit::new(2).unwrap(), cursor };
    let first = service.deliveries(&operator, &query(None, None)).await.unwrap();
    assert_eq!((first.items.len(), first.next_cursor.is_some()), (2, true));
    let second = service.deliveries(&operator, &query(None, first.next_cursor.clone())).await.unwrap();
    assert_eq!((second.items.len(), second.next_cursor), (1, None));
    assert!(second.items[0].id < first.items[1].id);
    let foreign = service.deliveries(&operator, &query(Some(State::Queued), first.next_cursor.clone())).await;
    assert!(matches!(foreign, Err(DeliveryError::ForeignCursor(_))), "{foreign:?}");
    let filter = recommendation::RecommendationFilter::default();
    let other_list = RecommendationQuery { filter, limit: Limit::DEFAULT, cursor: first.next_cursor };
    let foreign = service.list_recommendations(&operator, &other_list).await;
    assert!(matches!(foreign, Err(ReadError::ForeignCursor(_))), "{foreign:?}");
}

async fn recommendations_are_found_by_their_filters(db: TestDatabase) {
    let mut kept = Vec::new();
    for (number, submission) in [reading("dev-1", 20), reading("dev-2", 20), simple(1)].into_iter().enumerate() {
        queued(&db, submission).await;
        let claimed = claim_one(&db, "a", 2).await;
        let mut recommendation = recommendation(&claimed);
        if number == 1 {
            recommendation.advice.model.name = "n".to_owned();
            recommendation.created_at = second(160);
            let (code, pointer) = ("delta_mismatch".to_owned(), "/actions/0".to_owned());
            let flag = recommendation::Flag { code, pointer, detail: "Odd.".to_owned() };
            recommendation.flags = vec![flag];
        }
        let conclusion = Conclusion::Answered(Box::new(recommendation.clone()));
        assert_eq!(record(&db, &claimed, conclusion).await, Recorded::Recorded);
        kept.push(recommendation);
    }
    assert_eq!(recommended(&db, kept[1].request_id).await, [kept[1].clone()]);
    let none = || recommendation::RecommendationFilter::default();
    let text = |text: &str| Some(text.to_owned());
    let cases = [
        (none(), vec![2, 1, 0]),
        (recommendation::RecommendationFilter { valid: Some(true), ..none() }, vec![2, 0]),
        (recommendation::RecommendationFilter { valid: Some(false), ..none() }, vec![1]),
        (recommendation::RecommendationFilter { model: text("n"), ..none() }, vec![1]),
        (recommendation::RecommendationFilter { site_id: text("site-1"), ..none() }, vec![1, 0]),
        (recommendation::RecommendationFilter { device_id: text("dev-1"), ..none() }, vec![0]),
        (recommendation::RecommendationFilter { device_id: text("dev-1"), model: text("n"), ..none() }, vec![]),
    ];
    for (filter, expected) in cases {
        let found = db.recommendations().list(&tenant(), &filter, None, Limit::DEFAULT).await.unwrap();
        let expected: Vec<_> = expected.into_iter().map(|index: usize| kept[index].clone()).collect();
        assert_eq!(found, expected, "{filter:?}");
        assert_eq!(db.recommendations().list(&other_tenant(), &filter, None, Limit::DEFAULT).await.unwrap(), []);
    }
    let one = Limit::new(1).unwrap();
    let page = db.recommendations().list(&tenant(), &none(), Some(kept[2].id), one).await.unwrap();
    assert_eq!(page.iter().map(|row| row.id).collect::<Vec<_>>(), [kept[1].id, kept[0].id]);
    let foreign = db.recommendations().list_of_request(&other_tenant(), kept[0].request_id).await.unwrap();
    assert_eq!(foreign, Found::Absent);
}

/// A scripted engine, which records its questions.
struct Engine {
    answers: Mutex<VecDeque<Result<Value, RecommenderError>>>,
    asked: Mutex<Vec<Question>>,
}

#[async_trait]
impl Recommender for Engine {
    async fn recommend(&self, question: &Question) -> Result<Answer, RecommenderError> {
        self.asked.lock().unwrap().push(question.clone());
        let next = self.answers.lock().unwrap().pop_front().expect("the engine is asked no more than that");
        next.map(|body| Answer { body: body.to_string().into_bytes(), latency: Duration::from_millis(40) })
    }
}

/// A clock that the test sets.
struct ManualClock(Mutex<Timestamp>);

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// The use cases on deliveries, with an engine that gives these answers.
struct Delivering {
    deliverer: Deliverer,
    engine: Arc<Engine>,
    clock: Arc<ManualClock>,
}

impl Delivering {
    fn new(db: &TestDatabase, answers: impl IntoIterator<Item = Result<Value, RecommenderError>>) -> Self {
        let answers = Mutex::new(answers.into_iter().collect());
        let engine = Arc::new(Engine { answers, asked: Mutex::default() });
        let clock = Arc::new(ManualClock(Mutex::new(second(2))));
        let retry = RetryPolicy {
            base: Duration::from_secs(10),
            cap: Duration::from_secs(100),
            max_attempts: 3,
            deadline: Duration::from_secs(3600),
        };
        let settings = DeliverySettings { lease: Duration::from_secs(60), retry };
        let store = Arc::clone(&db.database.stores().deliveries);
        let deliverer = Deliverer::new(store, engine.clone(), clock.clone(), Arc::new(|| 0.5), settings);
        Self { deliverer, engine, clock }
    }

    /// Runs the one due delivery at an instant; `None` if none is due.
    async fn at(&self, seconds: i64) -> Option<Conclusion> {
        *self.clock.0.lock().unwrap() = second(seconds);
        let mut done = self.deliverer.deliver_next(&worker("a"), 10).await.unwrap();
        assert!(done.len() <= 1);
        done.pop().map(|done| {
            let (conclusion, recorded) = done.unwrap();
            assert_eq!(recorded, Recorded::Recorded);
            conclusion
        })
    }

    fn asked(&self) -> usize {
        self.engine.asked.lock().unwrap().len()
    }
}

fn failed(code: FailureCode, retryable: bool, retry_after: Option<u64>) -> Result<Value, RecommenderError> {
    let failure = Failure { code, detail: "It said so.".to_owned() };
    Err(RecommenderError::Failed { failure, retryable, retry_after: retry_after.map(Duration::from_secs) })
}

/// A document with hard constraints and a service level objective.
fn constrained() -> Submission {
    let mut submission = simple(7);
    let canonical =
        r#"{"request":{"constraints":{"hard":{"max_temperature_c":22.8}},"service_level_objective_ms":39}}"#;
    submission.examined.fingerprint = Fingerprint::of(canonical);
    submission.examined.canonical = canonical.to_owned();
    submission
}

async fn answers_are_judged_and_stored(db: TestDatabase) {
    let request = db.stored(reading("dev-1", 20)).await.summary;
    db.outbox().enqueue(&tenant(), request.id, act(second(1))).await.unwrap();
    let worker = Delivering::new(&db, [Ok(answer(request.fingerprint))]);
    assert!(matches!(worker.at(2).await, Some(Conclusion::Answered(_))));
    assert_eq!(worker.at(5000).await, None);
    let kept = recommended(&db, request.id).await.pop().unwrap();
    assert!(kept.is_valid());
    assert_eq!((kept.latency_ms, kept.slo_met(), kept.created_at), (40, None, second(2)));
    assert_eq!((kept.site_id.as_deref(), kept.device_id.as_deref()), (Some("site-1"), Some("dev-1")));
    assert_eq!(serde_json::to_value(&kept.advice).unwrap(), answer(request.fingerprint));

    let event = db.events(request.id).await.pop().unwrap().event;
    assert_eq!((event.action, event.actor.kind()), (Action::Delivered, "system"));
    // The event carries the trace of the call that sent the request.
    assert_eq!((event.origin.request_id, event.origin.trace), (act(at(0)).origin.request_id, act(at(0)).origin.trace));
    assert_eq!(event.detail["recommendation"], json!(kept.id.to_string()));
    assert_eq!((&event.detail["valid"], &event.detail["attempts"]), (&json!(true), &json!(1)));
    let stored = db.place.lines("SELECT answer AS line FROM recommendations").pop().unwrap();
    assert_eq!(event.detail["answer"], json!(Fingerprint::of(&stored).to_string()));
}

async fn answers_that_break_a_constraint_are_stored_and_flagged(db: TestDatabase) {
    let request = db.stored(constrained()).await.summary;
    db.outbox().enqueue(&tenant(), request.id, act(second(1))).await.unwrap();
    let worker = Delivering::new(&db, [Ok(answer(request.fingerprint))]);
    assert!(matches!(worker.at(2).await, Some(Conclusion::Answered(_))));
    let kept = recommended(&db, request.id).await.pop().unwrap();
    assert!(!kept.is_valid());
    assert_eq!((kept.slo_ms, kept.slo_met()), (Some(39), Some(false)));
    assert_eq!(kept.flags.iter().map(|flag| flag.code.as_str()).collect::<Vec<_>>(), ["hard_constraint_broken"]);
    let event = db.events(request.id).await.pop().unwrap().event;
    assert_eq!((&event.detail["valid"], &event.detail["flags"]), (&json!(false), &json!(["hard_constraint_broken"])));
}

async fn failures_are_retried_until_the_delivery_is_dead(db: TestDatabase) {
    let request = db.stored(simple(1)).await.summary;
    let delivery = db.outbox().enqueue(&tenant(), request.id, act(second(1))).await.unwrap();
    let garbage = answer(Fingerprint::of("another document"));
    let worker = Delivering::new(
        &db,
        [failed(FailureCode::Busy, true, Some(30)), Ok(garbage), failed(FailureCode::EngineFault, true, None)],
    );
    worker.at(2).await.unwrap();
    assert_eq!(found(&db, delivery.id).await.due_at, Some(second(32)));
    assert_eq!(worker.at(31).await, None);
    worker.at(32).await.unwrap();
    let waiting = found(&db, delivery.id).await;
    assert_eq!((waiting.attempts, waiting.due_at), (2, Some(second(42))));
    let failure = waiting.failure.unwrap();
    assert_eq!(failure.code, FailureCode::Malformed);
    assert!(failure.detail.contains("/input_fingerprint"), "{failure:?}");
    worker.at(42).await.unwrap();
    let letter = found(&db, delivery.id).await;
    assert_eq!((letter.state, letter.dead_reason), (State::Dead, Some(DeadReason::AttemptsExhausted)));
    assert_eq!(letter.failure.unwrap().code, FailureCode::EngineFault);
    assert_eq!(worker.at(5000).await, None);
    assert_eq!(recommended(&db, request.id).await, []);
    let asked = worker.engine.asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|question| *question == asked[0]));
}

async fn permanent_failures_make_the_delivery_dead_at_once(db: TestDatabase) {
    let delivery = queued(&db, simple(1)).await;
    let worker = Delivering::new(&db, [failed(FailureCode::Refused, false, None)]);
    worker.at(2).await.unwrap();
    let letter = found(&db, delivery.id).await;
    assert_eq!((letter.attempts, letter.dead_reason), (1, Some(DeadReason::NotRetryable)));
    assert_eq!(status(&db, delivery.request_id).await, Status::Failed);
}

async fn an_open_circuit_counts_no_attempt(db: TestDatabase) {
    let request = db.stored(simple(1)).await.summary;
    let delivery = db.outbox().enqueue(&tenant(), request.id, act(second(1))).await.unwrap();
    let open = || Err(RecommenderError::CircuitOpen { retry_after: Duration::from_secs(20) });
    let answers = (0..5).map(|_| open()).chain([Ok(answer(request.fingerprint))]);
    let worker = Delivering::new(&db, answers);
    for round in 0..5 {
        worker.at(100 + round * 20).await.unwrap();
        let waiting = found(&db, delivery.id).await;
        assert_eq!((waiting.state, waiting.attempts), (State::Queued, 0));
        assert_eq!(waiting.due_at, Some(second(120 + round * 20)));
    }
    assert!(matches!(worker.at(200).await, Some(Conclusion::Answered(_))));
    assert_eq!(found(&db, delivery.id).await.attempts, 1);
}

async fn a_delivery_that_kills_its_workers_becomes_dead(db: TestDatabase) {
    let delivery = queued(&db, simple(1)).await;
    for killed in 0..3 {
        claim_one(&db, "killed", 2 + killed * 60).await;
    }
    let worker = Delivering::new(&db, []);
    worker.at(182).await.unwrap();
    let letter = found(&db, delivery.id).await;
    assert_eq!((letter.state, letter.dead_reason), (State::Dead, Some(DeadReason::AttemptsExhausted)));
    assert_eq!((letter.failure.unwrap().code, worker.asked()), (FailureCode::Lost, 0));
}
