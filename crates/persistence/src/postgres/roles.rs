//! The role that serves, where another one migrates and owns the tables.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::Connection;
use crate::MigrateError;
use crate::connections::Walled;

/// The statements after which a role may do with the tables exactly what it needs: read and write them, but neither
/// change nor remove what is in the audit trail, nor archive it, nor make tables, and of the migrations only read which were
/// applied. None where that is so already.
const DUE: &str = "
    WITH may (object, privilege, has, needs) AS (
        SELECT format('TABLE %s', oid::regclass), privilege, has_table_privilege($1, oid, privilege),
            CASE relname
                WHEN '__diesel_schema_migrations' THEN privilege = 'SELECT'
                WHEN 'audit_events' THEN privilege IN ('SELECT', 'INSERT')
                WHEN 'audit_nodes' THEN privilege IN ('SELECT', 'INSERT')
                WHEN 'audit_checkpoints' THEN privilege IN ('SELECT', 'INSERT')
                WHEN 'audit_archived_leaves' THEN privilege = 'SELECT'
                WHEN 'audit_heads' THEN privilege IN ('SELECT', 'INSERT', 'UPDATE')
                ELSE privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
            END
        FROM pg_class,
            unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
        UNION ALL
        SELECT format('SCHEMA %I', current_schema()), privilege,
            has_schema_privilege($1, current_schema(), privilege), privilege = 'USAGE'
        FROM unnest(ARRAY['USAGE', 'CREATE']) AS privilege
    )
    SELECT format(
        CASE WHEN needs THEN 'GRANT %s ON %s TO %I' ELSE 'REVOKE %s ON %s FROM %I' END,
        string_agg(privilege, ', ' ORDER BY privilege), object, $1
    ) AS statement
    FROM may WHERE has <> needs GROUP BY object, needs ORDER BY object";

#[derive(QueryableByName)]
struct Due {
    #[diesel(sql_type = Text)]
    statement: String,
}

/// Sees to it that the role that serves has exactly the rights that it needs, and is held by row-level security. Does
/// nothing for a role that both migrates and serves.
pub(super) fn settle(owner: &mut Connection, serving: &mut Connection) -> Result<(), MigrateError> {
    let role = current_role(serving)?;
    if current_role(owner)? == role {
        return Ok(());
    }
    for due in due(owner, &role)? {
        if let Err(error) = diesel::sql_query(&due.statement).execute(owner) {
            return Err(MigrateError::Grant { statement: due.statement, reason: error.to_string() });
        }
    }
    // A right that everybody has, or a role of which this one is a member, cannot be taken from this one alone.
    if let Some(due) = due(owner, &role)?.pop() {
        let reason = "it has no effect, because of a right of PUBLIC or of another role".to_owned();
        return Err(MigrateError::Grant { statement: due.statement, reason });
    }
    if serving.has_walls().map_err(failed)? { Ok(()) } else { Err(MigrateError::NotHeld { role }) }
}

fn due(owner: &mut Connection, role: &str) -> Result<Vec<Due>, MigrateError> {
    diesel::sql_query(DUE).bind::<Text, _>(role).load(owner).map_err(failed)
}

fn current_role(connection: &mut Connection) -> Result<String, MigrateError> {
    diesel::select(sql::<Text>("current_user::text")).get_result(connection).map_err(failed)
}

fn failed(error: diesel::result::Error) -> MigrateError {
    MigrateError::Failed(error.into())
}
