//! Downloading an export from a server, line by line, and checking that it is whole.

use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use mass_domain::mass_request::RequestFilter;
use reqwest::{Response, StatusCode, Url};
use secrecy::SecretString;
use serde::Deserialize;

use crate::commands::remote::{Problem, Retries, attempt, client, endpoint, error_of};

/// The path of the operation, below the server's address.
const EXPORT: &str = "/v1/mass-requests/export";

/// The start of the line that ends an export.
const END: &[u8] = b"{\"totals\":";

/// The most bytes of a line: many times as many as a document may have by default.
const LONGEST_LINE: usize = 256 << 20;

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

impl Server {
    /// Asks for an export, again and again while the server cannot be reached or is busy.
    pub(super) async fn open(
        url: &str,
        token: &SecretString,
        filter: &RequestFilter,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        let mut endpoint = endpoint(url, EXPORT)?;
        add_filter(&mut endpoint, filter);
        let (client, progress) = (client()?, ProgressBar::hidden());
        let mut retries = Retries::new(Some(patience), &progress);
        let response = loop {
            let request = client.get(endpoint.clone()).header("Accept", "application/x-ndjson");
            match attempt(request, token).await? {
                Ok(response) => break response,
                Err(failure) => retries.wait(failure).await?,
            }
        };
        match response.status() {
            StatusCode::OK => Ok(Self { response, rest: Vec::new(), requests: 0, has_ended: false }),
            _ => Err(error_of(response, EXPORT).await),
        }
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
            return Err(problem
                .into_error()
                .context(format!("the export ended early, after {} requests", self.requests)));
        }
        if totals.requests != self.requests {
            bail!("the server's answer was damaged: expected {} requests, found {}", totals.requests, self.requests);
        }
        self.has_ended = true;
        Ok(())
    }
}

fn add_filter(endpoint: &mut Url, filter: &RequestFilter) {
    for (name, value) in filter.conditions().iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        endpoint.query_pairs_mut().append_pair(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_are_in_the_address() {
        let mut endpoint = endpoint("https://mass.example/mass/", EXPORT).unwrap();
        let filter = RequestFilter {
            device_id: Some("a&b=c".to_owned()),
            observed_from: Some("2026-11-24T18:00:00+01:00".parse().unwrap()),
            contract: "device/1.1".parse().ok(),
            ..RequestFilter::default()
        };
        add_filter(&mut endpoint, &filter);
        let expected = "https://mass.example/mass/v1/mass-requests/export?contract=device%2F1.1&device_id=a%26b%3Dc\
                        &observed_from=2026-11-24T17%3A00%3A00Z";
        assert_eq!(endpoint.as_str(), expected);
    }
}
