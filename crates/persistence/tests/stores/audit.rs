//! The port to the audit trail.

use std::num::NonZeroU32;

use mass_audit_service::{AuditStore, Entry, EventFilter, Leaf, StoredCheckpoint};
use mass_domain::access::Actor;
use mass_domain::audit::tree::{TreeHash, consistency_proof, inclusion_proof, of_leaves};
use mass_domain::audit::{Action, Event, NewEvent, Object, Outcome};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_persistence::{Options, open};

use crate::databases::{DatabaseLocation, TestDatabase};
use crate::fixtures::{at, event, other_tenant, simple, tenant};

on_both!(
    events_are_kept_in_their_order,
    each_filter_returns_exactly_the_matching_rows,
    time_filters_work_after_a_clock_was_set_back,
    the_tree_matches_the_events,
    a_checkpoint_is_stored_once,
    an_acceptance_is_found_by_its_request,
    archived_events_keep_their_leaves,
    the_system_tenant_has_a_log_but_is_not_listed,
);

fn trail(db: &TestDatabase) -> &dyn AuditStore {
    &*db.database.stores().audit
}

fn system() -> TenantId {
    TenantId::parse(TenantId::SYSTEM).unwrap()
}

async fn record(db: &TestDatabase, events: impl IntoIterator<Item = NewEvent>) {
    trail(db).append(&tenant(), events.into_iter().collect()).await.unwrap();
}

fn some(count: i64) -> impl Iterator<Item = NewEvent> {
    (0..count).map(|n| event(&tenant(), at(n)))
}

async fn leaves(db: &TestDatabase, count: usize) -> Vec<TreeHash> {
    let entries = trail(db).entries(&tenant(), 0, count).await.unwrap();
    assert_eq!(entries.len(), count);
    entries.into_iter().map(|entry| entry.leaf_hash).collect()
}

async fn listed(db: &TestDatabase, filter: EventFilter) -> Vec<i64> {
    let events = trail(db).list(&tenant(), &filter, None, Limit::DEFAULT).await.unwrap();
    events.into_iter().map(|event| event.sequence).collect()
}

async fn events_are_kept_in_their_order(db: TestDatabase) {
    record(&db, some(3)).await;
    record(&db, [event(&tenant(), at(9))]).await;
    let expected: Vec<_> = some(3).chain([event(&tenant(), at(9))]).zip(1..).collect();
    let entries = trail(&db).entries(&tenant(), 0, 10).await.unwrap();
    assert_eq!(entries.len(), expected.len());
    for (entry, (event, sequence)) in entries.iter().zip(&expected) {
        let read = Event::read(&entry.event).unwrap();
        assert_eq!((read.sequence, &read.event, read.write()), (*sequence, event, entry.event.clone()));
        assert_eq!((entry.sequence, entry.leaf_hash), (*sequence, TreeHash::of_leaf(entry.event.as_bytes())));
    }
    assert_eq!(trail(&db).entries(&tenant(), 1, 2).await.unwrap(), entries[1..3]);

    let one = Limit::new(1).unwrap();
    let page = async |before| {
        let page = trail(&db).list(&tenant(), &EventFilter::default(), before, one).await.unwrap();
        page.into_iter().map(|event| event.sequence).collect::<Vec<_>>()
    };
    assert_eq!((page(None).await, page(Some(3)).await, page(Some(2)).await), (vec![4, 3], vec![2, 1], vec![1]));
    assert_eq!(trail(&db).entries(&other_tenant(), 0, 10).await.unwrap(), []);
    assert_eq!(trail(&db).head(&other_tenant()).await.unwrap().size(), 0);
}

