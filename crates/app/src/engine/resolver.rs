//! DNS resolution of the engine's name without refused addresses, checked at each connection.

use std::io;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::is_refused;

/// All addresses of the name are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name has only link-local, metadata or other special-purpose addresses")]
pub(super) struct AllRefused;

/// The system's resolver, without refused addresses.
#[derive(Debug, Clone, Copy)]
pub(super) struct FilteringResolver;

impl Resolve for FilteringResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(usable(found)?.into_iter()) as Addrs)
        })
    }
}

fn usable(found: impl Iterator<Item = SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    let usable: Vec<_> = found.filter(|address| !is_refused(address.ip())).collect();
    if usable.is_empty() { Err(io::Error::other(AllRefused)) } else { Ok(usable) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_addresses_of_a_name_are_left_out() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let found = addresses(&["169.254.169.254:0", "10.0.0.7:0", "[fe80::1]:0"]);
        assert_eq!(usable(found.into_iter()).unwrap(), addresses(&["10.0.0.7:0"]));
        let error = usable(addresses(&["169.254.169.254:0", "[fd00:ec2::254]:0"]).into_iter()).unwrap_err();
        assert_eq!(error.into_inner().unwrap().downcast_ref(), Some(&AllRefused));
    }
}
