//! The address of a server that a command calls, and its wishes for another attempt.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Response, Url};

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

/// Returns the seconds of `Retry-After`, if the answer has it in that form.
pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get("Retry-After")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
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
