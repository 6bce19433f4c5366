//! The webhooks of a tenant: where alerts are told of.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mass_domain::access::{Actor, Forbidden, Permission, Principal};
use mass_domain::alerts::{News, Notification, NotificationState, Webhook, WebhookName};
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::canonical::Fingerprint;
use mass_domain::faults::Fault;
use mass_domain::ids::NotificationId;
use mass_domain::page::{CursorScope, ForeignCursor, Limit, Page, decode_cursor};
use mass_domain::port::PortError;
use mass_domain::precondition::Precondition;
use mass_domain::tenancy::TenantId;
use mass_domain::time::{Clock, Timestamp};
use mass_domain::trace::Origin;
use uuid::{ContextV7, Uuid};

use crate::message::{NewNotification, test_body};
use crate::signing::{SALT_BYTES, SecretSeed, WebhookKeys};

/// The most webhooks of a tenant.
pub const MAX_WEBHOOKS: u64 = 10;

/// The time for which a replaced secret still signs, in seconds: a day.
const OVERLAP_SECONDS: i64 = 86_400;

/// A webhook as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWebhook {
    /// Its name.
    pub name: WebhookName,
    /// The webhook.
    pub webhook: Webhook,
    /// The fingerprint of its canonical text: its version.
    pub digest: Fingerprint,
    /// The seed of its secret.
    pub seed: SecretSeed,
    /// The seed of the secret before, and the time until which that one signs, too.
    pub previous: Option<(SecretSeed, Timestamp)>,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The creator.
    pub created_by: Actor,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The author of the last change.
    pub updated_by: Actor,
}

/// Reason why a webhook or a notification is not read, stored, deleted or sent.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The cursor belongs to another list.
    #[error(transparent)]
    ForeignCursor(#[from] ForeignCursor),
    /// Values break rules.
    #[error("values break rules")]
    Invalid(Vec<Fault>),
    /// The tenant has no webhook of this name.
    #[error("no such webhook")]
    NotFound,
    /// The tenant has no such notification.
    #[error("no such notification")]
    NoNotification,
    /// The stored webhook is not as the caller's condition says.
    #[error("the webhook is not as the condition says")]
    Stale,
    /// The tenant has as many webhooks as it may.
    #[error("the tenant has {MAX_WEBHOOKS} webhooks, the most")]
    TooMany,
    /// As many notifications of the tenant wait as may.
    #[error("as many notifications wait as may")]
    Full,
    /// The notification is no dead letter.
    #[error("the notification is {0}")]
    NotDead(NotificationState),
    /// The operator has switched webhooks off.
    #[error("webhooks are switched off")]
    Off,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// A webhook to be stored.
#[derive(Debug, Clone)]
pub struct WebhookChange {
    /// Its name.
    pub name: WebhookName,
    /// The webhook.
    pub webhook: Webhook,
    /// The seed of its secret, if it is new.
    pub seed: SecretSeed,
    /// The condition on the stored webhook.
    pub precondition: Precondition,
    /// The actor, the time and the origin of the change.
    pub act: Act,
}

/// The result of storing a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedWebhook {
    /// The webhook as it is stored now.
    pub stored: StoredWebhook,
    /// True if there was none of this name before.
    pub is_new: bool,
    /// False if the same webhook was stored already, so that nothing changes and no event is appended.
    pub is_changed: bool,
}

fn require(precondition: &Precondition, stored: Option<&StoredWebhook>) -> Result<(), WebhookError> {
    let holds = precondition.holds(stored.map(|stored| stored.digest));
    if holds { Ok(()) } else { Err(WebhookError::Stale) }
}

