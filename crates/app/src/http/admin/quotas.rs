//! The quotas of the caller's tenant.

use mass_admin_service::QuotaError;
use paperclip::actix::api_v2_operation;

use super::Service;
use crate::http::body::Valid;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::reply::{Call, Reply};
use crate::http::wire::admin::Quotas;

/// Show the quotas.
///
/// Those of the caller's tenant; null where there is no limit.
#[api_v2_operation(operation_id = "getQuotas", tags("admin"))]
pub async fn get(call: Call, service: Service, query: Query) -> Result<Reply<Quotas>, Problem> {
    query.finish()?;
    Reply::ok(&service.quotas(&call.principal).await?.into())
}

/// Set the quotas.
///
/// Replaces those of the caller's tenant; what is absent or null is not limited.
#[api_v2_operation(operation_id = "setQuotas", tags("admin"))]
pub async fn set(call: Call, service: Service, query: Query, body: Valid<Quotas>) -> Result<Reply<Quotas>, Problem> {
    query.finish()?;
    service.set_quotas(&call.principal, (&body.0).into(), &call.origin).await?;
    Reply::ok(&body.0)
}

impl From<QuotaError> for Problem {
    fn from(error: QuotaError) -> Self {
        match error {
            QuotaError::Forbidden(error) => error.into(),
            QuotaError::Store(error) => error.into(),
        }
    }
}
