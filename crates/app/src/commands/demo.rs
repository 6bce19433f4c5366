//! `mass demo`: a simulated pilot in a database of its own, loaded at the first start and then served. Its sites go on at later
//! starts.

mod folder;
mod load;

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use mass_domain::time::{Clock, Timestamp};
use secrecy::SecretString;

use self::folder::{Folder, Marker, hour_of};
use super::serve::{self, DemoAccounts};
use crate::config::{Secrets, Settings};
use crate::startup::SystemClock;
use crate::telemetry::Telemetry;
use crate::terminal::write_stderr;

/// The folder of the demo, below that of files.
const FOLDER: &str = "demo";

/// The seed unless another one is named.
const SEED: u64 = 1;

/// The longest absence after which a demo goes on, in hours: a year.
const LONGEST_ABSENCE: i64 = 366 * 24;

/// The arguments: what is simulated, and how it is served.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The seed: the same one gives the same documents for the same hours [default: 1].
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// The end of what is simulated, in full hours [default: now].
    #[arg(long, value_name = "INSTANT")]
    until: Option<Timestamp>,
    /// Print the addresses and accounts as one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// The settings of the server.
    #[command(flatten)]
    settings: Settings,
}

/// Loads the demo unless it is there, and serves it.
///
/// # Errors
/// If the folder holds anything else, another database is configured, or the server cannot start.
pub async fn run(arguments: Arguments, secrets: &Secrets, telemetry: Telemetry) -> anyhow::Result<ExitCode> {
    let Arguments { seed, until, json, settings } = arguments;
    if secrets.database_url.is_some() || secrets.migration_database_url.is_some() {
        bail!("mass demo fills a database of its own, and never another one: unset DATABASE_URL");
    }
    let path = settings.local.database.folder.data_dir.join(FOLDER);
    let settings = settings.in_folder(path.clone());
    let folder = Folder::new(path);
    let marker = match folder.read()? {
        Some(marker) => go_on(&settings, &folder, marker, seed, until).await?,
        None => load(&settings, &folder, seed.unwrap_or(SEED), until).await?,
    };
    let accounts = DemoAccounts { users: load::users(&settings), password: marker.password };
    let arguments = serve::Arguments { json, with_engine: settings.engine.url()?.is_none(), settings };
    serve::serve(arguments, &Secrets::default(), telemetry, Some(&accounts)).await
}

/// Simulates what the sites have sent since a demo was served last.
async fn go_on(
    settings: &Settings,
    folder: &Folder,
    marker: Marker,
    seed: Option<u64>,
    until: Option<Timestamp>,
) -> anyhow::Result<Marker> {
    if let Some(other) = seed.filter(|seed| *seed != marker.seed) {
        let (path, seed) = (folder.shown(), marker.seed);
        bail!("the demo in the folder {path} has the seed {seed}, not {other}: choose another MASS_DATA_DIR");
    }
    let now = SystemClock.now();
    let last = hour_of(until.unwrap_or(now).min(now));
    let absence = last - marker.reached_hour();
    if absence <= 0 {
        return Ok(marker);
    }
    if absence > LONGEST_ABSENCE {
        let path = folder.shown();
        write_stderr(&format!(
            "mass: the demo in the folder {path} is too old to go on: delete the folder for a new one\n"
        ));
        return Ok(marker);
    }
    write_stderr(&format!("mass: simulating {absence} hours since the demo was served last …\n"));
    load::go_on(settings, &marker, now, last).await?;
    folder.reach(marker, last)
}

/// Simulates the pilot into an empty folder.
async fn load(settings: &Settings, folder: &Folder, seed: u64, until: Option<Timestamp>) -> anyhow::Result<Marker> {
    let now = SystemClock.now();
    let until = until.unwrap_or(now).min(now);
    let password = mass_auth::NewPassword::generate();
    let marker = Marker::new(seed, until, password.secret());
    folder.create(&marker)?;
    write_stderr("mass: simulating a pilot of 16 weeks …\n");
    let secrets = Secrets { admin_password: Some(SecretString::from(marker.password.clone())), ..Secrets::default() };
    load::load(settings, &secrets, &marker).await?;
    folder.finish(marker)
}
