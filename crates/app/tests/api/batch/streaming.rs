//! Batches while they are sent: early results, and clients that do not read or disconnect.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};

use super::{BATCH, counts, lines_of, ndjson, outcomes, readings, send_ndjson};
use crate::support::TestApp;

on_both!(
    results_arrive_while_the_body_is_sent,
    a_client_may_send_the_whole_body_before_reading,
    an_interrupted_batch_can_be_sent_again,
    a_body_that_ends_early_ends_the_batch,
    a_client_may_half_close_after_the_body,
    a_client_that_leaves_after_the_body_loses_no_record,
);

/// The sending side of a batch, on a connection of its own.
pub(crate) struct Sending {
    connection: TcpStream,
}

/// The receiving side, line by line.
pub(crate) struct Receiving {
    connection: BufReader<TcpStream>,
    head_is_read: bool,
    /// The part of the body that has arrived but was not returned yet.
    body: Vec<u8>,
}

impl Sending {
    pub(crate) fn begin(address: &str, token: &str) -> (Self, Receiving) {
        Self::begin_with(address, token, "", "identity")
    }

    /// Begins a batch with this query and content coding.
    pub(crate) fn begin_with(address: &str, token: &str, query: &str, coding: &str) -> (Self, Receiving) {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.set_nodelay(true).unwrap();
        let head = format!(
            "POST {BATCH}{query} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/x-ndjson\r\nContent-Encoding: {coding}\r\n\
             Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).unwrap();
        let reader = BufReader::new(connection.try_clone().unwrap());
        (Self { connection }, Receiving { connection: reader, head_is_read: false, body: Vec::new() })
    }

    pub(crate) fn send(&mut self, documents: &[Value]) {
        let body = ndjson(documents);
        self.send_bytes(&body);
    }

    pub(crate) fn send_bytes(&mut self, body: &[u8]) {
        write!(self.connection, "{:x}\r\n", body.len()).unwrap();
        self.connection.write_all(body).unwrap();
        self.connection.write_all(b"\r\n").unwrap();
    }

    pub(crate) fn end(&mut self) {
        self.connection.write_all(b"0\r\n\r\n").unwrap();
    }
}

impl Receiving {
    /// Returns true if a part of the answer has arrived.
    pub(crate) fn has_begun(&self) -> bool {
        let connection = self.connection.get_ref();
        connection.set_nonblocking(true).unwrap();
        let begun = connection.peek(&mut [0]).is_ok_and(|length| length > 0);
        connection.set_nonblocking(false).unwrap();
        begun
    }

    /// Returns the answer up to these words.
    pub(crate) fn up_to(mut self, words: &str) -> String {
        let mut text = String::new();
        while !text.contains(words) {
            let piece = self.connection.fill_buf().unwrap();
            assert!(!piece.is_empty(), "no {words:?} in {text:?}");
            text += std::str::from_utf8(piece).unwrap();
            let length = piece.len();
            self.connection.consume(length);
        }
        text
    }

    /// Returns the next line of the body, wherever its chunks end, or `None` after the last.
    pub(crate) fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.body.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.body.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            self.read_chunk()?;
        }
    }

    fn read_chunk(&mut self) -> Option<()> {
        let mut line = String::new();
        while !self.head_is_read || line.trim().is_empty() {
            line.clear();
            if self.connection.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if !self.head_is_read {
                self.head_is_read = line == "\r\n";
                line.clear();
            }
        }
        let length = usize::from_str_radix(line.trim(), 16).unwrap();
        let mut chunk = vec![0; length];
        self.connection.read_exact(&mut chunk).ok().filter(|()| length > 0)?;
        self.body.extend_from_slice(&chunk);
        Some(())
    }

    /// Returns the status and the whole body, with its chunks joined.
    pub(crate) fn rest(mut self) -> (String, Vec<u8>) {
        let mut text = Vec::new();
        self.connection.read_to_end(&mut text).unwrap();
        let head = text.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let (head, mut rest) = text.split_at(head + 4);
        let mut body = Vec::new();
        loop {
            let end = rest.windows(2).position(|window| window == b"\r\n").expect("the answer is whole");
            let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
            if length == 0 {
                return (String::from_utf8(head[..12].to_vec()).unwrap(), body);
            }
            body.extend_from_slice(&rest[end + 2..end + 2 + length]);
            rest = &rest[end + 4 + length..];
        }
    }
}

/// Runs blocking socket work on a thread of its own.
pub(crate) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn results_arrive_while_the_body_is_sent(app: TestApp) {
    let (address, token) = (app.address().to_string(), app.founder().token().to_owned());
    let found = apart(move || {
        let (mut sending, mut receiving) = Sending::begin(&address, &token);
        let mut found = Vec::new();
        for part in readings(9).chunks(3) {
            sending.send(part);
            for _ in part {
                found.push(receiving.next().unwrap());
            }
        }
        sending.end();
        found.push(receiving.next().unwrap());
        assert_eq!(receiving.next(), None);
        found
    });
    let found = found.await;
    assert_eq!(outcomes(&found[..9]), ["accepted"; 9]);
    assert_eq!(counts(&found[9]), json!({"read": 9, "accepted": 9}));
}

