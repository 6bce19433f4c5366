//! Notifications: their outbox, and the port of the workers that send them.
//!
//! A claim is taken over all tenants; what follows from it is written within the tenant. In PostgreSQL, transactions that
//! lock several rows do so in this order: the head of the tenant's log, the place in the queue of evaluations, alerts, the
//! place in this queue, the notification.

use async_trait::async_trait;
use diesel::dsl::{count_star, exists};
use diesel::prelude::*;
use mass_alert_service::{
    ClaimedNotification, MAX_STORED_NOTIFICATIONS, MAX_WAITING_NOTIFICATIONS, NewNotification, NotificationClaim,
    NotificationQueue, Sent,
};
use mass_domain::alerts::{NotificationState, WebhookName};
use mass_domain::delivery::WorkerName;
use mass_domain::ids::NotificationId;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

use super::audit::{column, count};
use super::{Connection, Store, webhook_lookup};
use crate::columns::{Id, Instant, Word};
use crate::rows::NewNotificationRow;
use crate::schema::{notification_queue, notifications, webhooks};
use crate::store::ROWS_PER_STATEMENT;

/// The notifications that a purge deletes in one transaction.
const PURGED_AT_ONCE: i64 = 1000;

/// Builds the query for the place in the queue of a claim that still holds.
macro_rules! place_of {
    ($claim:expr) => {
        notification_queue::table
            .find(($claim.tenant_id.as_str(), Id($claim.id.as_uuid())))
            .filter(notification_queue::fence.eq($claim.fence))
    };
}

#[async_trait]
impl NotificationQueue for Store {
    async fn claim_notification(
        &self,
        worker: &WorkerName,
        now: Timestamp,
        until: Timestamp,
        except: &[TenantId],
    ) -> Result<Option<ClaimedNotification>, PortError> {
        // A read first, so that a worker that finds nothing does not block a writer.
        let except = except.to_vec();
        let found = self.reads.read_outside(move |connection| first_due(connection, now, &except)).await?;
        let Some(claim) = found else { return Ok(None) };
        let (worker, taken) = (worker.clone(), claim.clone());
        let take = move |connection: &mut Connection| take(connection, &taken, &worker, now, until);
        // Another worker may have been faster.
        if !self.writes.run_outside(take).await? {
            return Ok(None);
        }
        let tenant = claim.tenant_id.clone();
        self.writes.run_for(&tenant, move |connection, tenant| begin(connection, tenant, claim)).await
    }

    async fn conclude(&self, claim: &NotificationClaim, sent: Sent, at: Timestamp) -> Result<bool, PortError> {
        let (tenant, claim) = (claim.tenant_id.clone(), claim.clone());
        self.writes.run_for(&tenant, move |connection, tenant| conclude(connection, tenant, &claim, &sent, at)).await
    }

    async fn purge_notifications(&self, delivered: Timestamp, dead: Timestamp) -> Result<usize, PortError> {
        let purge = move |connection: &mut Connection, tenant: &TenantId| {
            Ok(purge(connection, tenant, NotificationState::Delivered, delivered)?
                + purge(connection, tenant, NotificationState::Dead, dead)?)
        };
        let purged = self.in_each_tenant(purge).await?;
        super::sweep(self).await;
        Ok(purged)
    }
}

/// Queues those of these notifications whose webhooks are there and enabled, as many as there is room for.
pub(super) fn enqueue(connection: &mut Connection, tenant: &TenantId, new: &[NewNotification]) -> QueryResult<()> {
    if new.is_empty() {
        return Ok(());
    }
    let enabled: Vec<Word<WebhookName>> = webhooks::table
        .filter(webhooks::tenant_id.eq(tenant.as_str()))
        .filter(webhooks::enabled.eq(true))
        .select(webhooks::name)
        .load(connection)?;
    let wanted = new.iter().filter(|new| enabled.iter().any(|name| name.0 == new.webhook));
    let wanted: Vec<NewNotification> = wanted.cloned().collect();
    let inserted = insert(connection, tenant, &wanted)?;
    if inserted < wanted.len() {
        let dropped = wanted.len() - inserted;
        tracing::warn!(%tenant, dropped, "too many notifications wait: webhooks are not told of these alerts");
    }
    Ok(())
}

