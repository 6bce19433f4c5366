//! `mass bridge mqtt`, with a real broker.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::broker::Mosquitto;
use crate::support::documents::hours_ago;
use crate::support::process::{Ended, Server, Workplace, workplaces_on_both};

workplaces_on_both! {
    every_message_is_stored_once_whoever_is_killed,
    messages_wait_in_the_spool_while_the_server_is_away,
    refused_messages_are_kept_with_their_reasons_and_can_be_mended,
}

/// Messages `{"n": 7}`, each of which is a record without a natural key: a message that is stored twice is seen.
const COUNTED: &str = "contract = \"simple/1.0\"\n[read]\nformat = \"ndjson\"\n[members]\n\
    \"payload.n\" = { from = \"/payload/n\", type = \"number\" }\n\"payload.topic\" = { from = \"/topic\", type = \"text\" }\n";

/// Readings whose device is a level of the topic.
const READINGS: &str = "contract = \"device/2.0\"\n[read]\nformat = \"ndjson\"\n[time]\nfrom = \"/payload/ts\"\n[members]\n\
    \"device.id\" = { from = \"/levels/1\", identifier = true }\n\
    \"metrics.temperature_celsius\" = \"/payload/t\"\n\"metrics.humidity_percent\" = \"/payload/h\"\n";

/// A workplace with profiles, whose server always has the same port.
fn prepared(workplace: Workplace) -> Workplace {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    workplace.write("counted.toml", COUNTED);
    workplace.write("readings.toml", READINGS);
    let workplace = workplace.with("MASS_PORT", &port.to_string());
    workplace.with("MASS_RATE_LIMIT_PER_MINUTE", "0").with("MASS_ADDRESS_RATE_LIMIT_PER_MINUTE", "0")
}

fn url(workplace: &Workplace) -> String {
    format!("http://127.0.0.1:{}", workplace.variable("MASS_PORT"))
}

/// The arguments of a bridge of one profile and topic.
fn arguments(workplace: &Workplace, broker: &Mosquitto, profile: &str, topic: &str, more: &[&str]) -> Vec<String> {
    let (broker, url) = (broker.url(), url(workplace));
    let given = ["bridge", "mqtt", "--map", profile, "--broker", &broker, "--topic", topic, "--url", &url];
    given.iter().chain(more).map(|argument| (*argument).to_owned()).collect()
}

