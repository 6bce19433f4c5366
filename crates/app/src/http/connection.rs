//! The server's connections: their end is met only once the body before it has been read, and a client that takes too
//! little of an answer is dropped.
//!
//! A client that has sent its request may close its half of the connection and wait for the answer. actix-http (3.20) reads
//! ahead of whoever reads a body, and stops handing on what it has read while that one is behind: the end that it meets then
//! makes it take a whole body for one that was cut. So a body tells how far it has been read, and the end waits for that.
//!
//! actix-http waits for ever for a client that does not read. So a write that waits has a deadline: unless enough bytes
//! have moved by then, the connection fails, and with it goes all that the answer holds.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_web::dev::{Extensions, Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::Stream;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::connections::Slot;

/// The fewest bytes that have to move within the write timeout: half a kilobyte a second with the default one.
const LEAST_PROGRESS: usize = 16 * 1024;

/// The most bytes that wait in the kernel without having been sent. More room would hide for minutes whether a slow client
/// reads at all.
const UNSENT: u32 = 64 * 1024;

/// A connection of a client.
pub(super) struct Connection {
    stream: TcpStream,
    progress: Rc<Progress>,
    stall: Stall,
    _slot: Slot,
}

/// The time for which a write has been waiting.
struct Stall {
    timeout: Duration,
    /// There while a write waits.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Bytes moved in either direction since the deadline was set: a client may send all of a batch before
    /// it reads the first result.
    moved: usize,
}

/// Progress of reading the bodies on a connection. It stays on one thread.
#[derive(Default)]
struct Progress {
    /// The number of bodies being read: more than one only while an earlier one is dropped.
    bodies: Cell<usize>,
    /// True if bytes have arrived since a reader last found none.
    behind: Cell<bool>,
    /// The waker of the reader that waits for more of a body.
    reader: RefCell<Option<Waker>>,
    /// The waker of the task that waits for the end.
    connection: RefCell<Option<Waker>>,
}

/// A body that tells how far it has been read.
struct Body {
    payload: Payload,
    progress: Rc<Progress>,
}

impl Connection {
    /// A connection that was accepted.
    pub(super) fn new(stream: TcpStream, slot: Slot, write_timeout: Duration) -> Self {
        if let Err(error) = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT) {
            tracing::debug!(%error, "TCP_NOTSENT_LOWAT cannot be set");
        }
        let stall = Stall { timeout: write_timeout, deadline: None, moved: 0 };
        Self { stream, progress: Rc::default(), stall, _slot: slot }
    }

    /// Lets the connection's requests find it.
    pub(super) fn introduce(&self, data: &mut Extensions) {
        data.insert(Rc::clone(&self.progress));
    }
}

/// Makes a request's body one that its connection's end waits for.
pub(super) fn follow_body(req: &mut ServiceRequest) {
    let Some(progress) = req.conn_data::<Rc<Progress>>().cloned() else { return };
    let (_, payload) = req.parts_mut();
    if let Payload::H1 { .. } = payload {
        progress.bodies.update(|bodies| bodies + 1);
        progress.behind.set(true);
        let body = Body { payload: payload.take(), progress };
        *payload = Payload::Stream { payload: Box::pin(body) };
    }
}

impl Stall {
    /// Waits on with a write, unless too little has moved within the timeout.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Self { timeout, deadline, moved } = self;
        let deadline = deadline.get_or_insert_with(|| {
            *moved = 0;
            Box::pin(sleep(*timeout))
        });
        while deadline.as_mut().poll(cx).is_ready() {
            if *moved < LEAST_PROGRESS {
                tracing::info!(bytes = *moved, seconds = timeout.as_secs(), "a client that does not read is dropped");
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            *moved = 0;
            deadline.as_mut().reset(Instant::now() + *timeout);
        }
        Poll::Pending
    }

    /// Notes that bytes were written, all of them or not.
    fn written(&mut self, bytes: usize, all: bool) {
        self.moved += bytes;
        if all {
            self.deadline = None;
        }
    }
}

impl Progress {
    /// Returns true if the end of the stream has to wait until the body is read; the task is woken then.
    fn holds_end(&self, connection: &Waker) -> bool {
        let holds = self.bodies.get() > 0 && self.behind.get();
        if holds {
            self.connection.replace(Some(connection.clone()));
            // What came last may not have been worth waking it.
            wake(&self.reader);
        }
        holds
    }

    /// A reader has found nothing to read, which lets actix-http hand on all that it has.
    fn caught_up(&self, reader: &Waker) {
        self.reader.replace(Some(reader.clone()));
        self.behind.set(false);
        wake(&self.connection);
    }

    fn let_go(&self) {
        self.bodies.update(|bodies| bodies.saturating_sub(1));
        wake(&self.connection);
    }
}

fn wake(waker: &RefCell<Option<Waker>>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.payload).poll_next(cx);
        if next.is_pending() {
            self.progress.caught_up(cx.waker());
        }
        next
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.progress.let_go();
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, progress, stall, .. } = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            progress.behind.set(true);
            stall.moved += buffer.filled().len() - before;
        } else if progress.holds_end(cx.waker()) {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, stall, .. } = self.get_mut();
        match Pin::new(stream).poll_write(cx, bytes) {
            Poll::Ready(Ok(written)) => {
                stall.written(written, written == bytes.len());
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => stall.wait(cx),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// A write that has waited longer than it may, while so many bytes moved.
    async fn overdue(moved: usize) -> Poll<io::Result<usize>> {
        let mut stall = Stall { timeout: Duration::from_millis(1), deadline: None, moved: 0 };
        assert!(poll_fn(|cx| Poll::Ready(stall.wait(cx))).await.is_pending());
        stall.moved += moved;
        sleep(Duration::from_millis(20)).await;
        stall.timeout = Duration::from_secs(3600);
        poll_fn(|cx| Poll::Ready(stall.wait(cx))).await
    }

    #[actix_web::test]
    async fn a_write_waits_as_long_as_enough_bytes_move() {
        assert!(overdue(LEAST_PROGRESS).await.is_pending());
        let Poll::Ready(Err(error)) = overdue(LEAST_PROGRESS - 1).await else { panic!("it waits on") };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
