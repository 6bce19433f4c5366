//! Where the engine may be: what the configuration names, and never where a machine keeps its own secrets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use reqwest::Url;

/// Where clouds answer a machine's questions about itself, credentials included, besides the link-local addresses.
const METADATA: [IpAddr; 3] = [
    // Amazon EC2, over IPv6.
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    // Alibaba Cloud.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    // Azure's wire server.
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

/// Whether no engine is ever asked at an address: link-local ones, where most clouds have their metadata, the other
/// metadata addresses, and those that are no machine's.
#[must_use]
pub fn is_refused(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || embedded(v6).is_some_and(|v4| is_refused(IpAddr::V4(v4))),
    };
    link_local || address.is_unspecified() || address.is_multicast() || METADATA.contains(&address)
}

/// The IPv4 address that a translator reads in an IPv6 one (`64:ff9b::/96`, RFC 6052).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.octets() {
        [0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => Some(Ipv4Addr::new(a, b, c, d)),
        _ => None,
    }
}

/// The URL of an engine: `http` or `https`, a host, and a path at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineUrl(Url);

/// Why a URL is no engine's. Never shows the URL, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEngineUrl {
    /// It is no URL, or not of the web.
    #[error("a URL such as http://engine.example:8001 is due")]
    NoUrl,
    /// It has more than a host and a path.
    #[error("a URL without a user, password, query or fragment is due; MASS_ENGINE_TOKEN is for what is secret")]
    TooMuch,
    /// It leads to an address at which no engine is asked.
    #[error("no engine is asked at link-local, metadata, multicast or unspecified addresses")]
    Refused,
}

impl EngineUrl {
    /// Parses a URL.
    ///
    /// # Errors
    /// [`InvalidEngineUrl`].
    pub fn parse(text: &str) -> Result<Self, InvalidEngineUrl> {
        let url = Url::parse(text.trim()).map_err(|_| InvalidEngineUrl::NoUrl)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(InvalidEngineUrl::NoUrl);
        }
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidEngineUrl::TooMuch);
        }
        if address_of(&url).is_some_and(is_refused) {
            return Err(InvalidEngineUrl::Refused);
        }
        Ok(Self(url))
    }

    /// Where recommendations are asked for.
    #[must_use]
    pub fn recommend(&self) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/recommend", self.0.path().trim_end_matches('/')));
        url
    }

    /// Whether it leads to one of these hosts; to any, if there are none.
    #[must_use]
    pub fn is_allowed(&self, hosts: &[Host]) -> bool {
        hosts.is_empty() || hosts.iter().any(|host| Some(host.0.as_str()) == self.0.host_str())
    }
}

impl FromStr for EngineUrl {
    type Err = InvalidEngineUrl;

    fn from_str(text: &str) -> Result<Self, InvalidEngineUrl> {
        Self::parse(text)
    }
}

impl std::fmt::Display for EngineUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// The address that a URL has for its host, if it is one.
fn address_of(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// A host as it stands in a URL: a name in lower case, or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(String);

/// The text is no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a host such as engine.example is due, without a scheme and a port")]
pub struct InvalidHost;

impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let text = text.trim();
        let url = Url::parse(&format!("http://{text}/")).map_err(|_| InvalidHost)?;
        let is_host = url.path() == "/" && url.port().is_none() && !text.contains(['@', '/', '?', '#', '\\']);
        match url.host_str() {
            Some(host) if is_host && !text.ends_with(':') && !text.ends_with(":80") => Ok(Self(host.to_owned())),
            _ => Err(InvalidHost),
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_has_a_host_and_a_path_at_most() {
        for (text, recommend) in [
            ("http://127.0.0.1:8001", "http://127.0.0.1:8001/recommend"),
            ("https://engine.example/", "https://engine.example/recommend"),
            (" https://Engine.example/v2/mass/ ", "https://engine.example/v2/mass/recommend"),
            ("http://[::1]:8001", "http://[::1]:8001/recommend"),
        ] {
            assert_eq!(EngineUrl::parse(text).unwrap().recommend().as_str(), recommend, "{text}");
        }
        for (text, error) in [
            ("", InvalidEngineUrl::NoUrl),
            ("engine.example", InvalidEngineUrl::NoUrl),
            ("file:///etc/passwd", InvalidEngineUrl::NoUrl),
            ("gopher://engine.example", InvalidEngineUrl::NoUrl),
            ("http://user@engine.example", InvalidEngineUrl::TooMuch),
            ("http://:secret@engine.example", InvalidEngineUrl::TooMuch),
            ("http://engine.example?a=b", InvalidEngineUrl::TooMuch),
            ("http://engine.example#a", InvalidEngineUrl::TooMuch),
        ] {
            assert_eq!(EngineUrl::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn no_engine_is_where_a_machine_keeps_its_secrets() {
        for host in [
            "169.254.169.254",
            "0xA9FEA9FE",
            "2852039166",
            "0251.0376.0251.0376",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "[fe80::1]",
            "[febf::1]",
            "[fd00:ec2::254]",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "[::]",
            "224.0.0.1",
            "[ff02::1]",
            "255.255.255.255",
        ] {
            assert_eq!(EngineUrl::parse(&format!("http://{host}/")), Err(InvalidEngineUrl::Refused), "{host}");
        }
        for host in ["127.0.0.1", "10.0.0.7", "192.168.1.1", "[::1]", "[fd00::1]", "203.0.113.9"] {
            assert!(EngineUrl::parse(&format!("http://{host}/")).is_ok(), "{host}");
        }
    }

    #[test]
    fn a_list_of_hosts_allows_no_other() {
        let url = EngineUrl::parse("http://engine.example:8001").unwrap();
        let hosts = |text: &str| text.split(',').map(|host| host.parse().unwrap()).collect::<Vec<Host>>();
        assert!(url.is_allowed(&[]));
        assert!(url.is_allowed(&hosts("other.example, ENGINE.example")));
        assert!(!url.is_allowed(&hosts("other.example,engine.example.evil.test")));
        assert!(EngineUrl::parse("http://[::1]").unwrap().is_allowed(&hosts("[::1]")));
        for text in ["", "http://a.example", "a.example:80", "a.example:8001", "a.example/x", "u@a.example", "a b"] {
            assert_eq!(text.parse::<Host>(), Err(InvalidHost), "{text}");
        }
    }
}
