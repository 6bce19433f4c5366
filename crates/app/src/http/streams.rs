//! Bounds on streams: how many batches and exports a caller and a tenant have under way, and how much of them waits in
//! memory.
//!
//! A stream may take hours, so that neither rates nor the length of a body bound what it holds. Memory is reserved as
//! buffers grow; where there is none left, a stream is refused or ends, rather than waits: it would keep what it has.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::http::header::{self, HeaderValue};
use actix_web::web;
use futures_util::{Stream as Pieces, StreamExt};
use mass_domain::access::{Actor, Principal};
use mass_domain::tenancy::TenantId;

use super::problem::{Problem, ProblemKind};

/// The `Retry-After` of a refusal.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Memory is reserved in multiples of this.
const STEP: usize = 64 * 1024;

/// The limits on streams; `None` where there is none.
#[derive(Debug, Clone, Copy)]
pub struct StreamLimits {
    /// Streams of one user or API key (`MASS_STREAMS_PER_CREDENTIAL`).
    pub per_credential: Option<usize>,
    /// Streams of one tenant (`MASS_STREAMS_PER_TENANT`).
    pub per_tenant: Option<usize>,
    /// Bytes that all of them hold (`MASS_STREAM_BUFFER_BYTES`); those of one tenant hold half of it at most.
    pub buffer_bytes: usize,
    /// Records of a batch that are refused one after the other (`MASS_BATCH_REFUSED_IN_A_ROW`).
    pub refused_in_a_row: Option<u64>,
    /// Bytes of a batch's results that wait for the client to read them (`MASS_BATCH_UNREAD_BYTES`).
    pub unread_bytes: u64,
}

/// The streams that are open now.
#[derive(Debug)]
pub struct Streams {
    limits: StreamLimits,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    by_credential: HashMap<Actor, usize>,
    by_tenant: HashMap<TenantId, usize>,
    bytes: usize,
    bytes_by_tenant: HashMap<TenantId, usize>,
}

/// A stream that counts against the limits until it is dropped.
pub(super) struct Stream {
    streams: web::Data<Streams>,
    credential: Actor,
    tenant: TenantId,
}

/// Memory that a stream has reserved, given back when it is dropped.
pub(super) struct Room {
    stream: Arc<Stream>,
    bytes: usize,
}

impl Streams {
    /// Nothing open yet.
    #[must_use]
    pub fn new(limits: StreamLimits) -> Self {
        Self { limits, open: Mutex::default() }
    }

    /// The limits on streams.
    pub(super) const fn limits(&self) -> &StreamLimits {
        &self.limits
    }

    /// Returns the number of streams that a tenant has open.
    #[must_use]
    pub fn open_of(&self, tenant: &TenantId) -> usize {
        self.open().by_tenant.get(tenant).copied().unwrap_or_default()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a stream of a caller.
///
/// # Errors
/// The [`Problem`] that names the limit that is reached.
pub(super) fn open(streams: &web::Data<Streams>, caller: &Principal) -> Result<Arc<Stream>, Problem> {
    let StreamLimits { per_credential, per_tenant, .. } = streams.limits;
    let (credential, tenant) = (caller.actor(), caller.tenant().clone());
    let mut open = streams.open();
    let is_full = |count: Option<&usize>, limit: usize| count.is_some_and(|count| *count >= limit);
    if let Some(limit) = per_credential.filter(|limit| is_full(open.by_credential.get(&credential), *limit)) {
        return Err(too_many("credential", limit, "MASS_STREAMS_PER_CREDENTIAL"));
    }
    if let Some(limit) = per_tenant.filter(|limit| is_full(open.by_tenant.get(&tenant), *limit)) {
        return Err(too_many("tenant", limit, "MASS_STREAMS_PER_TENANT"));
    }
    *open.by_credential.entry(credential).or_default() += 1;
    *open.by_tenant.entry(tenant.clone()).or_default() += 1;
    drop(open);
    Ok(Arc::new(Stream { streams: streams.clone(), credential, tenant }))
}

fn too_many(scope: &str, limit: usize, setting: &str) -> Problem {
    Problem::new(ProblemKind::TooManyStreams)
        .detail(format!("This {scope} has {limit} batches and exports under way, its most ({setting})."))
        .member("scope", scope)
        .member("limit", limit)
        .header(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER.as_secs()))
}

fn no_room(whose: &str, limit: usize, which: &str) -> Problem {
    let detail = format!("The batches {whose} hold {limit} bytes in memory, {which}MASS_STREAM_BUFFER_BYTES).");
    Problem::unavailable(&detail, RETRY_AFTER).member("limit", limit)
}

/// Keeps a stream open until the last of these pieces is sent, or the client is gone.
pub(super) fn holding<T>(
    stream: Arc<Stream>,
    pieces: impl Pieces<Item = T> + 'static,
) -> impl Pieces<Item = T> + 'static {
    pieces.map(move |piece| {
        let _open = &stream;
        piece
    })
}

