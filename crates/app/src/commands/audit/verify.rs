//! `mass audit verify` and `mass audit verify-receipt`: verification of files, offline.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use mass_audit_service::export::{ExportReport, ExportVerifier, VerifyExportError, verify_export};
use mass_audit_service::receipt::{DocumentForm, Receipt, Verified, verify_document, verify_receipt};
use mass_domain::audit::Event;
use mass_domain::tenancy::TenantId;
use serde_json::{Value, json};

use super::{FOUND, GivenKey, bytes_bar, keys, read_checkpoint};
use crate::commands::print;
use crate::config::{AuditSettings, DatabaseSettings, StageSettings};

/// The arguments: the export or database, with the keys and checkpoints to verify it against.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The export; - for standard input.
    #[arg(required_unless_present = "live", conflicts_with = "live")]
    export: Option<PathBuf>,
    /// Verify the database instead of an export.
    #[arg(long)]
    pub(super) live: bool,
    /// With --live: only this tenant's log [default: every tenant's].
    #[arg(long, requires = "live", value_parser = TenantId::parse)]
    pub(super) tenant: Option<TenantId>,
    /// An earlier checkpoint, which the log must extend. May be given several times.
    #[arg(long = "checkpoint", value_name = "FILE")]
    pub(super) checkpoints: Vec<PathBuf>,
    /// The public key, or a file with it; with several, each signature must be by one of them.
    #[arg(long = "key", value_name = "KEY|FILE")]
    pub(super) keys: Vec<GivenKey>,
    /// Print the result as JSON.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) stage: StageSettings,
    #[command(flatten)]
    pub(super) database: DatabaseSettings,
    #[command(flatten)]
    pub(super) audit: AuditSettings,
}

/// The arguments: the receipt, with the key and the document to verify it against.
#[derive(Debug, Args)]
pub struct ReceiptArguments {
    /// The receipt, as GET /v1/mass-requests/{id}/receipt answered it.
    receipt: PathBuf,
    /// The public key, or a file with it.
    #[arg(long, value_name = "KEY|FILE")]
    key: GivenKey,
    /// The document that should match the receipt.
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Verifies an export.
pub(super) fn export(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let path = arguments.export.as_deref().unwrap_or(Path::new("-"));
    let mut verifier = ExportVerifier::new(keys(&arguments.keys));
    for path in &arguments.checkpoints {
        let note = read_checkpoint(path)?;
        verifier = verifier.with_earlier(&note).with_context(|| format!("the checkpoint {}", path.display()))?;
    }
    match verify_file(path, verifier) {
        Ok(report) => {
            print(&told(arguments.json, &report.to_string(), || summary(&report)))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(VerifyExportError::Found(finding)) => found(arguments.json, &finding.to_string()),
        Err(VerifyExportError::Unreadable(error)) => {
            Err(error).with_context(|| format!("the export {}", path.display()))
        }
    }
}

/// Verifies a file or standard input, with a progress bar.
pub(super) fn verify_file(path: &Path, verifier: ExportVerifier) -> Result<ExportReport, VerifyExportError> {
    let (source, bytes): (Box<dyn BufRead>, _) = if path == Path::new("-") {
        (Box::new(std::io::stdin().lock()), None)
    } else {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        (Box::new(BufReader::with_capacity(1 << 20, file)), Some(bytes))
    };
    let progress = bytes_bar(bytes);
    let result = verify_export(verifier, source, |bytes| progress.inc(bytes));
    progress.finish_and_clear();
    result
}

/// Verifies a receipt.
pub(super) fn receipt(arguments: &ReceiptArguments) -> anyhow::Result<ExitCode> {
    let file = |path: &Path| fs::read(path).with_context(|| format!("the file {}", path.display()));
    let receipt: Receipt = serde_json::from_slice(&file(&arguments.receipt)?).context("not a receipt")?;
    let document = arguments.document.as_deref().map(file).transpose()?;
    let verified = match verify_receipt(&receipt, &arguments.key.0) {
        Ok(verified) => verified,
        Err(error) => return found(arguments.json, &error.to_string()),
    };
    let form = match document.map(|document| verify_document(&verified, &document)).transpose() {
        Ok(form) => form,
        Err(error) => return found(arguments.json, &error.to_string()),
    };
    print(&told(arguments.json, &sentences(&receipt, &verified, form), || {
        json!({
            "request_id": receipt.request_id, "tenant": receipt.tenant_id, "fingerprint": receipt.fingerprint,
            "accepted_at": verified.event.event.at.to_string(), "sequence": verified.event.sequence,
            "log_size": verified.log_size, "document": form.map(document_form),
        })
    }))?;
    Ok(ExitCode::SUCCESS)
}

fn sentences(receipt: &Receipt, verified: &Verified, form: Option<DocumentForm>) -> String {
    let Event { sequence, event, .. } = &verified.event;
    let mut text = format!(
        "request {} of {} was accepted on {} with the document {}\nthat is event {sequence} of {} that were signed",
        receipt.request_id, receipt.tenant_id, event.at, receipt.fingerprint, verified.log_size,
    );
    if let Some(form) = form {
        text += &format!("\nthe document matches, as it was {}", document_form(form));
    }
    text
}

const fn document_form(form: DocumentForm) -> &'static str {
    match form {
        DocumentForm::Stored => "stored",
        DocumentForm::Sent => "sent",
    }
}

/// Reports a finding, and returns its exit status.
pub(in crate::commands) fn found(as_json: bool, finding: &str) -> anyhow::Result<ExitCode> {
    print(&if as_json {
        format!("{}\n", json!({"result": "found", "finding": finding}))
    } else {
        format!("FOUND: {finding}\n")
    })?;
    Ok(ExitCode::from(FOUND))
}

/// Formats the result of a verification that has found nothing.
pub(in crate::commands) fn told(as_json: bool, sentences: &str, summary: impl FnOnce() -> Value) -> String {
    if !as_json {
        return format!("{sentences}\n");
    }
    let mut object = summary();
    object["result"] = json!("good");
    format!("{object}\n")
}

fn summary(report: &ExportReport) -> Value {
    json!({
        "tenant": report.tenant.as_str(), "origin": report.origin, "after": report.after, "events": report.events,
        "last": report.last(), "root": report.root.to_string(), "checkpoints": report.checkpoints,
        "covered": report.covered, "signatures_checked": report.signatures_checked,
        "confirmed": report.confirmed, "not_comparable": report.not_comparable,
    })
}
