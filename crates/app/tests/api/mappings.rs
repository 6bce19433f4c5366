//! Mapping profiles that the server keeps.

use mass_domain::access::Role;
use mass_domain::canonical::Fingerprint;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::{Answer, Call};

on_both!(
    a_profile_is_kept_and_replaced,
    changes_depend_on_what_the_client_knows,
    toml_and_json_are_one_schema,
    every_mistake_is_named_with_its_place,
    bodies_that_are_no_profile_are_refused,
    names_are_limited_to_plain_characters,
    each_tenant_has_its_own_profiles,
    a_list_has_pages_by_name,
    a_tenant_has_at_most_100_profiles,
    a_failed_change_is_not_made,
    a_preview_shows_what_a_profile_makes_of_a_file,
    a_preview_shows_at_most_20_records,
    a_file_that_a_profile_cannot_read_has_no_preview,
);

also_restricted!(a_profile_is_kept_and_replaced, each_tenant_has_its_own_profiles, a_list_has_pages_by_name);

const MAPPINGS: &str = "/v1/mappings";

/// Stores a profile in JSON.
pub(crate) async fn keep(app: &TestApp, name: &str, profile: &Value) -> Answer {
    app.founder().put(&format!("{MAPPINGS}/{name}")).json(profile).await.expect(201)
}

/// Stores a profile in TOML.
pub(crate) async fn keep_text(app: &TestApp, name: &str, profile: &str) -> Answer {
    put(app, name, profile).await.expect(201)
}

fn put(app: &TestApp, name: &str, profile: &str) -> Call {
    let call = app.founder().put(&format!("{MAPPINGS}/{name}"));
    call.header("Content-Type", "application/toml").bytes(profile)
}

/// Asks for a preview of the head of a file.
fn preview(app: &TestApp, name: &str, head: &str) -> Call {
    let call = app.founder().post(&format!("{MAPPINGS}/{name}/preview"));
    call.header("Content-Type", "application/octet-stream").bytes(head)
}

async fn a_preview_shows_what_a_profile_makes_of_a_file(app: TestApp) {
    let profile = json!({
        "contract": "device/2.0",
        "time": {"from": "Time"},
        "members": {
            "device.id": {"value": "pdu-1"},
            "metrics.power_kw": {"from": "Watts", "unit": "w->kw", "type": "number"},
            "metrics.humidity_percent": {"from": "RH", "type": "number"},
        },
    });
    keep(&app, "pdu", &profile).await;
    let before = app.database().count("audit_events");
    let rows = "Time,Watts,RH\n2026-01-05T09:00:00Z,412,40\nyesterday,412,40\n2026-01-05T11:00:00Z,412,400\n";
    let shown = preview(&app, "pdu", rows).await.expect(200).json();
    assert_eq!((&shown["contract"], &shown["more"]), (&json!("device/2.0"), &json!(false)));
    let items = shown["items"].as_array().unwrap();
    let verdicts: Vec<_> = items.iter().map(|item| (item["line"].as_u64(), item["valid"].as_bool())).collect();
    assert_eq!(verdicts, [(Some(2), Some(true)), (Some(3), Some(false)), (Some(4), Some(false))]);
    assert_eq!(items[0]["document"]["metrics"]["power_kw"], 0.412);
    assert_eq!(items[0]["source"], "2026-01-05T09:00:00Z,412,40");
    assert_eq!((&items[1]["document"], &items[1]["violations"][0]["pointer"]), (&Value::Null, &json!("Time")));
    assert_eq!(items[2]["violations"][0]["pointer"], "/metrics/humidity_percent");
    assert_eq!(app.database().count("mass_requests"), 0);
    assert_eq!(app.database().count("audit_events"), before);
}

async fn a_preview_shows_at_most_20_records(app: TestApp) {
    keep_text(&app, "site-7", &simple("A")).await;
    for (count, more) in [(20, false), (21, true)] {
        let shown = preview(&app, "site-7", &rows(count)).await.expect(200).json();
        assert_eq!((shown["items"].as_array().unwrap().len(), &shown["more"]), (20, &json!(more)));
    }
}

