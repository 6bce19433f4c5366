//! The problems of MASS requests.

use std::time::SystemTime;

use actix_web::http::header;
use mass_domain::ids::MassRequestId;
use mass_domain::tenancy::OverQuota;
use mass_service::{
    AcceptError, DeleteError, DeletionsError, DocumentError, DryRunError, ReadError, Refusal, TransitionError,
};

use crate::http::body::{broken, sentence};
use crate::http::path::InPath;
use crate::http::problem::{Problem, ProblemKind, problem_from};
use crate::http::query::{foreign_cursor, unfiltered};

problem_from! {
    AcceptError: Forbidden, Refused, Store;
        AcceptError::Document(error) => Self::from(error).recorded(),
}

problem_from! {
    DocumentError: Malformed;
        DocumentError::Invalid(refused) => {
            let contract = refused.contract.map(|contract| contract.to_string());
            broken(refused.violations).member("contract", contract)
        }
        error @ DocumentError::ForeignTenant => Self::new(ProblemKind::ForeignTenant).detail(error.to_string()),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::KeyReused { request_id } => {
                Self::new(ProblemKind::KeyReused).detail(detail).member("first_id", request_id.to_string())
            }
            Refusal::KeyOfDeleted { request_id } => {
                Self::new(ProblemKind::Gone).detail(detail).member("first_id", request_id.to_string())
            }
            Refusal::Conflict { request_id, stored, sent } => Self::new(ProblemKind::Conflict)
                .detail(detail)
                .member("first_id", request_id.to_string())
                .member("stored_fingerprint", stored.to_string())
                .member("sent_fingerprint", sent.to_string()),
            Refusal::OverQuota(over) => over.into(),
            Refusal::Suspended(suspended) => suspended.into(),
        }
    }
}

impl From<OverQuota> for Problem {
    fn from(over: OverQuota) -> Self {
        let detail = sentence(&over.to_string());
        match over {
            OverQuota::Requests { allowed, used, until } => {
                let problem = Self::new(ProblemKind::DailyQuota).detail(detail);
                let problem = problem.member("allowed", allowed).member("used", used);
                let until = header::HttpDate::from(SystemTime::from(until.as_datetime())).to_string();
                match header::HeaderValue::try_from(until) {
                    Ok(until) => problem.header(header::RETRY_AFTER, until),
                    Err(_) => problem,
                }
            }
            OverQuota::StoredBytes { allowed, used, needed } => Self::new(ProblemKind::StorageQuota)
                .detail(detail)
                .member("allowed", allowed)
                .member("used", used)
                .member("needed", needed),
        }
    }
}

problem_from!(DryRunError: Forbidden, Document);

problem_from! {
    ReadError: Forbidden, Store;
        ReadError::ForeignCursor(error) => foreign_cursor(error.to_string()),
        ReadError::NotFound => MassRequestId::absent(),
        ReadError::Gone => gone(),
}

problem_from! {
    TransitionError: Forbidden, Store;
        TransitionError::NotFound => MassRequestId::absent(),
        TransitionError::Gone => gone(),
        TransitionError::Stale => stale(),
        TransitionError::NotAllowed { from, to } => Self::new(ProblemKind::TransitionNotAllowed)
            .detail(format!("A request cannot move from {from} to {to}."))
            .member("from", from.as_str())
            .member("to", to.as_str()),
}

problem_from! {
    DeleteError: Forbidden, Held, Store;
        DeleteError::NotFound => MassRequestId::absent(),
        DeleteError::Gone => gone(),
        DeleteError::Stale => stale(),
}

problem_from! {
    DeletionsError: Forbidden, Held, Store;
        DeletionsError::Unfiltered => unfiltered(),
}

/// The problem of a request whose document is erased.
#[must_use]
pub fn gone() -> Problem {
    Problem::new(ProblemKind::Gone).detail("Its document is erased; the audit trail keeps its fingerprint.")
}

fn stale() -> Problem {
    Problem::new(ProblemKind::PreconditionFailed).detail("If-Match names another version than the present one.")
}
