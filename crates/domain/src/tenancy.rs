//! Tenants: organisations with strictly separated data.

use std::fmt;
use std::str::FromStr;

use crate::names::named_enum;
use crate::time::Timestamp;

/// A tenant's slug: 1–63 characters of `[a-z0-9-]` that begin and end with a letter or digit (a DNS label, RFC 1123
/// section 2.1). It identifies the tenant in every table and in documents, and never changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Box<str>);

/// Error for a text that is not a slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tenant's slug must have 1 to 63 characters of a-z, 0-9 and hyphen, and must begin and end with a letter or digit"
)]
pub struct InvalidTenantId;

impl TenantId {
    /// The slug of the system tenant. Its audit log holds events that belong to no customer: start, stop, log-ins with
    /// an unknown address. Nobody can log in to it.
    pub const SYSTEM: &str = "system";

    /// Returns the id of the system tenant.
    #[must_use]
    pub fn system() -> Self {
        Self(Self::SYSTEM.into())
    }

    /// Parses a slug.
    ///
    /// # Errors
    /// [`InvalidTenantId`] if the text is not a DNS label in lower case.
    pub fn parse(text: &str) -> Result<Self, InvalidTenantId> {
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        let allowed = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        if bytes.len() <= 63 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidTenantId)
        }
    }

    /// Returns the slug as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TenantId {
    type Err = InvalidTenantId;

    fn from_str(text: &str) -> Result<Self, InvalidTenantId> {
        Self::parse(text)
    }
}

/// An organisation that runs pilots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The tenant's slug.
    pub id: TenantId,
    /// Instant of creation.
    pub created_at: Timestamp,
    /// How far it is on its way to its erasure.
    pub lifecycle: Lifecycle,
}

/// The text does not name a status of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown status of a tenant \"{0}\"")]
pub struct UnknownTenantStatus(String);

named_enum!(
    /// The status of a tenant.
    TenantStatus, UnknownTenantStatus {
        /// It is in use.
        Active = "active",
        /// Nobody gets in and nothing is stored; its data stay.
        Suspended = "suspended",
        /// It is suspended, and is erased once the grace period is over.
        DeletionRequested = "deletion_requested",
        /// Its data are being erased, which nothing stops.
        Erasing = "erasing",
        /// Its data are erased. The hashes of its audit log stay, and its slug.
        Erased = "erased",
    }
);

/// The instants of a tenant's way to its erasure. Each is set once those before it are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// The instant from which nobody gets in.
    pub suspended_at: Option<Timestamp>,
    /// The end of the grace period after which the tenant is erased.
    pub deletion_due_at: Option<Timestamp>,
    /// The beginning of the erasure.
    pub erasing_at: Option<Timestamp>,
    /// The end of the erasure.
    pub erased_at: Option<Timestamp>,
}

impl Lifecycle {
    /// Returns the status.
    #[must_use]
    pub const fn status(&self) -> TenantStatus {
        match self {
            Self { erased_at: Some(_), .. } => TenantStatus::Erased,
            Self { erasing_at: Some(_), .. } => TenantStatus::Erasing,
            Self { deletion_due_at: Some(_), .. } => TenantStatus::DeletionRequested,
            Self { suspended_at: Some(_), .. } => TenantStatus::Suspended,
            Self { .. } => TenantStatus::Active,
        }
    }

    /// Tells whether the erasure has begun: from then on nothing of the tenant is stored any more.
    #[must_use]
    pub const fn is_erased(&self) -> bool {
        self.erasing_at.is_some()
    }
}

/// Error for a document or credential of a suspended tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tenant is suspended")]
pub struct Suspended;

/// A tenant's own settings. `None` means the server's configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TenantSettings {
    /// True to send accepted documents to the engine automatically.
    pub auto_send: Option<bool>,
    /// True to keep refused records in the quarantine, where a call does not say otherwise.
    pub quarantine: Option<bool>,
    /// True to demand a second factor of users who administer the tenant or the installation.
    pub second_factor: Option<bool>,
}

impl TenantSettings {
    /// Tells whether a second factor is demanded of administrators: not unless the tenant does so.
    #[must_use]
    pub fn demands_second_factor(&self) -> bool {
        self.second_factor.unwrap_or(false)
    }

