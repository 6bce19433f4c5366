//! Webhooks: the port and its transactions.

use async_trait::async_trait;
use diesel::dsl::count_star;
use diesel::prelude::*;
use mass_alert_service::{
    ChangedWebhook, NewNotification, NotificationFilter, Replay, Rotation, StoredWebhook, WebhookChange,
    WebhookDeletion, WebhookError, WebhookStore,
};
use mass_domain::alerts::{Notification, WebhookName};
use mass_domain::audit::{Act, Action, Object};
use mass_domain::ids::NotificationId;
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;

use super::audit::{Head, count};
use super::webhook_lookup::find;
use super::{Connection, Store, notifications as outbox};
use crate::columns::{Id, Instant};
use crate::rows::{NotificationRow, WebhookChangeset, WebhookRow};
use crate::schema::{notifications, webhooks};

#[async_trait]
impl WebhookStore for Store {
    async fn find_webhook(&self, tenant: &TenantId, name: &WebhookName) -> Result<Option<StoredWebhook>, PortError> {
        let name = name.clone();
        self.reads.read_for(tenant, move |connection, tenant| find(connection, tenant, &name)).await
    }

    async fn list_webhooks(&self, tenant: &TenantId) -> Result<Vec<StoredWebhook>, PortError> {
        self.reads.read_for(tenant, list).await
    }

    async fn upsert_webhook(&self, tenant: &TenantId, change: WebhookChange) -> Result<ChangedWebhook, WebhookError> {
        self.writes.run_for(tenant, move |connection, tenant| upsert(connection, tenant, &change)).await?
    }

    async fn delete_webhook(&self, tenant: &TenantId, deletion: WebhookDeletion) -> Result<(), WebhookError> {
        self.writes.run_for(tenant, move |connection, tenant| delete(connection, tenant, &deletion)).await?
    }

    async fn rotate(&self, tenant: &TenantId, rotation: Rotation) -> Result<StoredWebhook, WebhookError> {
        self.writes.run_for(tenant, move |connection, tenant| rotate(connection, tenant, &rotation)).await?
    }

    async fn send_test(&self, tenant: &TenantId, new: NewNotification, act: Act) -> Result<Notification, WebhookError> {
        self.writes.run_for(tenant, move |connection, tenant| send_test(connection, tenant, &new, &act)).await?
    }

    async fn list_notifications(
        &self,
        tenant: &TenantId,
        filter: NotificationFilter,
        before: Option<NotificationId>,
        limit: Limit,
    ) -> Result<Vec<Notification>, PortError> {
        self.reads
            .read_for(tenant, move |connection, tenant| list_notifications(connection, tenant, &filter, before, limit))
            .await
    }

    async fn replay(&self, tenant: &TenantId, replay: Replay) -> Result<Notification, WebhookError> {
        self.writes.run_for(tenant, move |connection, tenant| send_again(connection, tenant, &replay)).await?
    }
}

fn list(connection: &mut Connection, tenant: &TenantId) -> QueryResult<Vec<StoredWebhook>> {
    let rows = webhooks::table
        .filter(webhooks::tenant_id.eq(tenant.as_str()))
        .select(WebhookRow::as_select())
        .order(webhooks::name)
        .load(connection)?;
    rows.into_iter().map(WebhookRow::into_webhook).collect()
}

/// Stores a webhook as it is judged.
fn upsert(
    connection: &mut Connection,
    tenant: &TenantId,
    change: &WebhookChange,
) -> QueryResult<Result<ChangedWebhook, WebhookError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let before = find(connection, tenant, &change.name)?;
        let stored: i64 =
            webhooks::table.filter(webhooks::tenant_id.eq(tenant.as_str())).select(count_star()).first(connection)?;
        let changed = match change.judge(before.as_ref(), count(stored)) {
            Ok(changed) => changed,
            Err(error) => return Ok(Err(error)),
        };
        if !changed.is_changed {
            return Ok(Ok(changed));
        }
        if changed.is_new {
            let row = WebhookRow::new(tenant, &changed.stored);
            diesel::insert_into(webhooks::table).values(row).execute(connection)?;
        } else {
            store(connection, tenant, &changed.stored)?;
        }
        head.append(connection, [change.event(tenant, before.as_ref())])?;
        Ok(Ok(changed))
    })
}

fn store(connection: &mut Connection, tenant: &TenantId, stored: &StoredWebhook) -> QueryResult<()> {
    diesel::update(webhooks::table.find((tenant.as_str(), stored.name.as_str())))
        .set(WebhookChangeset::new(stored))
        .execute(connection)?;
    Ok(())
}