async fn a_file_that_a_profile_cannot_read_has_no_preview(app: TestApp) {
    keep_text(&app, "site-7", &simple("A")).await;
    preview(&app, "site-7", "B\n1\n").await.expect_problem(400, "bad-request");
    preview(&app, "site-8", "A\n1\n").await.expect_problem(404, "not-found");
    let long = preview(&app, "site-7", &rows((1 << 19) - 1)).await.expect(200).json();
    assert_eq!(long["more"], true);
    preview(&app, "site-7", &rows(1 << 19)).await.expect_problem(413, "too-large");
    let json = app.founder().post(&format!("{MAPPINGS}/site-7/preview")).json(&json!({}));
    json.await.expect_problem(415, "unsupported-media-type");
    app.user(Role::Viewer).await.post(&format!("{MAPPINGS}/site-7/preview")).await.expect_problem(403, "forbidden");
}

/// A table with one column.
fn rows(count: usize) -> String {
    format!("A\n{}", "1\n".repeat(count))
}

fn simple(column: &str) -> String {
    format!("# A profile.\ncontract = \"simple/1.0\"\n[members]\na = \"{column}\"\n")
}

fn tag(text: &str) -> String {
    format!("\"{}\"", Fingerprint::of(text))
}

async fn a_profile_is_kept_and_replaced(app: TestApp) {
    let path = format!("{MAPPINGS}/site-7");
    let created = keep_text(&app, "site-7", &simple("A")).await;
    assert_eq!(created.header("location"), Some(path.as_str()));
    assert_eq!(created.header("etag"), Some(tag(&simple("A")).as_str()));
    let expected = json!({
        "name": "site-7", "format": "toml", "contract": "simple/1.0", "text": simple("A"),
        "digest": Fingerprint::of(&simple("A")).to_string(),
    });
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(created.json()[member], *value, "{member}");
    }
    assert_eq!(created.at("/profile/members/a/from"), json!(["A"]));
    let me = app.get("/v1/auth/me").await.id();
    assert_eq!(created.at("/created_by"), json!({"kind": "user", "id": me}));
    let got = app.get(&path).await.expect(200);
    assert_eq!((got.json(), got.header("etag")), (created.json(), created.header("etag")));
    assert_eq!(app.get(MAPPINGS).await.expect(200).at("/items/0/digest"), created.at("/digest"));

    let same = put(&app, "site-7", &simple("A")).await.expect(200);
    assert_eq!(same.json(), created.json());
    let replaced = put(&app, "site-7", &simple("B")).await.expect(200);
    assert_eq!(replaced.at("/created_at"), created.at("/created_at"));
    assert!(replaced.text("/updated_at") > created.text("/updated_at"), "{replaced:?}");
    assert_eq!(app.get(&path).await.json(), replaced.json());
    assert_eq!(app.database().count("audit_events WHERE action = 'mapping_set'"), 2);

    app.delete(&path).await.expect(204);
    for gone in [app.get(&path).await, app.delete(&path).await] {
        gone.expect_problem(404, "not-found");
    }
    assert_eq!(app.get(MAPPINGS).await.at("/items"), json!([]));
    assert_eq!(app.database().count("mapping_profiles"), 0);
}

async fn changes_depend_on_what_the_client_knows(app: TestApp) {
    let (one, two) = (simple("A"), simple("B"));
    let stale = |answer: Answer| answer.expect_problem(412, "precondition-failed");
    stale(put(&app, "p", &one).header("If-Match", "*").await);
    stale(put(&app, "p", &one).header("If-Match", &tag(&one)).await);
    put(&app, "p", &one).header("If-None-Match", "*").await.expect(201);
    stale(put(&app, "p", &two).header("If-None-Match", "*").await);
    stale(put(&app, "p", &two).header("If-Match", &tag(&two)).await);
    stale(put(&app, "p", &two).header("If-Match", &format!("W/{}", tag(&one))).await);
    stale(put(&app, "p", &two).header("If-Match", "\"v1\"").await);
    put(&app, "p", &two).header("If-Match", &tag(&one)).await.expect(200);
    let path = format!("{MAPPINGS}/p");
    let known = app.get(&path).header("If-None-Match", &format!("W/{}", tag(&two))).await.expect(304);
    assert_eq!((known.header("etag"), known.body.len()), (Some(tag(&two).as_str()), 0));
    app.get(&path).header("If-None-Match", &tag(&one)).await.expect(200);
    stale(app.delete(&path).header("If-Match", &tag(&one)).await);
    app.delete(&path).header("If-Match", &tag(&two)).await.expect(204);
    app.delete(&path).header("If-Match", "*").await.expect_problem(404, "not-found");
}

