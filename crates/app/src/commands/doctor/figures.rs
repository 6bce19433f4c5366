//! The projector: whether figures follow the audit trail.

use std::sync::{Arc, Mutex, PoisonError};

use mass_analytics_service::Position;
use mass_domain::audit::Event;
use mass_domain::tenancy::TenantId;

use super::report::Report;
use super::{Examined, age};
use crate::terminal::in_one_line;

/// The seconds by which figures may be late.
const LATE: u64 = 300;

/// Checks the projection of each tenant.
pub(super) async fn check(examined: &Examined<'_>, report: &mut Report) {
    const CHECK: &str = "projector";
    if !examined.arguments.settings.analytics.analytics {
        report.skip(CHECK, "MASS_ANALYTICS is false: another server has to keep the figures");
        return;
    }
    for tenant in examined.customers() {
        if let Err(error) = check_tenant(examined, tenant, report).await {
            report.fail(CHECK, format!("{tenant}: {}", in_one_line(&error)), "look at the database");
        }
    }
    report.ok_unless_found(CHECK, "figures follow the audit trail");
}

async fn check_tenant(examined: &Examined<'_>, tenant: &TenantId, report: &mut Report) -> anyhow::Result<()> {
    const CHECK: &str = "projector";
    let position = position(examined, tenant).await?;
    if let Some(stopped) = &position.stopped {
        let found = format!("{tenant}: it cannot go past event {}: {}", stopped.sequence, stopped.reason);
        report.fail(CHECK, found, "run a version of MASS that knows the event; figures go on by themselves then");
        return Ok(());
    }
    let first = examined.database.stores().audit.entries(tenant, position.sequence, 1).await?;
    let Some(first) = first.first() else { return Ok(()) };
    let late = age::seconds(Event::read(&first.event)?.event.at, examined.now);
    if late > LATE {
        let found = format!("{tenant}: figures are {} events and {} behind", position.behind(), age::in_words(late));
        report.warn(CHECK, found, "start a server with MASS_ANALYTICS=true, or look at its load");
    }
    Ok(())
}

async fn position(examined: &Examined<'_>, tenant: &TenantId) -> anyhow::Result<Position> {
    let read: Arc<Mutex<Option<Position>>> = Arc::default();
    let into = Arc::clone(&read);
    let job = Box::new(move |snapshot: &mut dyn mass_analytics_service::Snapshot| {
        *into.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot.position()?);
        Ok(())
    });
    examined.database.stores().analytics.read(tenant, job).await?;
    let read = read.lock().unwrap_or_else(PoisonError::into_inner).take();
    read.ok_or_else(|| anyhow::anyhow!("the projection was not read"))
}
