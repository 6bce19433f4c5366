//! Documents that are erased by their age, and the lease of the workers that do so.

use mass_domain::access::Actor;
use mass_domain::audit::{Action, Event};
use mass_domain::contracts::{ContractId, DEVICE_1_1, SIMPLE_1_0};
use mass_domain::delivery::WorkerName;
use mass_domain::ids::{LegalHoldId, MassRequestId};
use mass_domain::mass_request::{MassRequest, RequestFilter};
use mass_domain::retention::{LegalHold, RetentionRule, RetentionRules};
use mass_domain::tasks::TenantTask;
use mass_domain::time::Timestamp;
use mass_service::{
    DeleteError, DeletionStep, DeletionsError, ExpiryStep, ExpiryStore, Found, HoldError, HoldRelease, MAX_HOLDS,
    NewHold, RetentionChange, RetentionStore,
};
use uuid::Uuid;

use crate::databases::TestDatabase;
use crate::fixtures::{Vary, act, actor, at, deletion, origin, other_tenant, reading, simple, tenant};

on_both!(
    the_age_is_that_of_the_id,
    a_chain_of_corrections_is_erased_from_its_beginning,
    a_step_erases_at_most_its_limit_and_gives_room,
    a_hold_keeps_documents_from_rules_and_deletions,
    a_tenant_has_a_bounded_number_of_holds,
    a_tenant_is_claimed_by_one_worker_at_a_time,
    tenants_do_not_share_rules_or_holds,
);

const DAY: i64 = 86_400_000_000;

fn days(contract: Option<ContractId>, days: u16) -> RetentionChange {
    let rules = RetentionRules::new(vec![RetentionRule { contract, days }]).unwrap();
    RetentionChange { rules, act: act(at(0)) }
}

fn store(db: &TestDatabase) -> &dyn RetentionStore {
    &*db.database.stores().retention
}

fn expiry(db: &TestDatabase) -> &dyn ExpiryStore {
    &*db.database.stores().expiry
}

async fn erase(db: &TestDatabase, limit: u16, at: Timestamp) -> u16 {
    expiry(db).erase(&tenant(), ExpiryStep { limit, at, origin: origin() }).await.unwrap()
}

async fn is_there(db: &TestDatabase, id: MassRequestId) -> bool {
    matches!(db.mass().find(&tenant(), id).await.unwrap(), Found::<MassRequest>::Present(_))
}

fn log(db: &TestDatabase) -> Vec<Event> {
    let events = db.place.lines("SELECT event AS line FROM audit_events WHERE tenant_id = 'default' ORDER BY sequence");
    events.iter().map(|text| Event::read(text).unwrap()).collect()
}

fn hold(contract: Option<ContractId>) -> NewHold {
    let id = LegalHoldId::from_uuid(Uuid::now_v7());
    let hold = LegalHold { id, contract, reason: "a claim".to_owned(), since: at(0), set_by: actor() };
    NewHold { hold, act: act(at(0)) }
}

async fn the_age_is_that_of_the_id(db: TestDatabase) {
    let now = at(40 * DAY);
    let old = db.stored(simple(1).sent(at(10 * DAY - 1000))).await.summary.id;
    let edge = db.stored(simple(2).sent(at(10 * DAY))).await.summary.id;
    // Its row says that it was stored lately, and its id, that it was received long ago; and the other way round.
    let mut late = simple(3).sent(at(0));
    late.at = now;
    let late = db.stored(late).await.summary.id;
    let mut early = simple(4).sent(now);
    early.at = at(0);
    let early = db.stored(early).await.summary.id;
    let other = db.stored(reading("dev-1", 20).sent(at(0))).await.summary.id;
    store(&db).update(&tenant(), days(Some(SIMPLE_1_0), 30)).await.unwrap();

    let before = store(&db).get(&tenant(), None, now, 10).await.unwrap();
    assert_eq!((before.due, store(&db).get(&tenant(), None, now, 1).await.unwrap().due), (2, 1));
    assert_eq!(erase(&db, 100, now).await, 2);
    let mut there = Vec::new();
    for id in [old, late, edge, early, other] {
        there.push(is_there(&db, id).await);
    }
    assert_eq!(there, [false, false, true, true, true]);
    assert_eq!((erase(&db, 100, now).await, store(&db).get(&tenant(), None, now, 10).await.unwrap().due), (0, 0));

    let deleted: Vec<Event> = log(&db).into_iter().filter(|event| event.event.action == Action::Deleted).collect();
    assert_eq!(deleted.len(), 2);
    for Event { event, .. } in deleted {
        assert_eq!((event.actor, event.at, event.detail["retention_days"].as_u64()), (Actor::System, now, Some(30)));
        assert!(event.output.is_some(), "the fingerprint stays");
    }
}

