//! Proofs of second factors, which are good once.

use diesel::prelude::*;
use mass_auth::FactorProof;
use mass_domain::ids::UserId;
use mass_domain::tenancy::TenantId;

use super::Connection;
use crate::columns::Id;
use crate::schema::{recovery_codes, second_factors};

/// Tells whether a session of a user may be opened with a proof of its second factor, and takes the proof.
pub(super) fn admit(
    connection: &mut Connection,
    tenant: &TenantId,
    user: UserId,
    proof: Option<FactorProof>,
) -> QueryResult<bool> {
    match proof {
        Some(proof) => take(connection, tenant, user, proof),
        None => {
            let confirmed = second_factors::table.find((tenant.as_str(), Id(user.as_uuid())));
            let confirmed: Option<bool> = confirmed.select(second_factors::confirmed).first(connection).optional()?;
            Ok(!confirmed.unwrap_or(false))
        }
    }
}

/// Takes a proof. Returns `false` if it was taken before.
pub(super) fn take(
    connection: &mut Connection,
    tenant: &TenantId,
    user: UserId,
    proof: FactorProof,
) -> QueryResult<bool> {
    let factor = second_factors::table.find((tenant.as_str(), Id(user.as_uuid())));
    let taken = match proof {
        FactorProof::Step(step) => diesel::update(factor)
            .filter(second_factors::confirmed.eq(true))
            .filter(second_factors::last_step.lt(step))
            .set(second_factors::last_step.eq(step))
            .execute(connection)?,
        FactorProof::Recovery(hash) => {
            let code = (tenant.as_str(), Id(user.as_uuid()), hash.as_slice());
            diesel::delete(recovery_codes::table.find(code)).execute(connection)?
        }
    };
    Ok(taken == 1)
}
