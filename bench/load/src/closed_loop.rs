//! Many connections, each of which sends its next request when its last one is answered.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::task::{JoinSet, LocalSet};

use crate::connection;
use crate::cpu;

/// What makes the requests of all connections.
pub(crate) trait Requests {
    /// Writes the next request of a connection into the buffer, which holds that connection's last one.
    fn next(&mut self, connection: usize, buffer: &mut Vec<u8>);
}

/// How long to go on, and how wide.
pub(crate) struct Plan {
    pub(crate) address: String,
    pub(crate) connections: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    /// The requests a second of all connections together; as many as are answered, without it.
    pub(crate) rate: Option<f64>,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    connections: usize,
    seconds: f64,
    /// Answers of the measured time.
    requests: usize,
    /// Answers of the measured time and of the warming up: what the CPU time of a whole run is divided by.
    requests_in_all: usize,
    per_second: f64,
    milliseconds: Quantiles,
    statuses: BTreeMap<u16, usize>,
    /// What the load generator itself took, of one core.
    client_cpu_seconds: f64,
    /// The beginning of the first answer that was no success.
    first_failure: Option<String>,
}

#[derive(Debug, Serialize)]
struct Quantiles {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

#[derive(Default)]
struct Record {
    micros: Vec<u32>,
    statuses: BTreeMap<u16, usize>,
    in_all: usize,
    first_failure: Option<String>,
}

/// Sends until the time is over.
pub(crate) async fn run<R: Requests + 'static>(plan: Plan, requests: R) -> anyhow::Result<Measured> {
    let (record, requests) = (Rc::new(RefCell::new(Record::default())), Rc::new(RefCell::new(requests)));
    let begin = Instant::now() + plan.warm_up;
    let end = begin + plan.measured;
    let every = plan.rate.map(|rate| Duration::from_secs_f64(plan.connections as f64 / rate));
    let cpu_before = cpu::seconds();
    let local = LocalSet::new();
    let mut connections = JoinSet::new();
    for number in 0..plan.connections {
        let (record, requests, address) = (Rc::clone(&record), Rc::clone(&requests), plan.address.clone());
        connections.spawn_local_on(
            async move {
                let window = begin..end;
                one(&address, number, &window, every, &requests, &record).await
            },
            &local,
        );
    }
    local
        .run_until(async {
            while let Some(ended) = connections.join_next().await {
                ended.context("a connection's task was lost")??;
            }
            anyhow::Ok(())
        })
        .await?;
    let client_cpu_seconds = cpu::seconds() - cpu_before;
    let Record { mut micros, statuses, in_all, first_failure } = record.take();
    micros.sort_unstable();
    let at = |permille: usize| {
        let index = (micros.len() * permille / 1000).min(micros.len().saturating_sub(1));
        micros.get(index).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    };
    let seconds = plan.measured.as_secs_f64();
    Ok(Measured {
        connections: plan.connections,
        seconds,
        requests: micros.len(),
        requests_in_all: in_all,
        per_second: micros.len() as f64 / seconds,
        milliseconds: Quantiles { p50: at(500), p90: at(900), p99: at(990), p999: at(999), max: at(1000) },
        statuses,
        client_cpu_seconds,
        first_failure,
    })
}

async fn one<R: Requests>(
    address: &str,
    number: usize,
    window: &std::ops::Range<Instant>,
    every: Option<Duration>,
    requests: &RefCell<R>,
    record: &RefCell<Record>,
) -> anyhow::Result<()> {
    let (mut answers, mut writer) = connection::open(address).await?;
    let mut buffer = Vec::new();
    let mut failure = Vec::new();
    let mut due = Instant::now();
    loop {
        if let Some(every) = every {
            tokio::time::sleep_until(due.into()).await;
            due += every;
        }
        requests.borrow_mut().next(number, &mut buffer);
        let sent = Instant::now();
        if sent >= window.end {
            return Ok(());
        }
        writer.write_all(&buffer).await?;
        let (status, framing) = answers.head().await?;
        failure.clear();
        let failed = !(200..300).contains(&status);
        answers
            .body(framing, |piece| {
                if failed {
                    failure.extend_from_slice(piece)
                }
            })
            .await?;
        let answered = Instant::now();
        let mut record = record.borrow_mut();
        record.in_all += 1;
        *record.statuses.entry(status).or_default() += 1;
        if failed && record.first_failure.is_none() {
            record.first_failure = Some(String::from_utf8_lossy(&failure).chars().take(500).collect());
        }
        if window.contains(&answered) {
            record.micros.push(u32::try_from((answered - sent).as_micros()).unwrap_or(u32::MAX));
        }
    }
}
