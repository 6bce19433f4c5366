//! The order of the checks of a request, and rules that apply to every request.

use std::collections::BTreeSet;

use mass_domain::access::Role;
use mass_domain::trace::TraceParent;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::client::{Answer, Call, Client};
use crate::support::documents::{Edit, reading, report};
use crate::support::operations::{self, Operation};
use crate::support::{TENANT, TestApp};
use crate::{matrix, savings};

on_both!(
    reports_the_fault_that_is_checked_first,
    checks_the_tenant_after_everything_else,
    checks_the_query_before_the_object,
    an_unknown_path_is_not_found,
    lists_the_allowed_methods_for_another_method,
    head_works_wherever_get_does,
    an_unknown_query_parameter_is_refused_everywhere,
    reports_every_wrong_query_parameter,
    keeps_valid_request_ids,
    a_trace_is_continued,
    an_invalid_traceparent_is_ignored,
    answers_json_to_clients_that_accept_it,
);

/// A well-formed id that does not exist.
const NOBODY: &str = "0199d3a0-0000-7000-8000-000000000001";

/// The faults of a request, in the order in which they are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Route,
    Method,
    Credentials,
    Permission,
    Accept,
    Type,
    Coding,
    Size,
    Syntax,
    Contract,
    Query,
    ForeignTenant,
    MalformedId,
    AbsentObject,
    DeletedObject,
    Precondition,
    Transition,
    Conflict,
}

impl Fault {
    /// The faults of a status change.
    const OF_MOVE: [Self; 16] = [
        Self::Route,
        Self::Method,
        Self::Credentials,
        Self::Permission,
        Self::Accept,
        Self::Type,
        Self::Coding,
        Self::Size,
        Self::Syntax,
        Self::Contract,
        Self::Query,
        Self::MalformedId,
        Self::AbsentObject,
        Self::DeletedObject,
        Self::Precondition,
        Self::Transition,
    ];

    /// The faults of sending a document.
    const OF_CREATE: [Self; 10] = [
        Self::Credentials,
        Self::Permission,
        Self::Accept,
        Self::Type,
        Self::Coding,
        Self::Size,
        Self::Syntax,
        Self::Contract,
        Self::ForeignTenant,
        Self::Conflict,
    ];

    const fn problem(self) -> (u16, &'static str) {
        match self {
            Self::Route | Self::MalformedId | Self::AbsentObject => (404, "not-found"),
            Self::Method => (405, "method-not-allowed"),
            Self::Credentials => (401, "unauthenticated"),
            Self::Permission => (403, "forbidden"),
            Self::Accept => (406, "not-acceptable"),
            Self::Type | Self::Coding => (415, "unsupported-media-type"),
            Self::Size => (413, "too-large"),
            Self::Syntax => (400, "malformed-json"),
            Self::Contract => (422, "contract-violation"),
            Self::Query => (422, "invalid-parameter"),
            Self::ForeignTenant => (403, "foreign-tenant"),
            Self::DeletedObject => (410, "gone"),
            Self::Precondition => (412, "precondition-failed"),
            Self::Transition => (409, "transition-not-allowed"),
            Self::Conflict => (409, "conflict"),
        }
    }
}

/// A set of faults.
struct Faults<'a>(&'a [Fault]);

impl Faults<'_> {
    fn has(&self, fault: Fault) -> bool {
        self.0.contains(&fault)
    }

    /// Returns `wrong` if the fault is set, otherwise `right`.
    fn either<T>(&self, fault: Fault, wrong: T, right: T) -> T {
        if self.has(fault) { wrong } else { right }
    }
}

/// The callers and objects of the test.
struct Scene {
    operator: Client,
    viewer: Client,
    anonymous: Client,
    pending: String,
    deleted: String,
}

impl Scene {
    async fn set(app: &TestApp) -> Self {
        let pending = app.post("/v1/mass-requests").json(&reading("dev-1")).await.id();
        let deleted = app.post("/v1/mass-requests").json(&reading("dev-2")).await.id();
        app.delete(&format!("/v1/mass-requests/{deleted}")).await.expect(204);
        Self {
            operator: app.user(Role::Operator).await,
            viewer: app.user(Role::Viewer).await,
            anonymous: app.anonymous(),
            pending,
            deleted,
        }
    }

