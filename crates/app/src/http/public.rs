//! The public address of the server: behind a proxy that is another place than where it listens, perhaps below a path.

use std::str::FromStr;

use reqwest::Url;

/// The address at which clients find the server; where none is set, the one that they use, without a path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicUrl {
    /// Without a slash at its end.
    url: String,
    /// Its path, which begins with a slash if there is one.
    path: String,
}

/// The text is no such address. It is not repeated, since it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected http:// or https:// with a host and at most a path, such as https://example.org/mass")]
pub struct InvalidPublicUrl;

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, InvalidPublicUrl> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let url = Url::parse(text.trim()).map_err(|_| InvalidPublicUrl)?;
        let is_plain = url.username().is_empty() && url.password().is_none();
        let is_place = url.query().is_none() && url.fragment().is_none();
        // A reference that begins with two slashes would name a host.
        if !matches!(url.scheme(), "http" | "https") || !is_plain || !is_place || url.path().contains("//") {
            return Err(InvalidPublicUrl);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        Ok(Self { url: url.as_str().trim_end_matches('/').to_owned(), path })
    }
}

impl PublicUrl {
    /// The address, without a slash at its end; empty where none is set.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The origin of pages at this address, as browsers send it (RFC 6454, section 6.2); none where no address is set.
    #[must_use]
    pub fn origin(&self) -> Option<String> {
        Url::parse(&self.url).ok().map(|url| url.origin().ascii_serialization())
    }

    /// The base path before each operation's path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_at_most_a_path() {
        for (text, url, path) in [
            ("", "", ""),
            ("https://example.org", "https://example.org", ""),
            ("https://example.org/", "https://example.org", ""),
            ("https://example.org/mass", "https://example.org/mass", "/mass"),
            ("http://example.org:8080/a/mass/", "http://example.org:8080/a/mass", "/a/mass"),
        ] {
            let parsed: PublicUrl = text.parse().unwrap();
            assert_eq!((parsed.as_str(), parsed.path()), (url, path));
            assert!(parsed.origin().is_none_or(|origin| format!("{origin}{path}") == url));
            assert_eq!(parsed.origin().is_none(), url.is_empty());
        }
        for text in [
            "example.org/mass",
            "/mass",
            "ftp://example.org",
            "https://example.org/?a=b",
            "https://example.org/#a",
            "https://example.org//other.example/mass",
            "https://ana:hunter2@example.org",
        ] {
            assert_eq!(text.parse::<PublicUrl>(), Err(InvalidPublicUrl), "{text}");
        }
    }
}
