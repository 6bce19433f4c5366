//! A batch: everything is sent while the results are read.

use std::fs::File;
use std::io::Read;
use std::time::Instant;

use anyhow::Context;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::LocalSet;

use crate::connection;
use crate::cpu;
use crate::documents::Readings;

/// How much is given to the connection at once.
const PIECE: usize = 64 * 1024;

/// Where the records come from.
pub(crate) enum Source {
    /// A file of NDJSON.
    File(File),
    /// Made while they are sent, until so many bytes are.
    Made(Readings, u64),
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    status: u16,
    /// From the first byte sent to the last byte of the answer.
    seconds: f64,
    bytes_sent: u64,
    records_sent: u64,
    lines_answered: u64,
    /// The answer's last line: the totals.
    last: Option<Box<RawValue>>,
    /// The beginning of an answer that was no success.
    failure: Option<String>,
    client_cpu_seconds: f64,
}

/// Sends a batch and reads its results.
pub(crate) async fn run(address: &str, head: String, source: Source) -> anyhow::Result<Measured> {
    let (mut answers, mut writer) = connection::open(address).await?;
    let (started, cpu_before) = (Instant::now(), cpu::seconds());
    let local = LocalSet::new();
    // The connection stays open in both directions until the answer is there, as it does with other clients.
    let sending = local.spawn_local(async move {
        let sent = send(&mut writer, head, source).await;
        (sent, writer)
    });
    let answering = async {
        let (status, framing) = answers.head().await?;
        let mut lines = Lines::default();
        answers.body(framing, |piece| lines.take(piece)).await?;
        anyhow::Ok((status, lines))
    };
    let (status, lines) = local.run_until(answering).await?;
    let seconds = started.elapsed().as_secs_f64();
    // An answer that came before everything was sent is a refusal: nothing waits for the rest.
    let sent = match sending.is_finished() {
        true => local.run_until(sending).await?.0.unwrap_or_default(),
        false => Sent::default(),
    };
    let text = String::from_utf8_lossy(&lines.last);
    let ok = (200..300).contains(&status);
    Ok(Measured {
        status,
        seconds,
        bytes_sent: sent.bytes,
        records_sent: sent.records,
        lines_answered: lines.count,
        failure: (!ok).then(|| text.chars().take(500).collect()),
        last: if ok { Some(RawValue::from_string(text.into_owned()).context("the last line")?) } else { None },
        client_cpu_seconds: cpu::seconds() - cpu_before,
    })
}

/// How much was sent.
#[derive(Debug, Default, Clone, Copy)]
struct Sent {
    bytes: u64,
    records: u64,
}

async fn send(writer: &mut OwnedWriteHalf, head: String, source: Source) -> anyhow::Result<Sent> {
    writer.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await?;
    let mut sent = Sent::default();
    match source {
        Source::File(mut file) => {
            let mut piece = vec![0; PIECE];
            loop {
                let read = file.read(&mut piece)?;
                if read == 0 {
                    break;
                }
                sent.chunk(writer, &piece[..read]).await?;
            }
        }
        Source::Made(mut readings, bytes) => {
            let mut piece = Vec::with_capacity(2 * PIECE);
            while sent.bytes < bytes {
                piece.clear();
                while piece.len() < PIECE {
                    piece.extend_from_slice(readings.next_line().as_bytes());
                }
                sent.chunk(writer, &piece).await?;
            }
        }
    }
    writer.write_all(b"0\r\n\r\n").await?;
    Ok(sent)
}

impl Sent {
    async fn chunk(&mut self, writer: &mut OwnedWriteHalf, piece: &[u8]) -> anyhow::Result<()> {
        writer.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
        writer.write_all(piece).await?;
        writer.write_all(b"\r\n").await?;
        self.bytes += u64::try_from(piece.len())?;
        self.records += u64::try_from(piece.iter().filter(|byte| **byte == b'\n').count())?;
        Ok(())
    }
}

/// Counts lines and keeps the last one.
#[derive(Default)]
struct Lines {
    count: u64,
    last: Vec<u8>,
    ended: bool,
}

impl Lines {
    fn take(&mut self, piece: &[u8]) {
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.ended {
                self.last.clear();
            }
            self.last.extend_from_slice(line.trim_ascii_end());
            self.ended = line.ends_with(b"\n");
            self.count += u64::from(self.ended);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_across_pieces_and_the_last_is_kept() {
        let mut lines = Lines::default();
        for piece in ["{\"a\":", "1}\n{\"b\"", ":2}\n{\"totals\":{}", "}\n"] {
            lines.take(piece.as_bytes());
        }
        assert_eq!((lines.count, lines.last.as_slice()), (3, b"{\"totals\":{}}".as_slice()));
    }
}
