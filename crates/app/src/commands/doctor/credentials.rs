//! Keys: those of the configuration, and those that users and gateways have.

use std::collections::BTreeSet;

use mass_auth::{NO_PEPPER, Pepper};

use super::Examined;
use super::report::Report;
use crate::terminal::in_one_line;

/// The days before the end of an API key from which it is a warning.
const DAYS_BEFORE: i64 = 14;

/// Checks all of them.
pub(super) async fn check(examined: &Examined<'_>, report: &mut Report) {
    const CHECK: &str = "keys";
    let secrets = examined.secrets;
    if secrets.secret_key_previous.is_some() {
        let found = "SECRET_KEY_PREVIOUS is set: tokens of the key before are still good";
        report.warn(CHECK, found, "remove it once ACCESS_TOKEN_EXPIRE_MINUTES have passed since the rotation");
    }
    if secrets.admin_password.is_some() && examined.customers().next().is_some() {
        let found = "MASS_ADMIN_PASSWORD is set, and is used on an empty database only";
        report.warn(CHECK, found, "remove it");
    }
    let pepper = secrets.password_pepper.as_ref().and_then(|pepper| Pepper::parse(pepper).ok());
    let known: BTreeSet<&str> = [NO_PEPPER].into_iter().chain(pepper.as_ref().map(Pepper::version)).collect();
    let until = examined.now.plus_seconds(DAYS_BEFORE * 86_400).unwrap_or(examined.now);
    let (mut users, mut shut_out) = (0, 0);
    for tenant in examined.customers() {
        let counts = match examined.database.credentials(tenant, examined.now, until).await {
            Ok(counts) => counts,
            Err(error) => {
                report.fail(CHECK, in_one_line(&anyhow::Error::from(error)), "look at the database");
                return;
            }
        };
        for (pepper, number) in counts.peppers {
            users += number;
            shut_out += if known.contains(pepper.as_str()) { 0 } else { number };
        }
        if counts.expiring_keys > 0 {
            let number = counts.expiring_keys;
            let found = format!("{number} API keys of {tenant} expire within {DAYS_BEFORE} days");
            report.warn(CHECK, found, "create new ones, and give them to the gateways before then");
        }
    }
    if shut_out > 0 {
        let found =
            format!("{shut_out} of {users} users cannot log in: their passwords were hashed with another pepper");
        report.fail(CHECK, found, "set MASS_PASSWORD_PEPPER to the value of that time, or reset their passwords");
    }
    report.ok_unless_found(CHECK, format!("the passwords of {users} users can be verified"));
}
