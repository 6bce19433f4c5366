//! Atomic batches: all records are stored, or none.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use futures_util::stream;
use tokio::sync::Semaphore;

use super::answer::Conclusion;
use super::intake::{Bounds, Chunk, Piece, Reading};
use super::line::BatchLine;
use super::outbox::PutError;
use super::report::{Report, against};
use super::upload::Upload;
use super::{Tools, Wishes};
use crate::http::problem::{Problem, ProblemKind};
use crate::http::reply::Call;
use crate::http::streams;

/// The most records of an atomic batch.
const ATOMIC_RECORDS: usize = 10_000;

/// The most bytes of an atomic batch, decoded: all of it has to be in memory.
const ATOMIC_BYTES: usize = 16 << 20;

/// The number of atomic batches that are stored at once, and the time that another complete one waits for its turn.
static ATOMIC_TURNS: Semaphore = Semaphore::const_new(4);
const ATOMIC_PATIENCE: Duration = Duration::from_secs(30);

/// The time limit for receiving an atomic batch.
const ATOMIC_TIMEOUT: Duration = Duration::from_secs(60);

/// Answers once all of the batch is stored, or none.
pub(super) async fn atomic(
    call: Call,
    upload: Upload,
    mut wishes: Wishes,
    tools: Tools,
) -> Result<HttpResponse, Problem> {
    let stream = streams::open(&tools.streams, &call.principal)?;
    let bounds = Bounds { records: ATOMIC_RECORDS + 1, bytes: ATOMIC_BYTES.max(tools.limit) };
    let reading = Reading::new(&upload, wishes.terms(&call, &tools, stream, false), bounds, Arc::default())?;
    let reading = read_whole(upload.payload, Box::new(reading));
    let read = tokio::time::timeout(ATOMIC_TIMEOUT, reading).await.unwrap_or_else(|_| {
        let seconds = ATOMIC_TIMEOUT.as_secs();
        let detail = format!("An atomic batch has to arrive within {seconds} seconds.");
        Err(Problem::new(ProblemKind::RequestTimeout).detail(detail))
    });
    let Chunk { places, prepared, room: _until_stored, .. } = read?;
    let turn = tokio::time::timeout(ATOMIC_PATIENCE, ATOMIC_TURNS.acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        return Err(Problem::unavailable("Too many atomic batches are being stored.", Duration::from_secs(5)));
    };
    let mut report = Report::new(wishes.shown, wishes.form);
    // While the body arrived the caller may have lost what opened the door.
    let principal = call.recognised().await?;
    match tools.service.store_all_or_none(&principal, &wishes.options.origin, prepared).await? {
        Ok(receipts) => {
            tools.engine.accepted(&receipts);
            places.into_iter().zip(receipts).for_each(|(place, receipt)| report.stored(place, receipt));
            let results = stream::iter([Ok::<_, PutError>(report.finish(None).into())]);
            Ok(Conclusion::of_success(StatusCode::CREATED).answer(wishes.form, results))
        }
        Err(against_each) => {
            let count = places.len();
            let refused = places.into_iter().zip(against_each).filter_map(|(place, error)| Some((place, error?)));
            let lines: Vec<BatchLine> =
                refused.map(|(place, error)| against(place, error)).collect::<Result<_, _>>()?;
            let detail = format!("{} of {count} records are refused, so that none is stored.", lines.len());
            // Those that are left cost less than a request; the answer is the refusal, whatever the limits say.
            let _ = tools.limits.charge_refused(&principal, &mut (lines.len() as u64));
            let lines = serde_json::to_value(lines).map_err(|error| Problem::internal(&error.into()))?;
            Err(Problem::new(ProblemKind::BatchRefused).detail(detail).member("records", lines).recorded())
        }
    }
}

async fn read_whole(mut payload: Payload, mut reading: Box<Reading>) -> Result<Chunk, Problem> {
    loop {
        let piece = Piece::receive(&mut payload).await?;
        let is_end = matches!(piece, Piece::End);
        let (read, result) = reading.read(piece).await?;
        reading = read;
        result?;
        if reading.is_full() {
            let detail = format!("An atomic batch has at most {ATOMIC_RECORDS} records and {ATOMIC_BYTES} bytes.");
            return Err(Problem::new(ProblemKind::TooLarge).detail(detail).member("limit_records", ATOMIC_RECORDS));
        }
        if is_end {
            return Ok(reading.take());
        }
    }
}
