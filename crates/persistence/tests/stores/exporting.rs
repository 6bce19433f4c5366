//! Exports: up to a request, oldest first, in pages of bounded bytes.

use mass_domain::canonical::Fingerprint;
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::RequestFilter;
use mass_domain::page::Limit;
use mass_service::{ExportPage, ExportSpan, ExportedRequest, Submission};

use crate::databases::TestDatabase;
use crate::fixtures::{deletion, other_tenant, reading, simple, tenant};

on_both!(
    an_export_has_all_requests_of_the_tenant_oldest_first,
    an_export_ends_at_its_last_request_and_leaves_out_what_is_deleted_meanwhile,
    pages_with_documents_are_bounded_by_bytes_and_meet_without_a_gap,
);

/// A document of this many bytes.
fn long(bytes: usize) -> Submission {
    let mut submission = simple(0);
    let canonical = format!(r#"{{"payload":{{"text":"{}"}}}}"#, "x".repeat(bytes - 23));
    assert_eq!(canonical.len(), bytes);
    submission.examined.fingerprint = Fingerprint::of(&canonical);
    submission.examined.canonical = canonical;
    submission
}

fn ids(requests: &[ExportedRequest]) -> Vec<MassRequestId> {
    requests.iter().map(|exported| exported.request.summary.id).collect()
}

async fn store(db: &TestDatabase, submissions: Vec<Submission>) -> Vec<MassRequestId> {
    let ids = submissions.iter().map(|submission| submission.id).collect();
    db.mass().accept(&tenant(), submissions, Vec::new(), None).await.unwrap().unwrap();
    ids
}

/// Reads a page that follows the given request.
async fn page(db: &TestDatabase, filter: &RequestFilter, span: ExportSpan) -> ExportPage {
    db.mass().export(&tenant(), filter, span).await.unwrap()
}

/// Exports everything, page by page.
async fn export(db: &TestDatabase, filter: &RequestFilter, requests: u64, bytes: u64) -> Vec<Vec<ExportedRequest>> {
    let Some(until) = db.mass().newest(&tenant()).await.unwrap() else { return Vec::new() };
    let (mut pages, mut span) = (Vec::new(), ExportSpan { after: None, until, requests, bytes });
    loop {
        let ExportPage { requests, more } = page(db, filter, span).await;
        span.after = requests.last().map(|exported| exported.request.summary.id);
        if !requests.is_empty() {
            pages.push(requests);
        }
        if !more {
            return pages;
        }
    }
}

async fn an_export_has_all_requests_of_the_tenant_oldest_first(db: TestDatabase) {
    assert_eq!(export(&db, &RequestFilter::default(), 500, 1 << 20).await, Vec::<Vec<ExportedRequest>>::new());
    let mut expected = store(&db, (0..600).map(simple).collect()).await;
    expected.extend(store(&db, vec![reading("dev-1", 20), reading("dev-2", 20)]).await);
    db.mass().accept(&other_tenant(), vec![simple(7)], Vec::new(), None).await.unwrap().unwrap();
    db.mass().delete(&tenant(), expected.remove(3), deletion()).await.unwrap();
    let pages = export(&db, &RequestFilter::default(), 500, 1 << 20).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [500, 101]);
    let exported = pages.concat();
    assert_eq!(ids(&exported), expected);
    let last = exported.last().unwrap();
    assert_eq!(last.natural_key.as_deref(), Some("dev-2"));
    assert_eq!(last.request, db.present(last.request.summary.id).await);
    assert_eq!(exported[0].natural_key, None);
    let filter = RequestFilter { device_id: Some("dev-1".to_owned()), ..RequestFilter::default() };
    assert_eq!(ids(&export(&db, &filter, 500, 1 << 20).await.concat()), [expected[599]]);
}

async fn an_export_ends_at_its_last_request_and_leaves_out_what_is_deleted_meanwhile(db: TestDatabase) {
    assert_eq!(db.mass().newest(&tenant()).await.unwrap(), None);
    let stored = store(&db, (0..6).map(simple).collect()).await;
    let until = db.mass().newest(&tenant()).await.unwrap().unwrap();
    assert_eq!(until, stored[5]);
    let filter = RequestFilter::default();
    let span = ExportSpan { after: None, until, requests: 4, bytes: 1 << 20 };
    let first = page(&db, &filter, span).await;
    assert_eq!((ids(&first.requests), first.more), (stored[..4].to_vec(), true));
    store(&db, vec![simple(9)]).await;
    for deleted in [stored[0], stored[5]] {
        db.mass().delete(&tenant(), deleted, deletion()).await.unwrap();
    }
    let second = page(&db, &filter, ExportSpan { after: Some(stored[3]), ..span }).await;
    assert_eq!((ids(&second.requests), second.more), (vec![stored[4]], false));
    let end = page(&db, &filter, ExportSpan { after: Some(stored[5]), ..span }).await;
    assert_eq!((end.requests, end.more), (Vec::new(), false));
}

async fn pages_with_documents_are_bounded_by_bytes_and_meet_without_a_gap(db: TestDatabase) {
    let sizes = [100, 100, 100, 500, 100, 250, 50];
    let stored = store(&db, sizes.into_iter().map(long).collect()).await;
    let lengths = |pages: Vec<Vec<ExportedRequest>>| -> Vec<Vec<usize>> {
        pages.iter().map(|page| page.iter().map(|exported| exported.request.document.len()).collect()).collect()
    };
    let pages = lengths(export(&db, &RequestFilter::default(), 10, 300).await);
    assert_eq!(pages, [vec![100, 100, 100], vec![500], vec![100], vec![250, 50]]);

    let (mut before, mut seen) = (None, Vec::new());
    loop {
        let filter = RequestFilter::default();
        let page = db.mass().list_documents(&tenant(), &filter, before, Limit::new(2).unwrap(), 300).await.unwrap();
        before = page.requests.last().map(|request| request.summary.id);
        seen.push(page.requests.iter().map(|request| request.document.len()).collect::<Vec<_>>());
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, [vec![50, 250], vec![100], vec![500], vec![100, 100], vec![100]]);
    assert_eq!(before, Some(stored[0]));
}
