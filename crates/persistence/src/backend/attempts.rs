//! Log-in attempts: the port and its transactions.

use async_trait::async_trait;
use diesel::prelude::*;
use mass_auth::{AttemptKeys, AttemptStore, Counter, Counters, Throttled};
use mass_domain::audit::NewEvent;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

use super::audit::Head;
use super::{Connection, Store};
use crate::columns::Instant;
use crate::rows::AttemptRow;
use crate::schema::login_attempts;

#[async_trait]
impl AttemptStore for Store {
    async fn begin(&self, keys: &AttemptKeys, at: Timestamp) -> Result<Result<(), Throttled>, PortError> {
        let keys = keys.clone();
        self.writes.run_outside(move |connection| begin(connection, &keys, at)).await
    }

    async fn is_known(&self, keys: &AttemptKeys) -> Result<bool, PortError> {
        let keys = keys.clone();
        self.reads.read_outside(move |connection| is_known(connection, &keys)).await
    }

    async fn succeed(&self, keys: &AttemptKeys, at: Timestamp) -> Result<(), PortError> {
        let keys = keys.clone();
        self.writes.run_outside(move |connection| succeed(connection, &keys, at)).await
    }

    async fn fail(&self, event: NewEvent) -> Result<(), PortError> {
        let tenant = event.tenant_id.clone();
        self.writes.run_for(&tenant, move |connection, tenant| fail(connection, tenant, event)).await
    }
}

/// Begins an attempt, or returns the time that it has to wait.
pub(super) fn begin(
    connection: &mut Connection,
    keys: &AttemptKeys,
    at: Timestamp,
) -> QueryResult<Result<(), Throttled>> {
    super::write(connection, |connection| match lock(connection, keys, at)?.begun(at) {
        Ok(counters) => Ok(Ok(store(connection, keys, &counters)?)),
        Err(throttled) => Ok(Err(throttled)),
    })
}

/// Tells whether an attempt on the account has succeeded from the address before.
pub(super) fn is_known(connection: &mut Connection, keys: &AttemptKeys) -> QueryResult<bool> {
    let pair = login_attempts::table.find(keys.pair.as_slice()).filter(login_attempts::succeeded_at.is_not_null());
    diesel::select(diesel::dsl::exists(pair)).get_result(connection)
}

/// Records a successful attempt.
pub(super) fn succeed(connection: &mut Connection, keys: &AttemptKeys, at: Timestamp) -> QueryResult<()> {
    super::write(connection, |connection| {
        let counters = lock(connection, keys, at)?.succeeded(at);
        store(connection, keys, &counters)
    })
}

/// Records a failed attempt.
pub(super) fn fail(connection: &mut Connection, tenant: &TenantId, event: NewEvent) -> QueryResult<()> {
    super::write(connection, |connection| {
        Head::lock(connection, tenant)?.append(connection, [event])?;
        Ok(())
    })
}

/// Locks and reads the counters.
fn lock(connection: &mut Connection, keys: &AttemptKeys, at: Timestamp) -> QueryResult<Counters> {
    let mut sorted: Vec<_> = keys.all().copied().collect();
    // Always in the same order, which rules out deadlocks.
    sorted.sort_unstable();
    for key in &sorted {
        diesel::insert_into(login_attempts::table)
            .values(AttemptRow::new(key, &Counter::new(at)))
            .on_conflict_do_nothing()
            .execute(connection)?;
    }
    let mut counter = |key: &[u8; 32]| super::lock_attempts(connection, key)?.into_counter();
    // Locked in that order as well.
    let counters = sorted.iter().map(|key| Ok((*key, counter(key)?))).collect::<QueryResult<Vec<_>>>()?;
    let of = |key: &[u8; 32]| {
        counters.iter().find(|(known, _)| known == key).map(|(_, counter)| *counter).ok_or(diesel::NotFound)
    };
    let networks = keys.networks.iter().map(of).collect::<QueryResult<_>>()?;
    Ok(Counters { pair: of(&keys.pair)?, account: of(&keys.account)?, networks })
}

fn store(connection: &mut Connection, keys: &AttemptKeys, counters: &Counters) -> QueryResult<()> {
    for (key, counter) in keys.all().zip(counters.all()) {
        diesel::update(login_attempts::table.find(key.as_slice()))
            .set(AttemptRow::new(key, counter))
            .execute(connection)?;
    }
    Ok(())
}

/// Deletes counters from before the first instant; counters with a success only from before the second. Returns their
/// number.
pub(super) fn purge(connection: &mut Connection, before: Timestamp, known_before: Timestamp) -> QueryResult<usize> {
    super::write(connection, |connection| {
        let known = login_attempts::succeeded_at.ge(Instant(known_before));
        let stale = login_attempts::table
            .filter(login_attempts::failed_at.lt(Instant(before)))
            .filter(login_attempts::succeeded_at.is_null().or(diesel::dsl::not(known).assume_not_null()));
        diesel::delete(stale).execute(connection)
    })
}
