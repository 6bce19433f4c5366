//! Clients that do not read: their memory, their timeouts and their number.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::support::documents::simple;
use crate::support::process::{Server, Workplace, workplaces_on_both};

workplaces_on_both! {
    unread_answers_are_dropped,
}

const BUNDLE: &str = "/docs/swagger-ui-bundle.js";
const BUNDLE_BYTES: usize = 1_732_839;
const DROPPED: &str = "a client that does not read is dropped";

/// A connection from an address of this machine, with small buffers.
fn connect(server: &Server, from: &str) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind(&SocketAddr::new(from.parse::<IpAddr>().unwrap(), 0).into()).unwrap();
    let to: SocketAddr = server.url.strip_prefix("http://").unwrap().parse().unwrap();
    socket.connect(&to.into()).unwrap();
    let connection = TcpStream::from(socket);
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    connection
}

fn ask(mut connection: &TcpStream, path: &str, headers: &str) {
    write!(connection, "GET {path} HTTP/1.1\r\nHost: mass\r\n{headers}\r\n").unwrap();
}

/// Returns everything until the server closes the connection.
fn rest(mut connection: &TcpStream) -> Vec<u8> {
    let (mut all, mut piece) = (Vec::new(), [0; 65_536]);
    // A reset also ends the connection.
    while let Ok(length @ 1..) = connection.read(&mut piece) {
        all.extend_from_slice(&piece[..length]);
    }
    all
}

/// Returns the status line and problem of a refusal.
fn refusal(connection: &TcpStream) -> (String, Value) {
    let answer = String::from_utf8(rest(connection)).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head.lines().next().unwrap().to_owned(), serde_json::from_str(body).unwrap())
}

/// Returns the peak memory of a process, in MiB.
fn peak_memory(server: &Server) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}

fn drops(server: &Server) -> usize {
    server.logged().matches(DROPPED).count()
}

async fn until(met: impl Fn() -> bool) {
    while !met() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn slow_readers_use_little_memory_and_are_dropped() {
    let workplace = Workplace::sqlite().with("MASS_WRITE_TIMEOUT_SECONDS", "1");
    let server = workplace.serve();
    let before = peak_memory(&server);
    let connections: Vec<_> = (0..400).map(|_| connect(&server, "127.0.0.1")).collect();
    connections.iter().for_each(|connection| ask(connection, BUNDLE, ""));
    until(|| drops(&server) == connections.len()).await;
    // Copies of the file would take 660 MiB.
    let grown = peak_memory(&server) - before;
    assert!(grown < 100, "{grown} MiB");
    for connection in connections {
        let received = rest(&connection).len();
        assert!((1..BUNDLE_BYTES / 2).contains(&received), "{received}");
    }
    let connection = connect(&server, "127.0.0.1");
    ask(&connection, BUNDLE, "Connection: close\r\n");
    assert!(rest(&connection).len() > BUNDLE_BYTES, "who reads gets all of it");
}

async fn unread_answers_are_dropped(workplace: Workplace) {
    let workplace = workplace.with("MASS_WRITE_TIMEOUT_SECONDS", "1").with("MASS_BATCH_REFUSED_IN_A_ROW", "0");
    let server = workplace.serve();
    let authorization = format!("Authorization: Bearer {}\r\n", server.token().await);
    let long = "x".repeat(4000);
    let lines: String = (0..400).map(|number| format!("{}\n", simple(json!({"n": number, "note": long})))).collect();
    let batch = |body: &str, missing: usize, connection: &mut TcpStream| {
        let head = format!("Content-Type: application/x-ndjson\r\nContent-Length: {}\r\n", body.len() + missing);
        let start = "POST /v1/mass-requests/batch HTTP/1.1\r\nHost: mass\r\n";
        write!(connection, "{start}{authorization}{head}\r\n{body}").unwrap();
    };
    let mut storing = connect(&server, "127.0.0.1");
    batch(&lines, 0, &mut storing);
    let (mut stored, mut piece) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&stored).contains("totals") {
        let length = storing.read(&mut piece).unwrap();
        assert!(length > 0);
        stored.extend_from_slice(&piece[..length]);
    }
    let mut connections = vec![];
    for path in ["/v1/mass-requests?limit=500", "/v1/audit/export"] {
        let connection = connect(&server, "127.0.0.1");
        ask(&connection, path, &authorization);
        connections.push(connection);
    }
    let mut connection = connect(&server, "127.0.0.1");
    batch(&"[]\n".repeat(20_000), 1, &mut connection);
    connections.push(connection);
    until(|| drops(&server) == connections.len()).await;
    for connection in &connections {
        let received = rest(connection);
        assert!(received.starts_with(b"HTTP/1.1 200") && !received.ends_with(b"\r\n0\r\n\r\n"), "{}", received.len());
        assert!(!String::from_utf8_lossy(&received).contains("\"totals\""));
    }
    // It depends on the progress of the server.
    let ends = ["a batch was abandoned by its client", "a batch broke off"];
    until(|| ends.iter().any(|end| server.logged().contains(end))).await;
}

