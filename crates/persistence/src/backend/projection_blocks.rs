//! The projected requests, in blocks.

use std::collections::BTreeMap;

use diesel::prelude::*;
use mass_analytics_service::ProjectedRequest;
use mass_domain::tenancy::TenantId;

use super::{Connection, projecting};
use crate::rows::{Block, block_of};
use crate::schema::projected_blocks;
use crate::store::KEYS_PER_STATEMENT;

/// Reads requests, by the sequences of their acceptance.
pub(super) fn stored(
    connection: &mut Connection,
    tenant: &TenantId,
    accepted: &[i64],
) -> QueryResult<Vec<(i64, ProjectedRequest)>> {
    let blocks = blocks(connection, tenant, accepted.iter().copied())?;
    let find = |accepted: &i64| Some((*accepted, *blocks.get(&block_of(*accepted))?.0.get(accepted)?));
    Ok(accepted.iter().filter_map(find).collect())
}

/// Deletes requests, if they are there, and inserts others.
pub(super) fn replace(
    connection: &mut Connection,
    tenant: &TenantId,
    gone: &[i64],
    added: &[ProjectedRequest],
) -> QueryResult<()> {
    let touched = gone.iter().copied().chain(added.iter().map(|request| request.accepted));
    let mut blocks = blocks(connection, tenant, touched)?;
    for accepted in gone {
        blocks.entry(block_of(*accepted)).or_default().0.remove(accepted);
    }
    for request in added {
        blocks.entry(block_of(request.accepted)).or_default().0.insert(request.accepted, *request);
    }
    let (empty, kept): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|(_, block)| block.0.is_empty());
    for empty in empty.chunks(KEYS_PER_STATEMENT) {
        diesel::delete(projected_blocks::table)
            .filter(projected_blocks::tenant_id.eq(tenant.as_str()))
            .filter(projected_blocks::block.eq_any(empty.iter().map(|(block, _)| *block)))
            .execute(connection)?;
    }
    let rows: Vec<(i64, Vec<u8>)> = kept.into_iter().map(|(block, requests)| (block, requests.write())).collect();
    if rows.is_empty() { Ok(()) } else { projecting::upsert_blocks(connection, tenant, &rows) }
}

/// Reads the blocks of acceptances, as far as they are stored.
fn blocks(
    connection: &mut Connection,
    tenant: &TenantId,
    accepted: impl Iterator<Item = i64>,
) -> QueryResult<BTreeMap<i64, Block>> {
    let mut keys: Vec<i64> = accepted.map(block_of).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut blocks = BTreeMap::new();
    for keys in keys.chunks(KEYS_PER_STATEMENT) {
        let rows: Vec<(i64, Vec<u8>)> = projected_blocks::table
            .filter(projected_blocks::tenant_id.eq(tenant.as_str()))
            .filter(projected_blocks::block.eq_any(keys))
            .select((projected_blocks::block, projected_blocks::requests))
            .load(connection)?;
        for (block, requests) in rows {
            blocks.insert(block, Block::read(&requests)?);
        }
    }
    Ok(blocks)
}
