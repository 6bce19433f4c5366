//! A proxy of TCP before an engine, on which connections go wrong as networks let them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::engines::read_request;

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is as it should be.
    None,
    /// The answer comes later.
    Delay(Duration),
    /// It is reset when the request has arrived, before the engine hears of it.
    ResetBefore,
    /// It is reset when the engine has answered.
    ResetAfter,
    /// The engine has answered, and nothing comes any more.
    HalfOpen,
    /// It ends within the body of the answer.
    Truncation,
}

/// A proxy that lets the same faults strike over and over, in the order of the connections.
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

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// One request and its answer; the next one takes another connection.
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

/// The engine's answer, whole.
async fn ask(engine: SocketAddr, head: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(engine).await.ok()?;
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    stream.write_all(&[head.as_bytes(), body].concat()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    Some(answer)
}
