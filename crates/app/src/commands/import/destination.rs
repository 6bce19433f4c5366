//! Where records go: the local database, or a server.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use futures_util::future::try_join_all;
use mass_domain::access::Principal;
use mass_domain::canonical;
use mass_domain::contracts::{self, Facts};
use mass_domain::json::SyntaxError;
use mass_domain::mass_request::{IdempotencyKey, Outcome};
use mass_domain::time::Clock;
use mass_domain::trace::Origin;
use mass_domain::validation::Violation;
use mass_service::{AcceptError, DocumentError, OnConflict, Options, Receipt, Record, Refusal, SentKey};
use reqwest::{Client, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Arguments;
use super::rejected::Fault;
use super::source::{Row, Written};
use crate::commands::tell_founded;
use crate::config::Settings;
use crate::http::context::new_request_id;
use crate::startup::{Application, SystemClock};

/// How many requests to a server are under way at once.
const AT_ONCE: usize = 8;

/// How long to wait when a busy server does not say.
const PATIENCE: Duration = Duration::from_secs(1);

/// What became of a record.
pub(super) enum Taken {
    /// Stored.
    Accepted,
    /// Stored as a correction.
    Correction,
    /// Not stored: it is there already.
    Duplicate,
    /// Refused, for these reasons.
    Refused(Vec<Fault>),
}

/// Where records go.
pub(super) enum Destination {
    Local { application: Box<Application>, principal: Principal, options: Options },
    Server { client: Client, endpoint: Url, token: SecretString },
}

impl Destination {
    /// Opens the local database, or prepares to call the server.
    pub(super) async fn new(settings: &Settings, arguments: &Arguments) -> anyhow::Result<Self> {
        let on_conflict: OnConflict = arguments.on_conflict.into();
        if let (Some(url), Some(token)) = (&arguments.url, &arguments.token) {
            let mut endpoint = Url::parse(url).and_then(|url| url.join("/v1/mass-requests")).context("--url")?;
            if on_conflict == OnConflict::Correct {
                endpoint.set_query(Some("on_conflict=correct"));
            }
            let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
            return Ok(Self::Server { client, endpoint, token: token.clone() });
        }
        let application = Box::new(Application::build(settings).await?);
        tell_founded(application.founded.as_ref());
        let tenant = arguments.tenant.clone().unwrap_or_else(|| settings.first.tenant.clone());
        let origin = Origin { request_id: new_request_id(), trace: None, address: None };
        let options = Options { on_conflict, origin };
        Ok(Self::Local { application, principal: Principal::system(tenant), options })
    }

    /// Hands over records; one result per record, in order.
    pub(super) async fn take(&self, rows: &[Row]) -> anyhow::Result<Vec<Taken>> {
        match self {
            Self::Local { application, principal, options } => store(application, principal, options, rows).await,
            Self::Server { client, endpoint, token } => send_all(client, endpoint, token, rows).await,
        }
    }
}

async fn store(
    application: &Application,
    principal: &Principal,
    options: &Options,
    rows: &[Row],
) -> anyhow::Result<Vec<Taken>> {
    let records = rows.iter().map(record).collect();
    let results = application.services.mass.accept_all(principal, records, options).await?;
    let taken = |(row, result)| match result {
        Ok(receipt) => Ok(taken(&receipt)),
        Err(error) => Ok(Taken::Refused(faults(row, error)?)),
    };
    rows.iter().zip(results).map(taken).collect()
}

/// The record of a row: also of one that is no document, so that its refusal is recorded.
fn record(row: &Row) -> Record {
    match &row.document {
        Ok(document) => Record::new(document.clone(), row.bytes, key_of(row).map_or(SentKey::None, SentKey::Fallback)),
        Err(error) => Record::unreadable(&row.text(), error.clone()),
    }
}

/// A key for a record that has no natural one; the natural key of the others does the same for every file.
fn key_of(row: &Row) -> Option<IdempotencyKey> {
    let document = row.document.as_ref().ok()?;
    let natural = contracts::recognise(document).is_some_and(|contract| contract.has_natural_key());
    if natural { None } else { IdempotencyKey::parse(&row.key).ok() }
}

fn taken(receipt: &Receipt) -> Taken {
    match receipt.outcome {
        _ if receipt.replayed => Taken::Duplicate,
        Outcome::Accepted => Taken::Accepted,
        Outcome::Correction => Taken::Correction,
        Outcome::Duplicate => Taken::Duplicate,
    }
}

/// The reasons for which a record was refused; what concerns the whole import is an error.
fn faults(row: &Row, error: AcceptError) -> anyhow::Result<Vec<Fault>> {
    match error {
        AcceptError::Forbidden(error) => Err(error.into()),
        AcceptError::Store(error) => Err(error.into()),
        AcceptError::Document(DocumentError::Malformed(error)) => Ok(vec![unreadable(row, &error)]),
        AcceptError::Document(DocumentError::Invalid(refused)) => {
            Ok(refused.violations.into_iter().map(Fault::from).collect())
        }
        AcceptError::Document(error @ DocumentError::ForeignTenant) => {
            Ok(vec![Fault::of_record("foreign_tenant", error.to_string())])
        }
        AcceptError::Refused(Refusal::OverQuota(over)) => Err(over.into()),
        AcceptError::Refused(refusal) => Ok(vec![Fault::of_record("conflict", refusal.to_string())]),
    }
}

/// The reason for which a row is no document; where it stands in the file is told beside it.
fn unreadable(row: &Row, error: &SyntaxError) -> Fault {
    let detail = match row.written {
        Written::Cells(_) => error.detail.clone(),
        Written::Line(_) => error.to_string(),
    };
    Fault::of_record(error.code, detail)
}

impl From<Violation> for Fault {
    fn from(Violation { pointer, code, detail, .. }: Violation) -> Self {
        Self { pointer, code, detail }
    }
}

#[derive(Deserialize)]
struct Stored {
    outcome: String,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    violations: Vec<Violation>,
}

/// Sends records side by side, but those that tell of the same thing one after the other: it matters which is first.
async fn send_all(client: &Client, endpoint: &Url, token: &SecretString, rows: &[Row]) -> anyhow::Result<Vec<Taken>> {
    let mut lanes: [Vec<(usize, &Row)>; AT_ONCE] = Default::default();
    for (at, row) in rows.iter().enumerate() {
        lanes[lane(row)].push((at, row));
    }
    let lanes = lanes.iter().map(|lane| async move {
        let mut taken = Vec::new();
        for (at, row) in lane {
            taken.push((*at, send(client, endpoint, token, row).await?));
        }
        Ok::<_, anyhow::Error>(taken)
    });
    let mut taken: Vec<(usize, Taken)> = try_join_all(lanes).await?.into_iter().flatten().collect();
    taken.sort_by_key(|(at, _)| *at);
    Ok(taken.into_iter().map(|(_, taken)| taken).collect())
}

/// The lane of a record: the same for the same natural key.
fn lane(row: &Row) -> usize {
    let facts = Facts { now: SystemClock.now(), body_bytes: row.bytes };
    let examined = row.document.as_ref().ok().and_then(|document| contracts::examine(document, &facts).ok());
    let key = examined.and_then(|examined| examined.index.natural_key);
    let mut hasher = DefaultHasher::new();
    key.as_ref().unwrap_or(&row.key).hash(&mut hasher);
    usize::try_from(hasher.finish() % AT_ONCE as u64).unwrap_or_default()
}

async fn send(client: &Client, endpoint: &Url, token: &SecretString, row: &Row) -> anyhow::Result<Taken> {
    let document = match &row.document {
        Ok(document) => canonical::write_as_sent(document),
        Err(error) => return Ok(Taken::Refused(vec![unreadable(row, error)])),
    };
    loop {
        let mut request = client.post(endpoint.clone()).bearer_auth(token.expose_secret());
        request = request.header("Content-Type", "application/json").body(document.clone());
        if let Some(key) = key_of(row) {
            request = request.header("Idempotency-Key", key.as_str());
        }
        let response = request.send().await.context("the server cannot be reached")?;
        match response.status() {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE if !is_over_for_today(&response) => {
                tokio::time::sleep(retry_after(&response).unwrap_or(PATIENCE)).await;
            }
            status => return answer(status, response).await,
        }
    }
}

/// A used-up quota says until which date it is used up; that is not waited for.
fn is_over_for_today(response: &Response) -> bool {
    response.headers().contains_key("Retry-After") && retry_after(response).is_none()
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get("Retry-After")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

async fn answer(status: StatusCode, response: Response) -> anyhow::Result<Taken> {
    if status.is_success() {
        let replayed = response.headers().contains_key("Idempotent-Replayed");
        let stored: Stored = response.json().await.context("the server's answer")?;
        return match stored.outcome.parse() {
            Ok(_) if replayed => Ok(Taken::Duplicate),
            Ok(Outcome::Accepted) => Ok(Taken::Accepted),
            Ok(Outcome::Correction) => Ok(Taken::Correction),
            Ok(Outcome::Duplicate) => Ok(Taken::Duplicate),
            Err(error) => Err(anyhow!("the server's answer: {error}")),
        };
    }
    let problem: Problem = response.json().await.with_context(|| format!("the server answered {status}"))?;
    // What concerns the caller or the server would refuse every record; the rest concerns this one alone.
    match problem.kind.as_str() {
        "/problems/contract-violation" => Ok(Taken::Refused(problem.violations.into_iter().map(Fault::from).collect())),
        "/problems/malformed-json"
        | "/problems/too-large"
        | "/problems/conflict"
        | "/problems/foreign-tenant"
        | "/problems/idempotency-key-reused"
        | "/problems/gone" => {
            let code = problem.kind.trim_start_matches("/problems/").replace('-', "_");
            let detail = if problem.detail.is_empty() { problem.title } else { problem.detail };
            Ok(Taken::Refused(vec![Fault::of_record(&code, detail)]))
        }
        _ => bail!("the server answered {status}: {}. {}", problem.title, problem.detail),
    }
}
