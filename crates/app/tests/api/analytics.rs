//! Figures from outside: what they are computed from, who reads them, and that they repair themselves.

mod cli;
mod golden;
mod projector;

use std::fmt::Write as _;

use mass_domain::access::Role;
use mass_domain::audit::tree::{TreeHash, verify_consistency};
use serde_json::{Value, json};

use crate::batch::{counts, lines_of, send_ndjson};
use crate::support::TestApp;
use crate::support::client::{Answer, Client};
use crate::support::documents::{Edit, reading, simple};

on_both!(
    sites_and_devices_are_listed_with_their_last_values,
    each_tenant_has_its_own_figures,
    wrong_parameters_are_named,
    a_period_without_data_is_empty,
    rows_of_csv_are_the_values_of_the_document,
    series_are_written_as_parquet_by_builds_that_have_it,
    corrections_and_deletions_repair_figures,
    a_rebuild_gives_the_same_bytes,
    answers_name_the_events_that_a_checkpoint_covers,
    long_answers_are_streamed_whole,
    indicators_of_many_days_are_streamed_whole,
    doubts_are_told_by_series_and_day,
    usage_counts_requests_and_quotas,
);

also_restricted!(
    sites_and_devices_are_listed_with_their_last_values,
    each_tenant_has_its_own_figures,
    corrections_and_deletions_repair_figures,
    a_rebuild_gives_the_same_bytes,
    usage_counts_requests_and_quotas,
);

const SITES: &str = "/v1/sites";
const DEVICES: &str = "/v1/devices";
const SERIES: &str = "/v1/analytics/series";
const KPIS: &str = "/v1/analytics/kpis";
const QUALITY: &str = "/v1/analytics/quality";
const USAGE: &str = "/v1/analytics/usage";
const REQUESTS: &str = "/v1/mass-requests";

/// The day on which most readings of these tests are taken.
const DAY: &str = "from=2025-06-15T00:00:00Z&to=2025-06-16T00:00:00Z";

/// A reading of a device at a site at a time of that day.
pub(crate) fn measured(device: &str, time: &str, metrics: Value) -> Value {
    json!({
        "mass_version": "2.0",
        "timestamp": format!("2025-06-15T{time}Z"),
        "device": {"id": device, "type": "rack-pdu", "location": "Hall 2", "site_id": "madrid-1"},
        "metrics": metrics,
    })
}

/// Sends documents, all of which are accepted.
pub(crate) async fn send(client: &Client, documents: &[Value]) {
    let (_, last) = lines_of(&send_ndjson(client, "", documents).await.expect(200).body);
    assert_eq!(counts(&last), json!({"read": documents.len(), "accepted": documents.len()}));
}

/// The series of a query; there has to be one.
pub(crate) async fn series(client: &Client, query: &str) -> Value {
    let answer = client.get(&format!("{SERIES}?{query}")).await.expect(200);
    let series = answer.at("/series").as_array().unwrap().clone();
    let [one] = &series[..] else { panic!("{series:?}") };
    one.clone()
}

/// The values of a series, with the times at which their stretches begin.
pub(crate) fn values(series: &Value) -> Vec<(String, f64)> {
    let value = |bucket: &Value| (bucket["begin"].as_str().unwrap().to_owned(), bucket["value"].as_f64().unwrap());
    series["buckets"].as_array().unwrap().iter().map(value).collect()
}

/// Six readings of a power at intervals of ten minutes.
fn powers(device: &str) -> Vec<Value> {
    let reading = |number: u32| {
        let power = f64::from(number) + 1.0;
        measured(
            device,
            &format!("10:{:02}:00", number * 10),
            json!({"power_kw": power, "inlet_temperature_celsius": 21}),
        )
    };
    (0..6).map(reading).collect()
}

