//! Calls of a server by a command: its address, attempts and their failures, and its problems.

mod retry;
mod token;

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

pub(super) use self::retry::Retries;
pub(super) use self::token::read_token;
use crate::retry_after::retry_after;
use crate::terminal::in_one_line;

/// The maximum time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum time between two pieces of an answer. It is longer than a server takes to store a chunk.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// Returns the URL of an operation: below the server's address, which may have a path.
///
/// # Errors
/// If the address is not one of a server, or contains a credential.
pub(super) fn endpoint(url: &str, operation: &str) -> anyhow::Result<Url> {
    let mut endpoint = Url::parse(url).context("--url")?;
    if !matches!(endpoint.scheme(), "http" | "https") || endpoint.query().is_some() || endpoint.fragment().is_some() {
        bail!("--url: expected http:// or https:// with a host and at most a path, such as https://mass.example/mass");
    }
    if !endpoint.username().is_empty() || endpoint.password().is_some() {
        bail!("--url: expected a URL without a user name and a password; MASS_TOKEN is for the credential");
    }
    let path = format!("{}{operation}", endpoint.path().trim_end_matches('/'));
    endpoint.set_path(&path);
    Ok(endpoint)
}

/// Builds the client for a server. Redirects are not followed, because the token is for the named server only.
pub(super) fn client() -> reqwest::Result<Client> {
    Client::builder().redirect(Policy::none()).connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build()
}

/// A failure that may pass.
#[derive(Debug, thiserror::Error)]
#[error("{failure}")]
pub(super) struct PassingFailure {
    /// A sentence for people, without a full stop.
    pub(super) failure: String,
    /// The pause before the next attempt, if the server states one.
    pub(super) after: Option<Duration>,
}

/// Sends a request once. Returns its answer or a failure that may pass.
///
/// # Errors
/// A failure that another attempt would meet again.
pub(super) async fn attempt(
    request: RequestBuilder,
    token: &SecretString,
) -> anyhow::Result<Result<Response, PassingFailure>> {
    let response = match request.bearer_auth(token.expose_secret()).send().await {
        Ok(response) => response,
        Err(error) if error.is_builder() || error.is_redirect() => return Err(error.into()),
        Err(error) => {
            let error = anyhow::Error::from(error.without_url()).context("the server cannot be reached");
            return Ok(Err(PassingFailure { failure: in_one_line(&error), after: None }));
        }
    };
    Ok(match response.status() {
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            let (status, after) = (response.status(), retry_after(response.headers()));
            let problem: Option<Problem> = response.json().await.ok();
            let failure = problem
                .map_or_else(|| format!("the server answered {status}"), |problem| problem.into_error().to_string());
            Err(PassingFailure { failure, after })
        }
        _ => Ok(response),
    })
}

/// Error for a token that the server does not accept, or no longer.
#[derive(Debug, thiserror::Error)]
#[error("the server answered {0}")]
pub(super) struct TokenRefused(String);

/// Error for a problem that concerns a whole call.
#[derive(Debug, thiserror::Error)]
#[error("the server answered {status}: {title}. {detail}")]
pub(super) struct ServerProblem {
    kind: String,
    title: String,
    status: u16,
    detail: String,
}

impl ServerProblem {
    /// Returns the last part of the problem's type.
    pub(super) fn kind(&self) -> &str {
        self.kind.rsplit('/').next().unwrap_or_default()
    }
}

/// A problem document (RFC 9457).
#[derive(Debug, Deserialize)]
pub(super) struct Problem {
    #[serde(default, rename = "type")]
    pub(super) kind: String,
    pub(super) title: String,
    pub(super) status: u16,
    #[serde(default)]
    pub(super) detail: String,
}

impl Problem {
    /// Converts a problem that concerns the whole command.
    pub(super) fn into_error(self) -> anyhow::Error {
        let Self { kind, title, status, detail } = self;
        if status == StatusCode::UNAUTHORIZED {
            return TokenRefused(format!("{status}: {title}. {detail}")).into();
        }
        ServerProblem { kind, title, status, detail }.into()
    }
}

/// Builds the error of an answer that refuses a call of an operation.
pub(super) async fn error_of(response: Response, operation: &str) -> anyhow::Error {
    let status = response.status();
    if status.is_redirection() {
        return redirected(&response, operation);
    }
    let problem: Result<Problem, _> = response.json().await;
    match problem {
        Ok(problem) => problem.into_error(),
        Err(_) if status == StatusCode::UNAUTHORIZED => TokenRefused(status.to_string()).into(),
        Err(error) => anyhow::Error::from(error).context(format!("the server answered {status}")),
    }
}

/// Builds the error of a redirect.
fn redirected(response: &Response, operation: &str) -> anyhow::Error {
    let target = response.headers().get("Location").and_then(|value| value.to_str().ok());
    let target = target.and_then(|target| response.url().join(target).ok()).filter(Url::has_host);
    let target = target.map_or_else(
        || "elsewhere".to_owned(),
        |target| format!("to {}{}", target.origin().ascii_serialization(), target.path().trim_end_matches(operation)),
    );
    anyhow!(
        "the server answered {} and refers {target}, where the token was not sent; if that is the MASS server, give its \
         address to --url",
        response.status()
    )
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn operations_go_below_the_path_of_the_address() {
        for (url, expected) in [
            ("http://mass.example:8000", "http://mass.example:8000/v1/mass-requests/batch"),
            ("https://mass.example/mass", "https://mass.example/mass/v1/mass-requests/batch"),
            ("https://mass.example/a/mass/", "https://mass.example/a/mass/v1/mass-requests/batch"),
        ] {
            let endpoint = endpoint(url, "/v1/mass-requests/batch").unwrap();
            assert_eq!((endpoint.as_str(), endpoint.query()), (expected, None));
        }
        for url in [
            "mass.example",
            "ftp://mass.example",
            "https://mass.example/?a=b",
            "https://mass.example/#a",
            "https://ana:hunter2@mass.example",
            "https://hunter2@mass.example",
        ] {
            let told = format!("{:#}", endpoint(url, "/v1/mass-requests/batch").unwrap_err());
            assert!(told.contains("--url") && !told.contains("hunter2"), "{url}: {told}");
        }
    }
}
