//! Sending records to a server, a batch of them at a time.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use mass_domain::canonical;
use mass_domain::validation::{Violation, Warning};
use mass_service::OnConflict;
use reqwest::{Client, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::rejected::Fault;
use super::source::Row;
use super::taken::{Taken, unreadable};

/// How many records go into one batch. Where a batch begins is part of the keys of its records: with another number, a file
/// that was imported before would be imported again, as far as its records have no natural key.
pub(super) const BATCH: usize = 5000;

/// Where a server takes batches, below its address.
const BATCHES: &str = "/v1/mass-requests/batch";

/// How long to wait when a busy server does not say.
const PATIENCE: Duration = Duration::from_secs(1);

/// A server that takes batches.
pub(super) struct Server {
    client: Client,
    endpoint: Url,
    token: SecretString,
}

/// A line of the answer to a batch: of a record, or the last one.
#[derive(Deserialize)]
struct Line {
    outcome: Option<String>,
    #[serde(default)]
    violations: Vec<Violation>,
    #[serde(default)]
    warnings: Vec<Warning>,
    totals: Option<IgnoredAny>,
    error: Option<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    title: String,
    status: u16,
    #[serde(default)]
    detail: String,
}

/// What came of sending a batch.
enum Answer {
    /// The server has no time for it.
    Busy(Duration),
    /// The results as far as they are known, and whether there are more to come.
    Results { results: Vec<Option<Taken>>, complete: bool },
}

impl Server {
    /// Prepares to call a server.
    pub(super) fn new(url: &str, token: &SecretString, on_conflict: OnConflict) -> anyhow::Result<Self> {
        let mut endpoint = endpoint(url)?;
        if on_conflict == OnConflict::Correct {
            endpoint.set_query(Some("on_conflict=correct"));
        }
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { client, endpoint, token: token.clone() })
    }

    /// Sends records until something has become of each; one result per record, in order.
    pub(super) async fn send(&self, rows: &[Row]) -> anyhow::Result<Vec<Taken>> {
        let mut taken: Vec<Option<Taken>> = Vec::with_capacity(rows.len());
        let (mut body, mut sent) = (Vec::new(), Vec::new());
        for (at, row) in rows.iter().enumerate() {
            taken.push(match &row.document {
                Ok(document) => {
                    body.extend_from_slice(canonical::write_as_sent(document).as_bytes());
                    body.push(b'\n');
                    sent.push(at);
                    None
                }
                Err(error) => Some(Taken::Refused(vec![unreadable(error)])),
            });
        }
        while taken.iter().any(Option::is_none) {
            let key = rows.first().map_or("", |row| row.key.as_str());
            match self.attempt(key, body.clone()).await? {
                Answer::Busy(patience) => tokio::time::sleep(patience).await,
                Answer::Results { results, complete } => {
                    for (at, result) in sent.iter().zip(results) {
                        // What was stored by an earlier attempt is a duplicate to a later one.
                        if let Some(place) = taken.get_mut(*at).filter(|place| place.is_none()) {
                            *place = result;
                        }
                    }
                    if !complete {
                        tokio::time::sleep(PATIENCE).await;
                    } else if taken.iter().any(Option::is_none) {
                        bail!("the server's answer has not every record");
                    }
                }
            }
        }
        Ok(taken.into_iter().flatten().collect())
    }

    async fn attempt(&self, key: &str, body: Vec<u8>) -> anyhow::Result<Answer> {
        let request = self.client.post(self.endpoint.clone()).bearer_auth(self.token.expose_secret());
        let request = request.header("Content-Type", "application/x-ndjson").header("Idempotency-Key", key);
        let response = request.body(body).send().await.context("the server cannot be reached")?;
        match response.status() {
            StatusCode::OK => results(&response.text().await.context("the server's answer broke off")?),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Ok(Answer::Busy(retry_after(&response).unwrap_or(PATIENCE)))
            }
            status if status.is_redirection() => Err(redirected(&response)),
            status => {
                let problem: Result<Problem, _> = response.json().await;
                Err(refusal(&problem.with_context(|| format!("the server answered {status}"))?))
            }
        }
    }
}

/// Returns where a server takes batches: below its address, which may have a path of its own.
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

/// Tells where a server refers to. It is not followed: the token is for the server that was named, and no other.
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

fn refusal(Problem { title, status, detail }: &Problem) -> anyhow::Error {
    anyhow!("the server answered {status}: {title}. {detail}")
}

/// Reads the answer to a batch. What lies with the server for a moment is tried again; what concerns the whole import, such
/// as a used-up quota, is an error.
fn results(answer: &str) -> anyhow::Result<Answer> {
    let mut results = Vec::new();
    for line in answer.lines() {
        let Line { outcome, violations, warnings, totals, error } =
            serde_json::from_str(line).context("the server's answer")?;
        match (outcome, totals, error) {
            (Some(outcome), _, _) => results.push(taken(&outcome, violations, warnings)?),
            (None, Some(_), None) => return Ok(Answer::Results { results, complete: true }),
            (None, Some(_), Some(problem)) if problem.status == StatusCode::SERVICE_UNAVAILABLE => {
                return Ok(Answer::Results { results, complete: false });
            }
            (None, _, Some(problem)) => return Err(refusal(&problem)),
            (None, None, None) => bail!("the server's answer: a line about nothing"),
        }
    }
    bail!("the server's answer has no end")
}

/// What became of a record; `None` if nothing has yet.
fn taken(outcome: &str, violations: Vec<Violation>, warnings: Vec<Warning>) -> anyhow::Result<Option<Taken>> {
    Ok(Some(match outcome {
        "accepted" => Taken::Accepted(warnings),
        "correction" => Taken::Correction(warnings),
        "duplicate" => Taken::Duplicate(warnings),
        "rejected" | "conflict" => Taken::Refused(violations.into_iter().map(Fault::from).collect()),
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
