//! Import into a server, in batches.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use mass_domain::canonical;
use mass_domain::validation::{Violation, Warning};
use mass_service::OnConflict;
use reqwest::{Client, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::outcome::{ImportOutcome, unreadable};
use super::rejected::Fault;
use super::source::Row;

/// The number of records per batch. It must not change: the records' idempotency keys depend on it, so that another
/// number would import files again, except for records with a natural key.
pub(super) const BATCH: usize = 5000;

/// The path of the batch operation, below the server's address.
const BATCHES: &str = "/v1/mass-requests/batch";

/// The wait before a retry if a busy server states none.
const PATIENCE: Duration = Duration::from_secs(1);

/// The client of a server's batch operation.
pub(super) struct Server {
    client: Client,
    endpoint: Url,
    token: SecretString,
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
    error: Option<ProblemBody>,
}

#[derive(Deserialize)]
struct ProblemBody {
    title: String,
    status: u16,
    #[serde(default)]
    detail: String,
}

/// The result of sending a batch.
enum BatchAnswer {
    /// The server is busy; retry after this time.
    Busy(Duration),
    /// The outcomes so far, in the order of the records, and whether the answer is complete.
    Results { results: Vec<Option<ImportOutcome>>, complete: bool },
}

impl Server {
    /// Creates the client of a server.
    pub(super) fn new(url: &str, token: &SecretString, on_conflict: OnConflict) -> anyhow::Result<Self> {
        let mut endpoint = endpoint(url)?;
        if on_conflict == OnConflict::Correct {
            endpoint.set_query(Some("on_conflict=correct"));
        }
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { client, endpoint, token: token.clone() })
    }

    /// Sends records until each has an outcome; returns them in order.
    pub(super) async fn send(&self, rows: &[Row]) -> anyhow::Result<Vec<ImportOutcome>> {
        let mut outcomes: Vec<Option<ImportOutcome>> = Vec::with_capacity(rows.len());
        let (mut body, mut sent) = (Vec::new(), Vec::new());
        for (at, row) in rows.iter().enumerate() {
            outcomes.push(match &row.document {
                Ok(document) => {
                    body.extend_from_slice(canonical::write_as_sent(document).as_bytes());
                    body.push(b'\n');
                    sent.push(at);
                    None
                }
                Err(error) => Some(ImportOutcome::Refused(vec![unreadable(error)])),
            });
        }
        while outcomes.iter().any(Option::is_none) {
            let key = rows.first().map_or("", |row| row.key.as_str());
            match self.attempt(key, body.clone()).await? {
                BatchAnswer::Busy(patience) => tokio::time::sleep(patience).await,
                BatchAnswer::Results { results, complete } => {
                    for (at, result) in sent.iter().zip(results) {
                        // A record that an earlier attempt stored is a duplicate for a later one.
                        if let Some(place) = outcomes.get_mut(*at).filter(|place| place.is_none()) {
                            *place = result;
                        }
                    }
                    if !complete {
                        tokio::time::sleep(PATIENCE).await;
                    } else if outcomes.iter().any(Option::is_none) {
                        bail!("the server's answer lacks records");
                    }
                }
            }
        }
        Ok(outcomes.into_iter().flatten().collect())
    }

    async fn attempt(&self, key: &str, body: Vec<u8>) -> anyhow::Result<BatchAnswer> {
        let request = self.client.post(self.endpoint.clone()).bearer_auth(self.token.expose_secret());
        let request = request.header("Content-Type", "application/x-ndjson").header("Idempotency-Key", key);
        let response = request.body(body).send().await.context("the server cannot be reached")?;
        match response.status() {
            StatusCode::OK => results(&response.text().await.context("the server's answer broke off")?),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Ok(BatchAnswer::Busy(retry_after(&response).unwrap_or(PATIENCE)))
            }
            status if status.is_redirection() => Err(redirected(&response)),
            status => {
                let problem: Result<ProblemBody, _> = response.json().await;
                Err(refusal(&problem.with_context(|| format!("the server answered {status}"))?))
            }
        }
    }
}