async fn sites_and_devices_are_listed_with_their_last_values(app: TestApp) {
    send(app.founder(), &[powers("pdu-1"), powers("pdu-2")].concat()).await;
    app.post(REQUESTS).json(&reading("nowhere")).await.expect(201);
    app.project().await;

    let sites = app.get(SITES).await.expect(200);
    assert_eq!(sites.at("/as_of/behind"), 0);
    assert_eq!(sites.at("/items"), json!([{"site_id": "madrid-1", "devices": 2, "state": null}]));

    let devices = app.get(&format!("{DEVICES}?site_id=madrid-1&limit=1")).await.expect(200);
    let device = devices.at("/items/0");
    assert_eq!(
        (&device["device_id"], &device["type"], &device["location"]),
        (&json!("pdu-1"), &json!("rack-pdu"), &json!("Hall 2"))
    );
    let state = &device["state"];
    assert_eq!((&state["freshness"], &state["completeness"]), (&json!("silent"), &Value::Null));
    assert_eq!((&state["interval_seconds"], &state["last_seen"]), (&json!(600.0), &json!("2025-06-15T10:50:00Z")));
    let power =
        json!({"metric": "power_kw", "value": 6.0, "unit": "kW", "kind": "power", "at": "2025-06-15T10:50:00Z"});
    assert_eq!(state["values"][1], power);

    let cursor = devices.text("/next_cursor");
    let next = app.get(&format!("{DEVICES}?site_id=madrid-1&limit=1&cursor={cursor}")).await.expect(200);
    assert_eq!((next.text("/items/0/device_id"), next.at("/next_cursor")), ("pdu-2".to_owned(), Value::Null));
    app.get(&format!("{DEVICES}?limit=1&cursor={cursor}"))
        .await
        .expect_violations("invalid-parameter", &["?cursor parameter"]);

    let all = app.get(&format!("{DEVICES}?include=completeness")).await.expect(200);
    assert_eq!(all.at("/items/0/site_id"), Value::Null, "a device without a site has none");
    assert_eq!(all.at("/items").as_array().unwrap().len(), 3);
    let recent = app.get(&format!("{DEVICES}/nowhere")).await.expect(200);
    assert_eq!(recent.text("/items/0/state/freshness"), "fresh");
    assert!(recent.at("/items/0/state/completeness").is_object());
    app.get(&format!("{DEVICES}/pdu-3")).await.expect_problem(404, "not-found");
}

async fn each_tenant_has_its_own_figures(app: TestApp) {
    let foreign = app.foreigner(Role::Operator).await;
    send(app.founder(), &powers("pdu-1")).await;
    send(&foreign, &[measured("pdu-1", "10:00:00", json!({"power_kw": 900}))]).await;
    app.project().await;
    let query = format!("metric=power_kw&{DAY}&step=raw");
    assert_eq!(series(app.founder(), &query).await["buckets"].as_array().unwrap().len(), 6);
    assert_eq!(values(&series(&foreign, &query).await), [("2025-06-15T10:00:00Z".to_owned(), 900.0)]);
    foreign.get(&format!("{SERIES}?metric=inlet_temperature_celsius&{DAY}")).await.expect(200);
    let kpis = foreign.get(&format!("{KPIS}?{DAY}")).await.expect(200);
    assert_eq!(kpis.at("/items").as_array().unwrap().len(), 1);
    foreign.get(&format!("{DEVICES}/pdu-1")).await.expect(200);
    send(app.founder(), &[measured("pdu-2", "10:00:00", json!({"outlets_on": 3}))]).await;
    app.project().await;
    foreign.get(&format!("{DEVICES}/pdu-2")).await.expect_problem(404, "not-found");
    // A metric that only another tenant reports is unknown.
    let unknown = foreign.get(&format!("{SERIES}?metric=outlets_on&{DAY}")).await;
    unknown.expect_violations("invalid-parameter", &["?metric parameter"]);
}

