//! Rate limits: token buckets per address, per credential and per tenant, in the memory of this process.
//!
//! A bucket of `n` a minute holds `n` tokens and gains one every 60/`n` seconds. Each scope has buckets of its own, so
//! that who has emptied one slows nobody else.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use mass_auth::network_of;
use mass_domain::access::{Actor, Principal};
use mass_domain::tenancy::TenantId;

use super::problem::{Problem, ProblemKind};

/// The number of refused credentials that are recorded per minute and address: enough to see an attack, too few to fill a disk.
const RECORDED_REFUSALS: NonZeroU32 = NonZeroU32::new(30).unwrap();

/// The number of a caller's denied operations that are recorded at once, and the interval after which one more is.
const RECORDED_DENIALS: NonZeroU32 = NonZeroU32::new(10).unwrap();
const DENIAL_INTERVAL: Duration = Duration::from_secs(60);

/// The number of refused records of a batch that cost as much as a request.
pub(super) const REFUSED_PER_TOKEN: u64 = 100;

/// The interval at which it is recorded that a caller or tenant is throttled.
const THROTTLING_INTERVAL: Duration = Duration::from_secs(600);

const WINDOW: Duration = Duration::from_secs(60);
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

type Buckets<K> = RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// Requests per minute and scope; `None` for no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct PerMinute {
    /// Per address: for what can be called without a token and costs a password's or token's check.
    pub address: Option<NonZeroU32>,
    /// Per user or API key.
    pub credential: Option<NonZeroU32>,
    /// Per tenant, over all its credentials.
    pub tenant: Option<NonZeroU32>,
}

/// The buckets.
pub struct Limits {
    address: Option<Scope<IpAddr>>,
    credential: Option<Scope<Actor>>,
    tenant: Option<Scope<TenantId>>,
    recorded_refusals: Scope<IpAddr>,
    recorded_denials: Buckets<Actor>,
    recorded_throttling: Buckets<(TenantId, Option<Actor>)>,
    /// The number of each caller's denials that were not recorded since the last recorded one.
    unrecorded_denials: Mutex<HashMap<Actor, u64>>,
}

/// The remaining allowance of a request, for the headers of its answer.
#[derive(Debug, Clone)]
pub struct Remaining(Vec<(HeaderName, HeaderValue)>);

impl Remaining {
    /// Adds the headers `RateLimit` and `RateLimit-Policy` (IETF draft "RateLimit header fields for HTTP", version 10).
    pub fn tell(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0 {
            headers.append(name.clone(), value.clone());
        }
    }
}

struct Scope<K: Hash + Eq + Clone> {
    name: &'static str,
    per_minute: NonZeroU32,
    buckets: Buckets<K>,
}

impl<K: Hash + Eq + Clone> Scope<K> {
    fn new(name: &'static str, per_minute: NonZeroU32) -> Self {
        let buckets = RateLimiter::keyed(Quota::per_minute(per_minute)).with_middleware();
        Self { name, per_minute, buckets }
    }

    fn take(&self, key: &K) -> Result<Remaining, Problem> {
        match self.buckets.check_key(key) {
            Ok(state) => Ok(self.remaining(state.remaining_burst_capacity(), None)),
            Err(until) => {
                let wait = until.wait_time_from(DefaultClock::default().now());
                Err(self.exhausted(wait.as_secs() + 1))
            }
        }
    }

    fn remaining(&self, left: u32, seconds: Option<u64>) -> Remaining {
        let (name, limit, window) = (self.name, self.per_minute, WINDOW.as_secs());
        let reset = seconds.map_or_else(String::new, |seconds| format!(";t={seconds}"));
        let policy = HeaderValue::try_from(format!("\"{name}\";q={limit};w={window}"));
        let state = HeaderValue::try_from(format!("\"{name}\";r={left}{reset}"));
        let named = [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, state)];
        Remaining(named.into_iter().filter_map(|(name, value)| Some((name, value.ok()?))).collect())
    }

    fn exhausted(&self, seconds: u64) -> Problem {
        let (name, limit, window) = (self.name, self.per_minute.get(), WINDOW.as_secs());
        let problem = Problem::new(ProblemKind::RateLimited)
            .detail(format!("The limit per {name} is {limit} requests in {window} seconds; try again in {seconds} s."))
            .member("scope", name)
            .member("limit", limit)
            .member("window_seconds", window)
            .member("retry_after_seconds", seconds)
            .header(header::RETRY_AFTER, HeaderValue::from(seconds));
        let Remaining(headers) = self.remaining(0, Some(seconds));
        headers.into_iter().fold(problem, |problem, (name, value)| problem.header(name, value))
    }

    /// Forgets the buckets that are full again.
    fn tidy(&self) {
        self.buckets.retain_recent();
        self.buckets.shrink_to_fit();
    }
}

