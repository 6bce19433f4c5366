//! Consistency of changes and events when the server is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::LOG;
use crate::support::documents::{Edit, reading};
use crate::support::process::{Server, Workplace, workplaces_on_both};

workplaces_on_both! {
    changes_and_events_stay_consistent_when_the_server_is_killed,
}

const KILLS: u32 = 20;

/// The number of concurrent clients.
const CLIENTS: u32 = 8;

/// The answers that clients got before the server died.
#[derive(Default)]
struct Answered {
    /// The ids of stored requests, each with its position in the log.
    stored: BTreeMap<String, Value>,
    /// The request ids of refusals.
    refused: BTreeSet<String>,
}

async fn changes_and_events_stay_consistent_when_the_server_is_killed(workplace: Workplace) {
    let token = workplace.serve().token().await;
    let mut answered = Answered::default();
    for round in 0..KILLS {
        let server = workplace.serve();
        let both_answered = Notify::new();
        let clients = (0..CLIENTS).map(|client| send_until_killed(&server, &token, round, client, &both_answered));
        let clients = join_all(clients);
        let killer = async {
            both_answered.notified().await;
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..100))).await;
            server.kill();
        };
        let (told, ()) = tokio::join!(clients, killer);
        for Answered { stored, refused } in told {
            answered.stored.extend(stored);
            answered.refused.extend(refused);
        }
    }
    assert!(!answered.stored.is_empty() && !answered.refused.is_empty(), "nothing was sent before the kills");

    let server = workplace.serve();
    let requests = server.list(&token).await;
    drop(server);
    let log: Vec<Value> = workplace.lines(LOG).iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert!((1_u64..).zip(&log).all(|(due, event)| event["sequence"] == due), "the log has gaps");

    let accepted = log.iter().filter(|event| event["action"] == "accepted");
    let accepted: Vec<_> = accepted.map(|event| (event["object"]["id"].clone(), event["sequence"].clone())).collect();
    let stored: Vec<_> =
        requests.iter().rev().map(|request| (request["id"].clone(), request["audit"]["sequence"].clone())).collect();
    assert_eq!(sorted(accepted), sorted(stored.clone()));
    for (id, place) in &answered.stored {
        assert!(stored.contains(&(json!(id), place.clone())), "{id} was answered and is lost");
    }

    let refused: Vec<_> = log.iter().filter(|event| event["action"] == "payload_refused").collect();
    let told: BTreeSet<_> = refused.iter().map(|event| event["request_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told.len(), refused.len(), "a refusal is recorded twice");
    assert!(told.is_superset(&answered.refused), "a refusal was answered and is not recorded");
}

fn sorted(mut pairs: Vec<(Value, Value)>) -> Vec<(Value, Value)> {
    pairs.sort_by_key(|(id, _)| id.to_string());
    pairs
}

/// Sends documents, every other one invalid, until the server is gone.
async fn send_until_killed(server: &Server, token: &str, round: u32, client: u32, both_answered: &Notify) -> Answered {
    let mut answered = Answered::default();
    for number in 0.. {
        let good = reading(&format!("dev-{round}-{client}-{number}"));
        let document = if number % 2 == 0 { good } else { good.without("/metrics") };
        let Ok(answer) = server.post("/v1/mass-requests", &document).bearer_auth(token).send().await else { break };
        let status = answer.status().as_u16();
        let request_id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        let Ok(body) = answer.json::<Value>().await else { break };
        if number > 0 {
            both_answered.notify_one();
        }
        match status {
            201 => {
                let id = body["id"].as_str().unwrap().to_owned();
                answered.stored.insert(id, body["audit"]["sequence"].clone());
            }
            422 => {
                answered.refused.insert(request_id);
            }
            other => panic!("{other}: {body}"),
        }
    }
    answered
}