/// Returns the URL of the batch operation: below the server's address, which may have a path.
fn endpoint(url: &str) -> anyhow::Result<Url> {
    let mut endpoint = Url::parse(url).context("--url")?;
    if !matches!(endpoint.scheme(), "http" | "https") || endpoint.query().is_some() || endpoint.fragment().is_some() {
        bail!("--url: expected http:// or https:// with a host and at most a path, such as https://mass.example/mass");
    }
    if !endpoint.username().is_empty() || endpoint.password().is_some() {
        bail!("--url: expected a URL without a user name and a password; MASS_TOKEN is for the credential");
    }
    let path = format!("{}{BATCHES}", endpoint.path().trim_end_matches('/'));
    endpoint.set_path(&path);
    Ok(endpoint)
}

/// Builds the error of a redirect. Redirects are not followed, because the token is for the named server only.
fn redirected(response: &Response) -> anyhow::Error {
    let target = response.headers().get("Location").and_then(|value| value.to_str().ok());
    let target = target.and_then(|target| response.url().join(target).ok()).filter(Url::has_host);
    let target = target.map_or_else(
        || "elsewhere".to_owned(),
        |target| format!("to {}{}", target.origin().ascii_serialization(), target.path().trim_end_matches(BATCHES)),
    );
    anyhow!(
        "the server answered {} and refers {target}, where the token was not sent; if that is the MASS server, give its \
         address to --url",
        response.status()
    )
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get("Retry-After")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn refusal(ProblemBody { title, status, detail }: &ProblemBody) -> anyhow::Error {
    anyhow!("the server answered {status}: {title}. {detail}")
}

/// Parses the answer to a batch. Temporary failures of the server are retried; failures of the whole import, such as a
/// used-up quota, are errors.
fn results(answer: &str) -> anyhow::Result<BatchAnswer> {
    let mut results = Vec::new();
    for line in answer.lines() {
        let ResultLine { outcome, violations, warnings, totals, error } =
            serde_json::from_str(line).context("the server's answer")?;
        match (outcome, totals, error) {
            (Some(outcome), _, _) => results.push(outcome_of(&outcome, violations, warnings)?),
            (None, Some(_), None) => return Ok(BatchAnswer::Results { results, complete: true }),
            (None, Some(_), Some(problem)) if problem.status == StatusCode::SERVICE_UNAVAILABLE => {
                return Ok(BatchAnswer::Results { results, complete: false });
            }
            (None, _, Some(problem)) => return Err(refusal(&problem)),
            (None, None, None) => {
                bail!("the server's answer: expected an outcome, totals or an error, found a line without any")
            }
        }
    }
    bail!("the server's answer ends without its last line")
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
        "rejected" | "conflict" => ImportOutcome::Refused(violations.into_iter().map(Fault::from).collect()),
        "unprocessed" => return Ok(None),
        other => bail!("the server's answer: unknown outcome {other:?}"),
    }))
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn batches_go_below_the_path_of_the_address() {
        for (url, expected) in [
            ("http://mass.example:8000", "http://mass.example:8000/v1/mass-requests/batch"),
            ("https://mass.example/mass", "https://mass.example/mass/v1/mass-requests/batch"),
            ("https://mass.example/a/mass/", "https://mass.example/a/mass/v1/mass-requests/batch"),
        ] {
            assert_eq!(endpoint(url).unwrap().as_str(), expected);
        }
        for url in [
            "mass.example",
            "ftp://mass.example",
            "https://mass.example/?a=b",
            "https://mass.example/#a",
            "https://ana:hunter2@mass.example",
            "https://hunter2@mass.example",
        ] {
            let told = format!("{:#}", endpoint(url).unwrap_err());
            assert!(told.contains("--url") && !told.contains("hunter2"), "{url}: {told}");
        }
    }
}
