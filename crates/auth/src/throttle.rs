//! Throttling of failed password attempts.
//!
//! Each attempt is judged by several counters: of the account together with the address, of the account, of the
//! address, and of the networks of an IPv6 address. Each allows some failures, and then demands a delay that doubles up
//! to a cap; the longest delay applies. docs/decisions/0006-sessions.md gives the reasons.

use std::net::{IpAddr, Ipv6Addr};

use async_trait::async_trait;
use mass_domain::audit::NewEvent;
use mass_domain::port::PortError;
use mass_domain::time::Timestamp;
use mass_domain::users::Email;
use sha2::{Digest, Sha256};

/// The limits of a counter.
struct Allowance {
    /// The number of failures before the first delay.
    free: u32,
    /// The longest delay, in seconds.
    cap: i64,
    /// The number of seconds without a failure after which failures are forgotten.
    memory: i64,
}

const PAIR: Allowance = Allowance { free: 5, cap: 15 * 60, memory: 24 * 3600 };
/// Short, because anybody who knows an account's name can cause this delay.
const ACCOUNT: Allowance = Allowance { free: 10, cap: 30, memory: 24 * 3600 };
/// Many people can share an address, and more of them a network.
const ADDRESS: Allowance = Allowance { free: 50, cap: 60, memory: 3600 };
const NETWORK: Allowance = Allowance { free: 100, cap: 60, memory: 3600 };
const WIDE_NETWORK: Allowance = Allowance { free: 200, cap: 60, memory: 3600 };

/// The prefix lengths of an IPv6 address that have counters, from the longest on, with their limits.
const NETWORKS: [(u32, Allowance); 3] = [(64, ADDRESS), (56, NETWORK), (48, WIDE_NETWORK)];

/// The counter of the attempts under one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// Failures since the last success.
    pub failures: u32,
    /// The time of the last failure.
    pub failed_at: Timestamp,
    /// The time of the last success.
    pub succeeded_at: Option<Timestamp>,
}

impl Counter {
    /// Creates the counter of a new key.
    #[must_use]
    pub const fn new(at: Timestamp) -> Self {
        Self { failures: 0, failed_at: at, succeeded_at: None }
    }

    fn failures_at(&self, allowance: &Allowance, at: Timestamp) -> u32 {
        let forgotten = self.failed_at.plus_seconds(allowance.memory).is_some_and(|end| end <= at);
        if forgotten { 0 } else { self.failures }
    }

    /// Returns the number of seconds until the next attempt is allowed, rounded up.
    fn wait(&self, allowance: &Allowance, at: Timestamp) -> i64 {
        let Some(doublings) = self.failures_at(allowance, at).checked_sub(allowance.free) else { return 0 };
        let delay = 1_i64.checked_shl(doublings.min(32)).map_or(allowance.cap, |delay| delay.min(allowance.cap));
        let passed = at.unix_micros() - self.failed_at.unix_micros();
        // Whole seconds have passed, so that the rest is rounded up.
        (delay - passed.div_euclid(1_000_000)).clamp(0, delay)
    }

    fn failed(&self, allowance: &Allowance, at: Timestamp) -> Self {
        Self { failures: self.failures_at(allowance, at).saturating_add(1), failed_at: at, ..*self }
    }
}

/// The keys under which an attempt is counted. They are hashes, so that the store holds no addresses of people without
/// an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptKeys {
    /// The account together with the address.
    pub pair: [u8; 32],
    /// The account.
    pub account: [u8; 32],
    /// The address. For IPv6, its first 64, 56 and 48 bits: an attacker with a whole network could otherwise use each
    /// address a few times.
    pub networks: Vec<[u8; 32]>,
}

impl AttemptKeys {
    /// Iterates over all keys.
    pub fn all(&self) -> impl Iterator<Item = &[u8; 32]> {
        [&self.pair, &self.account].into_iter().chain(&self.networks)
    }

    /// Derives the keys of an attempt from the e-mail address, which need not belong to an account, and the client
    /// address.
    pub(crate) fn new(email: &str, address: Option<IpAddr>) -> Self {
        let email =
            Email::parse_existing(email).map_or_else(|_| email.to_lowercase(), |email| email.as_str().to_owned());
        let networks = networks_of(address);
        let address = networks.first().cloned().unwrap_or_default();
        let key = |purpose: &str, email: &str, address: &str| {
            let digest = Sha256::new().chain_update(purpose).chain_update([0]).chain_update(address);
            digest.chain_update([0]).chain_update(email).finalize().into()
        };
        Self {
            pair: key("mass login pair", &email, &address),
            account: key("mass login account", &email, ""),
            networks: networks.iter().map(|network| key("mass login address", "", network)).collect(),
        }
    }
}

