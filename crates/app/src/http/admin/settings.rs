//! The settings of the caller's tenant.

use mass_admin_service::SettingsError;
use paperclip::actix::api_v2_operation;

use super::Service;
use crate::http::body::Valid;
use crate::http::delivery::engine_missing;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::reply::{Call, Reply};
use crate::http::wire::admin::{Settings, SettingsChange};

/// Show the settings.
///
/// What the caller's tenant has decided, and what is in force; null where it is as the server is configured.
#[api_v2_operation(operation_id = "getSettings", tags("admin"))]
pub async fn get(call: Call, service: Service, query: Query) -> Result<Reply<Settings>, Problem> {
    query.finish()?;
    Reply::ok(&service.settings(&call.principal).await?.into())
}

/// Set the settings.
///
/// Replaces those of the caller's tenant; what is absent or null is as the server is configured. They are in force from the
/// next request on.
#[api_v2_operation(operation_id = "setSettings", tags("admin"))]
pub async fn set(
    call: Call,
    service: Service,
    query: Query,
    body: Valid<SettingsChange>,
) -> Result<Reply<Settings>, Problem> {
    query.finish()?;
    let settings = service.set_settings(&call.principal, body.0.into(), &call.origin).await?;
    Reply::ok(&settings.into())
}

impl From<SettingsError> for Problem {
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Forbidden(error) => error.into(),
            SettingsError::EngineMissing => engine_missing(),
            SettingsError::Store(error) => error.into(),
        }
    }
}
