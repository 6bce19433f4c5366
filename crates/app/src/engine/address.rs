//! Allowed addresses of the engine: as configured, but never metadata services and other special-purpose addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{Ipv4Net, Ipv6Net};
use reqwest::Url;

/// IPv4 networks at which no engine is called: special-purpose addresses that are not a single host's
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry>), and metadata services.
const REFUSED_V4: [Ipv4Net; 11] = [
    // "This network" (RFC 791).
    v4(0, 0, 0, 0, 8),
    // Link-local (RFC 3927): the metadata services of most clouds.
    v4(169, 254, 0, 0, 16),
    // IETF protocol assignments (RFC 6890); 192.0.0.192 is a metadata service of Oracle Cloud.
    v4(192, 0, 0, 0, 24),
    // Documentation (RFC 5737).
    v4(192, 0, 2, 0, 24),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    // 6to4 relay anycast, deprecated (RFC 7526).
    v4(192, 88, 99, 0, 24),
    // Multicast (RFC 5771), then reserved (RFC 1112) with the limited broadcast.
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
    // The metadata service of Alibaba Cloud.
    v4(100, 100, 100, 200, 32),
    // The wire server of Azure.
    v4(168, 63, 129, 16, 32),
];

/// The same for IPv6 (<https://www.iana.org/assignments/iana-ipv6-special-registry>).
const REFUSED_V6: [Ipv6Net; 14] = [
    // Unspecified (RFC 4291).
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128),
    // Local-use IPv4/IPv6 translation (RFC 8215): the position of the IPv4 address depends on the network.
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48),
    // Discard-only (RFC 6666) and the dummy prefix (RFC 9780).
    v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64),
    v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64),
    // IETF protocol assignments (RFC 2928): Teredo, benchmarking, AMT, ORCHID, DRIP.
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    // Documentation (RFC 3849, RFC 9637).
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
    // Segment routing identifiers (RFC 9602).
    v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16),
    // Link-local (RFC 4291) and multicast.
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
    // Services of Amazon EC2: metadata (::254), pod identity (::23), DNS, time.
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32),
    // The metadata services of Google Cloud, Scaleway and Oracle Cloud.
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0], 48),
    v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0], 32),
    v6([0xfd00, 0xc1, 0, 0, 0, 0, 0, 0], 32),
];

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

/// Returns true for addresses at which no engine is called: link-local, metadata and other special-purpose ones.
/// Private and loopback addresses are allowed, because engines run there.
#[must_use]
pub fn is_refused(address: IpAddr) -> bool {
    let is_refused_v4 = |address: Ipv4Addr| REFUSED_V4.iter().any(|network| network.contains(&address));
    match address {
        IpAddr::V4(address) => is_refused_v4(address),
        IpAddr::V6(address) => {
            REFUSED_V6.iter().any(|network| network.contains(&address)) || embedded(address).is_some_and(is_refused_v4)
        }
    }
}

/// Returns the IPv4 address that hosts, routers or translators take from an IPv6 address: IPv4-compatible and
/// IPv4-mapped (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056).
pub(crate) fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.octets() {
        _ if address.is_loopback() => None,
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
        | [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
        | [0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
        | [0x20, 0x02, a, b, c, d, ..] => Some(Ipv4Addr::new(a, b, c, d)),
        _ => None,
    }
}

/// The URL of an engine: `http` or `https`, a host, and a path at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineUrl(Url);

/// The reasons for which a URL cannot be the engine's. The messages never show the URL, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEngineUrl {
    /// The text is not an HTTP URL.
    #[error("expected a URL such as http://engine.example:8001")]
    NoUrl,
    /// The URL has more than a host and a path.
    #[error("expected a URL without a user, password, query or fragment; MASS_ENGINE_TOKEN is for the credential")]
    TooMuch,
    /// The URL has a refused address.
    #[error(
        "expected the address of a host, found a link-local, metadata, multicast, documentation or other special-purpose address"
    )]
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

    /// Returns the URL of the recommend operation.
    #[must_use]
    pub fn recommend(&self) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/recommend", self.0.path().trim_end_matches('/')));
        url
    }

    /// Returns true if its host is among these, or if there are none.
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

/// Returns the IP address of a URL's host, if it is one.
fn address_of(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// A host as written in a URL: a name in lower case, or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(String);

/// The text is not a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a host such as engine.example, without a scheme and a port")]
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
    fn refuses_link_local_metadata_and_special_purpose_addresses() {
        let hosts = [
            // Metadata services, and other spellings of their addresses.
            "169.254.169.254",
            "169.254.170.2",
            "0xA9FEA9FE",
            "2852039166",
            "0251.0376.0251.0376",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "[fd00:ec2::254]",
            "[fd00:ec2::23]",
            "[fd20:ce::254]",
            "[fd00:42::42]",
            "[fd00:c1::a9fe:a9fe]",
            // IPv4 addresses within IPv6 ones.
            "[::ffff:169.254.169.254]",
            "[::ffff:192.0.0.192]",
            "[::169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b::100.100.100.200]",
            "[64:ff9b:1::a9fe:a9fe]",
            "[64:ff9b:1:fffe::a9fe:a9fe]",
            "[2002:a9fe:a9fe::1]",
            "[2002:a83f:8110:1::1]",
            "[2001:0:a9fe:a9fe::1]",
            "[2001:0:4136:e378:8000:63bf:5601:5601]",
            // The first and the last address of each network.
            "0.0.0.0",
            "0.255.255.255",
            "169.254.0.0",
            "169.254.255.255",
            "192.0.0.0",
            "192.0.0.255",
            "192.0.2.0",
            "192.0.2.255",
            "192.88.99.0",
            "192.88.99.255",
            "198.51.100.0",
            "198.51.100.255",
            "203.0.113.0",
            "203.0.113.255",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.0",
            "255.255.255.255",
            "[::]",
            "[100::]",
            "[100::ffff:ffff:ffff:ffff]",
            "[100:0:0:1::1]",
            "[2001::]",
            "[2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff]",
            "[2001:db8::]",
            "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]",
            "[3fff::]",
            "[3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff]",
            "[5f00::1]",
            "[fe80::1]",
            "[febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff]",
            "[ff00::]",
            "[ff02::1]",
        ];
        for host in hosts {
            assert_eq!(EngineUrl::parse(&format!("http://{host}/")), Err(InvalidEngineUrl::Refused), "{host}");
        }
    }

    #[test]
    fn accepts_loopback_private_and_public_addresses() {
        let hosts = [
            "127.0.0.1",
            "10.0.0.7",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "100.100.100.201",
            "192.0.1.0",
            "1.1.1.1",
            "223.255.255.255",
            "[::1]",
            "[::ffff:10.0.0.7]",
            "[64:ff9b::a00:7]",
            "[2002:a00:7::1]",
            "[2001:200::1]",
            "[2606:4700::1]",
            "[3fff:1000::1]",
            "[fd00::1]",
            "[fd20:ce:1::254]",
            "[fec0::1]",
        ];
        for host in hosts {
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
