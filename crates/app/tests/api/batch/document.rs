//! Answers to batches as one JSON document.

use serde_json::{Value, json};

use super::{BATCH, counts, outcomes, readings, send, send_ndjson};
use crate::support::TestApp;
use crate::support::client::Answer;
use crate::support::documents::{reading, simple};

on_both!(
    every_mode_answers_with_one_document_on_request,
    refused_records_and_problems_stand_in_the_document,
    a_failed_strict_batch_is_a_problem_with_results_and_totals,
    a_document_lists_only_errors_after_10000_results,
    the_form_is_negotiated,
);

/// Returns the results of a document and the document, and checks that the totals add up.
#[track_caller]
fn document(answer: &Answer, media_type: &str) -> (Vec<Value>, Value) {
    assert_eq!(answer.header("content-type"), Some(media_type));
    let document = answer.json();
    let totals = document["totals"].as_object().unwrap_or_else(|| panic!("no totals: {document}"));
    let sum: u64 = totals.iter().filter(|(name, _)| *name != "read").map(|(_, count)| count.as_u64().unwrap()).sum();
    assert_eq!(totals["read"], sum, "{document}");
    (document["results"].as_array().unwrap().clone(), document)
}

async fn post(app: &TestApp, query: &str, documents: &[Value]) -> Answer {
    send_ndjson(app.founder(), query, documents).header("Accept", "application/json").await
}

async fn every_mode_answers_with_one_document_on_request(app: TestApp) {
    let documents = readings(1100);
    for (query, status, outcome) in
        [("", 200, "accepted"), ("?mode=strict", 200, "duplicate"), ("?mode=atomic", 201, "duplicate")]
    {
        let (results, whole) = document(&post(&app, query, &documents).await.expect(status), "application/json");
        assert_eq!(outcomes(&results), vec![outcome; 1100], "{query}");
        assert_eq!((counts(&whole), &whole["truncated"]), (json!({"read": 1100, outcome: 1100}), &json!(false)));
        assert_eq!((&results[7]["index"], &results[7]["line"]), (&json!(7), &json!(8)));
        assert_eq!(whole["error"], Value::Null);
    }
    for query in ["?results=errors", "?mode=strict&results=errors", "?mode=atomic&results=errors"] {
        let answer = post(&app, query, &documents).await;
        let (results, whole) = document(&answer, "application/json");
        assert_eq!((results.len(), counts(&whole)), (0, json!({"read": 1100, "duplicate": 1100})));
        assert_eq!(whole["truncated"], false, "nothing is left out that was asked for");
    }
    let empty = send(app.founder(), BATCH, "application/json", "[]").header("Accept", "application/json").await;
    assert_eq!(document(&empty.expect(200), "application/json").0, [Value::Null; 0]);
}

async fn refused_records_and_problems_stand_in_the_document(app: TestApp) {
    let documents = [reading("dev-1"), json!({}), reading("dev-2")];
    let (results, whole) = document(&post(&app, "", &documents).await.expect(200), "application/json");
    assert_eq!(outcomes(&results), ["accepted", "rejected", "accepted"]);
    assert_eq!(results[1]["violations"][0]["code"], "no_contract");
    assert_eq!(counts(&whole), json!({"read": 3, "accepted": 2, "rejected": 1}));
    let refused = post(&app, "?mode=atomic", &documents).await.expect_problem(422, "batch-refused");
    assert_eq!(refused.at("/records/0/index"), 1);
    app.founder().put("/v1/admin/quotas").json(&json!({"requests_per_day": 2})).await.expect(200);
    let (results, whole) = document(&post(&app, "", &[reading("dev-3")]).await.expect(200), "application/json");
    assert_eq!(outcomes(&results), ["unprocessed"]);
    assert_eq!((&whole["error"]["status"], &whole["status"]), (&json!(429), &Value::Null));
}

async fn a_failed_strict_batch_is_a_problem_with_results_and_totals(app: TestApp) {
    let answer = post(&app, "?mode=strict", &[reading("dev-1"), json!({})]).await;
    let answer = answer.expect_problem(422, "records-refused");
    let (results, whole) = document(&answer, "application/problem+json");
    assert_eq!(outcomes(&results), ["accepted", "rejected"]);
    assert_eq!(
        (counts(&whole), &whole["truncated"]),
        (json!({"read": 2, "accepted": 1, "rejected": 1}), &json!(false))
    );
    app.drain();
    let answer = post(&app, "?mode=strict", &readings(3)).await.expect_problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(outcomes(&document(&answer, "application/problem+json").0), ["unprocessed"; 3]);
}

async fn a_document_lists_only_errors_after_10000_results(app: TestApp) {
    let mut documents: Vec<Value> = (0..10_100).map(|number| simple(json!({"n": number}))).collect();
    documents.push(json!({}));
    let (results, whole) = document(&post(&app, "", &documents).await.expect(200), "application/json");
    assert_eq!((results.len(), &whole["truncated"]), (10_001, &json!(true)));
    assert_eq!((&results[10_000]["index"], &results[10_000]["outcome"]), (&json!(10_100), &json!("rejected")));
    assert_eq!(counts(&whole), json!({"read": 10_101, "accepted": 10_100, "rejected": 1}));
}

async fn the_form_is_negotiated(app: TestApp) {
    let form = async |accept: &str| {
        let answer = send_ndjson(app.founder(), "", &readings(1)).header("Accept", accept).await.expect(200);
        answer.header("content-type").unwrap().to_owned()
    };
    for lines in ["*/*", "application/*", "application/x-ndjson, application/json;q=0.5", "application/json, */*"] {
        assert_eq!(form(lines).await, "application/x-ndjson", "{lines}");
    }
    for document in ["application/json", "application/json, */*;q=0.1", "application/x-ndjson;q=0, */*"] {
        assert_eq!(form(document).await, "application/json", "{document}");
    }
    for none in ["text/csv", "application/xml", "application/x-ndjson;q=0"] {
        let refused = send_ndjson(app.founder(), "", &readings(1)).header("Accept", none).await;
        let refused = refused.expect_problem(406, "not-acceptable");
        assert!(refused.text("/detail").contains("application/x-ndjson or application/json"), "{none}");
    }
}