/// Takes from a count, and forgets one that is 0.
fn take<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K, amount: usize) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(amount);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        take(&mut open.by_credential, &self.credential, 1);
        take(&mut open.by_tenant, &self.tenant, 1);
    }
}

impl Room {
    /// Nothing reserved yet.
    pub(super) const fn new(stream: Arc<Stream>) -> Self {
        Self { stream, bytes: 0 }
    }

    /// Nothing reserved yet, for more of the same stream.
    pub(super) fn another(&self) -> Self {
        Self::new(Arc::clone(&self.stream))
    }

    /// Reserves so many bytes in all, or gives back what is more.
    ///
    /// # Errors
    /// The [`Problem`] that names the limit; what was reserved stays.
    pub(super) fn fit(&mut self, bytes: usize) -> Result<(), Problem> {
        let bytes = bytes.next_multiple_of(STEP);
        let Some(more) = bytes.checked_sub(self.bytes) else {
            self.give_back(self.bytes - bytes);
            return Ok(());
        };
        if more == 0 {
            return Ok(());
        }
        let limit = self.stream.streams.limits.buffer_bytes;
        let mut open = self.stream.streams.open();
        if open.bytes + more > limit {
            return Err(no_room("under way", limit, "their most ("));
        }
        let of_tenant = open.bytes_by_tenant.entry(self.stream.tenant.clone()).or_default();
        if *of_tenant + more > limit / 2 {
            return Err(no_room("of this tenant", limit / 2, "its most (half of "));
        }
        *of_tenant += more;
        open.bytes += more;
        self.bytes = bytes;
        Ok(())
    }

    fn give_back(&mut self, bytes: usize) {
        let mut open = self.stream.streams.open();
        open.bytes = open.bytes.saturating_sub(bytes);
        take(&mut open.bytes_by_tenant, &self.stream.tenant, bytes);
        self.bytes -= bytes;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams(limits: StreamLimits) -> web::Data<Streams> {
        web::Data::new(Streams::new(limits))
    }

    fn caller(tenant: &str) -> Principal {
        Principal::system(TenantId::parse(tenant).unwrap())
    }

    const UNLIMITED: StreamLimits = StreamLimits {
        per_credential: None,
        per_tenant: None,
        buffer_bytes: 8 * STEP,
        refused_in_a_row: None,
        unread_bytes: 1 << 20,
    };

    #[test]
    fn a_stream_counts_until_it_is_dropped() {
        let streams = streams(StreamLimits { per_tenant: Some(2), ..UNLIMITED });
        let (first, _second) = (open(&streams, &caller("one")).unwrap(), open(&streams, &caller("one")).unwrap());
        assert!(open(&streams, &caller("one")).is_err());
        assert!(open(&streams, &caller("two")).is_ok(), "each tenant has its own");
        drop(first);
        assert!(open(&streams, &caller("one")).is_ok());
    }

    #[test]
    fn rooms_share_a_buffer_of_which_a_tenant_has_half() {
        let streams = streams(UNLIMITED);
        let of = |tenant: &str| Room::new(open(&streams, &caller(tenant)).unwrap());
        let (mut one, mut two, mut three) = (of("one"), of("two"), of("three"));
        assert!(one.fit(4 * STEP + 1).is_err());
        assert!(one.fit(4 * STEP - 1).is_ok());
        assert!(one.another().fit(1).is_err(), "all rooms of a tenant count");
        assert!(two.fit(4 * STEP).is_ok());
        assert!(three.fit(1).is_err());
        assert!(one.fit(3 * STEP).is_ok());
        assert!(three.fit(1).is_ok());
        drop((one, two, three));
        let open = streams.open();
        assert_eq!(
            (open.bytes, open.bytes_by_tenant.len(), open.by_tenant.len(), open.by_credential.len()),
            (0, 0, 0, 0)
        );
    }
}