/// Queues notifications, as many as there is room for. Returns their number.
pub(super) fn insert(connection: &mut Connection, tenant: &TenantId, new: &[NewNotification]) -> QueryResult<usize> {
    let room = usize::try_from(room(connection, tenant)?).unwrap_or(usize::MAX);
    let new = &new[..new.len().min(room)];
    make_room(connection, tenant, new.len() as u64)?;
    for new in new.chunks(ROWS_PER_STATEMENT) {
        let rows: Vec<_> = new.iter().map(|new| NewNotificationRow::new(tenant, new)).collect();
        diesel::insert_into(notifications::table).values(rows).execute(connection)?;
        let place = |new: &NewNotification| {
            (
                notification_queue::tenant_id.eq(tenant.as_str().to_owned()),
                notification_queue::notification_id.eq(Id(new.id.as_uuid())),
                notification_queue::due_at.eq(Instant(new.at)),
                notification_queue::fence.eq(0_i64),
            )
        };
        let places: Vec<_> = new.iter().map(place).collect();
        diesel::insert_into(notification_queue::table).values(places).execute(connection)?;
    }
    Ok(new.len())
}

/// Gives a notification a place in the queue.
pub(super) fn queue(
    connection: &mut Connection,
    tenant: &TenantId,
    id: NotificationId,
    at: Timestamp,
) -> QueryResult<()> {
    diesel::insert_into(notification_queue::table)
        .values((
            notification_queue::tenant_id.eq(tenant.as_str()),
            notification_queue::notification_id.eq(Id(id.as_uuid())),
            notification_queue::due_at.eq(Instant(at)),
            notification_queue::fence.eq(0_i64),
        ))
        .execute(connection)?;
    Ok(())
}

/// Returns the number of notifications that may still be queued.
pub(super) fn room(connection: &mut Connection, tenant: &TenantId) -> QueryResult<u64> {
    let waiting: i64 = notification_queue::table
        .filter(notification_queue::tenant_id.eq(tenant.as_str()))
        .select(count_star())
        .first(connection)?;
    Ok(MAX_WAITING_NOTIFICATIONS.saturating_sub(count(waiting)))
}

/// Deletes the oldest notifications that are delivered or dead, so that more of them do not pass the bound.
fn make_room(connection: &mut Connection, tenant: &TenantId, more: u64) -> QueryResult<()> {
    let of_tenant = notifications::table.filter(notifications::tenant_id.eq(tenant.as_str()));
    let stored: i64 = of_tenant.select(count_star()).first(connection)?;
    let mut surplus = (count(stored) + more).saturating_sub(MAX_STORED_NOTIFICATIONS);
    for state in [NotificationState::Delivered, NotificationState::Dead] {
        if surplus > 0 {
            let oldest = finished(connection, tenant, state, None, column(surplus))?;
            surplus = surplus.saturating_sub(delete(connection, tenant, &oldest)? as u64);
        }
    }
    Ok(())
}

/// Lists notifications in a final state, those first that have been in it the longest.
fn finished(
    connection: &mut Connection,
    tenant: &TenantId,
    state: NotificationState,
    before: Option<Timestamp>,
    limit: i64,
) -> QueryResult<Vec<Id>> {
    let mut query = notifications::table
        .filter(notifications::tenant_id.eq(tenant.as_str()))
        .filter(notifications::state.eq(state.as_str()))
        .order(notifications::updated_at)
        .limit(limit)
        .select(notifications::id)
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(notifications::updated_at.lt(Instant(before)));
    }
    query.load(connection)
}

fn delete(connection: &mut Connection, tenant: &TenantId, ids: &[Id]) -> QueryResult<usize> {
    let mut deleted = 0;
    for ids in ids.chunks(ROWS_PER_STATEMENT) {
        let rows = notifications::table
            .filter(notifications::tenant_id.eq(tenant.as_str()))
            .filter(notifications::state.ne(NotificationState::Queued.as_str()))
            .filter(notifications::id.eq_any(ids));
        deleted += diesel::delete(rows).execute(connection)?;
    }
    Ok(deleted)
}