#[tokio::test]
async fn connections_are_limited_in_total_and_per_address() {
    let workplace = Workplace::sqlite().with("MASS_WRITE_TIMEOUT_SECONDS", "3600");
    let workplace = workplace.with("MASS_MAX_CONNECTIONS_PER_ADDRESS", "2").with("MASS_MAX_CONNECTIONS", "3");
    let server = workplace.serve();
    let held = |from: &str| {
        let connection = connect(&server, from);
        ask(&connection, BUNDLE, "");
        connection.peek(&mut [0]).unwrap();
        connection
    };
    let mut holding = vec![held("127.0.0.1"), held("127.0.0.1")];
    let refused = |from: &str, setting: &str, limit: usize| {
        let (status, problem) = refusal(&connect(&server, from));
        assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
        assert_eq!((&problem["type"], &problem["limit"]), (&"/problems/unavailable".into(), &limit.into()));
        assert!(problem["detail"].as_str().unwrap().contains(&format!("({setting})")), "{problem}");
    };
    refused("127.0.0.1", "MASS_MAX_CONNECTIONS_PER_ADDRESS", 2);
    holding.push(held("127.0.0.2"));
    refused("127.0.0.3", "MASS_MAX_CONNECTIONS", 3);
    drop(holding.pop());
    // The server notices the closed connection a little later.
    let served = || {
        let connection = connect(&server, "127.0.0.3");
        ask(&connection, "/health", "Connection: close\r\n");
        rest(&connection).starts_with(b"HTTP/1.1 200")
    };
    until(served).await;
}

#[tokio::test]
async fn behind_a_proxy_the_requests_of_a_client_are_counted() {
    let workplace = Workplace::sqlite().with("MASS_WRITE_TIMEOUT_SECONDS", "3600");
    let workplace = workplace.with("MASS_MAX_CONNECTIONS_PER_ADDRESS", "2").with("MASS_TRUSTED_PROXIES", "127.0.0.1");
    let server = workplace.serve();
    let request = |client: &str, path: &str| {
        let connection = connect(&server, "127.0.0.1");
        ask(&connection, path, &format!("X-Forwarded-For: {client}\r\nConnection: close\r\n"));
        connection.peek(&mut [0]).unwrap();
        connection
    };
    let held = [request("192.0.2.1", BUNDLE), request("192.0.2.1", BUNDLE)];
    let (status, problem) = refusal(&request("192.0.2.1", "/health"));
    assert_eq!((status.as_str(), &problem["instance"]), ("HTTP/1.1 503 Service Unavailable", &"/health".into()));
    assert!(problem["detail"].as_str().unwrap().contains("(MASS_MAX_CONNECTIONS_PER_ADDRESS)"), "{problem}");
    assert!(rest(&request("192.0.2.2", "/health")).starts_with(b"HTTP/1.1 200"));
    drop(held);
    until(|| rest(&request("192.0.2.1", "/health")).starts_with(b"HTTP/1.1 200")).await;
}
