//! One connection: keep-alive HTTP/1.1, as far as the answers of a server under test need it.

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// How the end of an answer's body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After so many bytes.
    Length(usize),
    /// By an empty chunk.
    Chunked,
}

/// What is read from a connection.
pub(crate) struct Answers {
    reader: BufReader<OwnedReadHalf>,
    line: Vec<u8>,
}

/// Opens a connection.
pub(crate) async fn open(address: &str) -> anyhow::Result<(Answers, OwnedWriteHalf)> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    Ok((Answers { reader: BufReader::with_capacity(64 * 1024, reader), line: Vec::new() }, writer))
}

impl Answers {
    /// Reads a status line and its headers.
    pub(crate) async fn head(&mut self) -> anyhow::Result<(u16, Framing)> {
        let line = self.line().await?;
        let status = line.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let status = status.with_context(|| format!("no status line: {}", String::from_utf8_lossy(line)))?;
        let mut framing = Framing::Length(0);
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok((status, framing));
            }
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { bail!("a header without a colon") };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"content-length") {
                framing = Framing::Length(std::str::from_utf8(value)?.parse()?);
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                framing = Framing::Chunked;
            }
        }
    }

    /// Reads a body to its end, and gives it away piece by piece.
    pub(crate) async fn body(&mut self, framing: Framing, mut piece: impl FnMut(&[u8])) -> anyhow::Result<()> {
        match framing {
            Framing::Length(bytes) => self.take(bytes, &mut piece).await,
            Framing::Chunked => loop {
                let line = self.line().await?;
                let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
                let size = usize::from_str_radix(std::str::from_utf8(size)?.trim(), 16)?;
                self.take(size, &mut piece).await?;
                // The line's end after a chunk; after the last one, the end of the trailers, which nobody sends.
                self.line().await?;
                if size == 0 {
                    return Ok(());
                }
            },
        }
    }

    async fn take(&mut self, mut bytes: usize, piece: &mut impl FnMut(&[u8])) -> anyhow::Result<()> {
        while bytes > 0 {
            let there = self.reader.fill_buf().await?;
            if there.is_empty() {
                bail!("the server closed the connection within an answer");
            }
            let used = there.len().min(bytes);
            piece(&there[..used]);
            self.reader.consume(used);
            bytes -= used;
        }
        Ok(())
    }

    /// Reads a line, without its end.
    async fn line(&mut self) -> anyhow::Result<&[u8]> {
        self.line.clear();
        let limit = 64 * 1024;
        (&mut self.reader).take(limit).read_until(b'\n', &mut self.line).await?;
        match self.line.strip_suffix(b"\r\n") {
            Some(line) => Ok(line),
            None => bail!("the server closed the connection, or sent a line without an end"),
        }
    }
}
