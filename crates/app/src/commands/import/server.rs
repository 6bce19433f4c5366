//! Import into a server, in batches.

use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use mass_domain::canonical;
use mass_domain::json::Value;
use mass_domain::trace::RequestId;
use mass_service::{MappingSource, OnConflict};
use reqwest::{Client, Response, StatusCode, Url};
use secrecy::SecretString;

use super::answer::{self, BatchAnswer, End, Verdict};
use super::fault::Fault;
use super::outcome::ImportOutcome;
use super::source::Row;
use crate::commands::remote::{Problem, Retries, attempt, client, endpoint, error_of};
use crate::http::context::new_request_id;

/// The maximum number of records in a batch.
pub(super) const BATCH: usize = 2000;

/// The maximum size of a batch with several records in bytes, until a proxy refuses that much.
const BATCH_BYTES: usize = 4 << 20;

/// The path of the batch operation, below the server's address.
const BATCHES: &str = "/v1/mass-requests/batch";

/// The path of the operation that validates one document.
const VALIDATE: &str = "/v1/mass-requests/validate";

/// The number of documents that a dry run has validated at the same time.
const VALIDATIONS: usize = 8;

/// The client of a server's batch operation.
pub(in crate::commands) struct Server {
    client: Client,
    batches: Url,
    validate: Url,
    token: SecretString,
    /// The id of all batches, by which what they store is found again.
    call_id: RequestId,
    /// The time for retries while the server takes nothing; `None` for none.
    patience: Option<Duration>,
    progress: ProgressBar,
    /// The maximum size of a batch with several records in bytes.
    most_bytes: usize,
}

impl Server {
    /// Creates the client of a server.
    pub(in crate::commands) fn new(
        url: &str,
        token: SecretString,
        on_conflict: OnConflict,
        patience: Option<Duration>,
        progress: ProgressBar,
    ) -> anyhow::Result<Self> {
        let mut batches = endpoint(url, BATCHES)?;
        // What is refused stays here, in a file.
        batches.query_pairs_mut().append_pair("keyed", "true").append_pair("quarantine", "false");
        if on_conflict == OnConflict::Correct {
            batches.query_pairs_mut().append_pair("on_conflict", "correct");
        }
        let (client, call_id) = (client()?, new_request_id());
        batches.query_pairs_mut().append_pair("call_id", call_id.as_str());
        let validate = endpoint(url, VALIDATE)?;
        Ok(Self { client, batches, validate, token, call_id, patience, progress, most_bytes: BATCH_BYTES })
    }

    /// Names the mapping profile of the records, for the server's audit trail.
    pub(in crate::commands) fn name_mapping(&mut self, MappingSource { name, digest }: &MappingSource) {
        self.batches.query_pairs_mut().append_pair("mapped_by", &format!("{name}@{digest}"));
    }

    /// Returns the id of all batches.
    pub(super) const fn call_id(&self) -> &RequestId {
        &self.call_id
    }

    /// Sends records until each has an outcome; returns them in order.
    pub(in crate::commands) async fn send(&mut self, rows: &[Row]) -> anyhow::Result<Vec<ImportOutcome>> {
        let mut outcomes: Vec<Option<ImportOutcome>> = rows.iter().map(unread).collect();
        let line = |(at, row): (usize, &Row)| Some((at, line(row.document.as_ref().ok()?, row.key.as_deref())));
        let lines: Vec<(usize, String)> = rows.iter().enumerate().filter_map(line).collect();
        let mut rest = &lines[..];
        while !rest.is_empty() {
            let (part, after) = rest.split_at(self.batch_of(rest));
            let body: String = part.iter().map(|(_, line)| line.as_str()).collect();
            let results = match self.send_batch(&body, part.len()).await? {
                Some(results) => results,
                None if part.len() > 1 => {
                    self.most_bytes = body.len() / 2;
                    continue;
                }
                None => vec![too_large()],
            };
            for ((at, _), result) in part.iter().zip(results) {
                if let Some(place) = outcomes.get_mut(*at) {
                    *place = Some(result);
                }
            }
            rest = after;
        }
        Ok(outcomes.into_iter().flatten().collect())
    }

    /// Returns the number of lines that go into the next batch: at least one.
    fn batch_of(&self, lines: &[(usize, String)]) -> usize {
        let mut bytes = 0;
        let fits = |(_, line): &&(usize, String)| {
            bytes += line.len();
            bytes <= self.most_bytes
        };
        lines.iter().take_while(fits).count().max(1)
    }