async fn wrong_parameters_are_named(app: TestApp) {
    send(app.founder(), &powers("pdu-1")).await;
    app.project().await;
    let refused = async |path: String, violations: &[&str]| {
        app.get(&path).await.expect_violations("invalid-parameter", violations)
    };
    let missing = ["?metric missing_parameter", "?from missing_parameter", "?to missing_parameter"];
    refused(SERIES.to_owned(), &missing).await;
    let unknown = refused(format!("{SERIES}?metric=power_kwh&{DAY}"), &["?metric parameter"]).await;
    assert_eq!(unknown.text("/violations/0/expected"), "inlet_temperature_celsius, power_kw");
    refused(format!("{SERIES}?metric=power_kw,&{DAY}"), &["?metric parameter"]).await;
    let step = refused(
        format!("{SERIES}?metric=pue&{DAY}&step=week&aggregate=median"),
        &["?step parameter", "?aggregate parameter"],
    )
    .await;
    assert_eq!(step.text("/violations/0/detail"), "One of raw, 5m, hour, day, month.");
    let zone = refused(format!("{SERIES}?metric=pue&{DAY}&zone=Europe/Atlantis"), &["?zone parameter"]).await;
    assert!(zone.text("/violations/0/detail").contains("IANA"), "{zone:?}");
    let backwards = "from=2025-06-16T00:00:00Z&to=2025-06-15T00:00:00Z";
    for path in
        [format!("{SERIES}?metric=pue&{backwards}"), format!("{KPIS}?{backwards}"), format!("{QUALITY}?{backwards}")]
    {
        refused(path, &["?to parameter"]).await;
    }
    let year = "from=2025-01-01T00:00:00Z&to=2026-01-01T00:00:00Z";
    for (step, take) in [("raw", "hour"), ("5m", "hour")] {
        let long = refused(format!("{SERIES}?metric=pue&{year}&step={step}"), &["?step parameter"]).await;
        assert_eq!(long.text("/violations/0/expected"), take, "{long:?}");
    }
    let decades = "from=2000-01-01T00:00:00Z&to=2025-01-01T00:00:00Z";
    refused(format!("{SERIES}?metric=pue&{decades}&step=day"), &["?to parameter"]).await;
    refused(format!("{QUALITY}?{year}"), &["?to parameter"]).await;
    refused(format!("{KPIS}?{DAY}&site_id=nowhere"), &["?site_id parameter"]).await;
    refused(
        format!("{KPIS}?{DAY}&step=hour&tariff=-1&carbon=x"),
        &["?step parameter", "?tariff parameter", "?carbon parameter"],
    )
    .await;
    refused(format!("{SITES}?include=values"), &["?include parameter"]).await;
    let html = app.get(&format!("{SERIES}?metric=pue&{DAY}")).header("Accept", "text/html").await;
    html.expect_problem(406, "not-acceptable");
    app.get(&format!("{USAGE}?{DAY}")).await.expect(200);
    app.user(Role::Viewer).await.get(&format!("{USAGE}?{DAY}")).await.expect_problem(403, "forbidden");
}

async fn a_period_without_data_is_empty(app: TestApp) {
    let nothing = app.get(&format!("{SERIES}?metric=power_kw&{DAY}")).await.expect(200);
    assert_eq!(nothing.at("/series"), json!([]));
    send(app.founder(), &powers("pdu-1")).await;
    app.project().await;
    let later = "from=2025-07-15T00:00:00Z&to=2025-07-16T00:00:00Z";
    for step in ["raw", "5m", "hour", "day", "month"] {
        let empty = series(app.founder(), &format!("metric=power_kw&{later}&step={step}")).await;
        assert_eq!((&empty["buckets"], &empty["coverage"]), (&json!([]), &json!(0.0)), "{step}");
    }
    let kpis = app.get(&format!("{KPIS}?{later}")).await.expect(200).at("/items/0/kpis");
    for (name, kpi) in kpis.as_object().unwrap() {
        let is_told =
            [&kpi["reason"], &kpi["reason_code"]].iter().all(|told| told.is_string() == kpi["value"].is_null());
        assert!(is_told && kpi["coverage"] == 0.0, "{name}: {kpi}");
    }
    assert_eq!(kpis["pue"]["value"], Value::Null);
    assert_eq!(app.get(&format!("{QUALITY}?{later}")).await.expect(200).at("/items"), json!([]));
}

