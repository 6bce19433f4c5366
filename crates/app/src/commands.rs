//! One module per command of the program.

pub mod accounts;
pub mod analytics;
pub mod audit;
pub mod backup;
pub mod bridge;
pub mod completions;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod engine;
pub mod export;
pub mod import;
mod input_file;
pub mod man;
pub mod migrate;
mod new_file;
pub mod openapi;
mod remote;
pub mod restore;
pub mod savings;
pub mod serve;
mod verification;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::bail;
use mass_auth::Bootstrapped;
use mass_domain::access::Principal;
use mass_domain::tenancy::TenantId;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use crate::config::{LocalSettings, Secrets};
use crate::startup::Installation;
use crate::terminal::{visible, write_stderr};

/// Standard output was closed by its reader, as `head` does once it has enough. This is not a fault.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
pub struct OutputClosed;

/// Prints to standard output, for people or a pipe, with terminal control characters escaped.
///
/// # Errors
/// [`OutputClosed`] if its reader has closed it, or another error of writing.
pub fn print(text: &str) -> anyhow::Result<()> {
    write_out(visible(text).as_bytes())
}

/// Writes bytes to standard output unchanged, for a program or a file.
///
/// # Errors
/// As [`print`].
fn write_out(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(closed)
}

/// Separates a closed standard output from other errors.
pub(crate) fn closed(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::BrokenPipe { OutputClosed.into() } else { error.into() }
}

/// Prints the generated password of the first administrator, if a command other than `serve` bootstrapped an empty
/// database, or if `serve` failed after that: the password is stored nowhere else.
fn print_first_password(bootstrapped: Option<&Bootstrapped>) {
    if let Some((bootstrapped, password)) = bootstrapped.and_then(|it| Some((it, it.generated_password.as_ref()?))) {
        let (email, password) = (&bootstrapped.email, password.expose_secret());
        write_stderr(&format!("created the first administrator {email}\npassword: {password}   (shown this once)\n"));
    }
}

/// The maximum number of tenants that an error lists.
const NAMED_TENANTS: usize = 20;

/// Requires that a tenant exists.
///
/// # Errors
/// If it does not; the message lists the existing tenants.
fn require_tenant(tenant: &TenantId, tenants: &[TenantId]) -> anyhow::Result<()> {
    if tenants.contains(tenant) {
        return Ok(());
    }
    let named: Vec<&str> = tenants.iter().take(NAMED_TENANTS).map(TenantId::as_str).collect();
    let more = match tenants.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    bail!("there is no tenant {tenant}; expected one of: {}{more}", named.join(", "))
}

/// Opens the local database for a command on one tenant, on behalf of the system.
///
/// # Errors
/// If the database cannot be opened, or as [`tenant`] fails.
async fn open(
    settings: &LocalSettings,
    secrets: &Secrets,
    named: Option<TenantId>,
) -> anyhow::Result<(Installation, Principal)> {
    let installation = Installation::open(settings, secrets).await?;
    print_first_password(installation.bootstrapped.as_ref());
    let tenant = tenant(settings, &installation, named).await?;
    Ok((installation, Principal::system(tenant)))
}

/// Returns the tenant that a command works on: the named one or the default.
///
/// # Errors
/// If there is no such tenant, or it is the system tenant, which has no users and no data.
async fn tenant(
    settings: &LocalSettings,
    installation: &Installation,
    named: Option<TenantId>,
) -> anyhow::Result<TenantId> {
    let mut tenants = installation.database.stores().audit.tenants().await?;
    tenants.retain(|tenant| tenant.as_str() != TenantId::SYSTEM);
    let tenant = named.unwrap_or_else(|| settings.default_tenant.clone());
    require_tenant(&tenant, &tenants)?;
    Ok(tenant)
}

/// Requires that no file exists at a path.
fn require_free(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        bail!("the file {} exists already and is not overwritten", path.display());
    }
    Ok(())
}

/// Computes the SHA-256 of a file, in chunks.
fn sha256(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let (mut digest, mut piece) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(digest.finalize().into()),
            read => digest.update(piece.get(..read).unwrap_or_default()),
        }
    }
}
