//! The server's connections, whose end is met only once the body before it has been read.
//!
//! A client that has sent its request may close its half of the connection and wait for the answer. actix-http (3.20) reads
//! ahead of whoever reads a body, and stops handing on what it has read while that one is behind: the end that it meets then
//! makes it take a whole body for one that was cut. So a body tells how far it has been read, and the end waits for that.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use actix_web::dev::{Extensions, Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection of a client.
pub(super) struct Connection {
    stream: TcpStream,
    progress: Rc<Progress>,
}

/// How far the bodies on a connection have been read. Everything here is on one thread.
#[derive(Default)]
struct Progress {
    /// How many bodies are being read: more than one only while an earlier one is let go.
    bodies: Cell<usize>,
    /// Whether bytes have come since a reader last found nothing to read.
    behind: Cell<bool>,
    /// Who waits for more of a body.
    reader: RefCell<Option<Waker>>,
    /// Who waits for the end.
    connection: RefCell<Option<Waker>>,
}

/// A body that tells how far it has been read.
struct Body {
    payload: Payload,
    progress: Rc<Progress>,
}

impl Connection {
    /// A connection that was accepted.
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, progress: Rc::default() }
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

impl Progress {
    /// Whether the end has to wait. Whoever reads the body, or comes to, calls back.
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
        let Self { stream, progress } = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            progress.behind.set(true);
        } else if progress.holds_end(cx.waker()) {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