impl Limits {
    /// Full buckets.
    #[must_use]
    pub fn new(per_minute: PerMinute) -> Self {
        Self {
            address: per_minute.address.map(|limit| Scope::new("address", limit)),
            credential: per_minute.credential.map(|limit| Scope::new("credential", limit)),
            tenant: per_minute.tenant.map(|limit| Scope::new("tenant", limit)),
            recorded_refusals: Scope::new("recorded refusals", RECORDED_REFUSALS),
            recorded_denials: RateLimiter::keyed(recorded(DENIAL_INTERVAL, RECORDED_DENIALS)).with_middleware(),
            recorded_throttling: RateLimiter::keyed(recorded(THROTTLING_INTERVAL, NonZeroU32::MIN)).with_middleware(),
            unrecorded_denials: Mutex::default(),
        }
    }

    /// Returns the number of unrecorded denials if this denied operation is to be recorded, so that nobody can fill the audit
    /// trail with operations that it may not call.
    pub(super) fn records_denial(&self, caller: Actor) -> Option<u64> {
        let is_recorded = self.recorded_denials.check_key(&caller).is_ok();
        let mut unrecorded = self.unrecorded_denials.lock().unwrap_or_else(PoisonError::into_inner);
        if is_recorded {
            return Some(unrecorded.remove(&caller).unwrap_or_default());
        }
        *unrecorded.entry(caller).or_default() += 1;
        None
    }

    /// Returns true if it is to be recorded that this caller, or its whole tenant, is throttled: once in ten minutes, so that
    /// nobody can fill the audit trail.
    pub(super) fn records_throttling(&self, caller: &Principal, is_whole_tenant: bool) -> bool {
        let actor = (!is_whole_tenant).then(|| caller.actor());
        self.recorded_throttling.check_key(&(caller.tenant().clone(), actor)).is_ok()
    }

    /// Takes as many tokens of a caller and its tenant as refused records cost, of which there are `uncharged`, and leaves
    /// those that cost less than one.
    ///
    /// # Errors
    /// As [`take_address`](Self::take_address).
    pub(super) fn charge_refused(&self, caller: &Principal, uncharged: &mut u64) -> Result<(), Problem> {
        while *uncharged >= REFUSED_PER_TOKEN {
            *uncharged -= REFUSED_PER_TOKEN;
            self.take_caller(caller)?;
        }
        Ok(())
    }

    /// Returns true if this refused credential is to be recorded for its address: at most 30 a minute are, so that strangers
    /// cannot fill the audit trail.
    #[must_use]
    pub fn records_refusal(&self, address: Option<IpAddr>) -> bool {
        let address = address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), network_of);
        self.recorded_refusals.buckets.check_key(&address).is_ok()
    }

    /// Takes a token of an address.
    ///
    /// # Errors
    /// A [`Problem`] that names scope, limit, window and when to try again.
    pub fn take_address(&self, address: Option<IpAddr>) -> Result<Option<Remaining>, Problem> {
        match (&self.address, address) {
            (Some(scope), Some(address)) => scope.take(&network_of(address)).map(Some),
            (Some(_) | None, _) => Ok(None),
        }
    }

    /// Takes a token of a caller, and one of its tenant.
    ///
    /// # Errors
    /// As [`take_address`](Self::take_address).
    pub fn take_caller(&self, caller: &Principal) -> Result<Option<Remaining>, Problem> {
        let of_credential = self.credential.as_ref().map(|scope| scope.take(&caller.actor())).transpose()?;
        let of_tenant = self.tenant.as_ref().map(|scope| scope.take(caller.tenant())).transpose()?;
        let all: Vec<_> = [of_credential, of_tenant].into_iter().flatten().flat_map(|Remaining(it)| it).collect();
        Ok(Some(Remaining(all)).filter(|Remaining(all)| !all.is_empty()))
    }

    /// Gives back the memory of buckets that nobody draws from any more.
    pub fn tidy(&self) {
        self.address.iter().for_each(Scope::tidy);
        self.credential.iter().for_each(Scope::tidy);
        self.tenant.iter().for_each(Scope::tidy);
        self.recorded_refusals.tidy();
        self.recorded_denials.retain_recent();
        self.recorded_denials.shrink_to_fit();
        self.recorded_throttling.retain_recent();
        self.recorded_throttling.shrink_to_fit();
    }
}