    /// A status change with these faults.
    fn move_on(&self, faults: &Faults<'_>) -> Call {
        let id = match () {
            () if faults.has(Fault::MalformedId) => "7",
            () if faults.has(Fault::AbsentObject) => NOBODY,
            () if faults.has(Fault::DeletedObject) => &self.deleted,
            () => &self.pending,
        };
        let status = faults.either(Fault::Transition, "done", "pending");
        let status = faults.either(Fault::Contract, "asleep", status);
        let path = faults.either(Fault::Route, "state", "status");
        let query = faults.either(Fault::Query, "?wait=1", "");
        let method = faults.either(Fault::Method, Method::PUT, Method::PATCH);
        self.call(faults, method, &format!("/v1/mass-requests/{id}/{path}{query}"), &json!({"status": status}))
            .header("If-Match", faults.either(Fault::Precondition, "\"v9\"", "\"v1\""))
    }

    /// A call that sends a document with these faults.
    fn create(&self, faults: &Faults<'_>) -> Call {
        let document = report("r-1")
            .with("/request/preferences", json!({"asked": faults.has(Fault::Conflict)}))
            .with("/request/tenant_id", faults.either(Fault::ForeignTenant, "other", TENANT))
            .with("/request/timeout_ms", faults.either(Fault::Contract, 0, 10_000))
            .with("/request/idempotency_key", faults.either(Fault::Conflict, "k-2", "k-1"));
        self.call(faults, Method::POST, "/v1/mass-requests", &document)
    }

    fn call(&self, faults: &Faults<'_>, method: Method, path: &str, body: &Value) -> Call {
        let client = match () {
            () if faults.has(Fault::Credentials) => &self.anonymous,
            () if faults.has(Fault::Permission) => &self.viewer,
            () => &self.operator,
        };
        let body = faults.either(Fault::Syntax, "{".to_owned(), body.to_string());
        let padding = " ".repeat(faults.either(Fault::Size, 1 << 20, 0));
        client
            .call(method, path)
            .header("Accept", faults.either(Fault::Accept, "text/html", "application/json"))
            .header("Content-Type", faults.either(Fault::Type, "text/plain", "application/json"))
            .header("Content-Encoding", faults.either(Fault::Coding, "gzip", "identity"))
            .bytes(body + &padding)
    }
}

async fn reports_the_fault_that_is_checked_first(app: TestApp) {
    let scene = Scene::set(&app).await;
    scene.move_on(&Faults(&[])).await.expect(200);
    assert_the_earlier_is_told(&Fault::OF_MOVE, |faults| scene.move_on(&faults)).await;
    scene.create(&Faults(&[])).await.expect(201);
    assert_the_earlier_is_told(&Fault::OF_CREATE, |faults| scene.create(&faults)).await;
}

