//! Items that both stores share.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

use crate::{BackupError, CredentialCounts, Examination, Load, MigrateError};

/// The rows that one statement reads or writes. Planning a statement with many thousands of parameters costs more than
/// the round trips that it saves, and SQLite takes 32,766 at most.
pub(crate) const ROWS_PER_STATEMENT: usize = 100;

/// The keys that one statement looks up: PostgreSQL gets them as one parameter, and SQLite takes 32,766 parameters at most.
pub(crate) const KEYS_PER_STATEMENT: usize = 10_000;

/// Maintenance of a database.
#[async_trait]
pub(crate) trait Upkeep: Send + Sync {
    async fn check(&self) -> Result<(), PortError>;

    async fn purge(&self, before: Timestamp) -> Result<usize, PortError>;

    async fn purge_logins(&self, before: Timestamp, known_before: Timestamp) -> Result<usize, PortError>;

    async fn purge_quarantine(&self, now: Timestamp) -> Result<usize, PortError>;

    async fn clock(&self) -> Result<Option<Timestamp>, PortError>;

    async fn credentials(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<CredentialCounts, PortError>;

    fn examine(&self) -> Result<Examination, String>;

    fn damage(&self) -> Result<Vec<String>, String>;

    fn back_up(&self, path: &Path) -> Result<(), BackupError>;

    fn restore(&self, path: &Path) -> Result<(), BackupError>;

    fn file(&self) -> Option<PathBuf>;

    fn load(&self) -> Load;

    fn migrate(&self) -> Result<Vec<String>, MigrateError>;
}
