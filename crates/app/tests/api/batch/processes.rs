//! Batches to a separate process: its memory, and the state after it is killed.

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};

use super::streaming::{Receiving, Sending, apart};
use super::{BATCH, counts, gzip, lines_of, ndjson, readings};
use crate::support::documents::simple;
use crate::support::process::{Server, Workplace, workplaces_on_both};

workplaces_on_both!(
    long_batches_use_little_memory,
    decompression_bombs_use_little_memory,
    many_open_batches_use_little_memory,
    a_killed_server_has_stored_whole_records_and_resumes,
);

impl Server {
    fn authority(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }

    /// Returns the resident memory of the process in bytes.
    fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

/// A batch to a process.
fn batch(server: &Server, token: &str) -> reqwest::RequestBuilder {
    let call = reqwest::Client::new().post(format!("{}{BATCH}", server.url));
    call.bearer_auth(token).header("Content-Type", "application/x-ndjson")
}

async fn long_batches_use_little_memory(workplace: Workplace) {
    const PARTS: usize = 40;
    const DOCUMENTS: usize = 100;
    let server = workplace.serve();
    let (address, token) = (server.authority(), server.token().await);
    let before = server.resident_bytes();
    let part = ndjson(&vec![simple(json!({"note": "x".repeat(20_000)})); DOCUMENTS]);
    let sent = PARTS * part.len();
    assert!(sent > 80_000_000, "{sent}");
    let (lines, last) = apart(move || {
        let (mut sending, receiving) = Sending::begin(&address, &token);
        let sender = std::thread::spawn(move || {
            for _ in 0..PARTS {
                sending.send_bytes(&part);
            }
            sending.end();
        });
        let (_, body) = receiving.rest();
        sender.join().unwrap();
        let (lines, last) = lines_of(&body);
        (lines.len(), last)
    })
    .await;
    const RECORDS: usize = PARTS * DOCUMENTS;
    assert_eq!(lines, RECORDS);
    assert_eq!(counts(&last), json!({"read": RECORDS, "accepted": RECORDS}));
    let grown = server.resident_bytes() - before;
    assert!(grown < 64 << 20, "{grown} bytes more for a body of {sent} bytes");
}

/// A record of 64 MiB in few bytes, as gzip and as zstd.
static BOMBS: LazyLock<[(&str, Vec<u8>); 2]> = LazyLock::new(|| {
    let record = vec![b'x'; 64 << 20];
    [("gzip", gzip(&record)), ("zstd", zstd::encode_all(&record[..], 3).unwrap())]
});

async fn decompression_bombs_use_little_memory(workplace: Workplace) {
    let server = workplace.serve();
    let token = server.token().await;
    let before = server.resident_bytes();
    for (coding, bomb) in &*BOMBS {
        assert!(bomb.len() < 1 << 20, "{coding}: {}", bomb.len());
        let call = batch(&server, &token).header("Content-Encoding", *coding).body(bomb.clone());
        let answer = call.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{coding}");
        let (lines, last) = lines_of(&answer.bytes().await.unwrap());
        assert_eq!(lines[0]["violations"][0]["code"], "too_long");
        assert_eq!(counts(&last), json!({"read": 1, "rejected": 1}));
    }
    let grown = server.resident_bytes() - before;
    assert!(grown < 32 << 20, "{grown} bytes more");
}

/// Begins this number of batches, which send a piece and then pause.
async fn hold(server: &Server, token: &str, coding: &'static str, piece: Vec<u8>) -> Vec<(Sending, Receiving)> {
    let (address, token) = (server.authority(), token.to_owned());
    apart(move || {
        let begin = |_| {
            let (mut sending, receiving) = Sending::begin_with(&address, &token, "", coding);
            sending.send_bytes(&piece);
            (sending, receiving)
        };
        (0..HELD).map(begin).collect()
    })
    .await
}

const HELD: usize = 100;

/// Waits until all batches but this number are refused by the limit; the others stay open.
async fn all_but(most: usize, held: Vec<(Sending, Receiving)>) -> Vec<(Sending, Receiving)> {
    let answered = || held.iter().filter(|(_, receiving)| receiving.has_begun()).count();
    let all = async {
        while answered() < HELD - most {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), all).await.expect("all but a few are refused");
    let (refused, held): (Vec<_>, Vec<_>) = held.into_iter().partition(|(_, receiving)| receiving.has_begun());
    apart(move || {
        for (_sending, receiving) in refused {
            let answer = receiving.up_to("MASS_STREAM_BUFFER_BYTES");
            assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 5"), "{answer}");
        }
    })
    .await;
    held
}

async fn many_open_batches_use_little_memory(workplace: Workplace) {
    let workplace = workplace.with("MASS_STREAM_BUFFER_BYTES", "16777216");
    let workplace = workplace.with("MASS_STREAMS_PER_CREDENTIAL", "0").with("MASS_STREAMS_PER_TENANT", "0");
    let server = workplace.serve();
    let token = server.token().await;
    let before = server.resident_bytes();
    // Three zstd windows use up nearly all of the tenant's half.
    let mut beginning = zstd::encode_all(&ndjson(&readings(50))[..], 3).unwrap();
    beginning.truncate(290);
    let held = all_but(3, hold(&server, &token, "zstd", beginning).await).await;
    assert_eq!(held.len(), 3);
    let (address, sender) = (server.authority(), token.clone());
    let (first, last) = apart(move || {
        let (mut sending, mut receiving) = Sending::begin(&address, &sender);
        sending.send(&readings(1));
        let first = receiving.next().unwrap();
        sending.send_bytes(&[b'x'; 900_000]);
        sending.end();
        (first, receiving.next().unwrap())
    })
    .await;
    assert_eq!((&first["outcome"], counts(&last)), (&json!("accepted"), json!({"read": 1, "accepted": 1})));
    let (kind, detail) = (&last["error"]["type"], last["error"]["detail"].as_str().unwrap());
    assert!(kind == "/problems/unavailable" && detail.contains("MASS_STREAM_BUFFER_BYTES"), "{last}");
    drop(held);
    let held = all_but(8, hold(&server, &token, "identity", vec![b'x'; 600_000]).await).await;
    let grown = server.resident_bytes() - before;
    // The windows of all batches would take 200 MiB, and the lines as much.
    assert!(grown < 96 << 20, "{grown} bytes more");
    drop(held);
    while batch(&server, &token).body(ndjson(&readings(2000))).send().await.unwrap().status() != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn a_killed_server_has_stored_whole_records_and_resumes(workplace: Workplace) {
    const RECORDS: usize = 3000;
    let server = workplace.serve();
    let (address, token) = (server.authority(), server.token().await);
    let told = apart(move || {
        let (mut sending, mut receiving) = Sending::begin(&address, &token);
        sending.send(&readings(RECORDS));
        let told: Vec<Value> = (0..600).map(|_| receiving.next().unwrap()).collect();
        drop(server);
        told
    })
    .await;
    let server = workplace.serve();
    let token = server.token().await;
    let stored = server.list(&token).await;
    let ids: std::collections::BTreeSet<&str> = stored.iter().map(|request| request["id"].as_str().unwrap()).collect();
    assert!(told.iter().all(|line| ids.contains(line["id"].as_str().unwrap())), "an acknowledged record is lost");
    let answer = batch(&server, &token).body(ndjson(&readings(RECORDS))).send().await.unwrap();
    let (_, last) = lines_of(&answer.bytes().await.unwrap());
    // A transaction that was under way when the server was killed may have been committed after the list was read.
    let duplicates = usize::try_from(counts(&last)["duplicate"].as_u64().unwrap()).unwrap();
    assert!(duplicates >= stored.len(), "{duplicates} of {} are known", stored.len());
    let expected = json!({"read": RECORDS, "accepted": RECORDS - duplicates, "duplicate": duplicates});
    assert_eq!(counts(&last), expected);
    assert_eq!(server.list(&token).await.len(), RECORDS);
}
