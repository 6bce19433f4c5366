//! Several servers on one PostgreSQL, also through a pooler.

use std::collections::BTreeSet;

use futures_util::future::{join, join_all};
use reqwest::Response;
use serde_json::{Value, json};

use crate::batch::{BATCH, counts, lines_of, readings};
use crate::support::documents::reading;
use crate::support::pooler::Pooler;
use crate::support::process::{Server, Workplace};
use crate::support::{AUDIT_KEY, PASSWORD};

const REQUESTS: &str = "/v1/mass-requests";

/// Sets the values that the instances of an installation share, beside the database.
fn of_one_installation(workplace: Workplace) -> Workplace {
    workplace.with("SECRET_KEY", "a signing secret of more than 32 bytes").with("MASS_AUDIT_KEY", AUDIT_KEY)
}

#[tokio::test]
async fn two_servers_act_as_one() {
    let workplace = of_one_installation(Workplace::postgres());
    serve_twice(&workplace).await;
}

#[tokio::test]
async fn two_servers_act_as_one_with_row_level_security() {
    let workplace = of_one_installation(Workplace::postgres_restricted());
    serve_twice(&workplace).await;
}

/// The serving role connects through the pooler, the migrating one directly.
#[tokio::test]
async fn two_servers_act_as_one_behind_a_pooler() {
    let workplace = of_one_installation(Workplace::postgres_restricted());
    let direct = workplace.variable("DATABASE_URL").to_owned();
    let pooler = Pooler::before(&direct);
    let workplace = workplace.with("DATABASE_URL", &pooler.url(&direct)).with("MASS_STATEMENT_CACHE", "false");
    serve_twice(&workplace).await;
}

async fn serve_twice(workplace: &Workplace) {
    let other = workplace.sibling();
    let (here, there) = (workplace.start(), other.start());
    let (here, there) = (here.ready(), there.ready());
    let token = here.token().await;
    assert_eq!(there.fetch(&token, "/v1/auth/me").await["tenant_id"], "default");

    the_same_readings_are_stored_once(&here, &there, &token).await;
    batches_that_overlap_are_stored_once(&here, &there, &token).await;
    assert_eq!(here.list(&token).await.len(), 30 + 400);
    assert_eq!(here.list(&token).await, there.list(&token).await);
    what_is_done_at_one_holds_at_the_other(&here, &there).await;

    assert_eq!((here.stop().0.code(), there.stop().0.code()), (Some(0), Some(0)));
    the_audit_trail_is_whole(workplace);
}

/// Sends every reading to both servers concurrently.
async fn the_same_readings_are_stored_once(here: &Server, there: &Server, token: &str) {
    let pairs = (0..30).map(|number| {
        let document = reading(&format!("single-{number}"));
        async move { join(send(here, token, &document), send(there, token, &document)).await }
    });
    for (one, another) in join_all(pairs).await {
        let statuses = BTreeSet::from([one.status().as_u16(), another.status().as_u16()]);
        assert_eq!(statuses, BTreeSet::from([200, 201]));
        let (one, another): (Value, Value) = (one.json().await.unwrap(), another.json().await.unwrap());
        assert_eq!(one["id"], another["id"]);
        let outcomes = BTreeSet::from([one["outcome"].as_str().unwrap(), another["outcome"].as_str().unwrap()]);
        assert_eq!(outcomes, BTreeSet::from(["accepted", "duplicate"]));
    }
}

async fn send(server: &Server, token: &str, document: &Value) -> Response {
    server.post(REQUESTS, document).bearer_auth(token).send().await.unwrap()
}

/// Sends the same batch to both servers concurrently, to one in reverse order, so that they overlap.
async fn batches_that_overlap_are_stored_once(here: &Server, there: &Server, token: &str) {
    let forwards = readings(400);
    let backwards: Vec<_> = forwards.iter().rev().cloned().collect();
    let (one, another) = join(send_batch(here, token, &forwards), send_batch(there, token, &backwards)).await;
    let total =
        |outcome: &str| [&one, &another].map(|counts| counts[outcome].as_u64().unwrap_or(0)).iter().sum::<u64>();
    assert_eq!((total("read"), total("accepted"), total("duplicate")), (800, 400, 400), "{one} {another}");
}

/// The totals of a batch.
async fn send_batch(server: &Server, token: &str, documents: &[Value]) -> Value {
    let answer = server.post(BATCH, &json!(documents)).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    counts(&lines_of(&answer.bytes().await.unwrap()).1)
}

/// Cached principals of one server do not survive a revocation at the other.
async fn what_is_done_at_one_holds_at_the_other(here: &Server, there: &Server) {
    let session = here.token().await;
    there.fetch(&session, "/v1/auth/me").await;
    let out = there.post("/v1/auth/logout", &json!({})).bearer_auth(&session).send().await.unwrap();
    assert_eq!(out.status(), 204);
    for server in [here, there] {
        let refused = server.get("/v1/auth/me").bearer_auth(&session).send().await.unwrap();
        assert_eq!(refused.status(), 401);
    }
    assert_eq!(there.try_to_log_in("admin@mass.local", PASSWORD).await.status(), 200);
}

/// Asserts that every log is numbered without gaps, and verifies.
fn the_audit_trail_is_whole(workplace: &Workplace) {
    let with_gaps = "SELECT tenant_id AS line FROM audit_events GROUP BY tenant_id \
                     HAVING min(sequence) <> 1 OR max(sequence) <> count(*)";
    assert_eq!(workplace.lines(with_gaps), [""; 0]);
    let acceptances = "SELECT CAST(count(*) AS text) AS line FROM audit_events WHERE action = 'accepted'";
    assert_eq!(workplace.lines(acceptances), ["430"]);
    let verified = workplace.mass(&["audit", "verify", "--live", "--json"]);
    assert_eq!(verified.status, Some(0), "{verified:?}");
    let logs: Vec<Value> = verified.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> =
        logs.iter().map(|log| (log["tenant"].as_str().unwrap(), log["result"].as_str().unwrap())).collect();
    assert_eq!(found, [("default", "good"), ("system", "good")]);
}
