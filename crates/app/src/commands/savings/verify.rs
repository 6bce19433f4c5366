//! `mass savings verify`.

mod documents;
mod trail;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mass_audit_service::export;
use mass_audit_service::signer::{OpenTextError, open_text};
use mass_domain::audit::note::NoteKey;
use mass_domain::canonical::Fingerprint;
use mass_domain::ids::MassRequestId;
use mass_savings_report::{VerifyError, check_statement, check_trail, recompute};
use mass_savings_service::{hours, hours_query, prices};
use serde_json::json;

use self::trail::ReportTrail;
use super::given::GivenReport;
use crate::commands::audit::{GivenKey, found, keys, told};
use crate::commands::print;
use crate::program::program;

/// The arguments: a report, and all that it follows from.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The report, as GET /v1/savings/reports/{id} answered it.
    report: PathBuf,
    /// The audit trail, as `mass audit export` wrote it. Archives of its beginning come first, in their order.
    #[arg(long = "export", required = true, value_name = "FILE")]
    exports: Vec<PathBuf>,
    /// The documents, as `mass export` wrote them. May be given several times.
    #[arg(long = "documents", required = true, value_name = "FILE")]
    documents: Vec<PathBuf>,
    /// The public key, or a file with it; with several, each signature must be by one of them.
    #[arg(long = "key", required = true, value_name = "KEY|FILE")]
    keys: Vec<GivenKey>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// The first contradiction between a report and what it follows from.
#[derive(Debug, thiserror::Error)]
enum Finding {
    #[error("the report is not signed")]
    NotSigned,
    #[error("the signature of the report cannot be verified: {0}")]
    Signature(#[from] OpenTextError),
    #[error(transparent)]
    Report(#[from] VerifyError),
    /// The document is not the signed one; the second part is what else is wrong with it.
    #[error("{0}; {1}")]
    Forged(VerifyError, Box<Finding>),
    #[error("the export {}: {source}", .export.display())]
    Export { export: PathBuf, source: export::Finding },
    #[error("the export {} {}", .export.display(), not_continued(*.after))]
    NotContinued { export: PathBuf, after: u64 },
    #[error(
        "the document of request {id} was changed: by event {event} of the trail its fingerprint is {expected}, and it has {found}"
    )]
    DocumentChanged { id: MassRequestId, event: i64, expected: Fingerprint, found: Fingerprint },
    #[error("{}: that of request {id}, which event {event} accepted", missing(*.count))]
    DocumentsMissing { count: usize, id: MassRequestId, event: i64 },
    /// Documents were erased after the report.
    #[error(
        "documents have been erased since the report ({count}; the first, of request {id}, by event {event}), so that it cannot be computed again: {source}"
    )]
    Erased { count: usize, id: MassRequestId, event: i64, source: VerifyError },
    #[error("event {event} of the trail records another document of this report, with the fingerprint {recorded}")]
    OtherRecorded { event: i64, recorded: Fingerprint },
}

fn missing(count: usize) -> String {
    match count {
        1 => "a document that the report follows from is missing".to_owned(),
        _ => format!("{count} documents that the report follows from are missing, first of all"),
    }
}

fn not_continued(after: u64) -> String {
    match after {
        0 => "does not begin with the first event: give the archives before it, too".to_owned(),
        _ => format!("does not go on where the one before it ends, after event {after}"),
    }
}

/// All that a verification has found to be in order.
struct Verified {
    key: String,
    tenant: String,
    origin: String,
    documents: usize,
    hours: usize,
    erased: usize,
    recorded: Option<i64>,
}

/// Verifies a report.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let given = GivenReport::read(&arguments.report)?;
    match verify(arguments, &given)? {
        Ok(verified) => {
            print(&told(arguments.json, &sentences(&given, &verified), || summary(&given, &verified)))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(finding) => {
            let other = (given.document.program != program().version).then(|| {
                format!(" (the report was computed by version {}, and this is another one)", given.document.program)
            });
            found(arguments.json, &format!("{finding}{}", other.unwrap_or_default()))
        }
    }
}

