//! Answers that are computed page by page: sent at once where they are short, and otherwise while they are computed.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::{self, Bytes};
use actix_web::{HttpResponse, HttpResponseBuilder};
use anyhow::anyhow;
use futures_util::{Stream, StreamExt, stream};
use mass_analytics_service::{AnswerStream, TooSlow};
use mass_domain::access::Permission;
use mass_domain::port::PortError;

use super::parameters::PARQUET;
use super::shapes::AnalyticsAsOf;
use crate::figures::{Form, Write};
use crate::http::problem::Problem;
use crate::http::reply::Call;
use crate::http::streams::{self, Room, Streams};

/// The header with the position of the projection.
pub(super) const AS_OF: &str = "Analytics-As-Of";

/// The rows and the bytes from which on an answer is sent while it is computed.
const PLAIN_ROWS: usize = 10_000;
const PLAIN_BYTES: usize = 2 << 20;

/// The memory that a streamed answer takes: the pages that are computed, written and sent.
const MEMORY: usize = 4 << 20;

/// The parts of an answer besides its pages.
pub(super) struct Answers {
    pub(super) call: Call,
    pub(super) streams: web::Data<Streams>,
    pub(super) as_of: AnalyticsAsOf,
    pub(super) media_type: &'static str,
}

/// Returns the media type of a form.
pub(super) const fn media_type(form: Form) -> &'static str {
    match form {
        Form::Json => "application/json",
        Form::Csv => "text/csv; charset=utf-8",
        Form::Parquet => PARQUET,
    }
}

/// An answer that is not complete yet.
struct Download<H, P, E> {
    call: Call,
    pages: AnswerStream<H, P, E>,
    writer: Box<dyn Write<P>>,
}

impl<H, P, E> Download<H, P, E>
where
    E: From<PortError> + From<TooSlow>,
    Problem: From<E>,
{
    /// Returns the next piece with the number of its rows, and whether it is the last one.
    async fn next(&mut self) -> Result<(Vec<u8>, usize, bool), Problem> {
        match self.pages.next().await? {
            Some(page) => {
                let (text, rows) = self.writer.page(page)?;
                Ok((text, rows, false))
            }
            None => Ok((self.writer.end()?, 0, true)),
        }
    }

    /// Returns the next piece, as long as the caller may read figures.
    async fn next_allowed(&mut self) -> Result<(Vec<u8>, bool), Problem> {
        self.call.require_still(Permission::AnalyticsRead).await?;
        let (text, _, is_last) = self.next().await?;
        Ok((text, is_last))
    }
}

/// Answers with pages: at once if they have few rows, else as a stream, which counts as one.
pub(super) async fn respond<H, P, E>(
    answers: Answers,
    pages: AnswerStream<H, P, E>,
    mut writer: Box<dyn Write<P>>,
) -> Result<HttpResponse, Problem>
where
    H: 'static,
    P: 'static,
    E: From<PortError> + From<TooSlow> + 'static,
    Problem: From<E>,
{
    let mut response = headers(&answers);
    let mut body = writer.begin()?;
    let Answers { call, streams, .. } = answers;
    let mut download = Download { call, pages, writer };
    let mut rows = 0;
    while rows <= PLAIN_ROWS && body.len() <= PLAIN_BYTES {
        let (text, more, is_last) = download.next().await?;
        body.extend(text);
        rows += more;
        if is_last {
            return Ok(response.body(body));
        }
    }
    let open = streams::open(&streams, &download.call.principal)?;
    let mut room = Room::new(Arc::clone(&open));
    room.fit(MEMORY)?;
    let begun = stream::once(std::future::ready(Ok(Bytes::from(body))));
    Ok(response.streaming(streams::holding(open, begun.chain(rest(download, room)))))
}

/// Returns the pieces that are left. An error ends the connection without the answer's end.
fn rest<H, P, E>(download: Download<H, P, E>, room: Room) -> impl Stream<Item = Result<Bytes, PortError>>
where
    E: From<PortError> + From<TooSlow>,
    Problem: From<E>,
{
    stream::try_unfold(Some((download, room)), |left| async {
        let Some((mut download, room)) = left else { return Ok(None) };
        match download.next_allowed().await {
            Ok((text, is_last)) => Ok(Some((text.into(), (!is_last).then_some((download, room))))),
            Err(problem) => {
                tracing::info!(%problem, "an answer with figures ended early");
                Err(PortError::Unexpected(anyhow!("an answer with figures ended early")))
            }
        }
    })
}

fn headers(Answers { as_of, media_type, .. }: &Answers) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.content_type(*media_type);
    response.insert_header((header::VARY, "Accept"));
    let AnalyticsAsOf { sequence, root, head, behind, stopped } = as_of;
    let stopped = stopped.as_ref().map(|stop| format!(", stopped={}", stop.sequence)).unwrap_or_default();
    let value = format!("sequence={sequence}, root=\"{root}\", head={head}, behind={behind}{stopped}");
    response.insert_header((AS_OF, value));
    response
}
