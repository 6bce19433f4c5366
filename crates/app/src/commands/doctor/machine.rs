//! This machine: the configuration, files and their modes, free space, and the limit on open files.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

use super::Arguments;
use super::report::Report;
use crate::config::{Environment, SECRETS, Secrets, Settings, unknown_variables};
use crate::startup;
use crate::terminal::in_one_line;

/// The file descriptors that the program needs beside its connections: database, files, the engine.
const OTHER_DESCRIPTORS: u64 = 300;

/// The free space in bytes below which a server on SQLite is not ready.
const NO_ROOM: u64 = 16 << 20;

/// Checks all of it.
pub(super) fn check(arguments: &Arguments, secrets: &Secrets, report: &mut Report) {
    let settings = &arguments.settings;
    configuration(settings, secrets, report);
    files(settings, secrets, report);
    disk(settings, secrets, arguments.min_free << 20, report);
    open_files(settings, report);
}

fn configuration(settings: &Settings, secrets: &Secrets, report: &mut Report) {
    const CHECK: &str = "configuration";
    for fault in startup::setting_faults(settings, secrets) {
        report.fail(CHECK, in_one_line(&fault), "correct the setting: the server does not start with it");
    }
    for unknown in unknown_variables() {
        let advice = match unknown.nearest {
            Some(nearest) => format!("rename it, if {nearest} is meant, or remove it"),
            None => "remove it; `mass config` lists all settings".to_owned(),
        };
        report.warn(CHECK, format!("{} is not a setting and is ignored", unknown.name), advice);
    }
    let host = settings.http.host.as_str();
    let is_local = ["127.0.0.1", "::1", "[::1]", "localhost"].contains(&host);
    if settings.local.stage.env == Environment::Development && !is_local {
        let found = format!("MASS_ENV is development, and other machines reach MASS_HOST={host}");
        report.warn(CHECK, found, "set MASS_ENV=production, which generates no secrets and prints none");
    }
    if settings.limits.rate_limit_per_minute == 0 {
        let found = "MASS_RATE_LIMIT_PER_MINUTE is 0: one caller can take all of the server";
        report.warn(CHECK, found, "set it, except for measurements");
    }
    report.ok_unless_found(CHECK, "the settings can be used");
}

fn files(settings: &Settings, secrets: &Secrets, report: &mut Report) {
    const CHECK: &str = "files";
    let folder = &settings.local.database.folder;
    let path = &folder.data_dir;
    match fs::metadata(path) {
        Ok(found) if !found.is_dir() => {
            let found = format!("{} is not a folder", path.display());
            report.fail(CHECK, found, "move it away, or set MASS_DATA_DIR");
        }
        Ok(found) => {
            if let Err(error) = tempfile::tempfile_in(path) {
                let found = format!("{} cannot be written: {error}", path.display());
                report.fail(CHECK, found, "let the user that runs MASS own it");
            }
            warn_if_shared(CHECK, path, &found, report);
        }
        Err(_) => report.skip(CHECK, format!("{} is not there: the server makes it", path.display())),
    }
    for path in startup::key_files(folder, secrets) {
        if let Err(error) = startup::require_private(&path) {
            let found = format!("{}: {}", path.display(), in_one_line(&error));
            report.fail(CHECK, found, "mend its mode, and replace the key if others may have read it");
        }
    }
    for path in database_files(settings, secrets) {
        if let Ok(found) = fs::metadata(&path) {
            warn_if_shared(CHECK, &path, &found, report);
        }
    }
    let path = Path::new(".env");
    let has_secrets = |text: &str| {
        let names = text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.trim());
        names.into_iter().any(|name| SECRETS.contains(&name.trim_start_matches("export ")))
    };
    if let (Ok(found), Ok(text)) = (fs::metadata(path), fs::read_to_string(path))
        && has_secrets(&text)
    {
        warn_if_shared(CHECK, path, &found, report);
    }
    report.ok_unless_found(CHECK, "only their owner can read them");
}

fn database_files(settings: &Settings, secrets: &Secrets) -> Vec<PathBuf> {
    let Some(file) = settings.local.database.file(secrets) else { return Vec::new() };
    let with = |ending| {
        let mut name = file.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    };
    ["", "-wal", "-shm", "-journal"].map(with).to_vec()
}

fn warn_if_shared(check: &'static str, path: &Path, found: &Metadata, report: &mut Report) {
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let others = format!("others can use {}, whose mode is {mode:04o}", path.display());
        report.warn(check, others, format!("chmod {:o} {}", mode & 0o700, path.display()));
    }
}

fn disk(settings: &Settings, secrets: &Secrets, least: u64, report: &mut Report) {
    const CHECK: &str = "disk";
    let database = &settings.local.database;
    let folder = |file: PathBuf| file.parent().map(Path::to_owned).filter(|folder| !folder.as_os_str().is_empty());
    let mut places = vec![database.folder.data_dir.clone()];
    places.extend(database.file(secrets).and_then(folder));
    places.dedup();
    for place in places {
        let found = place.ancestors().find(|place| place.exists()).unwrap_or(Path::new("."));
        let free = match rustix::fs::statvfs(found) {
            Ok(system) => system.f_bavail.saturating_mul(system.f_frsize),
            Err(error) => {
                let found = format!("the free space of {} cannot be read: {error}", place.display());
                report.warn(CHECK, found, "look at the disk");
                continue;
            }
        };
        let found = format!("{} MiB are free for {}", free >> 20, place.display());
        if free < NO_ROOM {
            report.fail(CHECK, found, "make room: less than 16 MiB is not enough to go on");
        } else if free < least {
            report.warn(
                CHECK,
                found,
                "make room, or enlarge the disk; `mass audit archive` moves old events to a file",
            );
        } else {
            report.ok(CHECK, found);
        }
    }
}

fn open_files(settings: &Settings, report: &mut Report) {
    const CHECK: &str = "open files";
    let connections = settings.connections.max_connections as u64;
    let needed = connections + OTHER_DESCRIPTORS;
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < needed => {
            let found = format!("this process may open {limit} files, and {connections} connections may be open");
            let advice = format!("raise the limit to {needed} (ulimit -n, LimitNOFILE), or lower MASS_MAX_CONNECTIONS");
            report.warn(CHECK, found, advice);
        }
        limit => {
            let limit = limit.map_or("any number of".to_owned(), |limit| limit.to_string());
            report.ok(CHECK, format!("this process may open {limit} files"));
        }
    }
}
