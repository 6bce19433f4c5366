//! A TCP proxy that injects the faults of networks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::engines::read_request;

/// The fault of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No fault.
    None,
    /// The answer is delayed.
    Delay(Duration),
    /// The connection is reset before the engine gets the request.
    ResetBefore,
    /// The connection is reset after the engine has answered.
    ResetAfter,
    /// The engine has answered, but nothing arrives any more.
    HalfOpen,
    /// The connection ends within the body of the answer.
    Truncation,
}

/// A proxy that injects a cycle of faults, in the order of the connections.
pub(crate) struct FaultProxy {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl FaultProxy {
    pub(crate) async fn before(engine: SocketAddr, faults: &'static [Fault]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let fault = faults[count.fetch_add(1, Ordering::Relaxed) % faults.len()];
                tokio::spawn(pass(stream, engine, fault));
            }
        });
        Self { address, connections }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// Forwards one request and its answer; the next request takes another connection.
async fn pass(mut caller: TcpStream, engine: SocketAddr, fault: Fault) -> Option<()> {
    let (head, body) = read_request(&mut caller).await?;
    if fault == Fault::ResetBefore {
        return reset(caller);
    }
    let answer = ask(engine, &head, &body).await?;
    match fault {
        Fault::None => caller.write_all(&answer).await.ok()?,
        Fault::Delay(pause) => {
            tokio::time::sleep(pause).await;
            caller.write_all(&answer).await.ok()?;
        }
        Fault::ResetBefore | Fault::ResetAfter => return reset(caller),
        Fault::HalfOpen => drop(caller.read(&mut [0]).await),
        Fault::Truncation => caller.write_all(&answer[..answer.len() - 40]).await.ok()?,
    }
    caller.shutdown().await.ok()
}

fn reset(caller: TcpStream) -> Option<()> {
    caller.set_zero_linger().ok()
}

/// Reads the engine's whole answer.
async fn ask(engine: SocketAddr, head: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(engine).await.ok()?;
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    stream.write_all(&[head.as_bytes(), body].concat()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    Some(answer)
}