/// Tries each fault alone, and with each that is checked later.
async fn assert_the_earlier_is_told(faults: &[Fault], call: impl Fn(Faults<'_>) -> Call) {
    for (place, earlier) in faults.iter().enumerate() {
        for later in &faults[place..] {
            let answer = call(Faults(&[*earlier, *later])).await;
            let (status, slug) = earlier.problem();
            let told = (answer.status, answer.text("/type"));
            assert_eq!(told, (status, format!("/problems/{slug}")), "{earlier:?} and {later:?}");
        }
    }
}

async fn checks_the_tenant_after_everything_else(app: TestApp) {
    let foreign = report("r-1").with("/request/tenant_id", "other");
    let invalid = foreign.clone().with("/request/timeout_ms", 0);
    for path in ["/v1/mass-requests", "/v1/mass-requests/normalize"] {
        app.post(path).json(&foreign).await.expect_problem(403, "foreign-tenant");
        app.post(path).json(&foreign).key("r-2").await.expect_problem(422, "contract-violation");
        app.post(path).json(&invalid).await.expect_problem(422, "contract-violation");
    }
    // A dry run reports every other fault in a verdict.
    app.post("/v1/mass-requests/validate").json(&foreign).await.expect_problem(403, "foreign-tenant");
    app.post("/v1/mass-requests/validate").json(&invalid).await.expect(200);
    app.post("/v1/mass-requests").json(&report("r-1")).await.expect(201);
    app.post("/v1/mass-requests").json(&foreign).await.expect_problem(403, "foreign-tenant");
}

async fn checks_the_query_before_the_object(app: TestApp) {
    for path in ["/v1/mass-requests/7?a=1", &format!("/v1/mass-requests/{NOBODY}/events?a=1")] {
        app.get(path).await.expect_violations("invalid-parameter", &["?a unknown_parameter"]);
        app.get(path).header("Accept", "image/png").await.expect(406);
    }
}

async fn an_unknown_path_is_not_found(app: TestApp) {
    for path in [
        "/v1",
        "/v1/",
        "/v1/mass-requests/",
        "/v1/mass-requests/1/2",
        "/v1//mass-requests",
        "/V1/mass-requests",
        "/healthz",
        "/docs/nothing.js",
        "/v1/contracts/device",
        "/v1/contracts/device/9.9",
        "/v1/mass-requests/%FF",
    ] {
        app.get(path).await.expect_problem(404, "not-found");
        app.head(path).await.expect(404);
    }
    app.anonymous().get("/nothing").await.expect_problem(404, "not-found");
    app.anonymous().post("/nothing").await.expect_problem(404, "not-found");
}

async fn lists_the_allowed_methods_for_another_method(app: TestApp) {
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
    for path in paths() {
        let here = operations::all().into_iter().filter(|operation| operation.path_to(NOBODY) == path);
        let mut allowed: Vec<_> = here.map(|operation| operation.method.to_string()).collect();
        let refused = methods.into_iter().filter(|method| !allowed.contains(&(*method).to_owned()));
        let refused: Vec<Method> = refused.map(|method| method.parse().unwrap()).collect();
        allowed.extend(allowed.contains(&"GET".to_owned()).then(|| "HEAD".to_owned()));
        allowed.sort_unstable();
        for method in refused {
            let answer = app.anonymous().call(method, &path).await.expect_problem(405, "method-not-allowed");
            let mut told: Vec<_> = answer.header("allow").unwrap().split(", ").collect();
            told.sort_unstable();
            assert_eq!(told, allowed, "{path}");
        }
    }
}

fn paths() -> BTreeSet<String> {
    operations::all().iter().map(|operation| operation.path_to(NOBODY)).collect()
}

async fn head_works_wherever_get_does(app: TestApp) {
    let ids = Ids::of(&app).await;
    let pages = ["/docs", "/docs/init.js", "/openapi.json", "/v1/mass-requests?limit=1"].map(str::to_owned);
    // Deliveries exist only with an engine, and devices once they have reported.
    let absent = ["deliveries/{id}", "devices/{id}"];
    let lasting = |operation: &Operation| {
        operation.method == Method::GET && !absent.iter().any(|path| operation.path.ends_with(path))
    };
    let documented = operations::all().into_iter().filter(lasting);
    for path in documented.map(|operation| operation.target(ids.of_kind(&operation.path))).chain(pages) {
        let (get, head) = (app.get(&path).await.expect(200), app.head(&path).await.expect(200));
        assert!(head.body.is_empty(), "{path}");
        assert_eq!(lasting_headers(&head), lasting_headers(&get), "{path}");
        // The example of a contract has the present time, whose fraction varies in length; exports are built while they
        // are sent; the metrics count the call before.
        let varies = path.starts_with("/v1/contracts/")
            || ["/v1/audit/export", "/v1/audit/security-events", "/v1/mass-requests/export", "/metrics"]
                .contains(&path.as_str());
        if !varies {
            assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()), "{path}");
        }
    }
    let get = app.get(&format!("/v1/mass-requests/{NOBODY}")).await.expect(404);
    let head = app.head(&format!("/v1/mass-requests/{NOBODY}")).await.expect(404);
    assert_eq!(lasting_headers(&head), lasting_headers(&get));
}

