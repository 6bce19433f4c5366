//! The contracts as the API describes them.

use mass_domain::access::Role;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::documents::{Edit, reading};
use crate::support::{OTHER_TENANT, TestApp};

on_both!(
    every_contract_is_listed_and_described,
    the_example_of_a_contract_is_valid_for_any_caller,
    an_example_conforms_to_its_schema,
    a_contract_is_found_by_its_exact_name_and_version,
    a_contract_can_be_named_beside_a_document_without_a_marker,
);

async fn hrefs(client: &Client) -> Vec<String> {
    let list = client.get("/v1/contracts").await.expect(200).json();
    list["items"].as_array().unwrap().iter().map(|item| item["href"].as_str().unwrap().to_owned()).collect()
}

async fn every_contract_is_listed_and_described(app: TestApp) {
    let list = app.get("/v1/contracts").await.expect(200).json();
    let ids: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
    assert_eq!(ids, ["simple/1.0", "device/1.1", "device/2.0", "enterprise/1.1"]);
    for item in list["items"].as_array().unwrap() {
        let contract = app.get(item["href"].as_str().unwrap()).await.expect(200).json();
        for member in ["id", "name", "version", "summary"] {
            assert_eq!(contract[member], item[member]);
        }
        assert_eq!(contract["schema"]["$schema"], "https://json-schema.org/draft/2020-12/schema");
    }
}

async fn the_example_of_a_contract_is_valid_for_any_caller(app: TestApp) {
    let foreigner = app.foreigner(Role::Operator).await;
    for client in [app.founder(), &foreigner] {
        for href in hrefs(client).await {
            let example = client.get(&href).await.at("/example");
            let verdict = client.post("/v1/mass-requests/validate").json(&example).await.expect(200).json();
            assert_eq!((&verdict["valid"], &verdict["warnings"]), (&json!(true), &json!([])), "{verdict}");
            client.post("/v1/mass-requests").json(&example).await.expect(201);
        }
    }
    let report = foreigner.get("/v1/contracts/enterprise/1.1").await.at("/example/request/tenant_id");
    assert_eq!(report, OTHER_TENANT);
}

async fn an_example_conforms_to_its_schema(app: TestApp) {
    for href in hrefs(app.founder()).await {
        let contract = app.get(&href).await.json();
        let schema = jsonschema::draft202012::new(&contract["schema"]).unwrap();
        assert!(schema.is_valid(&contract["example"]), "{href}");
        assert!(!schema.is_valid(&json!({})), "{href}");
    }
}

async fn a_contract_is_found_by_its_exact_name_and_version(app: TestApp) {
    for absent in ["device/1.0", "Device/1.1", "device/1.10", "nothing/1.0", "device/%20"] {
        app.get(&format!("/v1/contracts/{absent}")).await.expect_problem(404, "not-found");
    }
}

async fn a_contract_can_be_named_beside_a_document_without_a_marker(app: TestApp) {
    let bare = reading("dev-1").without("/mass_version");
    let post =
        |path: &str, query: &str, document: &Value| app.post(&format!("/v1/mass-requests{path}{query}")).json(document);
    let named = "?contract=device/1.1";
    post("", "", &bare).await.expect_violations("contract-violation", &[" no_contract"]);
    assert_eq!(post("/validate", "", &bare).await.expect(200).at("/valid"), false);
    assert_eq!(post("/validate", named, &bare).await.expect(200).json()["contract"], "device/1.1");
    let normalised = post("/normalize", named, &bare).await.expect(200);
    assert_eq!(normalised.text("/normalized/mass_version"), "1.1");
    let created = post("", named, &bare).await.expect(201);
    assert_eq!(created.text("/document/mass_version"), "1.1");
    assert_eq!(created.at("/fingerprint"), normalised.at("/fingerprint"));
    // It is the same document with its marker, which stands above the parameter.
    post("", "?contract=simple/1.0", &reading("dev-1")).await.expect(200);
    let free = json!({"pue": 1.31});
    assert_eq!(post("", "?contract=simple/1.0", &free).await.expect(201).at("/document"), json!({"payload": free}));
    for path in ["", "/validate", "/normalize"] {
        let refused = post(path, "?contract=device/9.9", &bare).await;
        refused.expect_violations("invalid-parameter", &["?contract parameter"]);
    }
}
