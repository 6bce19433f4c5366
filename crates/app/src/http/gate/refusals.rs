//! Audit events of refusals.

use actix_web::{HttpMessage, HttpRequest, web};
use mass_audit_service::{AccessRefusal, AuditService, CredentialRefusal};
use mass_domain::access::Principal;
use mass_domain::trace::Origin;

use crate::http::limits::Limits;
use crate::http::operations::Operation;
use crate::http::problem::{Problem, ProblemKind};

/// Records a refusal, if it is one that the audit trail tells of and nobody has recorded yet.
///
/// # Errors
/// The [`Problem`] to answer instead of a refused access that cannot be recorded. A refused credential is answered all the
/// same, since a stranger has nothing to gain from it; the log tells that it is not recorded.
pub(super) async fn record(req: &HttpRequest, operation: &Operation, problem: &Problem) -> Result<(), Problem> {
    if problem.is_recorded() {
        return Ok(());
    }
    let (origin, caller) = {
        let extensions = req.extensions();
        (extensions.get::<Origin>().cloned(), extensions.get::<Principal>().cloned())
    };
    let Some(origin) = origin else { return Ok(()) };
    let name = format!("{} {}", operation.method, operation.path);
    if let (Some(refusal), Some(caller)) = (of_access(problem), caller.clone()) {
        let audit = req.app_data::<web::Data<AuditService>>();
        let audit = audit.ok_or_else(|| Problem::internal(&anyhow::anyhow!("the audit trail is not wired")))?;
        let limits = req.app_data::<web::Data<Limits>>();
        let limits = limits.ok_or_else(|| Problem::internal(&anyhow::anyhow!("the rate limits are not wired")))?;
        match limits.records_denial(caller.actor()) {
            Some(unrecorded) => audit.access_refused(&caller, refusal, unrecorded, name, &origin).await?,
            None => {
                tracing::warn!(operation = name, "a refused access is one of many and not recorded in the audit trail")
            }
        }
    } else if let (Some(scope), Some(caller)) = (problem.rate_scope(), caller) {
        record_throttling(req, &caller, scope == "tenant", name, &origin).await;
    } else if let Some(refusal) = of_credential(req, problem) {
        record_credential(req, refusal, name, &origin).await;
    }
    Ok(())
}

fn of_access(problem: &Problem) -> Option<AccessRefusal> {
    if problem.kind() == ProblemKind::Forbidden {
        Some(problem.permission().map_or(AccessRefusal::WrongKind, AccessRefusal::Permission))
    } else if problem.kind() == ProblemKind::SecondFactorRequired {
        Some(AccessRefusal::SecondFactor)
    } else if problem.kind() == ProblemKind::BoundKey {
        Some(AccessRefusal::BoundKey)
    } else {
        (problem.kind() == ProblemKind::ForeignTenant).then_some(AccessRefusal::ForeignTenant)
    }
}

/// The credential that was presented, if one was.
fn of_credential(req: &HttpRequest, problem: &Problem) -> Option<CredentialRefusal> {
    if problem.kind() == ProblemKind::InvalidRefreshToken {
        Some(CredentialRefusal { reason: "refresh_token_invalid", key: None })
    } else {
        req.extensions().get::<CredentialRefusal>().filter(|_| problem.kind() == ProblemKind::Unauthenticated).cloned()
    }
}

/// Records that a caller is throttled, once in a while. It is answered all the same if that cannot be recorded, since it has
/// nothing to gain from it.
async fn record_throttling(
    req: &HttpRequest,
    caller: &Principal,
    is_whole_tenant: bool,
    operation: String,
    origin: &Origin,
) {
    let services = (req.app_data::<web::Data<AuditService>>(), req.app_data::<web::Data<Limits>>());
    let (Some(audit), Some(limits)) = services else { return };
    if limits.records_throttling(caller, is_whole_tenant)
        && let Err(error) = audit.throttled(caller, is_whole_tenant, operation, origin).await
    {
        tracing::warn!(error = format!("{error:#}"), "a throttled caller was not recorded in the audit trail");
    }
}

async fn record_credential(req: &HttpRequest, refusal: CredentialRefusal, operation: String, origin: &Origin) {
    let services = (req.app_data::<web::Data<AuditService>>(), req.app_data::<web::Data<Limits>>());
    let (Some(audit), Some(limits)) = services else { return };
    if limits.records_refusal(origin.address)
        && let Err(error) = audit.credentials_refused(refusal, operation, origin).await
    {
        tracing::warn!(error = format!("{error:#}"), "a refused credential was not recorded in the audit trail");
    }
}
