//! Response bodies in small pieces.
//!
//! actix-http copies each piece of a body into the connection's write buffer. Handing out a long body bit by bit keeps
//! that buffer small, however slowly the client reads; the body itself may be shared by all.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;

use super::connections::Slot;

/// The most bytes that are copied into a connection's write buffer at once, which holds at most twice as many.
pub(super) const PIECE: usize = 16 * 1024;

struct Pieces {
    body: BoxBody,
    /// The part of the body's last chunk that has not been sent.
    rest: Bytes,
    _slot: Option<Slot>,
}

/// Cuts a body into pieces, and holds a slot until the last one is sent or the client is gone.
pub(super) fn in_pieces(body: BoxBody, slot: Option<Slot>) -> BoxBody {
    let short = match body.size() {
        BodySize::None => true,
        BodySize::Sized(length) => length <= PIECE as u64,
        BodySize::Stream => false,
    };
    if short && slot.is_none() {
        return body;
    }
    BoxBody::new(Pieces { body, rest: Bytes::new(), _slot: slot })
}

impl MessageBody for Pieces {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_next(cx)) {
                Some(Ok(chunk)) => self.rest = chunk,
                end => return Poll::Ready(end),
            }
        }
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(self.rest.split_to(length))))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::BodyStream;
    use futures_util::stream;

    use super::*;

    async fn pieces(mut body: BoxBody) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        while let Some(piece) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
            pieces.push(piece.unwrap());
        }
        pieces
    }

    #[actix_web::test]
    async fn a_long_body_is_cut_and_stays_whole() {
        let whole = Bytes::from((0..100_000_u32).flat_map(u32::to_be_bytes).collect::<Vec<_>>());
        let body = in_pieces(BoxBody::new(whole.clone()), None);
        assert_eq!(body.size(), BodySize::Sized(400_000));
        let pieces = pieces(body).await;
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE));
        assert_eq!(pieces.concat(), whole);
    }

    #[actix_web::test]
    async fn a_chunk_of_nothing_does_not_end_a_stream() {
        let chunks = [Bytes::new(), Bytes::from(vec![b'a'; PIECE + 1]), Bytes::new(), Bytes::from_static(b"b")];
        let body = BodyStream::new(stream::iter(chunks.map(Ok::<_, std::io::Error>)));
        let pieces = pieces(in_pieces(BoxBody::new(body), None)).await;
        assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), [PIECE, 1, 1]);
    }
}
