//! The database: whether it is there, its migrations, roles and clock, and its file.

use mass_domain::tenancy::TenantId;
use mass_domain::time::{Clock, Timestamp};
use mass_persistence::{Database, Roles};

use super::age;
use super::report::Report;
use crate::config::{Environment, Secrets, Settings};
use crate::startup::{self, SystemClock};
use crate::terminal::in_one_line;

/// The difference of clocks in seconds that is a warning.
const APART: u64 = 2;

/// The difference of clocks in seconds that fails: leases of deliveries end early then.
const FAR_APART: u64 = 10;

/// Checks the database. Returns it with its tenants if the other checks can read it.
pub(super) async fn check(
    settings: &Settings,
    secrets: &Secrets,
    thorough: bool,
    report: &mut Report,
) -> Option<(Database, Vec<TenantId>)> {
    const CHECK: &str = "database";
    let database = open(settings, secrets, report)?;
    let examination = match database.examine() {
        Ok(examination) => examination,
        Err(error) => {
            report.fail(CHECK, error, "look at the database and at the rights of its role");
            return None;
        }
    };
    match database.check().await {
        Ok(()) => {
            let (server, size) = (&examination.server, examination.bytes >> 20);
            report.ok(CHECK, format!("{}, {server}, {size} MiB", database.describe()));
        }
        Err(error) => {
            let found = in_one_line(&anyhow::Error::from(error));
            report.fail(CHECK, found, "look at the database; servers are not ready until it answers");
        }
    }
    if thorough {
        damage(&database, report);
    }
    clock(&database, report).await;
    if !examination.pending.is_empty() {
        let found = format!("not applied: {}", examination.pending.join(", "));
        report.fail("migrations", found, "make a backup, then run `mass migrate`, or start this version of the server");
        return None;
    }
    report.ok("migrations", "all are applied");
    roles(settings, examination.roles.as_ref(), report);
    match database.stores().audit.tenants().await {
        Ok(tenants) => Some((database, tenants)),
        Err(error) => {
            report.fail(CHECK, in_one_line(&anyhow::Error::from(error)), "look at the database");
            None
        }
    }
}

fn open(settings: &Settings, secrets: &Secrets, report: &mut Report) -> Option<Database> {
    const CHECK: &str = "database";
    // Opening a file makes it.
    if let Some(file) = settings.local.database.file(secrets)
        && !file.exists()
    {
        let found = format!("there is no file {}", file.display());
        report.fail(CHECK, found, "start the server, which makes it, restore a backup, or correct DATABASE_URL");
        return None;
    }
    match startup::open(&settings.local.database, secrets) {
        Ok(database) => Some(database),
        Err(error) => {
            report.fail(CHECK, in_one_line(&error), "start the database, or correct the setting");
            None
        }
    }
}

fn damage(database: &Database, report: &mut Report) {
    const CHECK: &str = "integrity";
    let faults = database.damage().unwrap_or_else(|error| vec![error]);
    for fault in faults {
        report.fail(CHECK, fault, "stop the server, copy the file, and restore the last good backup");
    }
    report.ok_unless_found(CHECK, "no fault was found");
}

async fn clock(database: &Database, report: &mut Report) {
    const CHECK: &str = "clock";
    let mut read = None;
    // The second reading needs no new connection, so that it takes but a round trip.
    for _ in 0..2 {
        let before = SystemClock.now();
        read = match database.clock().await {
            Ok(Some(clock)) => Some((before, clock, SystemClock.now())),
            Ok(None) => {
                report.ok(CHECK, "the database's is this machine's");
                return;
            }
            Err(error) => {
                report.fail(CHECK, in_one_line(&anyhow::Error::from(error)), "look at the database");
                return;
            }
        };
    }
    let Some((before, clock, after)) = read else { return };
    let difference = difference(before, clock, after);
    let found = format!("the database's clock and this machine's are {} apart", age::in_words(difference));
    let advice = "set both by NTP: times of events, sessions and leases are this machine's";
    if difference >= FAR_APART {
        report.fail(CHECK, found, advice);
    } else if difference >= APART {
        report.warn(CHECK, found, advice);
    } else {
        report.ok(CHECK, "the database's and this machine's agree");
    }
}

/// Returns by how many seconds a clock was outside of the time in which it was read.
fn difference(before: Timestamp, clock: Timestamp, after: Timestamp) -> u64 {
    age::seconds(clock, before).max(age::seconds(after, clock))
}

fn roles(settings: &Settings, roles: Option<&Roles>, report: &mut Report) {
    const CHECK: &str = "roles";
    match roles {
        None => report.skip(CHECK, "SQLite has none"),
        Some(Roles::One { role, is_superuser }) => {
            let kind = if *is_superuser { "a superuser" } else { "the owner of the tables" };
            let found = format!("{role}, which serves, is {kind}: row-level security does not hold it");
            let advice = "serve as another role than migrates: set MASS_MIGRATION_DATABASE_URL";
            if settings.local.stage.env == Environment::Production {
                report.warn(CHECK, found, advice);
            } else {
                report.ok(CHECK, found);
            }
        }
        Some(Roles::Two { role, is_held, due }) => {
            for statement in due {
                let found = format!("{role} has other rights than it needs: {statement}");
                report.fail(CHECK, found, "run `mass migrate`, which sets them, or this statement as their owner");
            }
            if !is_held {
                let found = format!("row-level security does not hold {role}");
                report.fail(CHECK, found, "let it be no superuser, without BYPASSRLS, and no member of the owner");
            }
            report.ok_unless_found(CHECK, format!("{role} serves, and has the rights that it needs"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_within_the_time_of_its_reading_does_not_differ() {
        let at = |second: i64| Timestamp::from_unix_micros(second * 1_000_000).unwrap();
        assert_eq!(difference(at(10), at(11), at(13)), 0);
        assert_eq!(difference(at(10), at(10), at(10)), 0);
        assert_eq!(difference(at(10), at(4), at(13)), 6);
        assert_eq!(difference(at(10), at(20), at(13)), 7);
    }
}
