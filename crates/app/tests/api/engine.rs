//! `mass engine` as a process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::process::Workplace;

/// A process that ends with its test.
struct Engine {
    process: Child,
    url: String,
    /// Dropped at the end.
    _workplace: Workplace,
}

impl Engine {
    fn start(switches: &[&str]) -> Self {
        let workplace = Workplace::sqlite();
        let mut process = workplace.spawn(&[&["engine", "--port", "0"], switches].concat(), Stdio::null());
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("Engine ").unwrap().to_owned();
        Self { process, url, _workplace: workplace }
    }

    async fn fetch(&self, path: &str) -> Value {
        reqwest::get(format!("{}{path}", self.url)).await.unwrap().json().await.unwrap()
    }

    async fn recommend(&self) -> reqwest::Response {
        let request = json!({
            "request_id": "0198d1f0-0000-7000-8000-000000000001",
            "tenant_id": "acme",
            "contract": "simple/1.0",
            "fingerprint": format!("sha256:{}", "a".repeat(64)),
            "mode": "shadow",
            "document": {"payload": {"note": "hello"}},
        });
        reqwest::Client::new().post(format!("{}/recommend", self.url)).json(&request).send().await.unwrap()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn the_engine_answers_until_it_is_stopped() {
    let mut engine = Engine::start(&[]);
    assert_eq!(engine.fetch("/health").await, json!({"status": "ok"}));
    assert_eq!(engine.fetch("/version").await["name"], "mass-reference");
    let answer: Value = engine.recommend().await.json().await.unwrap();
    assert_eq!(answer["explanation"]["reason_codes"], json!(["NO_SIGNALS"]));
    let id = engine.process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(engine.process.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn each_flag_injects_its_fault() {
    for (switches, status, counted) in [
        (&["--error-rate", "1"][..], 500, "errors"),
        (&["--error-rate", "1", "--retry-after", "3"], 503, "errors"),
        (&["--garbage", "1", "--seed", "7"], 200, "garbage"),
        (&["--truncate", "1"], 200, "truncated"),
        (&["--latency", "1"], 200, "recommended"),
    ] {
        let engine = Engine::start(switches);
        let answer = engine.recommend().await;
        assert_eq!(answer.status(), status, "{switches:?}");
        let statistics = engine.fetch("/statistics").await;
        assert_eq!((&statistics["requests"], &statistics[counted]), (&json!(1), &json!(1)), "{switches:?}");
    }
}

#[test]
fn impossible_fault_rates_are_refused() {
    for (switches, word) in [
        (&["--error-rate", "0.6", "--hang", "0.6"][..], "more than 1"),
        (&["--truncate", "2"], "0 to 1"),
        (&["--host", "256.0.0.1"], "256.0.0.1"),
    ] {
        let ended = Workplace::sqlite().mass(&[&["engine", "--port", "0"], switches].concat());
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{switches:?}");
        assert!(ended.stderr.contains(word), "{switches:?}: {}", ended.stderr);
    }
}