async fn a_chain_of_corrections_is_erased_from_its_beginning(db: TestDatabase) {
    for celsius in 0..3 {
        db.stored(reading("dev-1", celsius).correcting()).await;
    }
    store(&db).update(&tenant(), days(None, 1)).await.unwrap();
    assert_eq!(erase(&db, 100, at(3 * DAY)).await, 3);
    let actions: Vec<Action> = log(&db).iter().map(|event| event.event.action).collect();
    assert!(!actions.contains(&Action::Reinstated), "{actions:?}");
    // The natural key is free.
    db.stored(reading("dev-1", 9)).await;
}

async fn a_step_erases_at_most_its_limit_and_gives_room(db: TestDatabase) {
    for number in 0..5 {
        db.stored(simple(number)).await;
    }
    for device in ["a", "b"] {
        db.stored(reading(device, 20)).await;
    }
    store(&db).update(&tenant(), days(None, 1)).await.unwrap();
    let (usage, later) = (async || db.quotas().get_usage(&tenant()).await, at(3 * DAY));
    let before = usage().await.unwrap().stored_bytes;
    assert_eq!(erase(&db, 3, later).await, 3);
    let between = usage().await.unwrap().stored_bytes;
    assert_eq!((erase(&db, 3, later).await, erase(&db, 3, later).await), (3, 1));
    assert!(before > between && between > 0, "{before} {between}");
    assert_eq!(usage().await.unwrap().stored_bytes, 0);
}

async fn a_hold_keeps_documents_from_rules_and_deletions(db: TestDatabase) {
    let held = db.stored(reading("dev-1", 20)).await.summary.id;
    let free = db.stored(simple(1)).await.summary.id;
    let other = db.stored(simple(2)).await.summary.id;
    store(&db).update(&tenant(), days(None, 1)).await.unwrap();
    let new = hold(Some(DEVICE_1_1));
    let id = new.hold.id;
    store(&db).insert_hold(&tenant(), new).await.unwrap();
    assert_eq!(store(&db).list_holds(&tenant()).await.unwrap().len(), 1);

    let refused = db.mass().delete(&tenant(), held, deletion()).await;
    assert!(matches!(refused, Err(DeleteError::Held(held)) if held.hold == id), "{refused:?}");
    db.mass().delete(&tenant(), free, deletion()).await.unwrap();
    let by = async |contract: Option<ContractId>| {
        let filter = RequestFilter { contract, created_to: Some(at(DAY)), ..RequestFilter::default() };
        let mass_service::Deletion { actor, at, origin, .. } = deletion();
        let step = DeletionStep { log_size: 100, after: None, limit: 9, actor, at, origin };
        (db.mass().require_unheld(&tenant(), contract).await, db.mass().delete_step(&tenant(), &filter, step).await)
    };
    for contract in [None, Some(DEVICE_1_1)] {
        let (judged, done) = by(contract).await;
        assert!(matches!(judged, Err(DeletionsError::Held(_))), "{judged:?}");
        assert!(matches!(done, Err(DeletionsError::Held(_))), "{done:?}");
    }
    assert_eq!(erase(&db, 100, at(3 * DAY)).await, 1);
    assert!(is_there(&db, held).await && !is_there(&db, other).await);
    store(&db).insert_hold(&tenant(), hold(None)).await.unwrap();
    assert!(by(Some(SIMPLE_1_0)).await.1.is_err());

    let release = |id| HoldRelease { id, reason: "settled".to_owned(), act: act(at(1)) };
    for hold in store(&db).list_holds(&tenant()).await.unwrap() {
        assert_eq!(erase(&db, 100, at(3 * DAY)).await, 0);
        store(&db).delete_hold(&tenant(), release(hold.id)).await.unwrap();
    }
    let again = store(&db).delete_hold(&tenant(), release(id)).await;
    assert!(matches!(again, Err(HoldError::NotFound)), "{again:?}");
    assert_eq!(erase(&db, 100, at(3 * DAY)).await, 1);
}

