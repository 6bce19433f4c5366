//! Lists of requests: their pages and filters.

use mass_domain::access::Role;
use mass_domain::time::Timestamp;
use serde_json::json;

use super::{REQUESTS, ids, listed, move_to, path, raw_document, send, store_at_once};
use crate::support::TestApp;
use crate::support::client::Client;
use crate::support::documents::{Edit, hours_ago, reading, report, simple};

on_both!(
    a_list_shows_the_newest_first_without_documents,
    paging_returns_each_row_once_despite_concurrent_inserts,
    paging_continues_after_its_last_row_is_deleted,
    a_cursor_of_another_list_is_refused,
    each_filter_returns_exactly_the_matching_requests,
    the_filter_by_storage_time_matches_the_shown_times,
    a_deleted_request_is_not_listed,
    a_list_with_documents_shows_each_as_it_is_stored,
    a_page_with_documents_ends_before_it_is_too_long,
);

async fn a_list_shows_the_newest_first_without_documents(app: TestApp) {
    let mut expected = Vec::new();
    for number in 0..3 {
        let mut request = send(&app, &simple(json!({"n": number}))).await.json();
        request.as_object_mut().unwrap().retain(|name, _| name != "document" && name != "warnings");
        expected.insert(0, request);
    }
    let page = app.get(REQUESTS).await.expect(200);
    assert_eq!(page.json(), json!({"items": expected, "next_cursor": null}));
    assert_eq!(page.header("link"), None);
}

/// Follows the links from a page on; returns the ids of all rows.
async fn walk(client: &Client, first: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let mut next = Some(first.to_owned());
    while let Some(path) = next {
        let page = client.get(&path).await.expect(200);
        seen.extend(ids(&page));
        let link = page.header("link").map(|link| {
            let target = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
            assert!(target.ends_with(&format!("cursor={}", page.text("/next_cursor"))), "{target}");
            target.to_owned()
        });
        assert_eq!(link.is_none(), page.at("/next_cursor").is_null());
        next = link;
    }
    seen
}

async fn store_many(app: &TestApp, name: &str, number: usize) -> Vec<String> {
    let mut stored = Vec::new();
    for number in 0..number {
        stored.push(send(app, &reading(&format!("{name}-{number}"))).await.id());
    }
    stored.reverse();
    stored
}

async fn paging_returns_each_row_once_despite_concurrent_inserts(app: TestApp) {
    let stored = store_many(&app, "before", 20).await;
    let (seen, _) = tokio::join!(walk(app.founder(), "/v1/mass-requests?limit=3"), store_many(&app, "meanwhile", 30));
    let (newer, seen) = seen.split_at(seen.len() - stored.len());
    assert_eq!(seen, stored);
    assert!(newer.iter().all(|id| *id > stored[0]));
    let all = walk(app.founder(), "/v1/mass-requests?contract=device%2F1.1&limit=7").await;
    assert_eq!(all, walk(app.founder(), "/v1/mass-requests?limit=500").await);
    assert_eq!(all.len(), 50);
}

async fn paging_continues_after_its_last_row_is_deleted(app: TestApp) {
    let stored = store_many(&app, "row", 4).await;
    let first = app.get("/v1/mass-requests?limit=2").await.expect(200);
    app.delete(&path(&stored[1])).await.expect(204);
    let second = listed(app.founder(), &format!("limit=2&cursor={}", first.text("/next_cursor"))).await;
    assert_eq!([ids(&first), second].concat(), stored);
}

async fn a_cursor_of_another_list_is_refused(app: TestApp) {
    store_many(&app, "row", 3).await;
    let cursor = app.get("/v1/mass-requests?limit=1").await.text("/next_cursor");
    let foreigner = app.foreigner(Role::Operator).await;
    for (client, query) in [
        (app.founder(), format!("cursor={cursor}&status=pending")),
        (app.founder(), format!("cursor={cursor}&device_id=row-1")),
        (app.founder(), format!("cursor={}", &cursor[1..])),
        (app.founder(), "cursor=0199d3a0-0000-7000-8000-000000000001".to_owned()),
        (&foreigner, format!("cursor={cursor}")),
    ] {
        let answer = client.get(&format!("{REQUESTS}?{query}")).await;
        answer.expect_violations("invalid-parameter", &["?cursor parameter"]);
    }
    assert_eq!(listed(app.founder(), &format!("cursor={cursor}&limit=500")).await.len(), 2);
}