async fn toml_and_json_are_one_schema(app: TestApp) {
    let toml = "contract = \"device/2.0\"\ndescription = \"Meters.\"\n\
        read = { delimiter = \";\", decimal = \",\" }\ntime = { from = [\"Date\", \"Time\"], format = \"%d/%m/%Y %H:%M\", zone = \"Europe/Madrid\" }\n\
        members.\"device.id\" = { template = \"meter-{Meter}\" }\nmembers.\"metrics.energy_kwh\" = { from = \"Energy\", suffix = \"kWh\" }\n";
    let kept = keep_text(&app, "toml", toml).await;
    let again = keep(&app, "json", &kept.at("/profile")).await;
    assert_eq!((again.at("/profile"), again.text("/format")), (kept.at("/profile"), "json".to_owned()));
    assert_ne!(again.at("/digest"), kept.at("/digest"), "a version is a text");
    // The same text in the other format is another profile.
    let body = json!({"contract": "simple/1.0", "members": {"a": "A"}});
    keep(&app, "same", &body).await;
    put(&app, "same", &body.to_string()).await.expect_problem(422, "contract-violation");
}

async fn every_mistake_is_named_with_its_place(app: TestApp) {
    for (profile, violations) in [
        (json!({}), &[" shape"][..]),
        (json!({"contract": "device/9.9"}), &["/contract shape"]),
        (json!({"contract": "simple/1.0", "members": {"a": 7}}), &["/members/a shape"]),
        (json!({"contract": "simple/1.0", "members": {"a": {"form": "A"}}}), &["/members/a/form shape"]),
        (
            json!({"contract": "device/2.0", "time": {"from": "t", "zone": "Mars/Olympus"}, "read": {"decimal": ";"}}),
            &["/read/decimal shape", "/time/zone shape", "/members shape", "/members shape", "/members shape"],
        ),
        (json!([]), &[" type"]),
    ] {
        let refused = app.founder().put(&format!("{MAPPINGS}/p")).json(&profile).await;
        refused.expect_violations("contract-violation", violations);
    }
    let missing = app.founder().put(&format!("{MAPPINGS}/p")).json(&json!({})).await;
    assert_eq!(missing.text("/violations/0/detail"), "Missing field `contract`.");
    let refused = put(&app, "p", "contract = \"simple/1.0\"\n[members]\na = 7\n").await;
    assert_eq!(refused.expect_violations("contract-violation", &["/members/a shape"]).status, 422);
    let refused =
        put(&app, "p", "contract = \"simple/1.0\n").await.expect_violations("contract-violation", &[" shape"]);
    assert!(refused.text("/violations/0/detail").contains("on line 1"), "{refused:?}");
    assert_eq!(app.database().count("mapping_profiles"), 0);
}

async fn bodies_that_are_no_profile_are_refused(app: TestApp) {
    let path = format!("{MAPPINGS}/p");
    for media_type in ["text/plain", "application/yaml", "application/toml; charset=latin1"] {
        let refused = app.founder().put(&path).header("Content-Type", media_type).bytes(simple("A")).await;
        let refused = refused.expect_problem(415, "unsupported-media-type");
        assert_eq!(refused.header("accept"), Some("application/json, application/toml"));
    }
    let json = |text: &str| app.founder().put(&path).body(text);
    json("{").await.expect_problem(400, "malformed-json");
    json("{\"contract\": \"simple/1.0\", \"contract\": \"device/2.0\"}").await.expect_problem(400, "malformed-json");
    let latin = app.founder().put(&path).header("Content-Type", "application/toml").bytes(b"# \xe4\n".to_vec());
    latin.await.expect_problem(400, "bad-request");
    put(&app, "p", "contract = \"simple/1.0\"\n# \0\n").await.expect_violations("contract-violation", &[" nul"]);
    let padded = |length: usize| simple("A") + &"#".repeat(length - simple("A").len());
    let refused = put(&app, "p", &padded((64 << 10) + 1)).await.expect_problem(413, "too-large");
    assert_eq!(refused.at("/limit_bytes"), 64 << 10);
    put(&app, "p", &padded(64 << 10)).await.expect(201);
    put(&app, "p", &simple("A")).header("Content-Encoding", "gzip").await.expect_problem(415, "unsupported-media-type");
}

