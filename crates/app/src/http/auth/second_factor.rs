//! The caller's second factor.

use actix_web::http::StatusCode;
use actix_web::web;
use mass_auth::{AuthService, FactorError, FactorStatus};
use secrecy::{ExposeSecret, SecretString};

use super::TAG;
use super::shapes::{FactorBegin, FactorCode, FactorSeed, FactorState, RecoveryCodes};
use crate::http::body::{Valid, violation};
use crate::http::operations::{Access, Factor, Operation, Produces, model};
use crate::http::passwords::busy;
use crate::http::problem::{Problem, ProblemKind, problem_from};
use crate::http::query::Query;
use crate::http::reply::{Call, NoContent, Reply};

type Auth = web::Data<AuthService>;

pub(super) const GET: Operation = Operation {
    id: "getSecondFactor",
    summary: "Show the second factor.",
    description: "Whether the tenant demands one of the caller, whether the caller has one, and until when its last proof is \
        fresh. An API key has none.",
    tag: Some(TAG),
    produces: Produces::Json(model::<FactorState>),
    answers: &[(200, "The state of the second factor.")],
    factor: Factor::Open,
    ..Operation::get("/v1/auth/second-factor", Access::Authenticated, || web::to(get))
};

async fn get(call: Call, auth: Auth, query: Query) -> Result<Reply<FactorState>, Problem> {
    query.finish()?;
    Reply::ok(&auth.second_factor(&call.principal).await?.into())
}

pub(super) const BEGIN: Operation = Operation {
    id: "beginSecondFactor",
    summary: "Begin to enrol a second factor.",
    description: "Makes a seed for an authenticator app (TOTP), which is shown this once and counts once it is confirmed \
        with a code. Another call makes another seed. Who has a second factor removes it first.",
    tag: Some(TAG),
    body: &[("application/json", model::<FactorBegin>)],
    produces: Produces::Json(model::<FactorSeed>),
    answers: &[(201, "The seed, to be put into the app.")],
    problems: &[ProblemKind::Forbidden, ProblemKind::SecondFactorConflict, ProblemKind::TooManyAttempts],
    factor: Factor::Open,
    ..Operation::post("/v1/auth/second-factor", Access::Authenticated, || web::to(begin))
};

async fn begin(call: Call, auth: Auth, query: Query, body: Valid<FactorBegin>) -> Result<Reply<FactorSeed>, Problem> {
    query.finish()?;
    let seed = auth.begin_second_factor(&call.principal, &body.0.password, &call.origin).await?;
    let text = |secret: &SecretString| secret.expose_secret().to_owned();
    Reply::with_status(StatusCode::CREATED, &FactorSeed { secret: text(&seed.secret), uri: text(&seed.uri) })
}

pub(super) const CONFIRM: Operation = Operation {
    id: "confirmSecondFactor",
    summary: "Confirm the second factor.",
    description: "Takes the first code of the app, enrols the second factor, and shows ten recovery codes this once. The \
        caller's other sessions end.",
    tag: Some(TAG),
    body: &[("application/json", model::<FactorCode>)],
    produces: Produces::Json(model::<RecoveryCodes>),
    answers: &[(200, "The second factor is enrolled. The recovery codes.")],
    problems: &[ProblemKind::Forbidden, ProblemKind::SecondFactorConflict, ProblemKind::TooManyAttempts],
    factor: Factor::Open,
    ..Operation::post("/v1/auth/second-factor/confirm", Access::Authenticated, || web::to(confirm))
};

async fn confirm(
    call: Call,
    auth: Auth,
    query: Query,
    body: Valid<FactorCode>,
) -> Result<Reply<RecoveryCodes>, Problem> {
    query.finish()?;
    shown(&auth.confirm_second_factor(&call.principal, &body.0.code, &call.origin).await?)
}