/// Returns the address that attempts are counted by: for IPv6 the first 64 bits, because one host owns the rest.
#[must_use]
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Returns the networks that an address is counted by: itself, or for IPv6 each of [`NETWORKS`]. A missing address
/// counts as one.
fn networks_of(address: Option<IpAddr>) -> Vec<String> {
    match address.map(|address| address.to_canonical()) {
        None => vec![String::new()],
        Some(IpAddr::V4(v4)) => vec![v4.to_string()],
        Some(IpAddr::V6(v6)) => {
            let of = |bits: u32| Ipv6Addr::from_bits(v6.to_bits() >> (128 - bits) << (128 - bits));
            let named =
                |(bits, _): &(u32, _)| if *bits == 64 { of(64).to_string() } else { format!("{}/{bits}", of(*bits)) };
            NETWORKS.iter().map(named).collect()
        }
    }
}

/// The counter that delays an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleScope {
    /// Failures on the account.
    Account,
    /// Failures from the address or its network, on any account.
    Address,
}

/// The attempt came too early after failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many failed attempts; the next one may be made in {retry_after_seconds} seconds")]
pub struct Throttled {
    /// The counter that demands the delay.
    pub scope: ThrottleScope,
    /// The number of seconds until the next attempt is allowed.
    pub retry_after_seconds: u32,
}

/// The counters that judge an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    /// Of the account together with the address.
    pub pair: Counter,
    /// Of the account.
    pub account: Counter,
    /// Of the address and the networks that it lies in, in the order of [`AttemptKeys::networks`].
    pub networks: Vec<Counter>,
}

impl Counters {
    /// Iterates over all counters, in the order of [`AttemptKeys::all`].
    pub fn all(&self) -> impl Iterator<Item = &Counter> {
        [&self.pair, &self.account].into_iter().chain(&self.networks)
    }

    /// Begins an attempt, and counts it as failed until [`succeeded`](Self::succeeded) takes that back, so that neither
    /// an aborted attempt nor a concurrent one at another server evades the delays. At one server, attempts on one
    /// account run one after the other, so that right passwords do not count against each other.
    ///
    /// # Errors
    /// [`Throttled`] if the attempt comes too early. The counters do not change then.
    pub fn begun(&self, at: Timestamp) -> Result<Self, Throttled> {
        // Strangers who fail elsewhere do not delay the owner at an address of an earlier log-in.
        let is_known = self.pair.succeeded_at.is_some();
        let elsewhere = if is_known { 0 } else { self.account.wait(&ACCOUNT, at) };
        let account = self.pair.wait(&PAIR, at).max(elsewhere);
        let networks = self.networks.iter().zip(&NETWORKS).take(if is_known { 1 } else { NETWORKS.len() });
        let address = networks.map(|(counter, (_, allowance))| counter.wait(allowance, at)).max().unwrap_or(0);
        let (scope, wait) =
            if account >= address { (ThrottleScope::Account, account) } else { (ThrottleScope::Address, address) };
        if wait > 0 {
            return Err(Throttled { scope, retry_after_seconds: u32::try_from(wait).unwrap_or(u32::MAX) });
        }
        Ok(Self {
            pair: self.pair.failed(&PAIR, at),
            account: self.account.failed(&ACCOUNT, at),
            networks: (self.networks.iter().zip(&NETWORKS))
                .map(|(counter, (_, allowance))| counter.failed(allowance, at))
                .collect(),
        })
    }

    /// Returns the counters after a success: the account's are reset, and those of the address and its networks lose
    /// this one failure. A full reset would let an attacker with one account of its own try others from the same
    /// address without end.
    #[must_use]
    pub fn succeeded(&self, at: Timestamp) -> Self {
        let cleared = Counter { failures: 0, failed_at: at, succeeded_at: Some(at) };
        let one_less = |counter: &Counter| Counter { failures: counter.failures.saturating_sub(1), ..*counter };
        Self { pair: cleared, account: cleared, networks: self.networks.iter().map(one_less).collect() }
    }
}

/// Port to the stored counters. Each call is one transaction; calls that share a key are serialised.
#[async_trait]
pub trait AttemptStore: Send + Sync {
    /// Begins an attempt durably, as [`Counters::begun`] decides.
    async fn begin(&self, keys: &AttemptKeys, at: Timestamp) -> Result<Result<(), Throttled>, PortError>;

    /// Returns true if the account has logged in from the address before, within the retention of the counters.
    async fn is_known(&self, keys: &AttemptKeys) -> Result<bool, PortError>;

    /// Counts the attempt as succeeded, as [`Counters::succeeded`] does.
    async fn succeed(&self, keys: &AttemptKeys, at: Timestamp) -> Result<(), PortError>;

