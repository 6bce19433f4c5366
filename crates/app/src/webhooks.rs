//! Calls of webhooks: which addresses may be called, the HTTP client, and the worker.
//!
//! Tenants choose the addresses, so that more of them are refused than for the engine, whose address the operator chooses:
//! private ones, too, unless the operator lists their hosts.

use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mass_alert_service::{
    ClaimedNotification, Destinations, NotificationClaim, NotificationQueue, Notifier, SendError, Sender, Sent,
    SignedHeaders, WebhookKeys,
};
use mass_domain::delivery::WorkerName;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Clock;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::engine::address::{Host, embedded, is_refused};
use crate::retry_after::retry_after;
use crate::telemetry::metrics::Metrics;

/// The timeout of connecting to a receiver.
const CONNECT: Duration = Duration::from_secs(5);

/// The timeout of a call.
const CALL: Duration = Duration::from_secs(15);

/// The interval at which the queue is looked at while nothing is due.
const POLL: Duration = Duration::from_secs(1);

/// The interval after an error of the database.
const RETRY: Duration = Duration::from_secs(5);

/// The concurrent calls of a process.
const CALLS: usize = 8;

/// The concurrent calls of a process for one tenant, whose receivers may be slow.
const CALLS_OF_TENANT: usize = 2;

/// What a URL is expected to be.
const EXPECTED: &str =
    "an https URL without a user, password or fragment, whose host is neither private nor special-purpose";

/// The hosts that may have private addresses and plain HTTP.
#[derive(Debug, Clone, Default)]
pub struct PrivateHosts(pub Vec<Host>);

impl PrivateHosts {
    fn lists(&self, host: &str) -> bool {
        self.0.iter().any(|listed| listed.to_string() == host)
    }

    /// Returns true if a host must not be called at an address.
    fn refuses(&self, host: &str, address: IpAddr) -> bool {
        is_refused(address) || (is_private(address) && !self.lists(host))
    }

    /// Parses a URL that may be called, as far as that can be told without resolving its host.
    fn parse(&self, url: &str) -> Option<Url> {
        let url = Url::parse(url).ok()?;
        let host = url.host_str()?;
        let has_user = !url.username().is_empty() || url.password().is_some();
        let is_secure = url.scheme() == "https" || (url.scheme() == "http" && self.lists(host));
        let literal: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        let is_good = is_secure
            && !has_user
            && url.fragment().is_none()
            && literal.is_none_or(|address| !self.refuses(host, address));
        is_good.then_some(url)
    }
}

impl Destinations for PrivateHosts {
    fn check(&self, url: &str) -> Result<(), String> {
        self.parse(url).map(|_| ()).ok_or_else(|| EXPECTED.to_owned())
    }
}

/// Returns true for addresses of this machine and of private networks (RFC 1918, 6598, 2544), and in IPv6 for all that are not
/// global unicast (RFC 4291) and lead to no public IPv4 address.
fn is_private(address: IpAddr) -> bool {
    let is_private_v4 = |v4: Ipv4Addr| {
        let [a, b, ..] = v4.octets();
        v4.is_loopback()
            || v4.is_private()
            || (a == 100 && (64..128).contains(&b))
            || (a == 198 && matches!(b, 18 | 19))
    };
    let is_global = |v6: Ipv6Addr| v6.segments()[0] & 0xe000 == 0x2000;
    match address {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => embedded(v6).map_or(!is_global(v6), is_private_v4),
    }
}

/// All addresses of the name are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name has only private or special-purpose addresses")]
struct AllRefused;

/// The system's resolver, without refused addresses. It is asked at each connection.
struct FilteringResolver(PrivateHosts);

impl Resolve for FilteringResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let hosts = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let usable: Vec<SocketAddr> = found.filter(|address| !hosts.refuses(name.as_str(), address.ip())).collect();
            if usable.is_empty() {
                return Err(io::Error::other(AllRefused).into());
            }
            Ok(Box::new(usable.into_iter()) as Addrs)
        })
    }
}

/// The HTTP client of webhooks.
pub struct WebhookClient {
    http: Client,
    hosts: PrivateHosts,
}

