//! Exports: all requests that match a filter, with their documents, as lines or as rows.

mod coding;
mod shapes;

use std::sync::Arc;

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{self, Bytes};
use actix_web::{HttpResponse, Responder};
use anyhow::anyhow;
use futures_util::Stream;
use mass_domain::access::Permission;
use mass_domain::mass_request::{MassRequest, RequestFilter};
use mass_domain::port::PortError;
use mass_service::{Export, ExportError, ExportedRequest, MassService};

use self::coding::{Coding, Encoder};
use self::shapes::{MassRequestExportEnd, MassRequestExportLine, MassRequestExportTotals};
use super::accept;
use super::mass::{self, FILTERS};
use super::operations::{Access, Factor, Operation, Produces, model};
use super::problem::{Problem, ProblemDocument, ProblemKind, problem_from};
use super::query::{Query, wrong_parameter};
use super::reply::Call;
use super::streams::{self, Room, Streams};
use crate::exported::{self, CsvRows, ParquetRows};
use crate::pace::Pace;

/// The operations.
pub const OPERATIONS: &[Operation] = &[EXPORT];

/// The memory that an export takes besides its coding: the pages that are read, written and sent.
const MEMORY: usize = 1 << 20;

/// About as many bytes as a line has besides its document.
const LINE: usize = 1 << 10;

/// The memory that Parquet takes besides: a row group, as cells and as it is encoded.
const ROW_GROUP: usize = 24 << 20;

const PARQUET: &str = "application/vnd.apache.parquet";

const EXPORT: Operation = Operation {
    id: "exportMassRequests",
    summary: "Export MASS requests.",
    description: "All that the filters let through, with their documents, oldest first, up to the newest that is stored \
        when the export begins, however many they are. As lines (NDJSON): a request a line; **the last line has the totals, and an export without it is \
        cut**. As CSV, for which `contract` is needed: a row a document with the columns that a batch reads, or a row a \
        metric where the contract takes any metrics; an export that fails ends the connection. Compressed as \
        `Accept-Encoding` says: `zstd` or `gzip`. Builds with Parquet, such as the container image, also answer \
        `Accept: application/vnd.apache.parquet`, with the columns of the CSV.",
    tag: Some(mass::TAG),
    query: &FILTERS,
    produces: Produces::NdjsonOrCsv(model::<MassRequestExportLine>),
    answers: &[(200, "The requests.")],
    problems: &[ProblemKind::TooManyStreams],
    factor: Factor::Fresh,
    ..Operation::get("/v1/mass-requests/export", Access::Needs(Permission::MassRead), || web::to(export))
};

async fn export(
    call: Call,
    service: web::Data<MassService>,
    streams: web::Data<Streams>,
    pace: web::Data<Pace>,
    mut query: Query,
) -> Result<impl Responder, Problem> {
    let filter = mass::filter(&mut query);
    query.finish()?;
    let form = Form::wanted(call.headers(), &filter)?;
    let coding = form.coding(call.headers());
    let stream = streams::open(&streams, &call.principal)?;
    let mut room = Room::new(Arc::clone(&stream));
    room.fit(form.memory() + coding.memory())?;
    let export = service.export(&call.principal, filter).await?;
    let writer = Writer { form, encoder: Encoder::new(coding).map_err(anyhow::Error::from)?, requests: 0 };
    let download = Download::begin(call, export, writer, pace.into_inner(), room).await?;
    Ok(answer(coding, download))
}

problem_from! { ExportError: Forbidden, Store }

/// The form of an export.
enum Form {
    Lines,
    Rows(CsvRows),
    Parquet(Box<ParquetRows>),
}

impl Form {
    /// Returns the form that the client prefers.
    fn wanted(headers: &HeaderMap, filter: &RequestFilter) -> Result<Self, Problem> {
        let weight = |media_type| accept::media_type(headers, media_type);
        let (lines, csv) = (weight("application/x-ndjson"), weight("text/csv"));
        let parquet = if ParquetRows::IS_BUILT { weight(PARQUET) } else { 0.0 };
        if lines.max(csv).max(parquet) <= 0.0 {
            let detail = "This build of MASS does not write Parquet. The container image does; others are built with the \
                          feature parquet.";
            return Err(Problem::new(ProblemKind::NotAcceptable).detail(detail));
        }
        if lines >= csv && lines >= parquet {
            return Ok(Self::Lines);
        }
        let missing = || wrong_parameter("contract", "Rows have the columns of one contract: name it.".to_owned());
        let contract = filter.contract.ok_or_else(missing)?;
        Ok(if parquet > csv {
            Self::Parquet(Box::new(ParquetRows::new(contract)?))
        } else {
            Self::Rows(CsvRows::new(contract))
        })
    }

    /// Returns the coding of the answer. Parquet is compressed within.
    fn coding(&self, headers: &HeaderMap) -> Coding {
        match self {
            Self::Lines | Self::Rows(_) => Coding::wanted(headers),
            Self::Parquet(_) => Coding::Identity,
        }
    }

    const fn memory(&self) -> usize {
        match self {
            Self::Lines | Self::Rows(_) => MEMORY,
            Self::Parquet(_) => MEMORY + ROW_GROUP,
        }
    }
}

/// Writes requests in a form and a coding.
struct Writer {
    form: Form,
    encoder: Encoder,
    requests: u64,
}

