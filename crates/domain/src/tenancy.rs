//! Tenants: the organisations whose data must never meet.

use std::fmt;
use std::str::FromStr;

use crate::time::Timestamp;

/// A tenant's slug: 1–63 characters of `[a-z0-9-]`, beginning and ending with a letter or digit (a DNS label,
/// RFC 1123 section 2.1). It identifies the tenant in every table and in documents, and never changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Box<str>);

/// The text cannot be a tenant's slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tenant's slug must have 1 to 63 characters of a-z, 0-9 and hyphen, and must begin and end with a letter or digit"
)]
pub struct InvalidTenantId;

impl TenantId {
    /// The slug of what belongs to no customer: start, stop, log-ins under an unknown address. Nobody can log in to it.
    pub const SYSTEM: &str = "system";

    /// The tenant of what belongs to no customer.
    #[must_use]
    pub fn system() -> Self {
        Self(Self::SYSTEM.into())
    }

    /// Parses a slug.
    ///
    /// # Errors
    /// [`InvalidTenantId`] when the text is not a DNS label in lower case.
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

    /// The slug as text.
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
    /// Its slug.
    pub id: TenantId,
    /// When it was created.
    pub created_at: Timestamp,
}

/// What a tenant has decided for itself; where nothing is set, it is as the server is configured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether what is accepted is sent to the engine without being asked to.
    pub auto_send: Option<bool>,
}

/// Whether a server sends what it accepts to the engine without being asked to, where the tenant has not decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AutoSend {
    /// It cannot, whatever the tenant has decided: it has no engine.
    #[default]
    NoEngine,
    /// It does not.
    Off,
    /// It does.
    On,
}

impl AutoSend {
    /// Whether what a tenant with these settings sends is sent on.
    #[must_use]
    pub fn is_in_force(self, settings: &Settings) -> bool {
        match self {
            Self::NoEngine => false,
            Self::Off => settings.auto_send.unwrap_or(false),
            Self::On => settings.auto_send.unwrap_or(true),
        }
    }
}

/// How often what the credentials of a tenant stand for has changed: a session ended, a user was disabled or got other
/// roles, a key was revoked, and whatever else makes a credential open less or something else than before. As long as it
/// stays the same, what was found of a credential still holds, but for the time that passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CredentialsVersion(pub i64);

/// What a tenant may use at most; no limit where nothing is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quotas {
    /// MASS requests that are stored in a day of UTC, and calls that are refused documents.
    pub requests_per_day: Option<u64>,
    /// Bytes of stored documents.
    pub stored_bytes: Option<u64>,
}

/// What a tenant has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The day of UTC whose requests are counted, in days since 1970-01-01.
    pub day: i64,
    /// The MASS requests that were stored on that day, and the calls that were refused documents.
    pub requests: u64,
    /// The bytes of the documents that are stored.
    pub stored_bytes: u64,
}

/// What a tenant has no more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OverQuota {
    /// Requests of the day.
    #[error("the tenant may send {allowed} requests a day and has sent {used}; the next day begins at {until}")]
    Requests {
        /// How many it may send.
        allowed: u64,
        /// How many it has sent.
        used: u64,
        /// When the next day begins.
        until: Timestamp,
    },
    /// Space.
    #[error("the tenant may store {allowed} bytes and has stored {used}; {needed} more do not fit")]
    StoredBytes {
        /// How many bytes it may store.
        allowed: u64,
        /// How many it has stored.
        used: u64,
        /// How many more are asked for.
        needed: u64,
    },
}

impl Usage {
    /// Counts a document that is stored at an instant.
    ///
    /// # Errors
    /// [`OverQuota`] if that would be more than the tenant may use; then nothing is counted.
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
        let quotas = Quotas { requests_per_day: Some(2), stored_bytes: None };
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
        let quotas = Quotas { requests_per_day: Some(3), stored_bytes: Some(1) };
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
        let quotas = Quotas { requests_per_day: None, stored_bytes: Some(100) };
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
            let in_force = |auto_send| server.is_in_force(&Settings { auto_send });
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