impl WebhookChange {
    /// Decides on the change, from the stored webhook of this name and the number of webhooks that the tenant has.
    ///
    /// # Errors
    /// [`WebhookError::Stale`] and [`WebhookError::TooMany`].
    pub fn judge(&self, stored: Option<&StoredWebhook>, count: u64) -> Result<ChangedWebhook, WebhookError> {
        require(&self.precondition, stored)?;
        if stored.is_none() && count >= MAX_WEBHOOKS {
            return Err(WebhookError::TooMany);
        }
        let digest = self.webhook.digest();
        let is_changed = stored.is_none_or(|stored| stored.digest != digest);
        let next = match stored {
            Some(stored) if !is_changed => stored.clone(),
            _ => StoredWebhook {
                name: self.name.clone(),
                webhook: self.webhook.clone(),
                digest,
                seed: stored.map_or(&self.seed, |stored| &stored.seed).clone(),
                previous: stored.and_then(|stored| stored.previous.clone()),
                created_at: stored.map_or(self.act.at, |stored| stored.created_at),
                created_by: stored.map_or(self.act.actor, |stored| stored.created_by),
                updated_at: self.act.at,
                updated_by: self.act.actor,
            },
        };
        Ok(ChangedWebhook { stored: next, is_new: stored.is_none(), is_changed })
    }

    /// Builds the event of the change, with the digests before and after: a URL can hold a secret.
    #[must_use]
    pub fn event(&self, tenant: &TenantId, before: Option<&StoredWebhook>) -> NewEvent {
        self.act
            .done(tenant, Action::WebhookSet, Object::Webhook(self.name.clone()))
            .with("before", before.map(|before| before.digest.to_string()))
            .with("after", self.webhook.digest().to_string())
            .with("enabled", self.webhook.enabled)
    }
}

/// A webhook to be deleted.
#[derive(Debug, Clone)]
pub struct WebhookDeletion {
    /// Its name.
    pub name: WebhookName,
    /// The condition on the stored webhook.
    pub precondition: Precondition,
    /// The actor, the time and the origin of the deletion.
    pub act: Act,
}

impl WebhookDeletion {
    /// Decides on the deletion of the stored webhook, and builds its event.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`] and [`WebhookError::Stale`].
    pub fn judge(&self, tenant: &TenantId, stored: Option<&StoredWebhook>) -> Result<NewEvent, WebhookError> {
        let stored = stored.ok_or(WebhookError::NotFound)?;
        require(&self.precondition, Some(stored))?;
        let event = self.act.done(tenant, Action::WebhookDeleted, Object::Webhook(self.name.clone()));
        Ok(event.with("before", stored.digest.to_string()))
    }
}

/// Another secret of a webhook.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The webhook.
    pub name: WebhookName,
    /// The seed of the new secret.
    pub seed: SecretSeed,
    /// The actor, the time and the origin of it.
    pub act: Act,
}

impl Rotation {
    /// Builds the webhook with the new secret. The one before still signs for a day, beside it.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`].
    pub fn judge(&self, stored: Option<StoredWebhook>) -> Result<StoredWebhook, WebhookError> {
        let stored = stored.ok_or(WebhookError::NotFound)?;
        let until = self.act.at.plus_seconds(OVERLAP_SECONDS).unwrap_or(self.act.at);
        let (seed, previous) = (self.seed.clone(), Some((stored.seed.clone(), until)));
        Ok(StoredWebhook { seed, previous, updated_at: self.act.at, updated_by: self.act.actor, ..stored })
    }

    /// Builds the event.
    #[must_use]
    pub fn event(&self, tenant: &TenantId) -> NewEvent {
        self.act.done(tenant, Action::WebhookRotated, Object::Webhook(self.name.clone()))
    }
}

/// A condition on notifications.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotificationFilter {
    /// In this state.
    pub state: Option<NotificationState>,
    /// Of this webhook.
    pub webhook: Option<WebhookName>,
}

/// A dead letter to be sent again.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The notification.
    pub id: NotificationId,
    /// The actor, the time and the origin of it.
    pub act: Act,
}

impl Replay {
    /// Builds the notification as it is queued again.
    ///
    /// # Errors
    /// [`WebhookError::NoNotification`] and [`WebhookError::NotDead`].
    pub fn judge(&self, stored: Option<Notification>) -> Result<Notification, WebhookError> {
        let stored = stored.ok_or(WebhookError::NoNotification)?;
        if stored.state != NotificationState::Dead {
            return Err(WebhookError::NotDead(stored.state));
        }
        let (state, updated_at) = (NotificationState::Queued, self.act.at);
        Ok(Notification { state, attempts: 0, updated_at, failure: None, ..stored })
    }

