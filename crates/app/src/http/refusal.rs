//! The answer to a connection that there is no room for.

use std::time::Duration;

use actix_http::error::DispatchError;
use actix_web::ResponseError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::connections::Full;
use super::context::new_request_id;

/// The number of refused clients that get an answer at once; further ones are cut off.
static TOLD: Semaphore = Semaphore::const_new(64);

/// The time limit for sending a refusal.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most bytes of a refused client's request that are read: what is left unread would take the answer back.
const MOST_READ: usize = 64 * 1024;

/// Answers 503 without reading a request, and closes the connection.
pub(super) async fn refuse(mut stream: TcpStream, full: Full) -> DispatchError {
    let problem = full.problem();
    tracing::info!(limit = ?full, "a connection is refused");
    let Ok(_turn) = TOLD.try_acquire() else { return DispatchError::InternalError };
    let telling = async {
        let id = new_request_id();
        let body = serde_json::to_string(&problem.document("/", &id)).unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {}\r\nconnection: close\r\ncontent-type: application/problem+json\r\nretry-after: 5\r\n\
             x-request-id: {id}\r\ncontent-length: {}\r\n\r\n",
            problem.status_code(),
            body.len(),
        );
        stream.write_all((head + &body).as_bytes()).await?;
        stream.shutdown().await?;
        let (mut read, mut piece) = (0, [0; 4096]);
        while read < MOST_READ {
            match stream.read(&mut piece).await? {
                0 => break,
                length => read += length,
            }
        }
        Ok::<_, std::io::Error>(())
    };
    // A client that has gone away needs no answer.
    let _ = timeout(PATIENCE, telling).await;
    DispatchError::InternalError
}
