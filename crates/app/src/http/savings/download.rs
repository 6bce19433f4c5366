//! Reports as JSON, CSV and PDF.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use mass_savings_report::{Language, ReportDocument, csv, pdf};
use mass_savings_service::{SignedDocument, StoredReport};

use super::shapes::SavingsReport;
use crate::http::accept;
use crate::http::problem::{Problem, ProblemKind};
use crate::http::reply::Call;
use crate::http::streams::{self, Streams};

/// Answers with a report in the form that the client prefers. A report that is not done has no other form than JSON.
pub(super) async fn respond(
    call: &Call,
    streams: &web::Data<Streams>,
    report: StoredReport,
    language: Language,
) -> Result<HttpResponse, Problem> {
    let weight = |media_type| accept::media_type(call.headers(), media_type);
    let mut response = HttpResponse::Ok();
    response.insert_header((header::VARY, "Accept"));
    let (json, csv, pdf) = (weight("application/json"), weight("text/csv"), weight("application/pdf"));
    if json >= csv && json >= pdf {
        return Ok(response.json(SavingsReport::new(report)?));
    }
    let signed = report.signed.ok_or_else(|| {
        let detail = "The report is not done: ask for application/json to see its state.";
        Problem::new(ProblemKind::SavingsNotAllowed).detail(detail)
    })?;
    // A paper keeps a processor busy, and its fonts and figures some memory, until it is written.
    let open = streams::open(streams, &call.principal)?;
    let written = web::block(move || write(&signed, pdf > csv, language)).await.map_err(anyhow::Error::from)??;
    drop(open);
    let media_type = if pdf > csv { "application/pdf" } else { "text/csv; charset=utf-8" };
    Ok(response.content_type(media_type).body(written))
}

/// Writes a report as PDF, or else as CSV.
fn write(signed: &SignedDocument, as_pdf: bool, language: Language) -> anyhow::Result<Vec<u8>> {
    let document = ReportDocument::parse(&signed.document)?;
    if as_pdf { Ok(pdf(&document, Some(&signed.note), language)?) } else { Ok(csv(&document).into_bytes()) }
}