impl WebhookClient {
    /// Builds the client.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(hosts: PrivateHosts) -> reqwest::Result<Self> {
        let http = Client::builder()
            .user_agent(concat!("mass/", env!("CARGO_PKG_VERSION")))
            // The stored URL alone decides the address: neither redirects nor proxy variables of the environment apply.
            .redirect(Policy::none())
            .dns_resolver(FilteringResolver(hosts.clone()))
            .no_proxy()
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT)
            .timeout(CALL)
            .pool_max_idle_per_host(1)
            .build()?;
        Ok(Self { http, hosts })
    }
}

#[async_trait]
impl Sender for WebhookClient {
    async fn send(&self, url: &str, headers: &SignedHeaders, body: &str) -> Result<(), SendError> {
        let fails = |detail: &str, is_final| SendError { detail: detail.to_owned(), is_final, retry_after: None };
        // The operator may have changed what may be called since it was stored.
        let url = self.hosts.parse(url).ok_or_else(|| fails("The webhook's URL must not be called.", true))?;
        let mut map = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        for (name, text) in [
            ("webhook-id", headers.id.clone()),
            ("webhook-timestamp", headers.timestamp.to_string()),
            ("webhook-signature", headers.signature.clone()),
        ] {
            if let Ok(value) = HeaderValue::try_from(text) {
                map.insert(name, value);
            }
        }
        let answer = self.http.post(url).headers(map).body(body.to_owned()).send().await;
        let answer = answer.map_err(|error| fails(failure(&error.without_url()), false))?;
        // What else it answers is not read.
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(SendError {
            detail: format!("The receiver answered with status {}.", status.as_u16()),
            is_final: status == StatusCode::GONE,
            retry_after: retry_after(answer.headers()),
        })
    }
}

/// Maps an error without an answer. It must not have the URL, which may hold a secret of the receiver.
fn failure(error: &reqwest::Error) -> &'static str {
    tracing::debug!(error = format!("{error:?}"), "a webhook did not answer");
    let mut causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let refused = causes.any(|cause| match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => inner.is::<AllRefused>(),
        None => cause.is::<AllRefused>(),
    });
    match (refused, error.is_connect(), error.is_timeout()) {
        (true, _, _) => "The receiver's name has only private or special-purpose addresses, which are not called.",
        (false, true, _) => "No connection to the receiver can be made.",
        (false, false, true) => "The receiver did not answer in time.",
        (false, false, false) => "The connection to the receiver ended before an answer came.",
    }
}

/// The parts of this server's notifiers.
pub struct Notifying {
    queue: Arc<dyn NotificationQueue>,
    sender: Arc<dyn Sender>,
    keys: WebhookKeys,
    clock: Arc<dyn Clock>,
}

impl Notifying {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        queue: Arc<dyn NotificationQueue>,
        sender: Arc<dyn Sender>,
        keys: WebhookKeys,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { queue, sender, keys, clock }
    }

    /// Builds a notifier under this name, which has to be unique among all servers.
    #[must_use]
    pub fn notifier(&self, name: WorkerName) -> Notifier {
        let (queue, sender) = (Arc::clone(&self.queue), Arc::clone(&self.sender));
        let random = Arc::new(rand::random::<f64>);
        Notifier::new(queue, sender, self.keys.clone(), Arc::clone(&self.clock), random, name)
    }
}

type Outcome = Result<Option<Sent>, PortError>;

/// The worker: one per process, with several concurrent calls.
pub struct Worker {
    notifier: Arc<Notifier>,
    metrics: Metrics,
    calls: JoinSet<Outcome>,
    held: HashMap<Id, NotificationClaim>,
    look_at: Instant,
}

impl Worker {
    /// Builds a worker.
    #[must_use]
    pub fn new(notifier: Notifier, metrics: Metrics) -> Self {
        let (notifier, calls, held) = (Arc::new(notifier), JoinSet::new(), HashMap::new());
        Self { notifier, metrics, calls, held, look_at: Instant::now() }
    }