/// Deletes a webhook if that is allowed.
fn delete(
    connection: &mut Connection,
    tenant: &TenantId,
    deletion: &WebhookDeletion,
) -> QueryResult<Result<(), WebhookError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let stored = find(connection, tenant, &deletion.name)?;
        let event = match deletion.judge(tenant, stored.as_ref()) {
            Ok(event) => event,
            Err(error) => return Ok(Err(error)),
        };
        diesel::delete(webhooks::table.find((tenant.as_str(), deletion.name.as_str()))).execute(connection)?;
        head.append(connection, [event])?;
        Ok(Ok(()))
    })
}

/// Stores another secret.
fn rotate(
    connection: &mut Connection,
    tenant: &TenantId,
    rotation: &Rotation,
) -> QueryResult<Result<StoredWebhook, WebhookError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let next = match rotation.judge(find(connection, tenant, &rotation.name)?) {
            Ok(next) => next,
            Err(error) => return Ok(Err(error)),
        };
        store(connection, tenant, &next)?;
        head.append(connection, [rotation.event(tenant)])?;
        Ok(Ok(next))
    })
}

/// Queues a test.
fn send_test(
    connection: &mut Connection,
    tenant: &TenantId,
    new: &NewNotification,
    act: &Act,
) -> QueryResult<Result<Notification, WebhookError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        if find(connection, tenant, &new.webhook)?.is_none() {
            return Ok(Err(WebhookError::NotFound));
        }
        // It is made dead when it is sent, if the webhook is disabled.
        if outbox::insert(connection, tenant, std::slice::from_ref(new))? == 0 {
            return Ok(Err(WebhookError::Full));
        }
        let event = act.done(tenant, Action::WebhookTested, Object::Webhook(new.webhook.clone()));
        head.append(connection, [event])?;
        Ok(find_notification(connection, tenant, new.id)?.ok_or(WebhookError::NoNotification))
    })
}

fn find_notification(
    connection: &mut Connection,
    tenant: &TenantId,
    id: NotificationId,
) -> QueryResult<Option<Notification>> {
    notifications::table
        .find((tenant.as_str(), Id(id.as_uuid())))
        .select(NotificationRow::as_select())
        .first(connection)
        .optional()?
        .map(NotificationRow::into_notification)
        .transpose()
}

fn list_notifications(
    connection: &mut Connection,
    tenant: &TenantId,
    filter: &NotificationFilter,
    before: Option<NotificationId>,
    limit: Limit,
) -> QueryResult<Vec<Notification>> {
    let NotificationFilter { state, webhook } = filter;
    let mut query = notifications::table
        .filter(notifications::tenant_id.eq(tenant.as_str()))
        .select(NotificationRow::as_select())
        .order(notifications::id.desc())
        .limit(i64::from(limit.get()) + 1)
        .into_boxed();
    if let Some(state) = state {
        query = query.filter(notifications::state.eq(state.as_str()));
    }
    if let Some(webhook) = webhook {
        query = query.filter(notifications::webhook.eq(webhook.as_str()));
    }
    if let Some(before) = before {
        query = query.filter(notifications::id.lt(Id(before.as_uuid())));
    }
    query.load(connection)?.into_iter().map(NotificationRow::into_notification).collect()
}

/// Queues a dead letter again.
fn send_again(
    connection: &mut Connection,
    tenant: &TenantId,
    replay: &Replay,
) -> QueryResult<Result<Notification, WebhookError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let next = match replay.judge(find_notification(connection, tenant, replay.id)?) {
            Ok(next) => next,
            Err(error) => return Ok(Err(error)),
        };
        if outbox::room(connection, tenant)? == 0 {
            return Ok(Err(WebhookError::Full));
        }
        let at = Instant(replay.act.at);
        diesel::update(notifications::table.find((tenant.as_str(), Id(replay.id.as_uuid()))))
            .set((
                notifications::state.eq(next.state.as_str()),
                notifications::attempts.eq(i64::from(next.attempts)),
                notifications::queued_at.eq(at),
                notifications::updated_at.eq(at),
                notifications::failure.eq(None::<&str>),
            ))
            .execute(connection)?;
        outbox::queue(connection, tenant, replay.id, replay.act.at)?;
        head.append(connection, [replay.event(tenant, &next)])?;
        Ok(Ok(next))
    })
}
