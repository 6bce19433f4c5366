//! Downloading an export from a server, line by line, and checking that it is whole.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use mass_domain::mass_request::Filter;
use reqwest::{Client, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::commands::remote::{endpoint, retry_after};

/// The path of the operation, below the server's address.
const EXPORT: &str = "/v1/mass-requests/export";

/// The start of the line that ends an export.
const END: &[u8] = b"{\"totals\":";

/// The most bytes of a line: many times as many as a document may have by default.
const LONGEST_LINE: usize = 256 << 20;

/// The time without a byte after which the server counts as gone.
const SILENCE: Duration = Duration::from_secs(120);

/// The number of times that a busy server is asked, and the wait in between if the server does not say.
const ATTEMPTS: u32 = 6;
const PATIENCE: Duration = Duration::from_secs(5);

/// An export that is being downloaded.
pub(super) struct Server {
    response: Response,
    /// The start of a line whose end has not come yet.
    rest: Vec<u8>,
    requests: u64,
    has_ended: bool,
}

#[derive(Deserialize)]
struct End {
    totals: Totals,
    error: Option<Problem>,
}

#[derive(Deserialize)]
struct Totals {
    requests: u64,
}

#[derive(Deserialize)]
struct Problem {
    title: String,
    status: u16,
    #[serde(default)]
    detail: String,
}

impl Server {
    /// Asks for an export.
    pub(super) async fn open(url: &str, token: &SecretString, filter: &Filter) -> anyhow::Result<Self> {
        let mut endpoint = endpoint(url, EXPORT)?;
        add_filter(&mut endpoint, filter);
        let redirects = reqwest::redirect::Policy::none();
        let client = Client::builder().redirect(redirects).read_timeout(SILENCE).build()?;
        for attempt in 1.. {
            let request = client.get(endpoint.clone()).bearer_auth(token.expose_secret());
            let request = request.header("Accept", "application/x-ndjson");
            let response = request.send().await.context("the server cannot be reached")?;
            match response.status() {
                StatusCode::OK => {
                    return Ok(Self { response, rest: Vec::new(), requests: 0, has_ended: false });
                }
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE if attempt < ATTEMPTS => {
                    tokio::time::sleep(retry_after(&response).unwrap_or(PATIENCE)).await;
                }
                status if status.is_redirection() => bail!(
                    "the server answered {status} and refers elsewhere, where the token was not sent; give the address \
                     of the MASS server itself to --url"
                ),
                status => {
                    let problem: Result<Problem, _> = response.json().await;
                    return Err(refusal(&problem.with_context(|| format!("the server answered {status}"))?));
                }
            }
        }
        bail!("the server is busy")
    }

    /// Returns the next lines, each a request, with their line feeds; `None` once the export has ended whole.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Vec<Vec<u8>>>> {
        while let Some(piece) = self.response.chunk().await.context("the server's answer broke off")? {
            let mut lines = Vec::new();
            for part in piece.split_inclusive(|byte| *byte == b'\n') {
                self.rest.extend_from_slice(part);
                if self.rest.len() > LONGEST_LINE {
                    bail!("the server's answer has a line of more than {LONGEST_LINE} bytes");
                }
                if part.ends_with(b"\n") {
                    let line = std::mem::take(&mut self.rest);
                    if self.has_ended {
                        bail!("the server's answer goes on after its end");
                    } else if line.starts_with(END) {
                        self.end(&line)?;
                    } else {
                        self.requests += 1;
                        lines.push(line);
                    }
                }
            }
            if !lines.is_empty() {
                return Ok(Some(lines));
            }
        }
        if !self.has_ended {
            bail!("the server's answer has no end: it was cut after {} requests", self.requests);
        }
        Ok(None)
    }

    fn end(&mut self, line: &[u8]) -> anyhow::Result<()> {
        let End { totals, error } = serde_json::from_slice(line).context("the end of the server's answer")?;
        if let Some(problem) = error {
            return Err(refusal(&problem).context(format!("the export ended early, after {} requests", self.requests)));
        }
        if totals.requests != self.requests {
            bail!("the server's answer was damaged: expected {} requests, found {}", totals.requests, self.requests);
        }
        self.has_ended = true;
        Ok(())
    }
}

fn add_filter(endpoint: &mut Url, filter: &Filter) {
    let Filter {
        status,
        contract,
        site_id,
        device_id,
        correlation_id,
        created_from,
        created_to,
        observed_from,
        observed_to,
    } = filter;
    let pairs = [
        ("status", status.map(|status| status.to_string())),
        ("contract", contract.map(|contract| contract.to_string())),
        ("site_id", site_id.clone()),
        ("device_id", device_id.clone()),
        ("correlation_id", correlation_id.clone()),
        ("created_from", created_from.map(|at| at.to_string())),
        ("created_to", created_to.map(|at| at.to_string())),
        ("observed_from", observed_from.map(|at| at.to_string())),
        ("observed_to", observed_to.map(|at| at.to_string())),
    ];
    for (name, value) in pairs.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        endpoint.query_pairs_mut().append_pair(name, value);
    }
}

fn refusal(Problem { title, status, detail }: &Problem) -> anyhow::Error {
    anyhow!("the server answered {status}: {title}. {detail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_are_in_the_address() {
        let mut endpoint = endpoint("https://mass.example/mass/", EXPORT).unwrap();
        let filter = Filter {
            device_id: Some("a&b=c".to_owned()),
            observed_from: Some("2026-11-24T18:00:00+01:00".parse().unwrap()),
            contract: "device/1.1".parse().ok(),
            ..Filter::default()
        };
        add_filter(&mut endpoint, &filter);
        let expected = "https://mass.example/mass/v1/mass-requests/export?contract=device%2F1.1&device_id=a%26b%3Dc\
                        &observed_from=2026-11-24T17%3A00%3A00Z";
        assert_eq!(endpoint.as_str(), expected);
    }
}