async fn a_client_may_send_the_whole_body_before_reading(app: TestApp) {
    let (address, token) = (app.address().to_string(), app.founder().token().to_owned());
    const RECORDS: usize = 3000;
    let answer = apart(move || {
        let (mut sending, receiving) = Sending::begin(&address, &token);
        // Few bytes that break many rules: the answer is far longer than the body, and than the sockets' buffers.
        let members: String = (0..60).map(|number| format!("\"unknown-{number}\":0,")).collect();
        let record = format!("{{{members}\"mass_version\":\"1.1\"}}\n{}", " ".repeat(200));
        for _ in 0..RECORDS / 100 {
            sending.send_bytes(record.repeat(100).as_bytes());
        }
        sending.end();
        receiving.rest()
    });
    let (status, body) = answer.await;
    assert_eq!(status, "HTTP/1.1 200");
    assert!(body.len() > 12 << 20, "{}", body.len());
    let (lines, last) = lines_of(&body);
    assert_eq!((lines.len(), counts(&last)), (RECORDS, json!({"read": RECORDS, "rejected": RECORDS})));
    assert!(lines.iter().enumerate().all(|(index, line)| line["index"] == index));
}

async fn an_interrupted_batch_can_be_sent_again(app: TestApp) {
    let (address, token) = (app.address().to_string(), app.founder().token().to_owned());
    let documents = readings(1500);
    let part = documents[..1200].to_vec();
    apart(move || {
        let (mut sending, mut receiving) = Sending::begin(&address, &token);
        sending.send(&part);
        assert_eq!(receiving.next().unwrap()["outcome"], "accepted");
    })
    .await;
    let (_, last) = send_ndjson(app.founder(), "", &documents).await.lines();
    let totals = &last["totals"];
    assert_eq!(totals["accepted"].as_u64().unwrap() + totals["duplicate"].as_u64().unwrap(), 1500, "{last}");
    assert!(totals["duplicate"].as_u64().unwrap() > 0, "{last}");
    assert_eq!(app.database().count("mass_requests"), 1500);
    assert_eq!(app.database().count("audit_events WHERE action = 'accepted'"), 1500);
}

async fn a_body_that_ends_early_ends_the_batch(app: TestApp) {
    // The body ends between chunks, in a chunk's length, or within a chunk; and after more bytes than the server reads
    // ahead.
    for (records, rest) in [(3, ""), (3, "5"), (3, "ff\r\n{"), (2000, ""), (2000, "5"), (2000, "ff\r\n{")] {
        let (address, token) = (app.address().to_string(), app.founder().token().to_owned());
        let last = apart(move || {
            let (mut sending, receiving) = Sending::begin(&address, &token);
            sending.send(&readings(records));
            sending.connection.write_all(rest.as_bytes()).unwrap();
            sending.connection.shutdown(Shutdown::Write).unwrap();
            let body = receiving.rest().1;
            lines_of(&body).1
        });
        let last = last.await;
        let totals = &last["totals"];
        assert_eq!(totals["read"], records, "{rest:?}: {last}");
        assert_eq!(totals["accepted"].as_u64().unwrap() + totals["duplicate"].as_u64().unwrap(), records as u64);
        assert_eq!(last["error"]["type"], "/problems/bad-request", "{rest:?}: {last}");
    }
}

async fn a_client_may_half_close_after_the_body(app: TestApp) {
    let (address, token) = (app.address().to_string(), app.founder().token().to_owned());
    const RECORDS: usize = 3000;
    let answer = apart(move || {
        let (mut sending, receiving) = Sending::begin(&address, &token);
        // Far more than the server reads ahead while it stores.
        sending.send(&readings(RECORDS));
        sending.end();
        sending.connection.shutdown(Shutdown::Write).unwrap();
        receiving.rest()
    });
    let (status, body) = answer.await;
    assert_eq!(status, "HTTP/1.1 200");
    let (lines, last) = lines_of(&body);
    assert_eq!((lines.len(), counts(&last)), (RECORDS, json!({"read": RECORDS, "accepted": RECORDS})), "{last}");
}

async fn a_client_that_leaves_after_the_body_loses_no_record(app: TestApp) {
    let (address, token) = (app.address().to_string(), app.founder().token().to_owned());
    let documents = readings(3000);
    let sent = documents.clone();
    apart(move || {
        let (mut sending, _) = Sending::begin(&address, &token);
        sending.send(&sent);
        sending.end();
    })
    .await;
    let (_, last) = send_ndjson(app.founder(), "", &documents).await.lines();
    let totals = &last["totals"];
    assert_eq!(totals["accepted"].as_u64().unwrap() + totals["duplicate"].as_u64().unwrap(), 3000, "{last}");
    assert_eq!(app.database().count("mass_requests"), 3000);
}
