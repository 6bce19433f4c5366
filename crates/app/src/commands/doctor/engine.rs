//! The engine, and the deliveries to it.

use mass_domain::delivery::State;

use super::report::Report;
use super::{Examined, age};
use crate::config::{Secrets, Settings};
use crate::engine::probe;
use crate::startup;
use crate::terminal::in_one_line;

/// The seconds for which a delivery may be due before somebody should look.
const LATE: u64 = 600;

/// Checks that the engine answers.
pub(super) async fn check(settings: &Settings, secrets: &Secrets, report: &mut Report) {
    const CHECK: &str = "engine";
    let options = match startup::engine_options(settings, secrets) {
        Ok(Some(options)) => options,
        Ok(None) => return report.skip(CHECK, "none is configured"),
        Err(_) => return report.skip(CHECK, "its configuration cannot be used"),
    };
    match probe(&options).await {
        Ok(status @ (401 | 403)) => {
            report.fail(CHECK, format!("it answers, and refuses the token ({status})"), "correct MASS_ENGINE_TOKEN");
        }
        Ok(status) => report.ok(CHECK, format!("{} answers ({status})", options.url)),
        Err(error) => {
            let found = format!("{}: {error}", options.url);
            report.fail(CHECK, found, "start it, or correct MASS_ENGINE_URL; deliveries wait meanwhile");
        }
    }
}

/// Checks the queue and the dead letters.
pub(super) async fn check_deliveries(examined: &Examined<'_>, report: &mut Report) {
    const CHECK: &str = "deliveries";
    if let Err(error) = deliveries(examined, report).await {
        report.fail(CHECK, in_one_line(&error), "look at the database");
    }
    report.ok_unless_found(CHECK, "none is late, and there are no dead letters");
}

async fn deliveries(examined: &Examined<'_>, report: &mut Report) -> anyhow::Result<()> {
    const CHECK: &str = "deliveries";
    let outbox = &examined.database.stores().outbox;
    let backlog = outbox.get_backlog(examined.now).await?;
    let late = backlog.oldest_due.map_or(0, |due| age::seconds(due, examined.now));
    if late > LATE {
        let found = format!("{} wait, the oldest has been due for {}", backlog.waiting, age::in_words(late));
        report.warn(CHECK, found, "start a server with MASS_ENGINE_URL, or look at the engine");
    }
    for tenant in examined.customers() {
        let overview = outbox.get_overview(tenant).await?;
        let dead = overview.by_state.iter().find(|(state, _)| *state == State::Dead).map_or(0, |(_, number)| *number);
        if dead > 0 {
            let found = format!("{tenant} has {dead} dead letters");
            report.warn(CHECK, found, "look at GET /v1/admin/deliveries?state=dead; replay or cancel them");
        }
    }
    Ok(())
}