    /// Sends a batch until each of its records has an outcome; `None` if the batch is too large for the way there.
    async fn send_batch(&self, body: &str, count: usize) -> anyhow::Result<Option<Vec<ImportOutcome>>> {
        let mut outcomes: Vec<Option<ImportOutcome>> = Vec::new();
        outcomes.resize_with(count, || None);
        let mut retries = Retries::new(self.patience, &self.progress);
        loop {
            let BatchAnswer { results, end } = self.attempt(body).await?;
            for (place, result) in outcomes.iter_mut().zip(results) {
                // A record that an earlier attempt stored is a duplicate for a later one.
                if place.is_none() && result.is_some() {
                    *place = result;
                    retries.restart();
                }
            }
            match end {
                End::TooLarge => return Ok(None),
                End::Complete if outcomes.iter().any(Option::is_none) => bail!("the server's answer lacks records"),
                End::Complete => return Ok(Some(outcomes.into_iter().flatten().collect())),
                End::Failed(_) if outcomes.iter().all(Option::is_some) => {
                    return Ok(Some(outcomes.into_iter().flatten().collect()));
                }
                End::Failed(failure) => retries.wait(failure).await?,
            }
        }
    }

    async fn attempt(&self, body: &str) -> anyhow::Result<BatchAnswer> {
        let request = self.client.post(self.batches.clone()).header("Content-Type", "application/x-ndjson");
        let response = match attempt(request.body(body.to_owned()), &self.token).await? {
            Ok(response) => response,
            Err(failure) => return Ok(BatchAnswer { results: Vec::new(), end: End::Failed(failure) }),
        };
        match response.status() {
            StatusCode::OK => answer::read(response).await,
            StatusCode::PAYLOAD_TOO_LARGE => Ok(BatchAnswer { results: Vec::new(), end: End::TooLarge }),
            _ => Err(error_of(response, BATCHES).await),
        }
    }

    /// Validates records on the server, which stores nothing.
    pub(in crate::commands) async fn validate(&self, rows: &[Row]) -> anyhow::Result<Vec<ImportOutcome>> {
        stream::iter(rows.iter().map(|row| self.validate_one(row))).buffered(VALIDATIONS).try_collect().await
    }

    async fn validate_one(&self, row: &Row) -> anyhow::Result<ImportOutcome> {
        let document = match &row.document {
            Ok(document) => canonical::write_as_sent(document),
            Err(unreadable) => return Ok(ImportOutcome::Refused(unreadable.faults.clone())),
        };
        let mut retries = Retries::new(self.patience, &self.progress);
        let response = loop {
            let request = self.client.post(self.validate.clone()).header("Content-Type", "application/json");
            match attempt(request.body(document.clone()), &self.token).await? {
                Ok(response) => break response,
                Err(failure) => retries.wait(failure).await?,
            }
        };
        match response.status() {
            StatusCode::OK => {}
            StatusCode::PAYLOAD_TOO_LARGE => return Ok(too_large()),
            _ => return error_of_one(response).await,
        }
        let verdict: Verdict = response.json().await.context("the server's verdict")?;
        Ok(verdict.into_outcome())
    }
}

/// Returns the outcome of a record that cannot be sent, because it is not a document.
fn unread(row: &Row) -> Option<ImportOutcome> {
    row.document.as_ref().err().map(|unreadable| ImportOutcome::Refused(unreadable.faults.clone()))
}

/// Writes a record with its idempotency key as a line of a batch.
fn line(document: &Value, key: Option<&str>) -> String {
    let document = canonical::write_as_sent(document);
    match key {
        Some(key) => format!("{{\"document\":{document},\"key\":\"{key}\"}}\n"),
        None => format!("{{\"document\":{document}}}\n"),
    }
}

/// Builds the outcome of a record that is too large for a server or a proxy before it, even alone.
fn too_large() -> ImportOutcome {
    let detail = "The server, or a proxy before it, answered 413: the record is too large.";
    ImportOutcome::Refused(vec![Fault::of_record("too_long", detail.to_owned())])
}

/// Converts the answer that refuses one document; an answer that refuses the caller is an error.
async fn error_of_one(response: Response) -> anyhow::Result<ImportOutcome> {
    let status = response.status();
    if status.is_redirection() || !matches!(status, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN) {
        return Err(error_of(response, VALIDATE).await);
    }
    let problem: Problem = response.json().await.with_context(|| format!("the server answered {status}"))?;
    answer::refusal(problem)
}
