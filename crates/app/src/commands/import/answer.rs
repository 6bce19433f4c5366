//! The answers of a server to a batch and to a validation.

use anyhow::{Context, bail};
use mass_domain::validation::{Violation, Warning};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::fault::Fault;
use super::outcome::ImportOutcome;
use crate::commands::remote::{PassingFailure, Problem};
use crate::terminal::in_one_line;

/// The result of sending a batch once.
pub(super) struct BatchAnswer {
    /// The outcomes in the order of the records; `None` for a record that has none yet.
    pub(super) results: Vec<Option<ImportOutcome>>,
    /// The end of the attempt.
    pub(super) end: End,
}

/// The end of an attempt.
#[derive(Debug)]
pub(super) enum End {
    /// The whole batch was read.
    Complete,
    /// The body is too large for the server or a proxy before it.
    TooLarge,
    /// A failure that may pass.
    Failed(PassingFailure),
}

/// A line of the answer to a batch: about one record, or the last line.
#[derive(Deserialize)]
struct ResultLine {
    outcome: Option<String>,
    #[serde(default)]
    violations: Vec<Violation>,
    #[serde(default)]
    warnings: Vec<Warning>,
    totals: Option<IgnoredAny>,
    error: Option<Problem>,
}

/// Converts the refusal of one document. A problem with the caller is an error.
pub(super) fn refusal(problem: Problem) -> anyhow::Result<ImportOutcome> {
    let code = match problem.kind.rsplit('/').next() {
        Some("foreign-tenant") => "foreign_tenant",
        Some("malformed-json") => "syntax",
        _ => return Err(problem.into_error()),
    };
    let detail = if problem.detail.is_empty() { problem.title } else { problem.detail };
    Ok(ImportOutcome::Refused(vec![Fault::of_record(code, detail)]))
}

/// The verdict on a document.
#[derive(Deserialize)]
pub(super) struct Verdict {
    valid: bool,
    #[serde(default)]
    violations: Vec<Violation>,
    #[serde(default)]
    warnings: Vec<Warning>,
}

impl Verdict {
    /// Converts the verdict to the outcome of a dry run.
    pub(super) fn into_outcome(self) -> ImportOutcome {
        let Self { valid, violations, warnings } = self;
        if valid { ImportOutcome::Accepted(warnings) } else { refused(violations) }
    }
}

fn refused(violations: Vec<Violation>) -> ImportOutcome {
    ImportOutcome::Refused(violations.into_iter().map(Fault::from).collect())
}

/// Reads the answer to a batch. If the connection breaks, the whole lines before count.
pub(super) async fn read(mut response: Response) -> anyhow::Result<BatchAnswer> {
    let mut text = Vec::new();
    let broken = loop {
        match response.chunk().await {
            Ok(Some(piece)) => text.extend_from_slice(&piece),
            Ok(None) => break None,
            Err(error) => {
                break Some(anyhow::Error::from(error.without_url()).context("the server's answer broke off"));
            }
        }
    };
    if broken.is_some() {
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        text.truncate(whole);
    }
    let (results, end) = results(&String::from_utf8(text).context("the server's answer")?)?;
    let end = match (end, broken) {
        (Some(end), _) => end,
        (None, Some(error)) => End::Failed(PassingFailure { failure: in_one_line(&error), after: None }),
        (None, None) => bail!("the server's answer ends without its last line"),
    };
    Ok(BatchAnswer { results, end })
}

type Results = Vec<Option<ImportOutcome>>;

/// Parses the answer to a batch, up to its last line. Temporary failures of the server are retried; failures of the whole
/// import, such as a used-up quota, are errors.
fn results(answer: &str) -> anyhow::Result<(Results, Option<End>)> {
    let mut results = Vec::new();
    for line in answer.lines() {
        let ResultLine { outcome, violations, warnings, totals, error } =
            serde_json::from_str(line).context("the server's answer")?;
        match (outcome, totals, error) {
            (Some(outcome), _, _) => results.push(outcome_of(&outcome, violations, warnings)?),
            (None, Some(_), None) => return Ok((results, Some(End::Complete))),
            (None, Some(_), Some(problem)) if may_pass(problem.status) => {
                let failure = format!("the server answered {}: {}", problem.status, problem.title);
                return Ok((results, Some(End::Failed(PassingFailure { failure, after: None }))));
            }
            (None, _, Some(problem)) => return Err(problem.into_error()),
            (None, None, None) => {
                bail!("the server's answer: expected an outcome, totals or an error, found a line without any")
            }
        }
    }
    Ok((results, None))
}

/// Returns true if a batch that ended with this status may go on later.
fn may_pass(status: u16) -> bool {
    [StatusCode::SERVICE_UNAVAILABLE, StatusCode::REQUEST_TIMEOUT].iter().any(|passing| *passing == status)
}

/// Converts the outcome of a record; `None` if it is not known yet.
fn outcome_of(
    outcome: &str,
    violations: Vec<Violation>,
    warnings: Vec<Warning>,
) -> anyhow::Result<Option<ImportOutcome>> {
    Ok(Some(match outcome {
        "accepted" => ImportOutcome::Accepted(warnings),
        "correction" => ImportOutcome::Correction(warnings),
        "duplicate" => ImportOutcome::Duplicate(warnings),
        "rejected" | "conflict" => refused(violations),
        "unprocessed" => return Ok(None),
        other => bail!("the server's answer: unknown outcome {other:?}"),
    }))
}
