//! One module per command of the program.

pub mod accounts;
pub mod audit;
pub mod config;
pub mod engine;
pub mod import;
pub mod migrate;
pub mod openapi;
pub mod serve;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::bail;
use mass_auth::Founded;
use mass_domain::tenancy::TenantId;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use crate::config::LocalSettings;
use crate::startup::Installation;
use crate::terminal::{complain, visible};

/// The reader of standard output has closed it, as `head` does once it has enough: no fault to tell of.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
pub struct OutputClosed;

/// Prints to standard output, for people or for a pipe: without characters that would change a terminal.
///
/// # Errors
/// [`OutputClosed`] when its reader has closed it, or what else keeps it from being written.
pub fn print(text: &str) -> anyhow::Result<()> {
    write_out(visible(text).as_bytes())
}

/// Writes to standard output as it is, for a program or a file.
///
/// # Errors
/// As [`print`].
fn write_out(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(closed)
}

/// Tells a closed standard output from every other error.
pub(crate) fn closed(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::BrokenPipe { OutputClosed.into() } else { error.into() }
}

/// Tells the password of the first administrator, where a command other than `serve` came upon an empty database and
/// made it up, or `serve` failed after it had: it is known nowhere else.
fn tell_founded(founded: Option<&Founded>) {
    if let Some((founded, password)) = founded.and_then(|it| Some((it, it.generated_password.as_ref()?))) {
        let (email, password) = (&founded.email, password.expose_secret());
        complain(&format!("created the first administrator {email}\npassword: {password}   (shown this once)\n"));
    }
}

/// How many tenants an error names.
const NAMED_TENANTS: usize = 20;

/// Requires that a tenant is among those that there are.
///
/// # Errors
/// When it is not; the message names those that there are.
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

/// Finds the tenant in which a command acts: the one that was named, or the default one.
///
/// # Errors
/// When there is no such tenant, or it is MASS's own, which has no users and no data.
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

/// Requires that there is no file yet.
fn require_free(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        bail!("the file {} is there already, and is not overwritten", path.display());
    }
    Ok(())
}

/// The SHA-256 of a file, which is read piece by piece.
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