    /// Appends the event of a failed attempt, which has been counted since it began.
    async fn fail(&self, event: NewEvent) -> Result<(), PortError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_micros((1_800_000_000 + seconds) * 1_000_000).unwrap()
    }

    fn counter(failures: u32) -> Counter {
        Counter { failures, ..Counter::new(at(0)) }
    }

    fn fresh() -> Counters {
        Counters { pair: counter(0), account: counter(0), networks: vec![counter(0); 3] }
    }

    fn throttled(scope: ThrottleScope, retry_after_seconds: u32) -> Result<Counters, Throttled> {
        Err(Throttled { scope, retry_after_seconds })
    }

    #[test]
    fn the_delay_doubles_up_to_its_cap() {
        let waits: Vec<_> = (0..20).map(|failures| counter(failures).wait(&PAIR, at(0))).collect();
        let expected = [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900, 900];
        assert_eq!(waits, expected);
        assert_eq!(counter(u32::MAX).wait(&PAIR, at(0)), 900);
        assert_eq!(counter(u32::MAX).wait(&ACCOUNT, at(0)), 30);
    }

    #[test]
    fn a_delay_passes_and_failures_are_forgotten() {
        let counter = counter(8);
        assert_eq!(counter.wait(&PAIR, at(3)), 5);
        assert_eq!(counter.wait(&PAIR, at(8)), 0);
        assert_eq!(counter.failed(&PAIR, at(8)).failures, 9);
        assert_eq!(counter.failed(&PAIR, at(24 * 3600)).failures, 1);
        // A clock that was set back does not lengthen the delay.
        assert_eq!(counter.wait(&PAIR, at(-1000)), 8);
    }

    #[test]
    fn unfinished_attempts_count_as_failed() {
        let mut counters = fresh();
        for _ in 0..5 {
            counters = counters.begun(at(0)).unwrap();
        }
        assert_eq!(counters.begun(at(0)), throttled(ThrottleScope::Account, 1));
        assert_eq!(counters.succeeded(at(0)).begun(at(0)).map(|counters| counters.pair.failures), Ok(1));
    }

    #[test]
    fn failures_elsewhere_do_not_delay_the_owner_at_a_known_address() {
        let attacked = Counters { account: counter(1000), ..fresh() };
        assert_eq!(attacked.begun(at(0)), throttled(ThrottleScope::Account, 30));
        let owner = Counters { pair: Counter { succeeded_at: Some(at(-9)), ..counter(0) }, ..attacked };
        assert!(owner.begun(at(0)).is_ok());
        // Failures elsewhere in the owner's network do not delay the owner either.
        let network = |bits: usize| {
            let mut networks = vec![counter(0); 3];
            networks[bits] = counter(202);
            networks
        };
        for wider in [1, 2] {
            assert!(Counters { networks: network(wider), ..owner.clone() }.begun(at(0)).is_ok());
            let stranger = Counters { networks: network(wider), ..fresh() };
            assert_eq!(stranger.begun(at(0)).unwrap_err().scope, ThrottleScope::Address);
        }
        assert!(Counters { networks: network(0), ..owner }.begun(at(0)).is_err());
    }

    #[test]
    fn an_address_is_delayed_across_accounts_and_after_a_success() {
        let counters = Counters { networks: vec![counter(52)], ..fresh() };
        assert_eq!(counters.begun(at(0)), throttled(ThrottleScope::Address, 4));
        let begun = counters.begun(at(4)).unwrap();
        assert_eq!(begun.networks[0].failures, 53);
        assert_eq!(begun.succeeded(at(5)).networks[0].failures, 52);
    }

    #[test]
    fn keys_depend_only_on_account_and_address() {
        let keys = |email, address: &str| AttemptKeys::new(email, address.parse().ok());
        let ana = keys("ana@example.test", "192.0.2.1");
        assert_eq!(ana, keys("Ana@Example.Test", "::ffff:192.0.2.1"));
        assert_eq!(ana.account, keys("ana@example.test", "192.0.2.2").account);
        assert_ne!(ana.pair, keys("ana@example.test", "192.0.2.2").pair);
        assert_eq!((ana.networks.len(), &ana.networks), (1, &keys("no address", "192.0.2.1").networks));
        assert_ne!(ana.account, keys("no address", "192.0.2.1").account);
        assert_eq!(keys("a@b", "2001:db8::1"), keys("a@b", "2001:db8::ffff:1"));
        assert_ne!(keys("a@b", "2001:db8::1"), keys("a@b", "2001:db8:0:1::1"));
        let shared = |one: &str, other: &str| {
            let (one, other) = (keys("a@b", one), keys("a@b", other));
            one.networks.iter().zip(&other.networks).map(|(one, other)| one == other).collect::<Vec<_>>()
        };
        assert_eq!(shared("2001:db8::1", "2001:db8:0:1::1"), [false, true, true]);
        assert_eq!(shared("2001:db8::1", "2001:db8:0:100::1"), [false, false, true]);
        assert_eq!(shared("2001:db8::1", "2001:db8:1::1"), [false; 3]);
    }
}
