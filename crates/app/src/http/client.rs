//! The address of a client behind proxies.

use std::net::IpAddr;

use actix_web::http::header::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The proxies whose word is taken for where a request came from.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(pub Vec<IpNet>);

impl TrustedProxies {
    /// Returns true if the address is a trusted proxy's.
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client's address: the peer's own, or, behind trusted proxies, the last address in `X-Forwarded-For` that is
    /// not theirs. What stands before it anybody could have written.
    #[must_use]
    pub fn client(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = peer.map(|peer| peer.to_canonical())?;
        if !self.trusts(peer) {
            return Some(peer);
        }
        let lists: Vec<&str> = headers.get_all(FORWARDED_FOR).map(|value| value.to_str().unwrap_or_default()).collect();
        let hops = lists.iter().rev().flat_map(|list| list.rsplit(','));
        let mut nearest = peer;
        for hop in hops {
            let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
            nearest = address.to_canonical();
            if !self.trusts(nearest) {
                break;
            }
        }
        Some(nearest)
    }

    /// True if the client uses TLS to a trusted proxy.
    #[must_use]
    pub fn is_tls(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> bool {
        let proto = headers.get(FORWARDED_PROTO).and_then(|value| value.to_str().ok());
        peer.is_some_and(|peer| self.trusts(peer.to_canonical()))
            && proto.is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let proxies = TrustedProxies(vec!["10.0.0.0/8".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(value).unwrap());
        }
        proxies.client(Some(peer.parse().unwrap()), &headers).unwrap().to_string()
    }

    #[test]
    fn only_what_trusted_proxies_have_added_is_believed() {
        assert_eq!(client("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["203.0.113.9", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["nonsense"]), "10.0.0.1");
        assert_eq!(client("::ffff:10.0.0.1", &["2001:db8::1"]), "2001:db8::1");
    }

    #[test]
    fn tls_is_believed_from_a_trusted_proxy_alone() {
        let proxies = TrustedProxies(vec!["10.0.0.0/8".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
        assert!(proxies.is_tls(Some("10.0.0.1".parse().unwrap()), &headers));
        assert!(!proxies.is_tls(Some("192.0.2.1".parse().unwrap()), &headers));
        assert!(!proxies.is_tls(Some("10.0.0.1".parse().unwrap()), &HeaderMap::new()));
    }
}
