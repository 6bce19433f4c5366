//! Import into a server, in batches.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use mass_domain::canonical;
use mass_domain::json::Value;
use mass_service::{MappingSource, OnConflict};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};

use super::answer::{self, BatchAnswer, End, Problem, TokenRefused, Verdict};
use super::fault::Fault;
use super::outcome::ImportOutcome;
use super::retry::Retries;
use super::source::Row;
use crate::commands::remote::{endpoint, retry_after};
use crate::terminal::in_one_line;

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

/// The maximum time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum time between two pieces of an answer. It is longer than a server takes to store a chunk.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// The client of a server's batch operation.
pub(super) struct Server {
    client: Client,
    batches: Url,
    validate: Url,
    token: SecretString,
    /// The time for retries while the server takes nothing.
    patience: Duration,
    progress: ProgressBar,
    /// The maximum size of a batch with several records in bytes.
    most_bytes: usize,
}

impl Server {
    /// Creates the client of a server.
    pub(super) fn new(
        url: &str,
        token: SecretString,
        on_conflict: OnConflict,
        patience: Duration,
        progress: ProgressBar,
    ) -> anyhow::Result<Self> {
        let mut batches = endpoint(url, BATCHES)?;
        batches.query_pairs_mut().append_pair("keyed", "true");
        if on_conflict == OnConflict::Correct {
            batches.query_pairs_mut().append_pair("on_conflict", "correct");
        }
        let validate = endpoint(url, VALIDATE)?;
        let client = Client::builder().redirect(reqwest::redirect::Policy::none());
        let client = client.connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build()?;
        Ok(Self { client, batches, validate, token, patience, progress, most_bytes: BATCH_BYTES })
    }

    /// Names the mapping profile of the records, for the server's audit trail.
    pub(super) fn name_mapping(&mut self, MappingSource { name, digest }: &MappingSource) {
        self.batches.query_pairs_mut().append_pair("mapped_by", &format!("{name}@{digest}"));
    }

    /// Sends records until each has an outcome; returns them in order.
    pub(super) async fn send(&mut self, rows: &[Row]) -> anyhow::Result<Vec<ImportOutcome>> {
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
                End::Failed { .. } if outcomes.iter().all(Option::is_some) => {
                    return Ok(Some(outcomes.into_iter().flatten().collect()));
                }
                End::Failed { failure, after } => retries.wait(&failure, after).await?,
            }
        }
    }

    async fn attempt(&self, body: &str) -> anyhow::Result<BatchAnswer> {
        let request = self.client.post(self.batches.clone()).header("Content-Type", "application/x-ndjson");
        let response = match self.call(request.body(body.to_owned())).await? {
            Ok(response) => response,
            Err(failed) => return Ok(BatchAnswer { results: Vec::new(), end: failed }),
        };
        match response.status() {
            StatusCode::OK => answer::read(response).await,
            _ => Err(error_of(response).await),
        }
    }

    /// Validates records on the server, which stores nothing.
    pub(super) async fn validate(&self, rows: &[Row]) -> anyhow::Result<Vec<ImportOutcome>> {
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
            match self.call(request.body(document.clone())).await? {
                Ok(response) => break response,
                Err(End::Failed { failure, after }) => retries.wait(&failure, after).await?,
                Err(End::TooLarge | End::Complete) => return Ok(too_large()),
            }
        };
        if response.status() != StatusCode::OK {
            return error_of_one(response).await;
        }
        let verdict: Verdict = response.json().await.context("the server's verdict")?;
        Ok(verdict.into_outcome())
    }

    /// Sends a request. Failures that may pass are returned as the end of the attempt.
    async fn call(&self, request: RequestBuilder) -> anyhow::Result<Result<Response, End>> {
        let response = match request.bearer_auth(self.token.expose_secret()).send().await {
            Ok(response) => response,
            Err(error) if error.is_builder() || error.is_redirect() => return Err(error.into()),
            Err(error) => {
                let error = anyhow::Error::from(error.without_url()).context("the server cannot be reached");
                return Ok(Err(End::Failed { failure: in_one_line(&error), after: None }));
            }
        };
        Ok(match response.status() {
            StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                let (status, after) = (response.status(), retry_after(&response));
                let problem: Option<Problem> = response.json().await.ok();
                let failure = problem.map_or_else(
                    || format!("the server answered {status}"),
                    |problem| problem.into_error().to_string(),
                );
                Err(End::Failed { failure, after })
            }
            StatusCode::PAYLOAD_TOO_LARGE => Err(End::TooLarge),
            _ => Ok(response),
        })
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

/// Builds the error of an answer that refuses a call.
async fn error_of(response: Response) -> anyhow::Error {
    let status = response.status();
    if status.is_redirection() {
        return redirected(&response);
    }
    let problem: Result<Problem, _> = response.json().await;
    match problem {
        Ok(problem) => problem.into_error(),
        Err(_) if status == StatusCode::UNAUTHORIZED => TokenRefused(status.to_string()).into(),
        Err(error) => anyhow::Error::from(error).context(format!("the server answered {status}")),
    }
}

/// Converts the answer that refuses one document; an answer that refuses the caller is an error.
async fn error_of_one(response: Response) -> anyhow::Result<ImportOutcome> {
    let status = response.status();
    if status.is_redirection() || !matches!(status, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN) {
        return Err(error_of(response).await);
    }
    let problem: Problem = response.json().await.with_context(|| format!("the server answered {status}"))?;
    problem.into_outcome()
}

/// Builds the error of a redirect. Redirects are not followed, because the token is for the named server only.
fn redirected(response: &Response) -> anyhow::Error {
    let target = response.headers().get("Location").and_then(|value| value.to_str().ok());
    let target = target.and_then(|target| response.url().join(target).ok()).filter(Url::has_host);
    let target = target.map_or_else(
        || "elsewhere".to_owned(),
        |target| {
            format!(
                "to {}{}",
                target.origin().ascii_serialization(),
                target.path().trim_end_matches(BATCHES).trim_end_matches(VALIDATE)
            )
        },
    );
    anyhow!(
        "the server answered {} and refers {target}, where the token was not sent; if that is the MASS server, give its \
         address to --url",
        response.status()
    )
}