async fn each_filter_returns_exactly_the_matching_rows(db: TestDatabase) {
    let plain = event(&tenant(), at(1));
    let quotas = NewEvent { action: Action::QuotasSet, object: Object::Quotas, ..plain.clone() };
    let refused = NewEvent { outcome: Outcome::Refused, ..plain.clone() };
    let stranger = NewEvent { actor: Actor::Anonymous, ..plain.clone() };
    let other = NewEvent { object: Object::Tenant(other_tenant()), ..plain.clone() };
    record(&db, [plain.clone(), quotas, refused, stranger, other]).await;
    db.stored(simple(1)).await;

    let all = EventFilter::default();
    let filters = [
        (all.clone(), vec![6, 5, 4, 3, 2, 1]),
        (EventFilter { action: Some(Action::QuotasSet), ..all.clone() }, vec![2]),
        (EventFilter { action: Some(Action::Accepted), ..all.clone() }, vec![6]),
        (EventFilter { outcome: Some(Outcome::Refused), ..all.clone() }, vec![3]),
        (EventFilter { outcome: Some(Outcome::Success), ..all.clone() }, vec![6, 5, 4, 2, 1]),
        (EventFilter { actor_kind: Some("stranger".to_owned()), ..all.clone() }, vec![4]),
        (EventFilter { actor_id: plain.actor.id(), ..all.clone() }, vec![6, 5, 3, 2, 1]),
        (EventFilter { object: Some(Object::Quotas), ..all.clone() }, vec![2]),
        (EventFilter { object: Some(Object::Tenant(other_tenant())), ..all.clone() }, vec![5]),
        (EventFilter { action: Some(Action::QuotasSet), outcome: Some(Outcome::Refused), ..all }, vec![]),
    ];
    for (filter, expected) in filters {
        assert_eq!(listed(&db, filter.clone()).await, expected, "{filter:?}");
    }
}

async fn time_filters_work_after_a_clock_was_set_back(db: TestDatabase) {
    // Minutes: the clock is set back by half an hour within the log, twice.
    let minutes = [0, 1, 60, 120, 90, 100, 180, 150, 151, 300, 400];
    record(&db, minutes.map(|minute| event(&tenant(), at(minute * 60_000_000)))).await;
    for from in (0..=410).step_by(10) {
        for to in [from, from + 1, from + 50, 500] {
            let bounds = |minute: i64| Some(at(minute * 60_000_000));
            let filter = EventFilter { from: bounds(from), to: bounds(to), ..EventFilter::default() };
            let within = minutes.iter().zip(1..).filter(|(minute, _)| (from..to).contains(*minute));
            let mut expected: Vec<i64> = within.map(|(_, sequence)| sequence).collect();
            expected.reverse();
            assert_eq!(listed(&db, filter).await, expected, "{from}…{to}");
        }
    }
}

async fn the_tree_matches_the_events(db: TestDatabase) {
    for part in [1, 254, 3, 300, 42] {
        record(&db, some(part)).await;
    }
    let leaves = leaves(&db, 600).await;
    let naive = of_leaves(&leaves);
    let head = trail(&db).head(&tenant()).await.unwrap();
    assert_eq!(trail(&db).frontier_at(&tenant(), 600).await.unwrap(), Some(head));
    let sizes = [1, 2, 3, 255, 256, 257, 511, 512, 513, 599, 600];
    for size in sizes {
        for sequence in [1, 2, 200, 256, 257, 400, 512, 600] {
            let expected = (sequence <= size).then(|| {
                let proof = inclusion_proof(sequence - 1, size, &naive).unwrap();
                let leaf_hash = leaves[usize::try_from(sequence).unwrap() - 1];
                (Leaf { sequence: i64::try_from(sequence).unwrap(), leaf_hash }, proof)
            });
            let found = trail(&db).inclusion(&tenant(), i64::try_from(sequence).unwrap(), size).await.unwrap();
            assert_eq!(found, expected, "{sequence} in {size}");
        }
        for to in sizes {
            let expected = consistency_proof(size, to, &naive).unwrap();
            assert_eq!(trail(&db).consistency(&tenant(), size, to).await.unwrap(), Some(expected), "{size} to {to}");
        }
    }
    for nowhere in [i64::MIN, -1, 0, 601, i64::MAX] {
        assert_eq!(trail(&db).inclusion(&tenant(), nowhere, 600).await.unwrap(), None);
    }
}

async fn a_checkpoint_is_stored_once(db: TestDatabase) {
    let checkpoint = |size, note: &str| StoredCheckpoint { size, at: at(5), note: note.to_owned() };
    assert_eq!(trail(&db).latest_checkpoint(&tenant()).await.unwrap(), None);
    record(&db, some(7)).await;
    for (size, note) in [(3, "three"), (1, "one"), (3, "another"), (7, "seven")] {
        trail(&db).keep_checkpoint(&tenant(), checkpoint(size, note)).await.unwrap();
    }
    let all = [checkpoint(1, "one"), checkpoint(3, "three"), checkpoint(7, "seven")];
    assert_eq!(trail(&db).latest_checkpoint(&tenant()).await.unwrap(), Some(all[2].clone()));
    assert_eq!(trail(&db).checkpoints(&tenant(), 0, 2).await.unwrap(), all[..2]);
    assert_eq!(trail(&db).checkpoints(&tenant(), 1, 9).await.unwrap(), all[1..]);
    assert_eq!(trail(&db).latest_checkpoint(&other_tenant()).await.unwrap(), None);
}