pub(super) const PROVE: Operation = Operation {
    id: "proveSecondFactor",
    summary: "Prove the second factor.",
    description: "Takes a code of the app, or a recovery code; each is good once. For 15 minutes the session may then do what \
        needs a fresh proof: create API keys and users, change users and settings, and export.",
    tag: Some(TAG),
    body: &[("application/json", model::<FactorCode>)],
    produces: Produces::Json(model::<FactorState>),
    answers: &[(200, "The state of the second factor.")],
    problems: &[ProblemKind::Forbidden, ProblemKind::SecondFactorConflict, ProblemKind::TooManyAttempts],
    factor: Factor::Open,
    ..Operation::post("/v1/auth/second-factor/prove", Access::Authenticated, || web::to(prove))
};

async fn prove(call: Call, auth: Auth, query: Query, body: Valid<FactorCode>) -> Result<Reply<FactorState>, Problem> {
    query.finish()?;
    let until = auth.prove_second_factor(&call.principal, &body.0.code, &call.origin).await?;
    let status = auth.second_factor(&call.principal).await?;
    Reply::ok(&FactorState { fresh_until: Some(until.to_string()), ..status.into() })
}

pub(super) const REPLACE_CODES: Operation = Operation {
    id: "replaceRecoveryCodes",
    summary: "Replace the recovery codes.",
    description: "Shows ten new recovery codes this once; the ones before are good no more. Needs a fresh proof of the second \
        factor.",
    tag: Some(TAG),
    produces: Produces::Json(model::<RecoveryCodes>),
    answers: &[(200, "The recovery codes.")],
    problems: &[ProblemKind::Forbidden, ProblemKind::SecondFactorConflict],
    factor: Factor::Fresh,
    ..Operation::post("/v1/auth/second-factor/recovery-codes", Access::Authenticated, || web::to(replace_codes))
};

async fn replace_codes(call: Call, auth: Auth, query: Query) -> Result<Reply<RecoveryCodes>, Problem> {
    query.finish()?;
    shown(&auth.replace_recovery_codes(&call.principal, &call.origin).await?)
}

pub(super) const REMOVE: Operation = Operation {
    id: "removeSecondFactor",
    summary: "Remove the second factor.",
    description: "Removes the caller's own, with the recovery codes, and ends its other sessions. Needs a fresh proof. Where the \
        tenant demands a second factor, nothing but enrolling another one is allowed then.",
    tag: Some(TAG),
    answers: &[(204, "The second factor is removed.")],
    problems: &[ProblemKind::Forbidden, ProblemKind::SecondFactorConflict],
    factor: Factor::Fresh,
    ..Operation::delete("/v1/auth/second-factor", Access::Authenticated, || web::to(remove))
};

async fn remove(call: Call, auth: Auth, query: Query) -> Result<NoContent, Problem> {
    query.finish()?;
    auth.remove_second_factor(&call.principal, &call.origin).await?;
    Ok(NoContent)
}

fn shown(codes: &[SecretString]) -> Result<Reply<RecoveryCodes>, Problem> {
    let recovery_codes = codes.iter().map(|code| code.expose_secret().to_owned()).collect();
    Reply::ok(&RecoveryCodes { recovery_codes })
}

impl From<FactorStatus> for FactorState {
    fn from(FactorStatus { is_demanded, is_enrolled, fresh_until, recovery_codes }: FactorStatus) -> Self {
        let fresh_until = fresh_until.map(|until| until.to_string());
        Self { required: is_demanded, enrolled: is_enrolled, fresh_until, recovery_codes }
    }
}

problem_from! {
    FactorError: Forbidden, Throttled, Store, Unexpected;
        FactorError::NotAUser => Self::new(ProblemKind::Forbidden).detail("Only users have second factors."),
        FactorError::WrongPassword => {
            violation("/password".to_owned(), "wrong_password", "This is not the present password.")
        }
        FactorError::WrongCode => {
            violation("/code".to_owned(), "wrong_code", "The code is wrong, or was used before.")
        }
        FactorError::Enrolled => {
            Self::new(ProblemKind::SecondFactorConflict).detail("The caller has a second factor: remove it first.")
        }
        FactorError::NotEnrolled => {
            Self::new(ProblemKind::SecondFactorConflict).detail("The caller has no second factor.")
        }
        FactorError::NoSuchUser => Self::new(ProblemKind::NotFound),
        FactorError::Busy => busy(),
}