/// Reads rows of CSV as the document has them.
fn rows(csv: &str) -> Vec<Vec<String>> {
    let mut rows = csv::ReaderBuilder::new().has_headers(false).from_reader(csv.as_bytes());
    rows.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

async fn rows_of_csv_are_the_values_of_the_document(app: TestApp) {
    let odd = measured("pdu-2", "11:00:00", json!({"outlets_on": 1e-7})).with("/device/site_id", "=1+1, \"quoted\"");
    send(app.founder(), &[powers("pdu-1"), vec![odd]].concat()).await;
    app.project().await;
    for query in [format!("metric=power_kw,outlets_on&{DAY}"), format!("metric=power_kw&{DAY}&step=raw&aggregate=last")]
    {
        let path = format!("{SERIES}?{query}");
        let document = app.get(&path).await.expect(200);
        let table = app.get(&path).header("Accept", "text/csv").await.expect(200);
        assert_eq!(table.header("content-type"), Some("text/csv; charset=utf-8"));
        assert_eq!(table.header("analytics-as-of"), document.header("analytics-as-of"));
        let as_of = document.at("/as_of");
        let told = format!("sequence={}, root={}, head={}, behind=0", as_of["sequence"], as_of["root"], as_of["head"]);
        assert_eq!(table.header("analytics-as-of"), Some(told.as_str()));
        let columns = ["site_id", "device_id", "metric", "unit", "begin", "end", "value", "count", "coverage"];
        let mut expected = vec![columns.map(str::to_owned).to_vec()];
        for series in document.at("/series").as_array().unwrap() {
            for bucket in series["buckets"].as_array().unwrap() {
                let cell = |name: &&str| {
                    let value = if series[*name].is_null() { &bucket[*name] } else { &series[*name] };
                    let text = value.as_str().map(str::to_owned);
                    text.unwrap_or_else(|| if value.is_null() { String::new() } else { value.to_string() })
                };
                // The coverage of a row is that of its stretch.
                let mut row: Vec<String> = columns[..8].iter().map(cell).collect();
                row.push(bucket["coverage"].to_string());
                expected.push(row);
            }
        }
        assert!(expected.len() > 1);
        assert_eq!(rows(std::str::from_utf8(&table.body).unwrap()), expected, "{query}");
    }
}

async fn series_are_written_as_parquet_by_builds_that_have_it(app: TestApp) {
    send(app.founder(), &powers("pdu-1")).await;
    app.project().await;
    let parquet = "application/vnd.apache.parquet";
    let fetch = |accept: &str| app.get(&format!("{SERIES}?metric=power_kw&{DAY}")).header("Accept", accept);
    let or_rows = fetch(&format!("{parquet}, text/csv;q=0.5")).await.expect(200);
    if cfg!(feature = "parquet") {
        assert_eq!(or_rows.header("content-type"), Some(parquet));
        assert!(or_rows.body.starts_with(b"PAR1") && or_rows.body.ends_with(b"PAR1"));
    } else {
        assert_eq!(rows(std::str::from_utf8(&or_rows.body).unwrap()).len(), 2);
        let refused = fetch(parquet).await.expect_problem(406, "not-acceptable");
        assert!(refused.text("/detail").contains("container image"), "{refused:?}");
    }
}

/// The answers to questions that every figure of the tests has a part in.
async fn figures(client: &Client) -> Vec<Value> {
    let mut answers = Vec::new();
    for step in ["raw", "5m", "hour", "day"] {
        for metric in ["power_kw", "inlet_temperature_celsius", "energy_kwh"] {
            answers.push(format!("{SERIES}?metric={metric}&{DAY}&step={step}"));
        }
    }
    answers.extend([format!("{KPIS}?{DAY}"), SITES.to_owned(), DEVICES.to_owned()]);
    let mut found = Vec::new();
    for path in answers {
        found.push(client.get(&path).await.expect(200).json().without("/as_of"));
    }
    found
}

async fn corrections_and_deletions_repair_figures(app: TestApp) {
    send(app.founder(), &powers("pdu-1")).await;
    app.project().await;
    let before = figures(app.founder()).await;
    let query = format!("metric=power_kw&{DAY}&step=hour&aggregate=sum");
    // 1 to 6 kW for ten minutes each; for how long the last one holds, nobody knows yet.
    assert_eq!(values(&series(app.founder(), &query).await), [("2025-06-15T10:00:00Z".to_owned(), 15.0 / 6.0)]);

    let wrong = measured("pdu-1", "10:20:00", json!({"power_kw": 300, "inlet_temperature_celsius": 21}));
    let corrected = app.post(&format!("{REQUESTS}?on_conflict=correct")).json(&wrong).await.expect(201).id();
    app.project().await;
    assert_eq!(values(&series(app.founder(), &query).await)[0].1, 312.0 / 6.0);
    // Without another member it would be the first one again, which has been corrected.
    let right = measured("pdu-1", "10:20:00", json!({"power_kw": 3, "inlet_temperature_celsius": 21}))
        .with("/metadata", json!({"notes": "mended"}));
    app.post(&format!("{REQUESTS}?on_conflict=correct")).json(&right).await.expect(201);
    app.project().await;
    assert_eq!(figures(app.founder()).await, before);

    let late = measured("pdu-1", "10:05:00", json!({"power_kw": 100}));
    let late = app.post(REQUESTS).json(&late).await.expect(201).id();
    app.project().await;
    assert_ne!(figures(app.founder()).await, before);
    app.delete(&format!("{REQUESTS}/{late}")).await.expect(204);
    app.project().await;
    assert_eq!(figures(app.founder()).await, before, "what was deleted leaves no trace in figures");
    app.get(&format!("{REQUESTS}/{corrected}")).await.expect(200);
}

/// Every row of every table of figures, as text.
fn tables(app: &TestApp) -> String {
    let tables = ["sources", "projected_blocks", "series", "points", "hours", "days", "intake"];
    let mut all = String::new();
    for table in tables {
        let rows = if app.database().url().starts_with("sqlite") {
            let columns = format!("SELECT name AS line FROM pragma_table_info('{table}') ORDER BY cid");
            let cells: Vec<String> =
                app.database().lines(&columns).iter().map(|name| format!("quote(\"{name}\")")).collect();
            format!("SELECT {} AS line FROM {table} ORDER BY line", cells.join(" || ',' || "))
        } else {
            format!("SELECT CAST({table} AS text) AS line FROM {table} ORDER BY line")
        };
        let rows = app.database().lines(&rows);
        assert!(!rows.is_empty(), "{table}");
        writeln!(all, "{table}\n{}", rows.join("\n")).unwrap();
    }
    all
}

async fn a_rebuild_gives_the_same_bytes(app: TestApp) {
    let mut documents = powers("pdu-1");
    documents.reverse();
    // One batch of the log a document, so that what came late was computed anew each time.
    for document in documents {
        app.post(REQUESTS).json(&document).await.expect(201);
        app.project().await;
    }
    let meters = [("00:30:00", 10.0), ("01:30:00", 12.5), ("02:30:00", 1.0), ("23:59:59", 3.0)];
    let meters = meters.map(|(time, energy)| measured("meter", time, json!({"energy_kwh": energy})));
    send(app.founder(), &meters).await;
    let next_day = measured("meter", "00:00:00", json!({"energy_kwh": 4})).with("/timestamp", "2025-06-16T12:00:00Z");
    send(app.founder(), &[next_day]).await;
    let correction = measured("pdu-1", "10:20:00", json!({"power_kw": 0.1}));
    app.post(&format!("{REQUESTS}?on_conflict=correct")).json(&correction).await.expect(201);
    let deleted = app.post(REQUESTS).json(&measured("gone", "10:00:00", json!({"power_kw": 7}))).await.expect(201).id();
    app.project().await;
    app.delete(&format!("{REQUESTS}/{deleted}")).await.expect(204);
    app.post(REQUESTS).json(&simple(json!({"pue": 1.3}))).await.expect(201);
    app.project().await;
    let doubts = app.get(&format!("{QUALITY}?{DAY}")).await.expect(200);
    assert_ne!(doubts.at("/items"), json!([]));
    let (kept, told) = (tables(&app), figures(app.founder()).await);
    app.rebuild().await;
    assert_eq!(tables(&app), kept);
    assert_eq!(figures(app.founder()).await, told);
    assert_eq!(app.get(&format!("{QUALITY}?{DAY}")).await.expect(200).body, doubts.body);
}

fn hashes(answer: &Answer) -> Vec<TreeHash> {
    answer.at("/hashes").as_array().unwrap().iter().map(|hash| hash.as_str().unwrap().parse().unwrap()).collect()
}

async fn answers_name_the_events_that_a_checkpoint_covers(app: TestApp) {
    send(app.founder(), &powers("pdu-1")).await;
    let nothing = app.get(SITES).await.expect(200).at("/as_of");
    assert_eq!((&nothing["sequence"], &nothing["root"]), (&json!(0), &json!(TreeHash::of_nothing().to_string())));
    assert_eq!(nothing["behind"], nothing["head"]);
    app.project().await;
    let as_of = app.get(&format!("{KPIS}?{DAY}")).await.expect(200).at("/as_of");
    let checkpoint = app.get("/v1/audit/checkpoint").await.expect(200).json();
    assert_eq!((&as_of["sequence"], &as_of["root"]), (&checkpoint["size"], &checkpoint["root"]));
    assert_eq!((&as_of["head"], &as_of["behind"]), (&as_of["sequence"], &json!(0)));

    send(app.founder(), &powers("pdu-2")).await;
    let pinned = app.get(&format!("{KPIS}?{DAY}")).await.expect(200).at("/as_of");
    assert_eq!((&pinned["sequence"], &pinned["root"]), (&as_of["sequence"], &as_of["root"]));
    assert_eq!(pinned["behind"], pinned["head"].as_u64().unwrap() - pinned["sequence"].as_u64().unwrap());
    let newer = app.get("/v1/audit/checkpoint").await.expect(200).json();
    let (from, to) = (as_of["sequence"].as_u64().unwrap(), newer["size"].as_u64().unwrap());
    let proof = app.get(&format!("/v1/audit/proofs/consistency?from={from}&to={to}")).await.expect(200);
    let root = |value: &Value| value["root"].as_str().unwrap().parse::<TreeHash>().unwrap();
    assert!(verify_consistency(from, to, &hashes(&proof), root(&as_of), root(&newer)));
}

async fn long_answers_are_streamed_whole(app: TestApp) {
    let names: Vec<String> = (0..50).map(|number| format!("channel_{number}")).collect();
    let document = |minute: u32| {
        let metrics: serde_json::Map<String, Value> =
            names.iter().map(|name| (name.clone(), json!(f64::from(minute) + 0.5))).collect();
        measured("wide", &format!("{:02}:{:02}:00", minute / 60, minute % 60), metrics.into())
    };
    send(app.founder(), &(0..201).map(document).collect::<Vec<_>>()).await;
    app.project().await;
    let path = |count: usize| format!("{SERIES}?metric={}&{DAY}&step=raw", names[..count].join(","));
    let buckets = |answer: &Answer| -> Vec<usize> {
        let series = answer.at("/series");
        series.as_array().unwrap().iter().map(|it| it["buckets"].as_array().unwrap().len()).collect()
    };
    let long = app.get(&path(50)).await.expect(200);
    assert_eq!((buckets(&long), long.header("transfer-encoding")), (vec![201; 50], Some("chunked")));
    let short = app.get(&path(49)).await.expect(200);
    assert_eq!((buckets(&short), short.header("transfer-encoding")), (vec![201; 49], None));
    assert_eq!(short.at("/series/0"), long.at("/series/0"));
    let table = app.get(&path(50)).header("Accept", "text/csv").await.expect(200);
    assert_eq!(rows(std::str::from_utf8(&table.body).unwrap()).len(), 1 + 50 * 201);
    let bounded = app.another_with(&[("--streams-per-tenant", "1")]).await;
    for _ in 0..3 {
        bounded.get(&path(50)).await.expect(200);
    }
}

async fn indicators_of_many_days_are_streamed_whole(app: TestApp) {
    let at_site = |number: usize| {
        let mut document = measured(&format!("meter-{number}"), "09:00:00", json!({"facility_power_kw": 100.0}));
        document["device"]["site_id"] = json!(format!("site-{number}"));
        document
    };
    send(app.founder(), &(0..3).map(at_site).collect::<Vec<_>>()).await;
    app.project().await;
    let years =
        app.get(&format!("{KPIS}?from=2024-01-01T00:00:00Z&to=2026-01-01T00:00:00Z&step=day")).await.expect(200);
    let items = years.at("/items").as_array().unwrap().clone();
    assert_eq!((items.len(), years.header("transfer-encoding")), (3 * 731, Some("chunked")));
    for (place, item) in items.iter().enumerate() {
        assert_eq!(item["site_id"], json!(format!("site-{}", place / 731)));
        let follows = place % 731 == 0 || items[place - 1]["to"] == item["from"];
        assert!(follows, "{item}");
    }
    let month =
        app.get(&format!("{KPIS}?from=2025-06-01T00:00:00Z&to=2025-07-01T00:00:00Z&step=day")).await.expect(200);
    assert_eq!((month.at("/items").as_array().unwrap().len(), month.header("transfer-encoding")), (3 * 30, None));
}

async fn doubts_are_told_by_series_and_day(app: TestApp) {
    let mut documents: Vec<Value> = (0..48)
        .map(|number| {
            let time = format!("{:02}:{:02}:00", number / 12, number % 12 * 5);
            let celsius = 22.0 + f64::from(number % 5) / 10.0;
            measured("inlet", &time, json!({"inlet_temperature_celsius": celsius}))
        })
        .collect();
    documents.push(measured("inlet", "08:00:00", json!({"inlet_temperature_celsius": 72.5})));
    documents.push(measured("inlet", "08:05:00", json!({"inlet_temperature_celsius": 22.3})));
    send(app.founder(), &documents).await;
    app.project().await;
    let quality = app.get(&format!("{QUALITY}?{DAY}&device_id=inlet")).await.expect(200);
    let items = quality.at("/items");
    let kinds: Vec<&str> = items.as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"gap") && kinds.contains(&"unit"), "{items}");
    let unit = items.as_array().unwrap().iter().find(|item| item["kind"] == "unit").unwrap();
    assert_eq!((&unit["value"], &unit["first"]), (&json!(72.5), &json!("2025-06-15T08:00:00Z")));
    assert_eq!((&unit["metric"], &unit["day"]), (&json!("inlet_temperature_celsius"), &json!("2025-06-15T00:00:00Z")));
    let other = app.get(&format!("{QUALITY}?{DAY}&metric=power_kw")).await.expect(200);
    assert_eq!(other.at("/items"), json!([]));
}

