//! Exports: one snapshot, oldest first, in pages of bounded bytes.

use mass_domain::canonical::Fingerprint;
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::RequestFilter;
use mass_domain::page::Limit;
use mass_service::{ExportedRequest, Submission};
use tokio::sync::mpsc;

use crate::databases::TestDatabase;
use crate::fixtures::{deletion, other_tenant, reading, simple, tenant};

on_both!(
    an_export_has_all_requests_of_the_tenant_oldest_first,
    an_export_is_one_snapshot_whatever_is_changed_meanwhile,
    an_export_that_nobody_reads_any_more_ends,
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

/// Exports everything, page by page.
async fn export(db: &TestDatabase, filter: &RequestFilter, bytes: u64) -> Vec<Vec<ExportedRequest>> {
    let (sender, mut receiver) = mpsc::channel::<Vec<ExportedRequest>>(1);
    let receive = async {
        let mut pages = Vec::new();
        while let Some(page) = receiver.recv().await {
            pages.push(page);
        }
        pages
    };
    let tenant = tenant();
    let (exported, pages) = tokio::join!(db.mass().export(&tenant, filter, bytes, sender), receive);
    exported.unwrap();
    pages
}

async fn an_export_has_all_requests_of_the_tenant_oldest_first(db: TestDatabase) {
    assert_eq!(export(&db, &RequestFilter::default(), 1 << 20).await, Vec::<Vec<ExportedRequest>>::new());
    let mut expected = store(&db, (0..600).map(simple).collect()).await;
    expected.extend(store(&db, vec![reading("dev-1", 20), reading("dev-2", 20)]).await);
    db.mass().accept(&other_tenant(), vec![simple(7)], Vec::new(), None).await.unwrap().unwrap();
    db.mass().delete(&tenant(), expected.remove(3), deletion()).await.unwrap();
    let pages = export(&db, &RequestFilter::default(), 1 << 20).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [500, 101]);
    let exported = pages.concat();
    assert_eq!(ids(&exported), expected);
    let last = exported.last().unwrap();
    assert_eq!(last.natural_key.as_deref(), Some("dev-2"));
    assert_eq!(last.request, db.present(last.request.summary.id).await);
    assert_eq!(exported[0].natural_key, None);
    let filter = RequestFilter { device_id: Some("dev-1".to_owned()), ..RequestFilter::default() };
    assert_eq!(ids(&export(&db, &filter, 1 << 20).await.concat()), [expected[599]]);
}

async fn an_export_is_one_snapshot_whatever_is_changed_meanwhile(db: TestDatabase) {
    let stored = store(&db, (0..6).map(simple).collect()).await;
    let (sender, mut receiver) = mpsc::channel::<Vec<ExportedRequest>>(1);
    let (tenant, filter) = (tenant(), RequestFilter::default());
    let receive = async {
        let mut seen = receiver.recv().await.unwrap();
        store(&db, vec![simple(9)]).await;
        db.mass().delete(&tenant, stored[5], deletion()).await.unwrap();
        while let Some(page) = receiver.recv().await {
            seen.extend(page);
        }
        seen
    };
    // One request a page.
    let (exported, seen) = tokio::join!(db.mass().export(&tenant, &filter, 1, sender), receive);
    exported.unwrap();
    assert_eq!(ids(&seen), stored);
    assert!(seen.iter().all(|exported| !exported.request.document.is_empty()));
    assert_eq!(export(&db, &filter, 1).await.len(), 6);
}

async fn an_export_that_nobody_reads_any_more_ends(db: TestDatabase) {
    store(&db, (0..20).map(simple).collect()).await;
    // More than there are connections for exports.
    for _ in 0..20 {
        let (sender, mut receiver) = mpsc::channel::<Vec<ExportedRequest>>(1);
        let receive = async {
            receiver.recv().await.unwrap();
            drop(receiver);
        };
        let (tenant, filter) = (tenant(), RequestFilter::default());
        let (exported, ()) = tokio::join!(db.mass().export(&tenant, &filter, 1, sender), receive);
        exported.unwrap();
    }
    assert_eq!(export(&db, &RequestFilter::default(), 1 << 20).await.concat().len(), 20);
}

async fn pages_with_documents_are_bounded_by_bytes_and_meet_without_a_gap(db: TestDatabase) {
    let sizes = [100, 100, 100, 500, 100, 250, 50];
    let stored = store(&db, sizes.into_iter().map(long).collect()).await;
    let lengths = |pages: Vec<Vec<ExportedRequest>>| -> Vec<Vec<usize>> {
        pages.iter().map(|page| page.iter().map(|exported| exported.request.document.len()).collect()).collect()
    };
    let pages = lengths(export(&db, &RequestFilter::default(), 300).await);
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