/// A bucket that holds what is recorded at once, and gains one in each interval.
fn recorded(interval: Duration, at_once: NonZeroU32) -> Quota {
    Quota::with_period(interval).unwrap_or_else(|| Quota::per_minute(NonZeroU32::MIN)).allow_burst(at_once)
}

#[cfg(test)]
mod tests {
    use mass_domain::ids::UserId;
    use uuid::Uuid;

    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn an_empty_bucket_refuses_its_own_key_alone() {
        let limits = Limits::new(PerMinute { address: NonZeroU32::new(2), ..PerMinute::default() });
        for _ in 0..2 {
            assert!(limits.take_address(address("192.0.2.1")).is_ok());
        }
        let problem = limits.take_address(address("::ffff:192.0.2.1")).unwrap_err();
        assert_eq!(actix_web::ResponseError::status_code(&problem), 429);
        assert!(limits.take_address(address("192.0.2.2")).is_ok());
    }

    #[test]
    fn a_host_with_a_range_of_ipv6_counts_as_one_address() {
        let limits = Limits::new(PerMinute { address: NonZeroU32::new(1), ..PerMinute::default() });
        assert!(limits.take_address(address("2001:db8::1")).is_ok());
        assert!(limits.take_address(address("2001:db8::ffff:2")).is_err());
        assert!(limits.take_address(address("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn of_the_refusals_to_an_address_thirty_a_minute_are_recorded() {
        let limits = Limits::new(PerMinute::default());
        let recorded = (0..100).filter(|_| limits.records_refusal(address("2001:db8::1"))).count();
        // The bucket gains one every two seconds, should this test take as long.
        assert!((30..100).contains(&recorded), "{recorded}");
        assert!(!limits.records_refusal(address("2001:db8::ffff:2")));
        assert!(limits.records_refusal(address("192.0.2.1")));
        assert!(limits.records_refusal(None));
    }

    #[test]
    fn of_the_denials_of_a_caller_the_first_ten_are_recorded_and_the_others_counted() {
        let limits = Limits::new(PerMinute::default());
        let [one, other] = [1, 2].map(|number| Actor::User(UserId::from_uuid(Uuid::from_u128(number))));
        let recorded = (0..1000).filter_map(|_| limits.records_denial(one)).count();
        // The bucket gains one a minute, should this test take as long.
        assert!((10..15).contains(&recorded), "{recorded}");
        assert_eq!(limits.records_denial(other), Some(0));
        assert!(limits.unrecorded_denials.lock().unwrap()[&one] > 900);
    }

    #[test]
    fn a_hundred_refused_records_cost_as_much_as_a_request() {
        let limits = Limits::new(PerMinute { credential: NonZeroU32::new(3), ..PerMinute::default() });
        let caller = Principal::system(TenantId::system());
        let mut uncharged = 250;
        assert!(limits.charge_refused(&caller, &mut uncharged).is_ok());
        assert_eq!(uncharged, 50);
        uncharged += 100;
        assert!(limits.take_caller(&caller).is_ok());
        assert!(limits.charge_refused(&caller, &mut uncharged).is_err());
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let limits = Limits::new(PerMinute::default());
        assert!(limits.take_address(address("192.0.2.1")).unwrap().is_none());
    }
}