    /// Builds the event.
    #[must_use]
    pub fn event(&self, tenant: &TenantId, notification: &Notification) -> NewEvent {
        let event = self.act.done(tenant, Action::NotificationReplayed, Object::Webhook(notification.webhook.clone()));
        event.with("notification", self.id.to_string())
    }
}

/// The port that stores webhooks and notifications. Each call is one transaction, restricted to the tenant's data.
#[async_trait]
pub trait WebhookStore: Send + Sync {
    /// Finds a webhook.
    async fn find_webhook(&self, tenant: &TenantId, name: &WebhookName) -> Result<Option<StoredWebhook>, PortError>;

    /// Lists all webhooks by their names, of which there are few.
    async fn list_webhooks(&self, tenant: &TenantId) -> Result<Vec<StoredWebhook>, PortError>;

    /// Stores a webhook as [`WebhookChange::judge`] decides, and appends [`WebhookChange::event`] if it changes.
    async fn upsert_webhook(&self, tenant: &TenantId, change: WebhookChange) -> Result<ChangedWebhook, WebhookError>;

    /// Deletes a webhook if [`WebhookDeletion::judge`] allows it, and appends the event that it builds.
    async fn delete_webhook(&self, tenant: &TenantId, deletion: WebhookDeletion) -> Result<(), WebhookError>;

    /// Stores a new secret as [`Rotation::judge`] decides, and appends [`Rotation::event`].
    async fn rotate(&self, tenant: &TenantId, rotation: Rotation) -> Result<StoredWebhook, WebhookError>;

    /// Queues a notification for a webhook that is there, and appends an event of the action `webhook_tested`.
    async fn send_test(&self, tenant: &TenantId, new: NewNotification, act: Act) -> Result<Notification, WebhookError>;

    /// Lists notifications with ids below `before`, the newest first: at most `limit + 1` rows.
    async fn list_notifications(
        &self,
        tenant: &TenantId,
        filter: NotificationFilter,
        before: Option<NotificationId>,
        limit: Limit,
    ) -> Result<Vec<Notification>, PortError>;

    /// Queues a dead letter again as [`Replay::judge`] decides, and appends [`Replay::event`].
    async fn replay(&self, tenant: &TenantId, replay: Replay) -> Result<Notification, WebhookError>;
}

/// The port that judges where webhooks may lead.
pub trait Destinations: Send + Sync {
    /// Returns what was expected of a URL that must not be called.
    ///
    /// # Errors
    /// A noun phrase.
    fn check(&self, url: &str) -> Result<(), String>;
}

/// Draws a random salt.
pub type RandomSalt = Arc<dyn Fn() -> [u8; SALT_BYTES] + Send + Sync>;

/// A stored webhook, with its secret where it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownWebhook {
    /// The webhook.
    pub stored: StoredWebhook,
    /// True if there was none of this name before.
    pub is_new: bool,
    /// The new secret, which is shown this once.
    pub secret: Option<String>,
}

/// The use cases on webhooks.
pub struct WebhookService {
    store: Arc<dyn WebhookStore>,
    destinations: Arc<dyn Destinations>,
    keys: WebhookKeys,
    salt: RandomSalt,
    clock: Arc<dyn Clock>,
    ids: Mutex<ContextV7>,
    is_on: bool,
}

impl WebhookService {
    /// Puts the use cases on top of a store. `is_on` tells whether webhooks are called at all.
    #[must_use]
    pub fn new(
        store: Arc<dyn WebhookStore>,
        destinations: Arc<dyn Destinations>,
        keys: WebhookKeys,
        salt: RandomSalt,
        clock: Arc<dyn Clock>,
        is_on: bool,
    ) -> Self {
        Self { store, destinations, keys, salt, clock, ids: Mutex::new(ContextV7::new()), is_on }
    }