/// The ids of one object per kind.
struct Ids {
    request: String,
    user: String,
    api_key: String,
    mapping: String,
    quarantined: String,
    project: String,
    drawn: String,
    report: String,
    rule: String,
    alert: String,
    webhook: String,
}

impl Ids {
    async fn of(app: &TestApp) -> Self {
        let key = json!({"name": "gateway", "permissions": ["mass:read"]});
        let mapping = json!({"contract": "simple/1.0", "members": {"a": "A"}});
        let project = app.post("/v1/savings/projects").json(&savings::whole("hall-2")).await.id();
        let drawn = app.post("/v1/savings/projects").json(&savings::crossover("9000-01-01", 3)).await.id();
        app.post(&format!("/v1/savings/projects/{drawn}/schedule")).await.expect(201);
        let report = app.post(&format!("/v1/savings/projects/{project}/reports")).await.id();
        Self {
            project,
            drawn,
            report,
            rule: matrix::keep_rule(app.founder()).await,
            webhook: matrix::keep_webhook(app, app.founder(), "on call").await,
            alert: matrix::raise_alert(app, app.founder()).await,
            request: app.post("/v1/mass-requests").json(&reading("dev-1")).await.id(),
            user: app.get("/v1/auth/me").await.id(),
            api_key: app.post("/v1/admin/api-keys").json(&key).await.id(),
            mapping: app.founder().put("/v1/mappings/site").json(&mapping).await.text("/name"),
            quarantined: app.post("/v1/mass-requests?quarantine=true").json(&json!({})).await.text("/quarantine_id"),
        }
    }

    /// Returns the id for the pattern of a path.
    fn of_kind(&self, path: &str) -> &str {
        match path {
            "/v1/admin/users/{id}" => &self.user,
            "/v1/admin/api-keys/{id}" => &self.api_key,
            "/v1/admin/tenants/{tenant}" => TENANT,
            "/v1/mappings/{name}" => &self.mapping,
            "/v1/quarantine/{id}" => &self.quarantined,
            "/v1/alert-rules/{name}" => &self.rule,
            "/v1/webhooks/{name}" => &self.webhook,
            "/v1/alerts/{id}" => &self.alert,
            "/v1/savings/projects/{id}/schedule" => &self.drawn,
            "/v1/savings/reports/{id}" => &self.report,
            _ if path.starts_with("/v1/savings/projects/") => &self.project,
            _ => &self.request,
        }
    }
}

/// Returns the headers that two equal requests have in common.
fn lasting_headers(answer: &Answer) -> Vec<(String, String)> {
    let passing = ["content-length", "date", "ratelimit", "traceparent", "x-request-id"];
    let headers = answer.headers.iter().filter(|(name, _)| !passing.contains(&name.as_str()));
    let mut headers: Vec<_> =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    headers.sort_unstable();
    headers
}

async fn an_unknown_query_parameter_is_refused_everywhere(app: TestApp) {
    // While registration is closed, its body is not read.
    let app = app.restart(&[("--allow-registration", "true")]).await;
    for operation in operations::all() {
        let target = operation.target(NOBODY);
        let path = format!("{target}{}no_such=1", if target.contains('?') { '&' } else { '?' });
        let call = app.founder().call(operation.method.clone(), &path);
        let call = match operation.body() {
            Some(body) => call.json(&body),
            None if operation.takes("application~1octet-stream") => {
                call.header("Content-Type", "application/octet-stream").bytes("")
            }
            None => call,
        };
        call.await.expect_violations("invalid-parameter", &["?no_such unknown_parameter"]);
    }
}