async fn usage_counts_requests_and_quotas(app: TestApp) {
    let quotas = json!({"requests_per_day": 100, "stored_bytes": null});
    app.founder().put("/v1/admin/quotas").json(&quotas).await.expect(200);
    send(app.founder(), &powers("pdu-1")).await;
    let deleted = app.post(REQUESTS).json(&simple(json!({"a": 1}))).await.expect(201).id();
    app.delete(&format!("{REQUESTS}/{deleted}")).await.expect(204);
    app.project().await;
    let now = chrono::Utc::now();
    let day = |days: i64| (now + chrono::TimeDelta::days(days)).format("%Y-%m-%dT00:00:00Z").to_string();
    let usage = app.get(&format!("{USAGE}?from={}&to={}", day(-1), day(1))).await.expect(200).json();
    let requests: i64 = usage["days"].as_array().unwrap().iter().map(|day| day["requests"].as_i64().unwrap()).sum();
    let bytes: i64 = usage["days"].as_array().unwrap().iter().map(|day| day["bytes"].as_i64().unwrap()).sum();
    assert_eq!((requests, &usage["devices"], &usage["series"]), (6, &json!(1), &json!(2)));
    assert_eq!(usage["stored_bytes"], json!({"allowed": null, "used": bytes, "left": null}));
    assert_eq!(usage["requests_today"], json!({"allowed": 100, "used": 7, "left": 93}));
    assert_eq!(usage["open_streams"], 0);
}