/// Deletes the notifications of a tenant that have been in a final state since before an instant. Returns their number.
fn purge(
    connection: &mut Connection,
    tenant: &TenantId,
    state: NotificationState,
    before: Timestamp,
) -> QueryResult<usize> {
    let mut count = 0;
    // Most tenants have none, and then nothing is written.
    while !finished(connection, tenant, state, Some(before), 1)?.is_empty() {
        count += super::write(connection, |connection| {
            let old = finished(connection, tenant, state, Some(before), PURGED_AT_ONCE)?;
            delete(connection, tenant, &old)
        })?;
    }
    Ok(count)
}

/// Returns the claim that the next worker would have of the notification that is due first.
fn first_due(
    connection: &mut Connection,
    now: Timestamp,
    except: &[TenantId],
) -> QueryResult<Option<NotificationClaim>> {
    let row: Option<(Word<TenantId>, Id, i64)> = notification_queue::table
        .filter(notification_queue::due_at.le(Instant(now)))
        .filter(notification_queue::tenant_id.ne_all(except.iter().map(TenantId::as_str)))
        .order((notification_queue::due_at, notification_queue::tenant_id, notification_queue::notification_id))
        .select((notification_queue::tenant_id, notification_queue::notification_id, notification_queue::fence))
        .first(connection)
        .optional()?;
    Ok(row.map(|(tenant, id, fence)| NotificationClaim {
        tenant_id: tenant.0,
        id: NotificationId::from_uuid(id.0),
        fence: fence + 1,
    }))
}

/// Takes a notification. Returns false if another worker has taken it since.
fn take(
    connection: &mut Connection,
    claim: &NotificationClaim,
    worker: &WorkerName,
    now: Timestamp,
    until: Timestamp,
) -> QueryResult<bool> {
    let place = notification_queue::table.find((claim.tenant_id.as_str(), Id(claim.id.as_uuid())));
    let taken = diesel::update(place)
        .filter(notification_queue::fence.eq(claim.fence - 1))
        .filter(notification_queue::due_at.le(Instant(now)))
        .set((
            notification_queue::due_at.eq(Instant(until)),
            notification_queue::worker.eq(worker.as_str()),
            notification_queue::fence.eq(claim.fence),
        ))
        .execute(connection)?;
    Ok(taken == 1)
}

/// Begins an attempt.
fn begin(
    connection: &mut Connection,
    tenant: &TenantId,
    claim: NotificationClaim,
) -> QueryResult<Option<ClaimedNotification>> {
    super::write(connection, |connection| {
        if !diesel::select(exists(place_of!(claim))).get_result::<bool>(connection)? {
            return Ok(None);
        }
        let row = notifications::table.find((tenant.as_str(), Id(claim.id.as_uuid())));
        let columns = (notifications::webhook, notifications::body, notifications::attempts, notifications::queued_at);
        let (name, body, attempts, queued_at): (Word<WebhookName>, String, i64, Instant) =
            row.select(columns).first(connection)?;
        diesel::update(row).set(notifications::attempts.eq(attempts + 1)).execute(connection)?;
        let webhook = webhook_lookup::find(connection, tenant, &name.0)?;
        let attempts = u32::try_from(attempts + 1).unwrap_or(u32::MAX);
        Ok(Some(ClaimedNotification { claim, webhook, body, attempts, queued_at: queued_at.0 }))
    })
}

fn conclude(
    connection: &mut Connection,
    tenant: &TenantId,
    claim: &NotificationClaim,
    sent: &Sent,
    at: Timestamp,
) -> QueryResult<bool> {
    super::write(connection, |connection| {
        let (released, failure) = match sent {
            Sent::Retry { due_at, failure } => {
                let place = diesel::update(place_of!(claim)).set((
                    notification_queue::due_at.eq(Instant(*due_at)),
                    notification_queue::worker.eq(None::<&str>),
                ));
                (place.execute(connection)?, Some(failure.as_str()))
            }
            Sent::Dead { failure } => (diesel::delete(place_of!(claim)).execute(connection)?, Some(failure.as_str())),
            Sent::Delivered => (diesel::delete(place_of!(claim)).execute(connection)?, None),
        };
        if released == 0 {
            return Ok(false);
        }
        diesel::update(notifications::table.find((tenant.as_str(), Id(claim.id.as_uuid()))))
            .set((
                notifications::state.eq(sent.state().as_str()),
                notifications::updated_at.eq(Instant(at)),
                notifications::failure.eq(failure),
            ))
            .execute(connection)?;
        Ok(true)
    })
}
