//! Bounds on open connections: in all, and per client address.
//!
//! A connection from a trusted proxy carries requests of many clients, so its requests are counted instead, each for the
//! client address that the proxy names, from its head to the last byte of its answer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::web;
use mass_auth::network_of;

use super::client::TrustedProxies;
use super::problem::Problem;

/// The `Retry-After` of a refusal.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The limits on connections; `None` where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConnectionLimits {
    /// Open connections in all (`MASS_MAX_CONNECTIONS`).
    pub total: Option<usize>,
    /// Open connections of one address (`MASS_MAX_CONNECTIONS_PER_ADDRESS`).
    pub per_address: Option<usize>,
    /// The write timeout (`MASS_WRITE_TIMEOUT_SECONDS`).
    pub write_timeout: Duration,
}

/// The connections that are open now.
pub struct Connections {
    limits: ConnectionLimits,
    proxies: TrustedProxies,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One of the connections, or requests, that count against the limits; given back when it is dropped.
pub(super) struct Slot {
    connections: web::Data<Connections>,
    address: Option<IpAddr>,
    in_total: bool,
}

/// The limit that refuses a connection or request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    Total(usize),
    Address(usize),
}

impl Connections {
    /// Nothing open yet.
    #[must_use]
    pub fn new(limits: ConnectionLimits, proxies: TrustedProxies) -> Self {
        Self { limits, proxies, open: Mutex::default() }
    }

    /// The write timeout.
    pub(super) const fn write_timeout(&self) -> Duration {
        self.limits.write_timeout
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a new connection.
pub(super) fn connect(connections: &web::Data<Connections>, peer: Option<IpAddr>) -> Result<Slot, Full> {
    let address = peer.filter(|peer| !connections.proxies.trusts(peer.to_canonical()));
    take(connections, address, true)
}

/// Counts a request that a trusted proxy passes on; any other counts by its connection.
pub(super) fn request(
    connections: &web::Data<Connections>,
    peer: Option<IpAddr>,
    client: Option<IpAddr>,
) -> Result<Option<Slot>, Full> {
    let trusts = |address: IpAddr| connections.proxies.trusts(address.to_canonical());
    match client.filter(|client| peer.is_some_and(trusts) && !trusts(*client)) {
        Some(client) => take(connections, Some(client), false).map(Some),
        None => Ok(None),
    }
}

fn take(connections: &web::Data<Connections>, address: Option<IpAddr>, in_total: bool) -> Result<Slot, Full> {
    let ConnectionLimits { total, per_address, .. } = connections.limits;
    let mut open = connections.open();
    if let Some(limit) = total.filter(|limit| in_total && open.total >= *limit) {
        return Err(Full::Total(limit));
    }
    let address = address.filter(|_| per_address.is_some()).map(network_of);
    if let Some(address) = address {
        let count = open.by_address.entry(address).or_default();
        if let Some(limit) = per_address.filter(|limit| *count >= *limit) {
            return Err(Full::Address(limit));
        }
        *count += 1;
    }
    open.total += usize::from(in_total);
    drop(open);
    Ok(Slot { connections: connections.clone(), address, in_total })
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        open.total -= usize::from(self.in_total);
        let Some(address) = self.address else { return };
        if let Some(count) = open.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&address);
            }
        }
    }
}

impl Full {
    /// Tells the client which limit refused it.
    pub(super) fn problem(self) -> Problem {
        let (detail, limit) = match self {
            Self::Total(limit) => {
                (format!("The server has {limit} connections open, its most (MASS_MAX_CONNECTIONS)."), limit)
            }
            Self::Address(limit) => {
                let detail =
                    format!("This address has {limit} connections open, its most (MASS_MAX_CONNECTIONS_PER_ADDRESS).");
                (detail, limit)
            }
        };
        Problem::unavailable(&detail, RETRY_AFTER).member("limit", limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(total: usize, per_address: usize) -> web::Data<Connections> {
        let some = |limit| Some(limit).filter(|limit| *limit > 0);
        let limits = ConnectionLimits { total: some(total), per_address: some(per_address), ..Default::default() };
        let proxies = TrustedProxies(vec!["10.0.0.0/8".parse().unwrap()]);
        web::Data::new(Connections::new(limits, proxies))
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let connections = connections(0, 2);
        let first = connect(&connections, address("2001:db8::1")).unwrap();
        let second = connect(&connections, address("2001:db8::2")).unwrap();
        assert_eq!(connect(&connections, address("2001:db8::3")).err(), Some(Full::Address(2)));
        assert!(connect(&connections, address("192.0.2.1")).is_ok());
        drop(first);
        assert!(connect(&connections, address("2001:db8::3")).is_ok());
        drop(second);
        assert!(connections.open().by_address.is_empty());
        assert_eq!(connections.open().total, 0);
    }

    #[test]
    fn all_addresses_share_the_total() {
        let connections = connections(2, 0);
        let _first = connect(&connections, address("192.0.2.1")).unwrap();
        let _second = connect(&connections, address("10.0.0.1")).unwrap();
        assert_eq!(connect(&connections, address("192.0.2.3")).err(), Some(Full::Total(2)));
    }

    #[test]
    fn requests_through_a_trusted_proxy_count_for_the_client_that_it_names() {
        let connections = connections(0, 1);
        let proxy = address("10.0.0.1");
        let _proxies = [connect(&connections, proxy).unwrap(), connect(&connections, proxy).unwrap()];
        let held = request(&connections, proxy, address("192.0.2.1")).unwrap();
        assert!(held.is_some());
        assert_eq!(request(&connections, proxy, address("192.0.2.1")).err(), Some(Full::Address(1)));
        assert!(request(&connections, proxy, address("192.0.2.2")).is_ok());
        assert!(request(&connections, proxy, proxy).unwrap().is_none(), "the proxy's own requests are not counted");
        drop(held);
        assert!(request(&connections, proxy, address("192.0.2.1")).is_ok());
        let direct = connect(&connections, address("192.0.2.3")).unwrap();
        assert!(request(&connections, address("192.0.2.3"), address("192.0.2.3")).unwrap().is_none());
        drop(direct);
    }
}
