//! Tenants: what their retention rules are about to erase, and deleted ones that are not erased.

use mass_domain::tenancy::TenantStatus;
use mass_domain::time::Timestamp;
use mass_service::MOST_COUNTED;

use super::Examined;
use super::report::Report;
use crate::terminal::in_one_line;

/// The days before savings reports lose documents from which it is a warning.
const DAYS_BEFORE: i64 = 30;

/// The time after its grace period in which a tenant should be erased, in seconds.
const ERASED_WITHIN: i64 = 3600;

/// Checks all of them.
pub(super) async fn check(examined: &Examined<'_>, report: &mut Report) {
    if let Err(error) = check_retention(examined, report).await {
        report.fail("retention", in_one_line(&error), "look at the database");
    }
    if let Err(error) = check_erasure(examined, report).await {
        report.fail("erasure", in_one_line(&error), "look at the database");
    }
}

async fn check_retention(examined: &Examined<'_>, report: &mut Report) -> anyhow::Result<()> {
    const CHECK: &str = "retention";
    let until = examined.now.plus_seconds(DAYS_BEFORE * 86_400).unwrap_or(examined.now);
    let store = &examined.database.stores().retention;
    for tenant in examined.customers() {
        let retention = store.get(tenant, None, examined.now, MOST_COUNTED).await?;
        let soon: Vec<_> = retention.reports.into_iter().filter(|report| report.erases_from <= until).collect();
        let Some(first) = soon.first() else { continue };
        let (number, project, at) = (soon.len(), &first.project, first.erases_from);
        let found = format!(
            "the retention rules of {tenant} erase documents of {number} savings reports within {DAYS_BEFORE} days: \
             of {project:?} from {at}"
        );
        report.warn(CHECK, found, "set a legal hold if the reports must be computed anew, or export the documents");
    }
    report.ok_unless_found(CHECK, "no savings report loses documents soon".to_owned());
    Ok(())
}

async fn check_erasure(examined: &Examined<'_>, report: &mut Report) -> anyhow::Result<()> {
    const CHECK: &str = "erasure";
    let overdue = examined.now.plus_seconds(-ERASED_WITHIN).unwrap_or(examined.now);
    let store = &examined.database.stores().admin.tenants;
    for tenant in examined.customers() {
        let Some(stored) = store.find(tenant).await? else { continue };
        let is_leaving = matches!(stored.lifecycle.status(), TenantStatus::DeletionRequested | TenantStatus::Erasing);
        let since: Option<Timestamp> =
            stored.lifecycle.deletion_due_at.filter(|due_at| is_leaving && *due_at < overdue);
        if let Some(since) = since {
            let found = format!("{tenant} should have been erased since {since}");
            report.warn(
                CHECK,
                found,
                "run a server with MASS_MIGRATION_DATABASE_URL, and release the tenant's legal holds, if it has any",
            );
        }
    }
    report.ok_unless_found(CHECK, "no tenant waits for its erasure".to_owned());
    Ok(())
}