    /// Tells whether refused records are kept where a call does not say otherwise: not unless the tenant enables it.
    #[must_use]
    pub fn quarantines(&self) -> bool {
        self.quarantine.unwrap_or(false)
    }
}

/// The server's default for sending accepted documents to the engine automatically.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AutoSend {
    /// Never, regardless of the tenant's settings: the server has no engine.
    #[default]
    NoEngine,
    /// Not unless the tenant enables it.
    Off,
    /// Yes, unless the tenant disables it.
    On,
}

impl AutoSend {
    /// Tells whether documents of a tenant with these settings are sent automatically.
    #[must_use]
    pub fn is_in_force(self, settings: &TenantSettings) -> bool {
        match self {
            Self::NoEngine => false,
            Self::Off => settings.auto_send.unwrap_or(false),
            Self::On => settings.auto_send.unwrap_or(true),
        }
    }
}

/// The credentials version of a tenant. It increases with every change that can restrict a credential: the end of a
/// session, a disabled user, changed roles, a revoked key. A cached principal is valid only while the version is
/// unchanged, and until the credential expires.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CredentialsVersion(pub i64);

/// The quotas of a tenant. `None` means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quotas {
    /// MASS requests that are stored in a day of UTC, and calls that are refused documents.
    pub requests_per_day: Option<u64>,
    /// Bytes of stored documents and savings reports.
    pub stored_bytes: Option<u64>,
    /// Bytes of records in the quarantine; `None` means the server's limit.
    pub quarantine_bytes: Option<u64>,
}

/// The usage counted against the quotas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The day of UTC whose requests are counted, in days since 1970-01-01.
    pub day: i64,
    /// The MASS requests that were stored on that day, and the calls that were refused documents.
    pub requests: u64,
    /// The total size of stored documents and savings reports in bytes.
    pub stored_bytes: u64,
}

/// Error for an exceeded quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OverQuota {
    /// The requests of the day are used up.
    #[error("the tenant may send {allowed} requests a day and has sent {used}; the next day begins at {until}")]
    Requests {
        /// The quota of requests per day.
        allowed: u64,
        /// The requests counted today.
        used: u64,
        /// The start of the next day.
        until: Timestamp,
    },
    /// The document does not fit.
    #[error("the tenant may store {allowed} bytes and has stored {used}; {needed} more do not fit")]
    StoredBytes {
        /// The quota in bytes.
        allowed: u64,
        /// The bytes in use.
        used: u64,
        /// The size of the document or report in bytes.
        needed: u64,
    },
}

impl Usage {
    /// Returns the usage as it counts at an instant: on another day than the counted one, no requests have been stored.
    #[must_use]
    pub fn on_day_of(self, at: Timestamp) -> Self {
        let day = at.unix_micros().div_euclid(MICROS_OF_A_DAY);
        if day == self.day { self } else { Self { day, requests: 0, ..self } }
    }

    /// Counts a stored document.
    ///
    /// # Errors
    /// [`OverQuota`] if it exceeds a quota. Nothing is counted then.
    pub fn admit(&mut self, quotas: &Quotas, at: Timestamp, bytes: u64) -> Result<(), OverQuota> {
        let day = at.unix_micros().div_euclid(MICROS_OF_A_DAY);
        let requests = if day == self.day { self.requests } else { 0 };
        if let Some(allowed) = quotas.requests_per_day.filter(|allowed| requests >= *allowed) {
            let until = Timestamp::from_unix_micros((day + 1).saturating_mul(MICROS_OF_A_DAY)).unwrap_or(at);
            return Err(OverQuota::Requests { allowed, used: requests, until });
        }
        let stored_bytes = self.stored_bytes.saturating_add(bytes);
        if let Some(allowed) = quotas.stored_bytes.filter(|allowed| stored_bytes > *allowed) {
            return Err(OverQuota::StoredBytes { allowed, used: self.stored_bytes, needed: bytes });
        }
        *self = Self { day, requests: requests + 1, stored_bytes };
        Ok(())
    }