impl Writer {
    fn begin(&mut self) -> anyhow::Result<Vec<u8>> {
        let header = match &self.form {
            Form::Lines | Form::Parquet(_) => Vec::new(),
            Form::Rows(rows) => rows.header()?,
        };
        Ok(self.encoder.push(header)?)
    }

    fn write(&mut self, requests: Vec<ExportedRequest>) -> anyhow::Result<Vec<u8>> {
        let documents: usize = requests.iter().map(|exported| exported.request.document.len()).sum();
        let mut text = Vec::with_capacity(documents + LINE * requests.len());
        for exported in requests {
            self.requests += 1;
            match &mut self.form {
                Form::Lines => exported::write_line(exported, &mut text)?,
                Form::Rows(rows) => {
                    let MassRequest { summary, document, .. } = exported.request;
                    let (id, created_at) = (summary.id.to_string(), summary.created_at.to_string());
                    text.append(&mut rows.rows(&id, &created_at, &document)?);
                }
                Form::Parquet(rows) => {
                    let MassRequest { summary, document, .. } = exported.request;
                    let (id, created_at) = (summary.id.to_string(), summary.created_at.to_string());
                    text.append(&mut rows.add(&id, &created_at, &document)?);
                }
            }
        }
        Ok(self.encoder.push(text)?)
    }

    /// Writes the end. Rows have none that could tell of a problem.
    fn end(self, error: Option<ProblemDocument>) -> anyhow::Result<Vec<u8>> {
        let end = match self.form {
            Form::Rows(_) | Form::Parquet(_) if error.is_some() => {
                return Err(anyhow!("an export of rows ended early"));
            }
            Form::Rows(_) => Vec::new(),
            Form::Parquet(mut rows) => rows.finish()?,
            Form::Lines => {
                let totals = MassRequestExportTotals { requests: self.requests };
                let line = MassRequestExportLine::End(MassRequestExportEnd { totals, error });
                let mut line = serde_json::to_vec(&line)?;
                line.push(b'\n');
                line
            }
        };
        Ok(self.encoder.finish(end)?)
    }
}

/// An export that is sent while it is read.
struct Download {
    call: Call,
    export: Export,
    writer: Writer,
    pace: Arc<Pace>,
    /// The pages that were read before the answer began.
    next: Option<Option<Vec<ExportedRequest>>>,
    has_begun: bool,
    _room: Room,
}

impl Download {
    /// Reads the first page, so that a failure until then is a problem of its own.
    async fn begin(
        call: Call,
        mut export: Export,
        writer: Writer,
        pace: Arc<Pace>,
        room: Room,
    ) -> Result<Self, Problem> {
        let next = Some(export.next().await?);
        Ok(Self { call, export, writer, pace, next, has_begun: false, _room: room })
    }

    /// Reads the next page, as long as the caller may read requests.
    async fn read(&mut self) -> Result<Option<Vec<ExportedRequest>>, Problem> {
        if let Some(first) = self.next.take() {
            return Ok(first);
        }
        self.call.require_still(Permission::MassRead).await?;
        Ok(self.export.next().await?)
    }

    /// Returns the next piece of the answer, and what is left to send.
    async fn step(mut self) -> Result<(Bytes, Option<Self>), PortError> {
        let stretch = self.pace.begin();
        let read = self.read().await;
        let Self { call, export, mut writer, pace, has_begun, _room, .. } = self;
        let error = read.as_ref().err().map(|problem| {
            tracing::info!(%problem, "an export ended early");
            problem.document(call.path(), &call.origin.request_id)
        });
        let page = read.unwrap_or_default();
        let written = web::block(move || -> anyhow::Result<(Vec<u8>, Option<Writer>)> {
            let mut piece = if has_begun { Vec::new() } else { writer.begin()? };
            match page {
                Some(requests) => {
                    piece.append(&mut writer.write(requests)?);
                    Ok((piece, Some(writer)))
                }
                None => {
                    piece.append(&mut writer.end(error)?);
                    Ok((piece, None))
                }
            }
        });
        let (piece, writer) = written.await.map_err(|error| PortError::Unexpected(error.into()))??;
        stretch.rest().await;
        let rest = writer.map(|writer| Self { call, export, writer, pace, next: None, has_begun: true, _room });
        Ok((piece.into(), rest))
    }
}

/// Returns the pieces of an answer. An error ends the connection without the answer's end.
fn pieces(download: Download) -> impl Stream<Item = Result<Bytes, PortError>> {
    futures_util::stream::try_unfold(Some(download), |download| async {
        match download {
            Some(download) => download.step().await.map(Some),
            None => Ok(None),
        }
    })
}

fn answer(coding: Coding, download: Download) -> HttpResponse {
    let tenant = download.call.principal.tenant();
    let (media_type, ending) = match download.writer.form {
        Form::Lines => ("application/x-ndjson", "ndjson"),
        Form::Rows(_) => ("text/csv; charset=utf-8", "csv"),
        Form::Parquet(_) => (PARQUET, "parquet"),
    };
    let name = format!("attachment; filename=\"mass-requests-{tenant}.{ending}\"");
    let mut response = HttpResponse::Ok();
    response.content_type(media_type);
    response.insert_header((header::CONTENT_DISPOSITION, name));
    response.insert_header((header::VARY, "Accept, Accept-Encoding"));
    if let Some(coding) = coding.name() {
        response.insert_header((header::CONTENT_ENCODING, coding));
    }
    response.streaming(pieces(download))
}
