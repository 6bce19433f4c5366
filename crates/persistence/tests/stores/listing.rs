//! Lists of requests: filters, order and pages.

use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::{RequestFilter, Status};
use mass_domain::page::Limit;
use mass_domain::trace::RequestId;

use crate::databases::TestDatabase;
use crate::fixtures::{Vary, at, deletion, reading, simple, tenant, transition, unplaced};

on_both!(
    lists_show_the_newest_first,
    pages_join_without_gaps,
    each_filter_returns_exactly_the_matching_rows,
    bounds_in_time_include_from_and_exclude_to,
    the_time_filter_finds_ids_ahead_of_their_instant,
);

const HOUR: i64 = 3_600_000_000;

async fn list(db: &TestDatabase, filter: RequestFilter) -> Vec<MassRequestId> {
    let rows = db.mass().list(&tenant(), &filter, None, Limit::DEFAULT).await.unwrap();
    rows.iter().map(|row| row.id).collect()
}

async fn lists_show_the_newest_first(db: TestDatabase) {
    let submissions: Vec<_> = (0..3).map(|n| reading(&format!("dev-{n}"), n).keyed(&format!("k-{n}"))).collect();
    db.mass().accept(&tenant(), submissions.clone(), Vec::new(), None).await.unwrap().unwrap();
    let listed = db.mass().list(&tenant(), &RequestFilter::default(), None, Limit::DEFAULT).await.unwrap();
    let mut stored = Vec::new();
    for sent in submissions.into_iter().rev() {
        let request = db.present(sent.id).await;
        assert_eq!(unplaced(request.clone()), sent.into_request(&tenant(), None));
        stored.push(request.summary);
    }
    assert_eq!(listed, stored);
}

async fn pages_join_without_gaps(db: TestDatabase) {
    let submissions: Vec<_> = (0..7).map(simple).collect();
    let mut expected: Vec<_> = submissions.iter().map(|sent| sent.id).rev().collect();
    db.mass().accept(&tenant(), submissions, Vec::new(), None).await.unwrap().unwrap();
    db.mass().delete(&tenant(), expected.remove(2), deletion()).await.unwrap();

    let (limit, mut before, mut seen) = (Limit::new(2).unwrap(), None, Vec::new());
    loop {
        let mut rows = db.mass().list(&tenant(), &RequestFilter::default(), before, limit).await.unwrap();
        let more = rows.len() > 2;
        rows.truncate(2);
        before = rows.last().map(|row| row.id);
        seen.extend(rows.iter().map(|row| row.id));
        // Requests stored meanwhile are newer than all further pages.
        db.mass().accept(&tenant(), vec![simple(9)], Vec::new(), None).await.unwrap().unwrap();
        if !more {
            break;
        }
    }
    assert_eq!(seen, expected);
}

async fn each_filter_returns_exactly_the_matching_rows(db: TestDatabase) {
    let mut odd = reading("dev-odd", 1);
    odd.examined.index.site_id = Some("site-odd".to_owned());
    odd.examined.index.correlation_id = Some("correlation-odd".to_owned());
    odd.examined.index.batch_id = Some("batch-odd".to_owned());
    odd.call_id = RequestId::parse("call-odd").ok();
    odd.examined.index.observed_at = Some(at(HOUR));
    odd.examined.contract = "enterprise/1.1".parse().unwrap();
    let id = odd.id;
    db.mass()
        .accept(&tenant(), vec![reading("dev-1", 1), odd, reading("dev-2", 1), simple(1)], Vec::new(), None)
        .await
        .unwrap()
        .unwrap();
    db.mass().transition(&tenant(), id, transition(Status::Processing)).await.unwrap();

    let all = || RequestFilter {
        status: Some(Status::Processing),
        contract: Some("enterprise/1.1".parse().unwrap()),
        site_id: Some("site-odd".to_owned()),
        device_id: Some("dev-odd".to_owned()),
        correlation_id: Some("correlation-odd".to_owned()),
        batch_id: Some("batch-odd".to_owned()),
        call_id: Some("call-odd".to_owned()),
        observed_from: Some(at(HOUR)),
        ..RequestFilter::default()
    };
    let one_by_one = [
        RequestFilter { status: all().status, ..RequestFilter::default() },
        RequestFilter { contract: all().contract, ..RequestFilter::default() },
        RequestFilter { site_id: all().site_id, ..RequestFilter::default() },
        RequestFilter { device_id: all().device_id, ..RequestFilter::default() },
        RequestFilter { correlation_id: all().correlation_id, ..RequestFilter::default() },
        RequestFilter { batch_id: all().batch_id, ..RequestFilter::default() },
        RequestFilter { call_id: all().call_id, ..RequestFilter::default() },
        RequestFilter { observed_from: all().observed_from, ..RequestFilter::default() },
        all(),
    ];
    for filter in one_by_one {
        assert_eq!(list(&db, filter.clone()).await, [id], "{filter:?}");
    }
    assert_eq!(list(&db, RequestFilter { status: Some(Status::Done), ..all() }).await, []);
    assert_eq!(list(&db, RequestFilter { site_id: Some("SITE-ODD".to_owned()), ..all() }).await, []);
}

async fn bounds_in_time_include_from_and_exclude_to(db: TestDatabase) {
    let observed = |n: i64| {
        let mut sent = reading(&format!("dev-{n}"), n).sent(at(n));
        sent.examined.index.observed_at = Some(at(-n));
        sent
    };
    let submissions: Vec<_> = [-1, 0, 1, 1000, 2 * HOUR].map(observed).to_vec();
    let ids: Vec<_> = submissions.iter().map(|sent| sent.id).collect();
    db.mass().accept(&tenant(), submissions, Vec::new(), None).await.unwrap().unwrap();

    let created = |from, to| RequestFilter { created_from: from, created_to: to, ..RequestFilter::default() };
    assert_eq!(list(&db, created(Some(at(0)), Some(at(1)))).await, [ids[1]]);
    assert_eq!(list(&db, created(None, Some(at(1)))).await, [ids[1], ids[0]]);
    assert_eq!(list(&db, created(Some(at(1000)), None)).await, [ids[4], ids[3]]);
    assert_eq!(list(&db, created(Some(at(1)), Some(at(1)))).await, []);
    let everything =
        created(Some("0001-01-01T00:00:00Z".parse().unwrap()), Some("9999-12-31T00:00:00Z".parse().unwrap()));
    assert_eq!(list(&db, everything).await.len(), 5);

    let observed = |from, to| RequestFilter { observed_from: from, observed_to: to, ..RequestFilter::default() };
    assert_eq!(list(&db, observed(Some(at(0)), Some(at(1)))).await, [ids[1]]);
    assert_eq!(list(&db, observed(None, Some(at(0)))).await, [ids[4], ids[3], ids[2]]);
}

async fn the_time_filter_finds_ids_ahead_of_their_instant(db: TestDatabase) {
    // The clock was set back by almost an hour, and ids continue from where they were.
    let mut sent = simple(1).sent(at(HOUR - 1_000_000));
    sent.at = at(0);
    db.mass().accept(&tenant(), vec![sent.clone()], Vec::new(), None).await.unwrap().unwrap();
    let found = RequestFilter { created_from: Some(at(0)), created_to: Some(at(1)), ..RequestFilter::default() };
    assert_eq!(list(&db, found).await, [sent.id]);
}
