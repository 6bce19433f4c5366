//! Looking up webhooks.

use diesel::prelude::*;
use mass_alert_service::StoredWebhook;
use mass_domain::alerts::WebhookName;
use mass_domain::tenancy::TenantId;

use super::Connection;
use crate::rows::WebhookRow;
use crate::schema::webhooks;

/// Finds a webhook.
pub(super) fn find(
    connection: &mut Connection,
    tenant: &TenantId,
    name: &WebhookName,
) -> QueryResult<Option<StoredWebhook>> {
    webhooks::table
        .find((tenant.as_str(), name.as_str()))
        .select(WebhookRow::as_select())
        .first(connection)
        .optional()?
        .map(WebhookRow::into_webhook)
        .transpose()
}