    /// Returns a webhook of the caller's tenant.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn get(&self, principal: &Principal, name: &WebhookName) -> Result<StoredWebhook, WebhookError> {
        principal.require(Permission::SettingsManage)?;
        self.store.find_webhook(principal.tenant(), name).await?.ok_or(WebhookError::NotFound)
    }

    /// Returns the webhooks of the caller's tenant, by name.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn list(&self, principal: &Principal) -> Result<Vec<StoredWebhook>, WebhookError> {
        principal.require(Permission::SettingsManage)?;
        Ok(self.store.list_webhooks(principal.tenant()).await?)
    }

    /// Stores a webhook in the caller's tenant: a new one, whose secret is shown, or in place of the one of this name.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn set(
        &self,
        principal: &Principal,
        name: WebhookName,
        webhook: Webhook,
        precondition: Precondition,
        origin: &Origin,
    ) -> Result<ShownWebhook, WebhookError> {
        principal.require(Permission::SettingsManage)?;
        let mut faults = webhook.faults();
        if faults.is_empty() {
            faults.extend(self.destinations.check(&webhook.url).err().map(|expected| Fault::new("/url", expected)));
        }
        if !faults.is_empty() {
            return Err(WebhookError::Invalid(faults));
        }
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        let seed = self.keys.seed((self.salt)());
        let change = WebhookChange { name, webhook, seed, precondition, act };
        let ChangedWebhook { stored, is_new, .. } = self.store.upsert_webhook(principal.tenant(), change).await?;
        let secret = is_new.then(|| self.reveal(principal.tenant(), &stored)).flatten();
        Ok(ShownWebhook { stored, is_new, secret })
    }

    fn reveal(&self, tenant: &TenantId, stored: &StoredWebhook) -> Option<String> {
        self.keys.secret(tenant, &stored.seed).map(|secret| secret.reveal())
    }

    /// Deletes a webhook of the caller's tenant. What waits for it becomes dead letters.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn delete(
        &self,
        principal: &Principal,
        name: WebhookName,
        precondition: Precondition,
        origin: &Origin,
    ) -> Result<(), WebhookError> {
        principal.require(Permission::SettingsManage)?;
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        self.store.delete_webhook(principal.tenant(), WebhookDeletion { name, precondition, act }).await
    }

    /// Gives a webhook another secret, which is shown. The one before still signs for a day.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn rotate(
        &self,
        principal: &Principal,
        name: WebhookName,
        origin: &Origin,
    ) -> Result<ShownWebhook, WebhookError> {
        principal.require(Permission::SettingsManage)?;
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        let rotation = Rotation { name, seed: self.keys.seed((self.salt)()), act };
        let stored = self.store.rotate(principal.tenant(), rotation).await?;
        let secret = self.reveal(principal.tenant(), &stored);
        Ok(ShownWebhook { stored, is_new: false, secret })
    }

    /// Queues a notification that tries whether a webhook works.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn test(
        &self,
        principal: &Principal,
        name: WebhookName,
        origin: &Origin,
    ) -> Result<Notification, WebhookError> {
        principal.require(Permission::SettingsManage)?;
        if !self.is_on {
            return Err(WebhookError::Off);
        }
        let tenant = principal.tenant();
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        let id = NotificationId::from_uuid(Uuid::new_v7(act.at.for_uuid(&self.ids)));
        let body = test_body(tenant, act.at);
        let new = NewNotification { id, webhook: name, news: News::Test, alert_id: None, body, at: act.at };
        self.store.send_test(tenant, new, act).await
    }

    /// Returns a page of the notifications of the caller's tenant, the newest first.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn notifications(
        &self,
        principal: &Principal,
        filter: NotificationFilter,
        limit: Limit,
        cursor: Option<&str>,
    ) -> Result<Page<Notification>, WebhookError> {
        principal.require(Permission::SettingsManage)?;
        let filters = [
            Some(principal.tenant().as_str()),
            filter.state.map(NotificationState::as_str),
            filter.webhook.as_ref().map(WebhookName::as_str),
        ];
        let scope = CursorScope::of("notifications", filters);
        let before: Option<Uuid> = cursor.map(|cursor| decode_cursor(scope, cursor)).transpose()?;
        let before = before.map(NotificationId::from_uuid);
        let rows = self.store.list_notifications(principal.tenant(), filter, before, limit).await?;
        Ok(Page::from_lookahead(rows, limit, scope, |row| row.id.as_uuid()))
    }

    /// Queues a dead letter again.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn replay(
        &self,
        principal: &Principal,
        id: NotificationId,
        origin: &Origin,
    ) -> Result<Notification, WebhookError> {
        principal.require(Permission::SettingsManage)?;
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        self.store.replay(principal.tenant(), Replay { id, act }).await
    }
}