    /// Works until it is told to stop. Calls under way are given up then, and made again once their leases end.
    pub async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            let has_room = self.calls.len() < CALLS;
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return,
                Some(ended) = self.calls.join_next_with_id() => {
                    self.ended(ended);
                    continue;
                }
                () = sleep_until(self.look_at), if has_room => {}
            }
            self.look().await;
        }
    }

    /// Claims a notification and begins its call.
    async fn look(&mut self) {
        let pause = match self.notifier.claim(&self.busy()).await {
            Ok(Some(claimed)) => {
                self.begin(claimed);
                Duration::ZERO
            }
            Ok(None) => POLL,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "the queue of notifications cannot be read now");
                RETRY
            }
        };
        self.look_at = Instant::now() + pause;
    }

    /// Returns the tenants that have as many calls under way as they may.
    fn busy(&self) -> Vec<TenantId> {
        let mut counts: HashMap<&TenantId, usize> = HashMap::new();
        for claim in self.held.values() {
            *counts.entry(&claim.tenant_id).or_default() += 1;
        }
        counts.into_iter().filter(|(_, count)| *count >= CALLS_OF_TENANT).map(|(tenant, _)| tenant.clone()).collect()
    }

    fn begin(&mut self, claimed: ClaimedNotification) {
        let (claim, notifier) = (claimed.claim.clone(), Arc::clone(&self.notifier));
        let handle = self.calls.spawn(async move { notifier.send(claimed).await });
        self.held.insert(handle.id(), claim);
    }

    fn ended(&mut self, ended: Result<(Id, Outcome), JoinError>) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let claim = self.held.remove(&id);
        let notification = claim.map(|claim| claim.id.to_string()).unwrap_or_default();
        match ended {
            Ok((_, Ok(sent))) => {
                if let Some(Sent::Dead { failure }) = &sent {
                    tracing::warn!(notification, failure, "a notification is dead: it is not sent again");
                }
                self.metrics.notified(sent.as_ref());
            }
            Ok((_, Err(error))) => {
                tracing::warn!(
                    notification,
                    error = format!("{error:#}"),
                    "what became of a notification is not stored"
                );
            }
            Err(error) => tracing::error!(notification, error = error.to_string(), "a notification has failed"),
        }
        self.look_at = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(text: &str) -> PrivateHosts {
        PrivateHosts(text.split(',').filter(|host| !host.is_empty()).map(|host| host.parse().unwrap()).collect())
    }

    #[test]
    fn a_webhook_is_called_over_tls_at_a_public_address() {
        for good in ["https://hooks.example/x?token=y", "https://1.1.1.1:8443/", "https://[2606:4700::1]/"] {
            assert!(hosts("").parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "hooks.example",
            "http://hooks.example/",
            "ftp://hooks.example/",
            "file:///etc/passwd",
            "https://user@hooks.example/",
            "https://:secret@hooks.example/",
            "https://hooks.example/#a",
            "https://127.0.0.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://10.0.0.7/",
            "https://172.16.0.1/",
            "https://192.168.1.1/",
            "https://100.64.0.1/",
            "https://198.18.0.1/",
            "https://169.254.169.254/",
            "https://0.0.0.0/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:10.0.0.7]/",
            "https://[64:ff9b::a00:7]/",
            "https://[2002:a00:7::1]/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "https://[fec0::1]/",
            "https://[::ffff:0:7f00:1]/",
            "https://[1::1]/",
            "https://[4000::1]/",
            "https://127.0.0.1./",
        ] {
            assert!(hosts("").parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn listed_hosts_may_be_private_but_not_special_purpose() {
        let listed = hosts("127.0.0.1,pager.internal,169.254.169.254");
        assert!(listed.parse("http://127.0.0.1:9000/x").is_some());
        assert!(listed.parse("http://pager.internal/").is_some());
        assert!(listed.parse("http://169.254.169.254/").is_none());
        assert!(listed.parse("http://127.0.0.2/").is_none());
        let (loopback, metadata) = ("127.0.0.1".parse().unwrap(), "169.254.169.254".parse().unwrap());
        assert!(!listed.refuses("pager.internal", loopback) && listed.refuses("pager.internal", metadata));
        assert!(listed.refuses("hooks.example", loopback), "a public name that leads to this machine");
    }
}