async fn an_acceptance_is_found_by_its_request(db: TestDatabase) {
    record(&db, some(1)).await;
    let request = db.stored(simple(1)).await.summary;
    let Entry { sequence, event, leaf_hash } = trail(&db).acceptance(&tenant(), request.id).await.unwrap().unwrap();
    let event = Event::read(&event).unwrap().event;
    assert_eq!((event.action, event.object), (Action::Accepted, Object::MassRequest(request.id)));
    let place = request.audit.unwrap();
    assert_eq!((sequence, leaf_hash), (place.sequence, place.leaf_hash));
    assert_eq!(trail(&db).acceptance(&other_tenant(), request.id).await.unwrap(), None);
    assert!(trail(&db).archive(&tenant(), 1..=2, some(1).next().unwrap()).await.unwrap());
    assert_eq!(trail(&db).acceptance(&tenant(), request.id).await.unwrap(), None);
}

async fn archived_events_keep_their_leaves(db: TestDatabase) {
    record(&db, some(300)).await;
    let leaves = leaves(&db, 300).await;
    assert_eq!(trail(&db).archived(&tenant()).await.unwrap(), 0);
    for (up_to, told_in) in [(10_i64, 301_i64), (270, 302)] {
        let told = NewEvent { action: Action::AuditArchived, ..event(&tenant(), at(9)) };
        let first = i64::try_from(trail(&db).archived(&tenant()).await.unwrap()).unwrap() + 1;
        // Ranges before or after are not the next ones, and leave no event.
        for other in [first - 1, first + 1] {
            assert!(!trail(&db).archive(&tenant(), other..=up_to, told.clone()).await.unwrap());
        }
        assert!(trail(&db).archive(&tenant(), first..=up_to, told.clone()).await.unwrap());
        assert_eq!(trail(&db).archived(&tenant()).await.unwrap(), up_to.unsigned_abs());
        let kept = trail(&db).entries(&tenant(), 0, 500).await.unwrap();
        assert_eq!((kept[0].sequence, kept.last().unwrap().sequence), (up_to + 1, told_in));
        assert_eq!(Event::read(&kept.last().unwrap().event).unwrap().event, told);
        for sequence in [1, 10, 11, 269, 270, 271, 300] {
            let proof = inclusion_proof(sequence - 1, 300, of_leaves(&leaves)).unwrap();
            let leaf_hash = leaves[usize::try_from(sequence).unwrap() - 1];
            let sequence = i64::try_from(sequence).unwrap();
            let found = trail(&db).inclusion(&tenant(), sequence, 300).await.unwrap();
            assert_eq!(found, Some((Leaf { sequence, leaf_hash }, proof)));
        }
        let live = &*db.database.stores().live;
        let report = mass_audit_service::live::verify(live, &tenant(), None, &[""; 0], |_| {}).await.unwrap();
        assert_eq!((report.events, report.archived), (told_in.unsigned_abs(), up_to.unsigned_abs()));
    }
}

async fn the_system_tenant_has_a_log_but_is_not_listed(db: TestDatabase) {
    trail(&db).append(&system(), vec![event(&system(), at(1))]).await.unwrap();
    record(&db, some(1)).await;
    // Including a tenant without events.
    assert_eq!(trail(&db).tenants().await.unwrap(), [tenant(), other_tenant(), system()]);
    assert_eq!(db.tenants().find(&system()).await.unwrap(), None);
    let customers = db.tenants().list(None, Limit::DEFAULT).await.unwrap();
    assert!(customers.iter().all(|customer| customer.id != system()), "{customers:?}");
}

#[tokio::test]
async fn the_serving_role_cannot_archive() {
    let db = TestDatabase::postgres_restricted().await;
    record(&db, some(3)).await;
    let serving = Options { migration_url: None, pool_size: NonZeroU32::MIN, ..db.place.options() };
    let DatabaseLocation::Postgres(_) = &db.place else { panic!("not PostgreSQL") };
    let refused = open(&serving).unwrap().stores().audit.archive(&tenant(), 1..=2, event(&tenant(), at(9))).await;
    let Err(PortError::Unexpected(error)) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains("archive as the role that migrates"), "{error:#}");
    assert_eq!(trail(&db).archived(&tenant()).await.unwrap(), 0);
}
