//! Rows of webhooks and of notifications.

use diesel::prelude::*;
use diesel::result::Error::DeserializationError;
use mass_alert_service::{NewNotification, SecretSeed, StoredWebhook};
use mass_domain::alerts::{News, Notification, NotificationState, Webhook, WebhookName};
use mass_domain::ids::{AlertId, NotificationId};
use mass_domain::tenancy::TenantId;

use super::{actor, corrupt};
use crate::columns::{Hash, Id, Instant, Word};
use crate::schema::{notifications, webhooks};

/// A webhook.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = webhooks, treat_none_as_default_value = false)]
pub(crate) struct WebhookRow {
    tenant_id: Word<TenantId>,
    name: Word<WebhookName>,
    url: String,
    description: Option<String>,
    enabled: bool,
    digest: Hash,
    salt: Vec<u8>,
    key_id: String,
    previous_salt: Option<Vec<u8>>,
    previous_key_id: Option<String>,
    previous_until: Option<Instant>,
    created_at: Instant,
    created_by_kind: String,
    created_by_id: Option<Id>,
    updated_at: Instant,
    updated_by_kind: String,
    updated_by_id: Option<Id>,
}

/// The columns of a webhook that a change replaces.
#[derive(Debug, AsChangeset)]
#[diesel(table_name = webhooks, treat_none_as_null = true)]
pub(crate) struct WebhookChangeset {
    url: String,
    description: Option<String>,
    enabled: bool,
    digest: Hash,
    salt: Vec<u8>,
    key_id: String,
    previous_salt: Option<Vec<u8>>,
    previous_key_id: Option<String>,
    previous_until: Option<Instant>,
    updated_at: Instant,
    updated_by_kind: String,
    updated_by_id: Option<Id>,
}

fn seed(salt: Vec<u8>, key_id: String) -> QueryResult<SecretSeed> {
    let salt = salt.try_into().map_err(|_| DeserializationError("a salt has 16 bytes".into()))?;
    Ok(SecretSeed { salt, key_id })
}

impl WebhookRow {
    /// Builds the row of a tenant's webhook.
    pub(crate) fn new(tenant: &TenantId, stored: &StoredWebhook) -> Self {
        let previous = stored.previous.as_ref();
        Self {
            tenant_id: Word(tenant.clone()),
            name: Word(stored.name.clone()),
            url: stored.webhook.url.clone(),
            description: stored.webhook.description.clone(),
            enabled: stored.webhook.enabled,
            digest: Hash(stored.digest),
            salt: stored.seed.salt.to_vec(),
            key_id: stored.seed.key_id.clone(),
            previous_salt: previous.map(|(seed, _)| seed.salt.to_vec()),
            previous_key_id: previous.map(|(seed, _)| seed.key_id.clone()),
            previous_until: previous.map(|(_, until)| Instant(*until)),
            created_at: Instant(stored.created_at),
            created_by_kind: stored.created_by.kind().to_owned(),
            created_by_id: stored.created_by.id().map(Id),
            updated_at: Instant(stored.updated_at),
            updated_by_kind: stored.updated_by.kind().to_owned(),
            updated_by_id: stored.updated_by.id().map(Id),
        }
    }

    /// Builds the webhook.
    pub(crate) fn into_webhook(self) -> QueryResult<StoredWebhook> {
        let previous = match (self.previous_salt, self.previous_key_id, self.previous_until) {
            (Some(salt), Some(key_id), Some(until)) => Some((seed(salt, key_id)?, until.0)),
            (_, _, _) => None,
        };
        Ok(StoredWebhook {
            name: self.name.0,
            webhook: Webhook { url: self.url, description: self.description, enabled: self.enabled },
            digest: self.digest.0,
            seed: seed(self.salt, self.key_id)?,
            previous,
            created_at: self.created_at.0,
            created_by: actor(&self.created_by_kind, self.created_by_id)?,
            updated_at: self.updated_at.0,
            updated_by: actor(&self.updated_by_kind, self.updated_by_id)?,
        })
    }
}

impl WebhookChangeset {
    /// Builds the columns from the webhook as it is to be stored.
    pub(crate) fn new(stored: &StoredWebhook) -> Self {
        let previous = stored.previous.as_ref();
        Self {
            url: stored.webhook.url.clone(),
            description: stored.webhook.description.clone(),
            enabled: stored.webhook.enabled,
            digest: Hash(stored.digest),
            salt: stored.seed.salt.to_vec(),
            key_id: stored.seed.key_id.clone(),
            previous_salt: previous.map(|(seed, _)| seed.salt.to_vec()),
            previous_key_id: previous.map(|(seed, _)| seed.key_id.clone()),
            previous_until: previous.map(|(_, until)| Instant(*until)),
            updated_at: Instant(stored.updated_at),
            updated_by_kind: stored.updated_by.kind().to_owned(),
            updated_by_id: stored.updated_by.id().map(Id),
        }
    }
}

/// A notification to be queued.
#[derive(Debug, Insertable)]
#[diesel(table_name = notifications, treat_none_as_default_value = false)]
pub(crate) struct NewNotificationRow {
    tenant_id: Word<TenantId>,
    id: Id,
    webhook: Word<WebhookName>,
    news: Word<News>,
    alert_id: Option<Id>,
    body: String,
    state: Word<NotificationState>,
    attempts: i64,
    created_at: Instant,
    queued_at: Instant,
    updated_at: Instant,
    failure: Option<String>,
}

impl NewNotificationRow {
    /// Builds the row of a tenant's notification.
    pub(crate) fn new(tenant: &TenantId, new: &NewNotification) -> Self {
        Self {
            tenant_id: Word(tenant.clone()),
            id: Id(new.id.as_uuid()),
            webhook: Word(new.webhook.clone()),
            news: Word(new.news),
            alert_id: new.alert_id.map(|id| Id(id.as_uuid())),
            body: new.body.clone(),
            state: Word(NotificationState::Queued),
            attempts: 0,
            created_at: Instant(new.at),
            queued_at: Instant(new.at),
            updated_at: Instant(new.at),
            failure: None,
        }
    }
}

/// A notification without its body.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = notifications)]
pub(crate) struct NotificationRow {
    id: Id,
    webhook: Word<WebhookName>,
    news: Word<News>,
    alert_id: Option<Id>,
    state: Word<NotificationState>,
    attempts: i64,
    created_at: Instant,
    updated_at: Instant,
    failure: Option<String>,
}

impl NotificationRow {
    /// Builds the notification.
    pub(crate) fn into_notification(self) -> QueryResult<Notification> {
        Ok(Notification {
            id: NotificationId::from_uuid(self.id.0),
            webhook: self.webhook.0,
            news: self.news.0,
            alert_id: self.alert_id.map(|id| AlertId::from_uuid(id.0)),
            state: self.state.0,
            attempts: u32::try_from(self.attempts).map_err(corrupt)?,
            created_at: self.created_at.0,
            updated_at: self.updated_at.0,
            failure: self.failure,
        })
    }
}