async fn reports_every_wrong_query_parameter(app: TestApp) {
    for (query, violations) in [
        ("limit=0", &["?limit parameter"][..]),
        ("limit=501", &["?limit parameter"]),
        ("limit=ten", &["?limit parameter"]),
        ("limit=", &["?limit parameter"]),
        ("limit=1&limit=1", &["?limit repeated_parameter"]),
        ("status=asleep", &["?status parameter"]),
        ("contract=device", &["?contract parameter"]),
        ("contract=device/9.9", &["?contract parameter"]),
        ("site_id=", &["?site_id parameter"]),
        ("device_id=%00", &["?device_id parameter"]),
        ("created_from=yesterday", &["?created_from parameter"]),
        ("created_to=2026-11-24T18:00:00", &["?created_to parameter"]),
        ("observed_from=2026-02-30T00:00:00Z", &["?observed_from parameter"]),
        ("observed_to=1", &["?observed_to parameter"]),
        ("cursor=", &["?cursor parameter"]),
        ("cursor=%F0%9F%98%80", &["?cursor parameter"]),
        ("a=1&limit=0&status=x", &["?a unknown_parameter", "?status parameter", "?limit parameter"]),
        ("Limit=1", &["?Limit unknown_parameter"]),
    ] {
        let answer = app.get(&format!("/v1/mass-requests?{query}")).await;
        assert_eq!(answer.expect_problem(422, "invalid-parameter").violations(), violations, "{query}");
    }
    let create = app.post("/v1/mass-requests?on_conflict=overwrite").json(&reading("dev-1"));
    create.await.expect_violations("invalid-parameter", &["?on_conflict parameter"]);
}

async fn keeps_valid_request_ids(app: TestApp) {
    let longest = "x".repeat(128);
    for id in ["a", "A.b_c-1", &longest] {
        let answer = app.get("/health").header("X-Request-Id", id).await;
        assert_eq!(answer.header("x-request-id"), Some(id));
    }
    let too_long = "x".repeat(129);
    for id in ["", "a b", "a\tb", "é", "a;b", &too_long] {
        let answer = app.get("/v1/nothing").header("X-Request-Id", id).await;
        assert_ne!(answer.header("x-request-id"), Some(id));
    }
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

async fn a_trace_is_continued(app: TestApp) {
    let answer = app.get("/health").header("traceparent", &format!("00-{TRACE}-{SPAN}-01")).await;
    let returned: TraceParent = answer.header("traceparent").unwrap().parse().unwrap();
    assert_eq!(returned.trace_id(), TRACE);
    assert_ne!(returned.span_id(), SPAN);
}

async fn an_invalid_traceparent_is_ignored(app: TestApp) {
    for sent in [
        format!("00-{TRACE}-{SPAN}"),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("00-{TRACE}-{}-01", "0".repeat(16)),
        format!("00-{}-{SPAN}-01", "0".repeat(32)),
    ] {
        let answer = app.get("/health").header("traceparent", &sent).await.expect(200);
        let returned: TraceParent = answer.header("traceparent").unwrap().parse().unwrap();
        assert_ne!(returned.trace_id(), TRACE, "{sent}");
    }
}

async fn answers_json_to_clients_that_accept_it(app: TestApp) {
    for accept in ["*/*", "application/*", "text/html, application/json;q=0.1"] {
        app.get("/v1/auth/me").header("Accept", accept).await.expect(200);
    }
    for accept in ["text/html", "application/json;q=0, */*", "application/xml, text/*"] {
        app.get("/v1/auth/me").header("Accept", accept).await.expect_problem(406, "not-acceptable");
    }
    let typed = |kind: &str| app.post("/v1/mass-requests/validate").header("Content-Type", kind);
    for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"] {
        typed(kind).bytes(json!({}).to_string()).await.expect(200);
    }
    for kind in ["text/json", "application/json; charset=latin1", "application/x-ndjson", "json"] {
        let answer = typed(kind).bytes(json!({}).to_string()).await.expect_problem(415, "unsupported-media-type");
        assert_eq!(answer.header("accept"), Some("application/json"));
    }
    let twice = typed("application/json").header("Content-Type", "text/plain").bytes(json!({}).to_string());
    twice.await.expect_problem(415, "unsupported-media-type");
}
