//! Reads and stores a batch side by side.

use actix_web::dev::Payload;
use tokio::sync::{Notify, mpsc};

use super::intake::{Chunk, Piece, Reading};
use super::storing::{Abandoned, Storing};
use crate::http::problem::Problem;

/// A body whose first record has been read, or that has ended without one.
pub(super) struct Begun {
    reading: Box<Reading>,
    next: Option<Piece>,
    /// The end of the body, once it is reached.
    ended: Option<Result<(), Problem>>,
}

/// Reads a body until there is a record. What makes no sense before that is a [`Problem`] of the whole batch.
pub(super) async fn begin(payload: &mut Payload, mut reading: Box<Reading>) -> Result<Begun, Problem> {
    loop {
        let piece = Piece::receive(payload).await?;
        let is_end = matches!(piece, Piece::End);
        let (read, result) = reading.read(piece).await?;
        reading = read;
        let begun = !reading.is_empty();
        let (next, ended) = match result {
            Err(problem) if !begun => return Err(problem),
            Err(problem) => (None, Some(Err(problem))),
            Ok(_) if is_end => (None, Some(Ok(()))),
            Ok(true) if begun => (None, None),
            Ok(true) => continue,
            Ok(false) => (Some(Piece::Rest), None),
        };
        return Ok(Begun { reading, next, ended });
    }
}

/// Reads and stores side by side, until the body ends or nobody listens any more.
pub(super) async fn run(payload: Payload, begun: Begun, mut storing: Storing) {
    let (chunks, mut to_store) = mpsc::channel(1);
    let idle = Notify::new();
    let reading = async { Ok::<_, Abandoned>(read(payload, begun, chunks, &idle).await) };
    let storing_all = async {
        loop {
            idle.notify_one();
            match to_store.recv().await {
                Some(chunk) => storing.store(chunk).await?,
                None => return Ok(()),
            }
        }
    };
    match futures_util::future::try_join(reading, storing_all).await {
        Ok((read, ())) => storing.finish(read.err()).await,
        Err(Abandoned) => storing.abandon().await,
    }
}

/// Reads a body to its end, and hands on what was read whenever the other end is idle: whole chunks under load, and
/// whatever there is when the client pauses.
async fn read(mut payload: Payload, begun: Begun, chunks: mpsc::Sender<Chunk>, idle: &Notify) -> Result<(), Problem> {
    let Begun { mut reading, mut next, ended } = begun;
    let mut is_sent = true;
    let ended = loop {
        if let Some(ended) = ended {
            is_sent = ended.is_ok();
            break ended;
        }
        if reading.is_over() {
            is_sent = false;
            break Ok(());
        }
        // One JSON document can be several chunks.
        while reading.is_full() {
            idle.notified().await;
            hand_on(&chunks, reading.take()).await;
        }
        let piece = match next.take() {
            Some(piece) => piece,
            None => tokio::select! {
                biased;
                piece = Piece::receive(&mut payload) => match piece {
                    Ok(piece) => piece,
                    Err(problem) => break Err(problem),
                },
                () = idle.notified(), if !reading.is_empty() => {
                    hand_on(&chunks, reading.take()).await;
                    continue;
                }
            },
        };
        let is_end = matches!(piece, Piece::End);
        let (read, result) = reading.read(piece).await?;
        reading = read;
        match result {
            Ok(_) if is_end => break Ok(()),
            Ok(true) => {}
            Ok(false) => next = Some(Piece::Rest),
            Err(problem) => {
                is_sent = false;
                break Err(problem);
            }
        }
    };
    while !reading.is_empty() {
        idle.notified().await;
        hand_on(&chunks, reading.take()).await;
    }
    drop((reading, chunks));
    if !is_sent {
        discard(&mut payload).await;
    }
    ended
}

async fn hand_on(chunks: &mpsc::Sender<Chunk>, chunk: Chunk) {
    // Whoever has gone away needs no chunk, and ends this, too.
    let _ = chunks.send(chunk).await;
}

/// Reads what is left of a body that makes no sense any more: a client that is still sending would not see the answer.
async fn discard(payload: &mut Payload) {
    while let Ok(Piece::Next(_)) = Piece::receive(payload).await {}
}
