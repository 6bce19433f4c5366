//! The shapes of reports.

use mass_domain::page::Page;
use mass_domain::savings::ReportFailureCode;
use mass_savings_service::{self as service, StoredReport};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::plans::SavingsAsOf;
use crate::http::actor::ActorModel;
use crate::http::problem::Problem;

fn queued_example() -> Value {
    json!({
        "id": "0199d3a0-0000-7000-8000-000000000002", "project_id": "0199d3a0-0000-7000-8000-000000000001",
        "project_version": 3, "state": "queued", "requested_at": "2026-11-24T18:00:00.123456Z",
        "requested_by": {"kind": "user", "id": "0199d3a0-0000-7000-8000-000000000003"},
        "finished_at": null, "failure": null, "failure_code": null, "as_of": null,
    })
}

fn done_example() -> Value {
    let mut report = queued_example();
    report["state"] = json!("done");
    report["finished_at"] = json!("2026-11-24T18:00:05.654321Z");
    let root = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
    report["as_of"] = json!({"sequence": 1812, "root": root});
    report["document"] = json!({"format": "mass-savings-report/1", "verdict": {"standing": "claimed"}});
    report["note"] = json!("mass savings report\nsha256:9f86d081…\n\n— mass.local 1Q8N…\n");
    report
}

/// A report without its document.
#[derive(Serialize, JsonSchema)]
#[schemars(example = queued_example())]
pub struct SavingsReportSummary {
    /// Its id.
    #[schemars(extend("format" = "uuid"))]
    id: String,
    /// The project.
    #[schemars(extend("format" = "uuid"))]
    project_id: String,
    /// The version of the project that it is about.
    project_version: u32,
    /// `queued`, `computing`, `done` or `failed`.
    #[schemars(extend("enum" = ["queued", "computing", "done", "failed"]))]
    state: &'static str,
    /// When it was asked for.
    #[schemars(extend("format" = "date-time"))]
    requested_at: String,
    /// The actor who asked for it.
    requested_by: ActorModel,
    /// When it was done or failed.
    #[schemars(extend("format" = "date-time"))]
    finished_at: Option<String>,
    /// Why it failed.
    failure: Option<String>,
    /// The code of that reason, for programs; null also for reports that failed before there were codes.
    #[schemars(extend("enum" = failures()))]
    failure_code: Option<&'static str>,
    /// The events that its hours follow from, once it is done.
    as_of: Option<SavingsAsOf>,
}

fn failures() -> Vec<Value> {
    ReportFailureCode::ALL.iter().map(|code| json!(code.as_str())).chain([Value::Null]).collect()
}

impl From<service::ReportSummary> for SavingsReportSummary {
    fn from(report: service::ReportSummary) -> Self {
        let (code, failure) = report.failure.map(|failure| (failure.code, failure.detail)).unzip();
        Self {
            id: report.id.to_string(),
            project_id: report.project_id.to_string(),
            project_version: report.project_version,
            state: report.state.as_str(),
            requested_at: report.requested_at.to_string(),
            requested_by: report.requested_by.into(),
            finished_at: report.finished_at.map(|at| at.to_string()),
            failure,
            failure_code: code.flatten().map(ReportFailureCode::as_str),
            as_of: report.as_of.map(Into::into),
        }
    }
}

/// A page of reports.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"items": [queued_example()], "next_cursor": null}))]
pub struct SavingsReportPage {
    /// The reports.
    items: Vec<SavingsReportSummary>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<String>,
}

impl From<Page<service::ReportSummary>> for SavingsReportPage {
    fn from(page: Page<service::ReportSummary>) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), next_cursor: page.next_cursor }
    }
}

/// A report.
#[derive(Serialize, JsonSchema)]
#[schemars(example = done_example())]
pub struct SavingsReport {
    /// All but its document.
    #[serde(flatten)]
    summary: SavingsReportSummary,
    /// The document, once it is done. Its canonical form (RFC 8785) is what is signed; docs/savings.md explains its members.
    #[schemars(with = "Option<Map<String, Value>>")]
    document: Option<Box<RawValue>>,
    /// The signed note (C2SP signed-note) that states the fingerprint of the document.
    note: Option<String>,
}

impl SavingsReport {
    /// Builds the answer.
    ///
    /// # Errors
    /// A [`Problem`] if the stored document is not JSON, which is a fault of the server.
    pub fn new(report: StoredReport) -> Result<Self, Problem> {
        let summary = report.summary.into();
        let Some(signed) = report.signed else { return Ok(Self { summary, document: None, note: None }) };
        let document = RawValue::from_string(signed.document).map_err(anyhow::Error::from)?;
        Ok(Self { summary, document: Some(document), note: Some(signed.note) })
    }
}
