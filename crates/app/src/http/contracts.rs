//! The contracts that documents can conform to.

use actix_web::web;
use mass_domain::contracts;
use mass_domain::time::Clock;
use paperclip::actix::{Apiv2Schema, api_v2_operation};
use serde::Deserialize;
use std::sync::Arc;

use super::problem::{Problem, ProblemKind};
use super::public::PublicUrl;
use super::query::Query;
use super::reply::{Call, Reply};
use super::wire::{Contract, ContractEntry, ContractList};

/// Which contract is meant.
#[derive(Deserialize, Apiv2Schema)]
pub struct Target {
    /// The contract's name.
    name: String,
    /// The contract's version.
    version: String,
}

/// List the contracts.
///
/// Every contract that a document can conform to.
#[api_v2_operation(operation_id = "listContracts", tags("contracts"))]
pub async fn list(_call: Call, query: Query, public: web::Data<PublicUrl>) -> Result<Reply<ContractList>, Problem> {
    query.finish()?;
    let entry = |contract: &'static contracts::Contract| ContractEntry {
        id: contract.id().to_string(),
        name: contract.id().name(),
        version: contract.id().version(),
        summary: contract.summary(),
        href: format!("{}/v1/contracts/{}", public.path(), contract.id()),
    };
    Reply::ok(&ContractList { items: contracts::all().iter().copied().map(entry).collect() })
}

/// Fetch a contract.
///
/// Its JSON Schema, and an example that passes for the caller.
#[api_v2_operation(operation_id = "getContract", tags("contracts"))]
pub async fn get(
    call: Call,
    target: web::Path<Target>,
    query: Query,
    clock: web::Data<Arc<dyn Clock>>,
) -> Result<Reply<Contract>, Problem> {
    query.finish()?;
    let absent = || Problem::new(ProblemKind::NotFound).detail("There is no such contract.");
    let contract = contracts::find(&target.name, &target.version).ok_or_else(absent)?;
    Reply::ok(&Contract {
        id: contract.id().to_string(),
        name: contract.id().name(),
        version: contract.id().version(),
        summary: contract.summary(),
        schema: contract.schema(),
        example: contract.example(call.principal.tenant(), clock.now()),
    })
}