fn verify(arguments: &Arguments, given: &GivenReport) -> anyhow::Result<Result<Verified, Finding>> {
    let keys = keys(&arguments.keys);
    let Some(note) = &given.note else { return Ok(Err(Finding::NotSigned)) };
    let (key, stated) = match opened(note, &keys) {
        Ok(opened) => opened,
        Err(error) => return Ok(Err(error.into())),
    };
    let is_signed = check_statement(&given.text, &stated);
    let followed = follow(arguments, given, &keys, key)?;
    // A document that was changed after it was signed is told of by the change, too.
    Ok(match (is_signed, followed) {
        (Ok(()), followed) => followed,
        (Err(error), Ok(_)) => Err(error.into()),
        (Err(error), Err(finding)) => Err(Finding::Forged(error, Box::new(finding))),
    })
}

/// Opens a note by the key that has signed it.
fn opened<'a>(note: &str, keys: &'a [NoteKey]) -> Result<(&'a NoteKey, String), OpenTextError> {
    let mut opened = keys.iter().map(|key| open_text(note, key).map(|text| (key, text)));
    opened.find(|opened| *opened != Err(OpenTextError::NotSigned)).unwrap_or(Err(OpenTextError::NotSigned))
}

/// Computes the report again from the trail and the documents.
fn follow(
    arguments: &Arguments,
    given: &GivenReport,
    keys: &[NoteKey],
    key: &NoteKey,
) -> anyhow::Result<Result<Verified, Finding>> {
    let GivenReport { id, document, text, .. } = given;
    let project = &document.project;
    let mut trail = ReportTrail::new(document.as_of.sequence, project.id, *id);
    let log = match trail.read(&arguments.exports, keys)? {
        Ok(log) => log,
        Err(finding) => return Ok(Err(finding)),
    };
    if let Err(error) = check_trail(document, &trail) {
        return Ok(Err(error.into()));
    }
    let read = match documents::read(&arguments.documents, &trail.requests, hours_query(project)?)? {
        Ok(read) => read,
        Err(finding) => return Ok(Err(finding)),
    };
    let (hours, prices) = (hours(project.terms.boundary, &read.hours), prices(&read.hours));
    if let Err(source) = recompute(text, document, (&hours, &prices), &read.contracts) {
        return Ok(Err(match read.erased {
            Some((count, id, event)) => Finding::Erased { count, id, event, source },
            None => source.into(),
        }));
    }
    let other = trail.recorded.filter(|(_, recorded)| *recorded != Fingerprint::of(text));
    if let Some((event, recorded)) = other {
        return Ok(Err(Finding::OtherRecorded { event, recorded }));
    }
    Ok(Ok(Verified {
        key: key.to_string(),
        tenant: log.tenant.as_str().to_owned(),
        origin: log.origin,
        documents: read.count,
        hours: hours.len(),
        erased: read.erased.map_or(0, |(count, ..)| count),
        recorded: trail.recorded.map(|(event, _)| event),
    }))
}

fn sentences(given: &GivenReport, verified: &Verified) -> String {
    let GivenReport { document, text, .. } = given;
    let Verified { key, tenant, origin, documents, hours, erased, recorded } = verified;
    let (terms, version) = (&document.project.terms, document.project.version);
    let mut told = format!(
        "the report on \"{}\" (version {version}) is signed by {key}\n\
         it follows from the first {} events of {tenant} ({origin}), which have the root {}\n\
         {documents} documents are as they were accepted; {hours} hours follow from them\n\
         computed again, the report is the same to the byte: {}",
        terms.name,
        document.as_of.sequence,
        document.as_of.root,
        Fingerprint::of(text),
    );
    if let Some(event) = recorded {
        told += &format!("\nevent {event} of the trail records it");
    }
    if *erased > 0 {
        told += &format!("\n{erased} documents have been erased since; it does not follow from them");
    }
    told
}

fn summary(given: &GivenReport, verified: &Verified) -> serde_json::Value {
    let GivenReport { document, text, .. } = given;
    let Verified { key, tenant, origin, documents, hours, erased, recorded } = verified;
    json!({
        "project": document.project.id.to_string(), "version": document.project.version, "key": key, "tenant": tenant,
        "origin": origin, "events": document.as_of.sequence, "root": document.as_of.root, "documents": documents,
        "hours": hours, "erased": erased, "recorded": recorded, "fingerprint": Fingerprint::of(text).to_string(),
    })
}