async fn names_are_limited_to_plain_characters(app: TestApp) {
    for good in ["a", "Site-7_v2.1", &"x".repeat(64)] {
        let kept = keep_text(&app, good, &simple("A")).await;
        assert_eq!(kept.text("/name"), good);
        app.get(&format!("{MAPPINGS}/{good}")).await.expect(200);
    }
    for bad in ["a%20b", "%C3%B1", "a%2Fb", "a@b", "a%00", &"x".repeat(65)] {
        let path = format!("{MAPPINGS}/{bad}");
        put(&app, bad, &simple("A")).await.expect_problem(404, "not-found");
        app.get(&path).await.expect_problem(404, "not-found");
        app.delete(&path).await.expect_problem(404, "not-found");
    }
    // Upper and lower case are different names.
    keep_text(&app, "A", &simple("A")).await;
    assert_eq!(app.get(MAPPINGS).await.at("/items").as_array().unwrap().len(), 4);
}

async fn each_tenant_has_its_own_profiles(app: TestApp) {
    let admin = app.foreigner(Role::Admin).await;
    let path = format!("{MAPPINGS}/p");
    keep_text(&app, "p", &simple("A")).await;
    admin.get(&path).await.expect_problem(404, "not-found");
    admin.delete(&path).await.expect_problem(404, "not-found");
    assert_eq!(admin.get(MAPPINGS).await.expect(200).at("/items"), json!([]));
    let theirs = json!({"contract": "simple/1.0", "members": {"b": "B"}});
    admin.put(&path).json(&theirs).await.expect(201);
    assert_eq!(app.get(&path).await.text("/text"), simple("A"));
    app.delete(&path).await.expect(204);
    admin.get(&path).await.expect(200);
}

async fn a_list_has_pages_by_name(app: TestApp) {
    for name in ["b", "a", "C", "a.1", "a-1"] {
        keep_text(&app, name, &simple(name)).await;
    }
    let names = |page: &Answer| -> Vec<String> {
        let items = page.at("/items");
        items.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    let first = app.get(&format!("{MAPPINGS}?limit=3")).await.expect(200);
    assert_eq!(names(&first), ["C", "a", "a-1"]);
    let cursor = first.text("/next_cursor");
    let link = format!("</v1/mappings?limit=3&cursor={cursor}>; rel=\"next\"");
    assert_eq!(first.header("link"), Some(link.as_str()));
    let second = app.get(&format!("{MAPPINGS}?limit=3&cursor={cursor}")).await.expect(200);
    assert_eq!((names(&second), second.at("/next_cursor")), (vec!["a.1".to_owned(), "b".to_owned()], Value::Null));
    assert!(second.json().to_string().find("\"text\"").is_none(), "a list has no texts");
    let foreign = app.get(&format!("{MAPPINGS}?cursor=abc&limit=0")).await;
    foreign.expect_violations("invalid-parameter", &["?limit parameter"]);
    app.get(&format!("{MAPPINGS}?cursor=abc")).await.expect_violations("invalid-parameter", &["?cursor parameter"]);
}

async fn a_tenant_has_at_most_100_profiles(app: TestApp) {
    for number in 0..100 {
        keep_text(&app, &format!("p-{number}"), &simple("A")).await;
    }
    let refused = put(&app, "p-100", &simple("A")).await.expect_problem(409, "too-many-mappings");
    assert_eq!(refused.at("/limit"), 100);
    put(&app, "p-99", &simple("B")).await.expect(200);
    let theirs = json!({"contract": "simple/1.0", "members": {"b": "B"}});
    app.foreigner(Role::Admin).await.put(&format!("{MAPPINGS}/p-100")).json(&theirs).await.expect(201);
    app.delete(&format!("{MAPPINGS}/p-0")).await.expect(204);
    keep_text(&app, "p-100", &simple("A")).await;
}

async fn a_failed_change_is_not_made(app: TestApp) {
    keep_text(&app, "p", &simple("A")).await;
    app.database().refuse_events();
    put(&app, "p", &simple("B")).await.expect_problem(500, "internal");
    put(&app, "q", &simple("B")).await.expect_problem(500, "internal");
    app.delete(&format!("{MAPPINGS}/p")).await.expect_problem(500, "internal");
    let kept = app.get(MAPPINGS).await.expect(200);
    let items = kept.at("/items");
    assert_eq!(items.as_array().unwrap().len(), 1);
    assert_eq!(items[0]["digest"], Fingerprint::of(&simple("A")).to_string());
}