/// Runs a bridge to its end.
fn run(workplace: &Workplace, arguments: &[String]) -> Ended {
    workplace.mass(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A bridge that runs, killed on drop.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    fn start(workplace: &Workplace, arguments: &[String]) -> Self {
        let log = workplace.path(&format!("bridge-{}.log", Uuid::now_v7()));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let child = workplace.spawn(&arguments, File::create(&log).unwrap().into());
        Self { child, log }
    }

    fn logged(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    async fn logs(&mut self, words: &str) {
        while !self.logged().contains(words) {
            assert!(self.child.try_wait().unwrap().is_none(), "{}", self.logged());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends the bridge by SIGTERM; returns its status, its summary and its log.
    fn stop(mut self) -> (Option<i32>, String, String) {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
        let mut printed = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        (self.child.wait().unwrap().code(), printed, self.logged())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn numbered(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| json!({"n": number}).to_string()).collect()
}

/// The numbers of all stored messages, in order.
async fn stored(server: &Server, token: &str) -> Vec<u64> {
    let answer = server.get("/v1/mass-requests/export").bearer_auth(token).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut numbers: Vec<u64> = lines.filter_map(|line| line["document"]["payload"]["n"].as_u64()).collect();
    numbers.sort_unstable();
    numbers
}

async fn wait_for(server: &Server, token: &str, expected: &[u64], bridge: &mut Running) {
    loop {
        let found = stored(server, token).await;
        let distinct: BTreeSet<u64> = found.iter().copied().collect();
        assert_eq!(distinct.len(), found.len(), "stored twice: {}", bridge.logged());
        if found == expected {
            return;
        }
        assert!(bridge.child.try_wait().unwrap().is_none(), "{}", bridge.logged());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn every_message_is_stored_once_whoever_is_killed(workplace: Workplace) {
    const ROUND: u64 = 60;
    let mut broker = Mosquitto::start();
    let workplace = prepared(workplace);
    let mut server = Some(workplace.serve());
    let token = server.as_ref().unwrap().token().await;
    let workplace = workplace.with("MASS_TOKEN", &token);
    let more = ["--batch-milliseconds", "20"];
    let arguments = arguments(&workplace, &broker, "counted.toml", "count/#", &more);
    let mut bridge = Running::start(&workplace, &arguments);
    bridge.logs("subscribed").await;
    let kills =
        ["bridge", "server", "broker", "bridge and server", "bridge and broker", "all", "server and broker", "bridge"];
    for (round, killed) in (0..).zip(kills) {
        broker.publish("count/a", &numbered(round * ROUND..(round + 1) * ROUND));
        // They are killed while messages are on their way, at another point in each round.
        tokio::time::sleep(Duration::from_millis(round * 7)).await;
        let has = |name: &str| killed.contains(name) || killed == "all";
        if has("server") {
            server.take().unwrap().kill();
            // The bridge meets an absent server.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if has("broker") {
            broker.save_and_kill();
        }
        if has("bridge") {
            bridge.kill();
            bridge = Running::start(&workplace, &arguments);
        }
        if has("broker") {
            broker.restart();
        }
        if has("server") {
            server = Some(workplace.serve());
        }
    }
    let rounds = kills.len() as u64;
    let server = server.unwrap();
    let all: Vec<u64> = (0..rounds * ROUND).collect();
    wait_for(&server, &token, &all, &mut bridge).await;
    // A broker that has lost its sessions is subscribed to again. All that it had had been acknowledged.
    broker.kill_and_lose_everything();
    broker.restart();
    let subscribed = bridge.logged().matches("subscribed").count();
    while bridge.logged().matches("subscribed").count() == subscribed {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    broker.publish("count/a", &numbered(rounds * ROUND..(rounds + 1) * ROUND));
    let all: Vec<u64> = (0..(rounds + 1) * ROUND).collect();
    wait_for(&server, &token, &all, &mut bridge).await;
    let (status, summary, log) = bridge.stop();
    assert_eq!(status, Some(0), "{log}");
    assert!(summary.contains(" 0 messages refused, 0 messages waiting"), "{summary}");
    assert!(!workplace.path("data/bridge/dead-letters.ndjson").exists());
    assert_eq!(stored(&server, &token).await, all);
}

async fn messages_wait_in_the_spool_while_the_server_is_away(workplace: Workplace) {
    let workplace = prepared(workplace);
    let server = workplace.serve();
    let token = server.token().await;
    let workplace = workplace.with("MASS_TOKEN", &token);
    drop(server);
    let mut broker = Mosquitto::start();
    let more = ["--once", "--quiet-seconds", "1", "--retry-seconds", "0", "--json"];
    let arguments = arguments(&workplace, &broker, "counted.toml", "count/#", &more);
    // The session begins.
    let ended = run(&workplace, &arguments);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    // The broker keeps what comes while no bridge runs.
    broker.publish("count/a", &numbered(0..30));
    let ended = run(&workplace, &arguments);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("30 messages wait in the spool"), "{ended:?}");
    let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&summary["received"], &summary["waiting"]), (&json!(30), &json!(30)), "{ended:?}");
    // The broker needs them no more.
    broker.kill_and_lose_everything();
    broker.restart();
    let server = workplace.serve();
    let ended = run(&workplace, &arguments);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&summary["received"], &summary["stored"], &summary["waiting"]), (&json!(0), &json!(30), &json!(0)));
    assert_eq!(stored(&server, &token).await, (0..30).collect::<Vec<_>>());
}

async fn refused_messages_are_kept_with_their_reasons_and_can_be_mended(workplace: Workplace) {
    let broker = Mosquitto::start();
    let workplace = prepared(workplace);
    let server = workplace.serve();
    let token = server.token().await;
    let workplace = workplace.with("MASS_TOKEN", &token);
    let more = ["--once", "--quiet-seconds", "1", "--json"];
    let arguments = arguments(&workplace, &broker, "readings.toml", "site/+/env", &more);
    assert_eq!(run(&workplace, &arguments).status, Some(0));
    let (now, before) = (hours_ago(1), hours_ago(2));
    let publish = |device: &str, payload: &Value| broker.publish(&format!("site/{device}/env"), &[payload.to_string()]);
    publish("rack-1", &json!({"ts": now, "t": 21.5, "h": 45}));
    publish("rack-1", &json!({"ts": now, "t": 22.5, "h": 45}));
    publish("rack-2", &json!({"ts": now, "t": "much"}));
    publish("rack-3", &json!({"ts": now, "t": 21.5, "h": 450}));
    broker.publish_with(&["-q", "1", "-s", "-t", "site/rack-4/env"], b"\xff\xfe");
    publish("rack-5", &json!({"ts": before, "t": 21.5}));
    let ended = run(&workplace, &arguments);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&summary["stored"], &summary["refused"]), (&json!(2), &json!(4)), "{ended:?}");
    let dead = workplace.read("data/bridge/dead-letters.ndjson");
    let lines: Vec<Value> = dead.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |topic: &str| {
        let line = lines.iter().find(|line| line["topic"] == topic).unwrap();
        line["_reasons"][0]["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(lines.len(), 4);
    assert_eq!(told("site/rack-1/env"), "conflict");
    assert_eq!(told("site/rack-2/env"), "number");
    assert_eq!(told("site/rack-3/env"), "range");
    assert_eq!(told("site/rack-4/env"), "encoding");
    assert_eq!(lines[3]["_payload_base64"], "//4=", "{lines:?}");
    // Mended, the file can be imported with the same profile.
    workplace.write("mended.ndjson", dead.replace("\"much\"", "23").replace("450", "45"));
    let imported = workplace.mass(&["import", "mended.ndjson", "--map", "readings.toml", "--url", &server.url]);
    assert_eq!(imported.status, Some(2), "{imported:?}");
    assert!(imported.stdout.starts_with("4 read, 2 accepted, 0 duplicates, 2 refused"), "{imported:?}");
    // The audit trail names the profile.
    let requests = server.list(&token).await;
    assert_eq!(requests.len(), 4);
    let events =
        server.fetch(&token, &format!("/v1/mass-requests/{}/events", requests[0]["id"].as_str().unwrap())).await;
    assert!(events.to_string().contains("readings"), "{events}");
}

/// A server, a broker and a workplace with a token, on SQLite.
async fn on_sqlite() -> (Mosquitto, Server, Workplace, String) {
    let broker = Mosquitto::start();
    let workplace = prepared(Workplace::sqlite());
    let server = workplace.serve();
    let token = server.token().await;
    let workplace = workplace.with("MASS_TOKEN", &token);
    (broker, server, workplace, token)
}

#[tokio::test]
async fn a_full_spool_leaves_messages_to_the_broker() {
    let (broker, server, workplace, token) = on_sqlite().await;
    server.terminate();
    drop(server);
    let arguments = arguments(&workplace, &broker, "counted.toml", "count/#", &["--spool-mib", "1"]);
    let mut bridge = Running::start(&workplace, &arguments);
    bridge.logs("subscribed").await;
    let padding = "x".repeat(100_000);
    let payloads: Vec<String> = (0..40).map(|n| json!({"n": n, "padding": padding}).to_string()).collect();
    broker.publish("count/a", &payloads);
    bridge.logs("the spool is full").await;
    let server = workplace.serve();
    wait_for(&server, &token, &(0..40).collect::<Vec<_>>(), &mut bridge).await;
    let (status, _, log) = bridge.stop();
    assert_eq!(status, Some(0), "{log}");
}

#[tokio::test]
async fn full_dead_letters_stop_the_bridge_from_taking_messages_until_they_are_moved_away() {
    let (broker, server, workplace, token) = on_sqlite().await;
    let more = ["--dead-letters-mib", "1", "--batch-milliseconds", "0"];
    let arguments = arguments(&workplace, &broker, "counted.toml", "count/#", &more);
    let mut bridge = Running::start(&workplace, &arguments);
    bridge.logs("subscribed").await;
    let padding = "x".repeat(400_000);
    for _ in 0..4 {
        broker.publish("count/a", &[json!({"n": "one", "padding": padding}).to_string()]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    broker.publish("count/a", &numbered(0..3));
    bridge.logs("has no room left").await;
    fs::rename(workplace.path("data/bridge/dead-letters.ndjson"), workplace.path("old.ndjson")).unwrap();
    wait_for(&server, &token, &[0, 1, 2], &mut bridge).await;
    // The others of a batch are stored before its dead letters are written.
    let letters = || {
        let new = fs::read_to_string(workplace.path("data/bridge/dead-letters.ndjson")).unwrap_or_default();
        workplace.read("old.ndjson") + &new
    };
    while letters().lines().count() < 4 {
        assert!(bridge.child.try_wait().unwrap().is_none(), "{}", bridge.logged());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let kept = letters();
    let ids: BTreeSet<String> = kept
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((kept.lines().count(), ids.len()), (4, 4));
}

#[tokio::test]
async fn bridges_of_a_group_share_the_messages() {
    let (broker, server, workplace, token) = on_sqlite().await;
    let start = |spool: &str| {
        Running::start(
            &workplace,
            &arguments(&workplace, &broker, "counted.toml", "$share/mass/count/+", &["--spool", spool]),
        )
    };
    let (mut one, mut other) = (start("one"), start("other"));
    one.logs("subscribed").await;
    other.logs("subscribed").await;
    broker.publish("count/a", &numbered(0..50));
    broker.publish("count/b", &numbered(50..100));
    wait_for(&server, &token, &(0..100).collect::<Vec<_>>(), &mut one).await;
    let counts = [one.stop(), other.stop()].map(|(status, summary, log)| {
        assert_eq!(status, Some(0), "{log}");
        summary.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    assert!(counts[0] + counts[1] == 100 && counts.iter().all(|count| *count > 0), "{counts:?}");
}

#[tokio::test]
async fn retained_messages_are_left_out_unless_they_are_wanted() {
    let (broker, server, workplace, token) = on_sqlite().await;
    let retain = |n: u64| {
        broker.publish_with(&["-q", "1", "-r", "-s", "-t", &format!("count/{n}")], &json!({"n": n}).to_string())
    };
    retain(1);
    retain(2);
    let once = |spool: &str, more: &[&str]| {
        let common = ["--once", "--quiet-seconds", "1", "--json", "--spool", spool];
        let ended =
            run(&workplace, &arguments(&workplace, &broker, "counted.toml", "count/#", &[&common, more].concat()));
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
        (summary["retained"].as_u64().unwrap(), summary["stored"].as_u64().unwrap())
    };
    assert_eq!(once("one", &[]), (2, 0));
    assert_eq!(once("other", &["--retained"]), (0, 2));
    // A session that has the subscription is not sent them again.
    assert_eq!(once("other", &["--retained"]), (0, 0));
    // A topic that is added is subscribed to, and one that is left out is not taken any more.
    broker.publish("other/a", &numbered(7..8));
    assert_eq!(once("other", &["--topic", "other/#"]), (0, 0));
    broker.publish("other/a", &numbered(8..9));
    assert_eq!(once("other", &["--topic", "other/#"]), (0, 1));
    let alone = |topic: &str| {
        run(
            &workplace,
            &arguments(
                &workplace,
                &broker,
                "counted.toml",
                topic,
                &["--once", "--quiet-seconds", "1", "--spool", "other"],
            ),
        )
    };
    assert_eq!(alone("other/#").status, Some(0));
    broker.publish("count/5", &numbered(5..6));
    let ended = alone("other/#");
    assert!(ended.stdout.starts_with("0 messages received"), "{ended:?}");
    assert_eq!(stored(&server, &token).await, [1, 2, 8]);
}

#[tokio::test]
async fn a_guarded_broker_needs_its_authority_and_the_password() {
    let broker = Mosquitto::start_guarded("mass", "hunter2");
    let workplace = prepared(Workplace::sqlite());
    let server = workplace.serve();
    let token = server.token().await;
    let workplace = workplace.with("MASS_TOKEN", &token).with("MASS_MQTT_USER", "mass");
    let authority = broker.path("ca.pem").display().to_string();
    let more = ["--ca-file", &authority, "--once", "--quiet-seconds", "1", "--retry-seconds", "0"];
    let given = arguments(&workplace, &broker, "counted.toml", "count/#", &more);
    let workplace = workplace.with("MASS_MQTT_PASSWORD", "wrong");
    let ended = run(&workplace, &given);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("the broker refuses the client") && !ended.stderr.contains("wrong\n"), "{ended:?}");
    workplace.write("password", "hunter2\n");
    let workplace = workplace.without("MASS_MQTT_PASSWORD").with("MASS_MQTT_PASSWORD_FILE", "password");
    let ended = run(&workplace, &given);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    broker.publish("count/a", &numbered(0..3));
    let ended = run(&workplace, &given);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(stored(&server, &token).await, [0, 1, 2]);
    assert!(!ended.stderr.contains("hunter2") && !ended.stdout.contains("hunter2"), "{ended:?}");
    // Without the authority's certificate the broker is not trusted.
    let more = ["--once", "--quiet-seconds", "1", "--retry-seconds", "0"];
    let ended = run(&workplace, &arguments(&workplace, &broker, "counted.toml", "count/#", &more));
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("certificate") || ended.stderr.contains("UnknownIssuer"), "{ended:?}");
}

#[tokio::test]
async fn a_dry_run_judges_messages_and_keeps_nothing() {
    let broker = Mosquitto::start();
    let workplace = prepared(Workplace::sqlite());
    let retain = |topic: &str, payload: &Value| {
        broker.publish_with(&["-q", "1", "-r", "-s", "-t", topic], &payload.to_string());
    };
    retain("site/rack-1/env", &json!({"ts": hours_ago(1), "t": 21.5}));
    retain("site/rack-2/env", &json!({"ts": hours_ago(1), "t": "much"}));
    let url = broker.url();
    let ended = workplace.mass(&[
        "bridge",
        "mqtt",
        "--map",
        "readings.toml",
        "--broker",
        &url,
        "--topic",
        "site/#",
        "--dry-run",
        "--retained",
        "--once",
        "--quiet-seconds",
        "1",
        "--json",
    ]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    let tried: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(tried, json!({"received": 2, "retained": 0, "valid": 1, "refused": 1}));
    assert!(ended.stderr.contains("site/rack-2/env") && ended.stderr.contains("number"), "{ended:?}");
    assert!(!workplace.path("data").exists(), "neither a database nor a spool");
}

#[tokio::test]
async fn wrong_arguments_are_named_before_anything_is_done() {
    let (broker, _server, workplace, _) = on_sqlite().await;
    workplace.write("table.toml", "contract = \"simple/1.0\"\n[members]\n\"payload.n\" = \"n\"\n");
    let refused = |profile: &str, topic: &str, more: &[&str]| {
        let ended = run(&workplace, &arguments(&workplace, &broker, profile, topic, more));
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        ended.stderr
    };
    assert!(refused("table.toml", "a", &[]).contains("expected the format ndjson or json"));
    assert!(refused("nowhere.toml", "a", &[]).contains("nowhere.toml"));
    assert!(refused("counted.toml", "a/#/b", &[]).contains("expected a topic filter"));
    assert!(refused("counted.toml", "a", &["--ca-file", "x"]).contains("expected mqtts://"));
    assert!(!workplace.path("data/bridge").exists());
    // One bridge for each spool.
    let mut running = Running::start(&workplace, &arguments(&workplace, &broker, "counted.toml", "a", &[]));
    running.logs("subscribed").await;
    assert!(refused("counted.toml", "a", &[]).contains("in use by another process"));
}