    /// Tells whether bytes fit that are stored with no request, such as those of a savings report.
    ///
    /// # Errors
    /// [`OverQuota`] if they exceed the quota.
    pub const fn admit_bytes(&self, quotas: &Quotas, needed: u64) -> Result<(), OverQuota> {
        match quotas.stored_bytes {
            Some(allowed) if self.stored_bytes.saturating_add(needed) > allowed => {
                Err(OverQuota::StoredBytes { allowed, used: self.stored_bytes, needed })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Counts a call that is refused documents at an instant as one of the day's requests. Returns whether the audit trail
    /// tells of it: of the calls beyond the day's requests it tells of the first one alone, and no more are counted.
    pub fn admit_refusal(&mut self, quotas: &Quotas, at: Timestamp) -> bool {
        let day = at.unix_micros().div_euclid(MICROS_OF_A_DAY);
        let requests = if day == self.day { self.requests } else { 0 };
        let is_told = quotas.requests_per_day.is_none_or(|allowed| requests <= allowed);
        if is_told {
            *self = Self { day, requests: requests + 1, ..*self };
        }
        is_told
    }
}

const MICROS_OF_A_DAY: i64 = 86_400 * 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn counts_requests_per_day_until_midnight_utc() {
        let quotas = Quotas { requests_per_day: Some(2), ..Quotas::default() };
        let mut usage = Usage::default();
        for time in ["2026-11-24T00:00:00Z", "2026-11-24T23:59:59.999999Z"] {
            assert_eq!(usage.admit(&quotas, at(time), 10), Ok(()));
        }
        let until = at("2026-11-25T00:00:00Z");
        let over = OverQuota::Requests { allowed: 2, used: 2, until };
        assert_eq!(usage.admit(&quotas, at("2026-11-24T23:59:59.999999Z"), 10), Err(over));
        assert_eq!(usage.admit(&quotas, until, 10), Ok(()));
        assert_eq!((usage.requests, usage.stored_bytes), (1, 30));
    }

    #[test]
    fn counts_a_refused_call_as_a_request_and_records_one_beyond_the_quota() {
        let quotas = Quotas { requests_per_day: Some(3), stored_bytes: Some(1), ..Quotas::default() };
        let mut usage = Usage { stored_bytes: 10, ..Usage::default() };
        let (noon, next) = (at("2026-11-24T12:00:00Z"), at("2026-11-25T12:00:00Z"));
        assert_eq!([noon; 6].map(|at| usage.admit_refusal(&quotas, at)), [true, true, true, true, false, false]);
        assert_eq!((usage.requests, usage.stored_bytes), (4, 10));
        assert!(matches!(usage.admit(&quotas, noon, 0), Err(OverQuota::Requests { allowed: 3, used: 4, .. })));
        assert!(usage.admit_refusal(&quotas, next));
        assert_eq!(usage.requests, 1);
        assert!((0..100).all(|_| usage.admit_refusal(&Quotas::default(), next)));
    }

    #[test]
    fn accepts_documents_up_to_the_last_byte_of_the_quota() {
        let quotas = Quotas { stored_bytes: Some(100), ..Quotas::default() };
        let mut usage = Usage { stored_bytes: 90, ..Usage::default() };
        let (before, now) = (usage, at("2026-11-24T12:00:00Z"));
        let over = OverQuota::StoredBytes { allowed: 100, used: 90, needed: 11 };
        assert_eq!(usage.admit(&quotas, now, 11), Err(over));
        assert_eq!(usage, before);
        assert_eq!(usage.admit(&quotas, now, 10), Ok(()));
        assert_eq!(Usage::default().admit(&Quotas::default(), now, u64::MAX), Ok(()));
    }

    #[test]
    fn tenant_setting_overrides_the_server_if_there_is_an_engine() {
        for (server, by_default, can) in
            [(AutoSend::NoEngine, false, false), (AutoSend::Off, false, true), (AutoSend::On, true, true)]
        {
            let in_force = |auto_send| server.is_in_force(&TenantSettings { auto_send, ..TenantSettings::default() });
            assert_eq!([None, Some(true), Some(false)].map(in_force), [by_default, can, false], "{server:?}");
        }
    }

    #[test]
    fn slug_must_be_a_lower_case_dns_label() {
        for good in ["a", "default", "site-7", "0", &"a".repeat(63)] {
            assert_eq!(TenantId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "é", " a", &"a".repeat(64)] {
            assert_eq!(TenantId::parse(bad), Err(InvalidTenantId), "{bad}");
        }
    }
}