async fn a_tenant_has_a_bounded_number_of_holds(db: TestDatabase) {
    for _ in 0..MAX_HOLDS {
        store(&db).insert_hold(&tenant(), hold(None)).await.unwrap();
    }
    let refused = store(&db).insert_hold(&tenant(), hold(None)).await;
    assert!(matches!(refused, Err(HoldError::TooMany)), "{refused:?}");
}

async fn a_tenant_is_claimed_by_one_worker_at_a_time(db: TestDatabase) {
    let worker = WorkerName::parse("w").unwrap();
    let claim = async |now, until| db.tasks().claim(TenantTask::Retention, &worker, now, until).await.unwrap();
    assert_eq!(claim(at(0), at(10)).await, None);
    store(&db).update(&tenant(), days(None, 1)).await.unwrap();
    let first = claim(at(0), at(10)).await.unwrap();
    assert_eq!(first.tenant_id, tenant());
    assert_eq!(claim(at(9), at(20)).await, None, "it is leased");
    let second = claim(at(10), at(20)).await.unwrap();
    // The first claim holds no longer, and ends nothing.
    db.tasks().release(&first, Some(at(0))).await.unwrap();
    assert_eq!(claim(at(11), at(21)).await, None);
    db.tasks().release(&second, Some(at(30))).await.unwrap();
    assert_eq!(claim(at(29), at(40)).await, None);
    // Other rules are looked at from the beginning.
    store(&db).update(&tenant(), days(None, 2)).await.unwrap();
    let third = claim(at(0), at(10)).await.unwrap();
    store(&db).update(&tenant(), RetentionChange { rules: RetentionRules::default(), act: act(at(1)) }).await.unwrap();
    assert_eq!(claim(at(99), at(100)).await, None);
    db.tasks().release(&third, Some(at(0))).await.unwrap();
    assert_eq!(claim(at(99), at(100)).await, None);
    // A claim of rules that are gone does not hold among later ones.
    store(&db).update(&tenant(), RetentionChange { act: act(at(2)), ..days(None, 3) }).await.unwrap();
    let fourth = claim(at(2), at(60)).await.unwrap();
    for late in [&first, &second, &third] {
        db.tasks().release(late, Some(at(0))).await.unwrap();
    }
    assert_eq!(claim(at(59), at(100)).await, None, "{fourth:?} holds");
    db.tasks().release(&fourth, None).await.unwrap();
    assert_eq!(claim(at(99), at(100)).await, None, "it is done");
}

async fn tenants_do_not_share_rules_or_holds(db: TestDatabase) {
    let id = db.stored(simple(1)).await.summary.id;
    store(&db).update(&other_tenant(), days(None, 1)).await.unwrap();
    store(&db).insert_hold(&other_tenant(), hold(None)).await.unwrap();
    assert_eq!(erase(&db, 100, at(3 * DAY)).await, 0);
    let mine = store(&db).get(&tenant(), None, at(3 * DAY), 10).await.unwrap();
    assert_eq!((mine.rules.is_empty(), mine.due, mine.holds), (true, 0, 0));
    db.mass().delete(&tenant(), id, deletion()).await.unwrap();
}