async fn each_filter_returns_exactly_the_matching_requests(app: TestApp) {
    let documents = [
        reading("dev-1").with("/timestamp", hours_ago(3)),
        reading("dev-2").with("/timestamp", hours_ago(2)),
        report("r-1"),
        simple(json!({"a": 1})),
    ];
    let mut stored = Vec::new();
    for document in &documents {
        stored.push(send(&app, document).await.json());
    }
    move_to(&app, stored[1]["id"].as_str().unwrap(), "processing").await.expect(200);
    let middle = stored[2]["created_at"].as_str().unwrap();
    let hour = hours_ago(2);
    for (query, expected) in [
        ("", &[3, 2, 1, 0][..]),
        ("status=pending", &[3, 2, 0]),
        ("status=processing", &[1]),
        ("status=done", &[]),
        ("contract=device/1.1", &[1, 0]),
        ("contract=simple%2F1.0", &[3]),
        ("site_id=tampa-1", &[2]),
        ("site_id=Tampa-1", &[]),
        ("device_id=dev-1", &[0]),
        ("device_id=dev-", &[]),
        ("device_id=dev%25", &[]),
        ("correlation_id=pilot-2026-01", &[2]),
        (&format!("created_from={middle}"), &[3, 2]),
        (&format!("created_to={middle}"), &[1, 0]),
        (&format!("created_from={middle}&created_to={middle}"), &[]),
        (&format!("observed_from={hour}"), &[2, 1]),
        (&format!("observed_to={hour}"), &[0]),
        (&format!("observed_from={}", hour.replace('Z', "%2B00:00")), &[2, 1]),
        (&format!("observed_from={hour}&device_id=dev-2&status=processing&contract=device/1.1"), &[1]),
        ("device_id=dev-1&site_id=tampa-1", &[]),
    ] {
        let expected: Vec<_> = expected.iter().map(|place| stored[*place]["id"].as_str().unwrap()).collect();
        assert_eq!(listed(app.founder(), query).await, expected, "{query}");
    }
}

async fn the_filter_by_storage_time_matches_the_shown_times(app: TestApp) {
    store_at_once(&app, 30).await;
    let page = app.get(REQUESTS).await.at("/items");
    let rows: Vec<(Timestamp, &str)> = page
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["created_at"].as_str().unwrap().parse().unwrap(), item["id"].as_str().unwrap()))
        .collect();
    assert_eq!(rows.len(), 30);
    for (instant, _) in &rows {
        let ids = |fits: fn(&Timestamp, &Timestamp) -> bool| -> Vec<&str> {
            rows.iter().filter(|(at, _)| fits(at, instant)).map(|(_, id)| *id).collect()
        };
        assert_eq!(listed(app.founder(), &format!("created_from={instant}")).await, ids(Timestamp::ge));
        assert_eq!(listed(app.founder(), &format!("created_to={instant}")).await, ids(Timestamp::lt));
    }
}

async fn a_deleted_request_is_not_listed(app: TestApp) {
    let (first, second) = (send(&app, &reading("dev-1")).await.id(), send(&app, &reading("dev-2")).await.id());
    app.delete(&path(&first)).await.expect(204);
    for query in ["", "contract=device/1.1", "status=pending", &format!("observed_from={}", hours_ago(1))] {
        assert_eq!(listed(app.founder(), query).await, [second.as_str()], "{query}");
    }
    assert_eq!(listed(app.founder(), "device_id=dev-1").await, Vec::<String>::new());
}

async fn a_list_with_documents_shows_each_as_it_is_stored(app: TestApp) {
    let mut expected = Vec::new();
    for document in [reading("dev-1"), report("r-1"), simple(json!({"a": 1}))] {
        expected.insert(0, send(&app, &document).await.json().without("/warnings"));
    }
    let page = app.get(&format!("{REQUESTS}?include=document")).await.expect(200);
    assert_eq!(page.json(), json!({"items": expected, "next_cursor": null}));
    let filtered = app.get(&format!("{REQUESTS}?include=document&device_id=dev-1")).await.expect(200);
    assert_eq!(filtered.at("/items"), json!([expected[2]]));
    let wrong = app.get(&format!("{REQUESTS}?include=warnings")).await;
    wrong.expect_violations("invalid-parameter", &["?include parameter"]);
}

async fn a_page_with_documents_ends_before_it_is_too_long(app: TestApp) {
    const MOST: usize = 4 << 20;
    let mut stored = Vec::new();
    for number in 0..22 {
        let document = simple(json!({"number": number, "text": "x".repeat(200 << 10)}));
        stored.insert(0, send(&app, &document).await.id());
    }
    let size = raw_document(&app.get(&path(&stored[0])).await.expect(200)).len();
    let first = app.get(&format!("{REQUESTS}?include=document&limit=500")).await.expect(200);
    assert_eq!(ids(&first).len(), MOST / size);
    assert!(first.body.len() < MOST + (64 << 10), "{}", first.body.len());
    assert_eq!(walk(app.founder(), &format!("{REQUESTS}?include=document&limit=500")).await, stored);
    // A cursor is good with and without documents.
    let cursor = first.text("/next_cursor");
    assert_eq!(listed(app.founder(), &format!("limit=500&cursor={cursor}")).await, stored[MOST / size..]);
}
