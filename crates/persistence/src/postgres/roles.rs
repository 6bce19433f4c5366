//! The rights of the role that serves, if another one migrates and owns the tables.

use diesel::Connection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::result::Error::RollbackTransaction;
use diesel::sql_types::Text;

use super::Connection;
use crate::MigrateError;
use crate::connections::Walled;

/// The rights of the role that serves, table by table: privileges on the table, and columns that it updates. It reads
/// and inserts rows, and deletes and updates only what the program does; in the audit trail it updates only the head,
/// which a guard compares with the events. It has no rights on a table that is not listed.
const NEEDS: &str = "
    needs (name, privileges, updates) AS (VALUES
        ('__diesel_schema_migrations', '{SELECT}'::text[], '{}'::text[]),
        ('alert_rules', '{SELECT,INSERT,DELETE}', '{kind,enabled,digest,rule,problem,updated_at,updated_by_kind,updated_by_id}'),
        ('alerts', '{SELECT,INSERT,DELETE}', '{state,opened_at,resolved_at,resolution,value,notified_at,acknowledged_at,acknowledged_by_kind,acknowledged_by_id,note}'),
        ('api_keys', '{SELECT,INSERT}', '{last_used_at,revoked_at}'),
        ('audit_archived_changes', '{SELECT}', '{}'),
        ('audit_archived_leaves', '{SELECT}', '{}'),
        ('audit_checkpoints', '{SELECT,INSERT}', '{}'),
        ('audit_events', '{SELECT,INSERT}', '{}'),
        ('audit_heads', '{SELECT,INSERT}', '{size,frontier}'),
        ('audit_nodes', '{SELECT,INSERT}', '{}'),
        ('days', '{SELECT,INSERT,DELETE}', '{count,sum,min,max,first,last,integral,covered,gaps,resets,above,below}'),
        ('deliveries', '{SELECT,INSERT}', '{state,round,attempts,queued_at,updated_at,failure_code,failure_detail,dead_reason,call_id,traceparent}'),
        ('delivery_queue', '{SELECT,INSERT,DELETE}', '{due_at,worker,fence}'),
        ('delivery_turns', '{SELECT,INSERT,DELETE}', '{}'),
        ('directory', '{SELECT,INSERT,DELETE}', '{}'),
        ('hours', '{SELECT,INSERT,DELETE}', '{count,sum,min,max,first,last,integral,covered,gaps,resets,above,below}'),
        ('idempotency_keys', '{SELECT,INSERT,DELETE}', '{}'),
        ('intake', '{SELECT,INSERT,DELETE}', '{requests,bytes}'),
        ('login_attempts', '{SELECT,INSERT,DELETE}', '{failures,failed_at,succeeded_at}'),
        ('legal_holds', '{SELECT,INSERT,DELETE}', '{}'),
        ('mapping_profiles', '{SELECT,INSERT,DELETE}', '{format,digest,contract,profile,updated_at,updated_by_kind,updated_by_id}'),
        ('mass_requests', '{SELECT,INSERT}', '{status,version,updated_at,corrected_by,deleted_at,document,warnings,correlation_id,idempotency_key,site_id,device_id,observed_at,natural_key,batch_id,call_id}'),
        ('notification_queue', '{SELECT,INSERT,DELETE}', '{due_at,worker,fence}'),
        ('notifications', '{SELECT,INSERT,DELETE}', '{state,attempts,queued_at,updated_at,failure}'),
        ('points', '{SELECT,INSERT,DELETE}', '{}'),
        ('projected_blocks', '{SELECT,INSERT,DELETE}', '{requests}'),
        ('projected_requests', '{}', '{}'),
        ('projections', '{SELECT,INSERT}', '{position,deletions,stopped_sequence,stopped_reason}'),
        ('quarantine_usage', '{SELECT,INSERT}', '{bytes}'),
        ('quarantined_records', '{SELECT,INSERT,DELETE}', '{}'),
        ('quotas', '{SELECT,INSERT}', '{requests_per_day,stored_bytes,quarantine_bytes,updated_at}'),
        ('recommendations', '{SELECT,INSERT,DELETE}', '{}'),
        ('recovery_codes', '{SELECT,INSERT,DELETE}', '{}'),
        ('refresh_tokens', '{SELECT,INSERT}', '{spent_at}'),
        ('retention_rules', '{SELECT,INSERT,DELETE}', '{}'),
        ('savings_projects', '{SELECT,INSERT,DELETE}', '{version,name,site_id,project,updated_at,updated_by_kind,updated_by_id}'),
        ('savings_queue', '{SELECT,INSERT,DELETE}', '{due_at,worker,fence}'),
        ('savings_reports', '{SELECT,INSERT,DELETE}', '{state,attempts,finished_at,failure_code,failure,as_of_sequence,as_of_root,bytes,document,note}'),
        ('second_factors', '{SELECT,INSERT,DELETE}', '{sealed,confirmed,last_step,created_at}'),
        ('series', '{SELECT,INSERT,DELETE}', '{kind,first_at,last_at,last_value,learned_interval}'),
        ('sessions', '{SELECT,INSERT,DELETE}', '{expires_at,revoked_at,factor_at}'),
        ('sources', '{SELECT,INSERT,DELETE}', '{device_type,location,at,accepted}'),
        ('tenant_tasks', '{SELECT,INSERT,DELETE}', '{due_at,worker,fence}'),
        ('tenant_usage', '{SELECT,INSERT}', '{day,requests,stored_bytes}'),
        ('tenants', '{SELECT,INSERT}', '{auto_send,credentials_version,quarantine,second_factor,suspended_at,deletion_due_at}'),
        ('users', '{SELECT,INSERT}', '{email,password_hash,roles,disabled_at,updated_at,deleted_at,second_factor_at}'),
        ('webhooks', '{SELECT,INSERT,DELETE}', '{url,description,enabled,digest,salt,key_id,previous_salt,previous_key_id,previous_until,updated_at,updated_by_kind,updated_by_id}')
    )";

/// The statements that give a role exactly the rights that it needs, in their order: revoking a right on a table
/// revokes it on its columns, too, and comes first. None if the role has these rights.
const DUE: &str = "
    , whole (oid, object, privilege, has, needed, updates) AS (
        SELECT t.oid, format('TABLE %s', t.oid::regclass), privilege, has_table_privilege($1, t.oid, privilege),
            privilege = ANY (privileges), updates
        FROM needs JOIN pg_class AS t ON t.relname = name
            AND t.relnamespace = current_schema()::regnamespace AND t.relkind IN ('r', 'p'),
            unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']
                || CASE WHEN current_setting('server_version_num')::int >= 170000 THEN '{MAINTAIN}' ELSE '{}' END::text[]
            ) AS privilege
    ), part (object, privilege, quoted, has, needed, has_whole) AS (
        SELECT object, privilege, format('%I', attname), has_column_privilege($1, oid, attnum, privilege),
            privilege = 'UPDATE' AND attname = ANY (updates), has
        FROM whole JOIN pg_attribute ON attrelid = oid AND attnum > 0 AND NOT attisdropped
        WHERE privilege IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') AND NOT whole.needed
    ), due (stage, grants, privileges, object) AS (
        SELECT 1, needed, string_agg(privilege, ', ' ORDER BY privilege), object
        FROM whole WHERE has <> needed GROUP BY object, needed
        UNION ALL
        SELECT 2, needed, format('%s (%s)', privilege, string_agg(quoted, ', ' ORDER BY quoted)), object
        FROM part WHERE CASE WHEN has_whole THEN needed ELSE has <> needed END GROUP BY object, privilege, needed
        UNION ALL
        SELECT 1, needed, string_agg(privilege, ', ' ORDER BY privilege), format('SCHEMA %I', current_schema())
        FROM (
            SELECT privilege, has_schema_privilege($1, current_schema(), privilege) AS has, privilege = 'USAGE' AS needed
            FROM unnest(ARRAY['USAGE', 'CREATE']) AS privilege
        ) AS schema WHERE has <> needed GROUP BY needed
    )
    SELECT format(
        CASE WHEN grants THEN 'GRANT %s ON %s TO %I' ELSE 'REVOKE %s ON %s FROM %I' END, privileges, object, $1
    ) AS statement
    FROM due ORDER BY stage, object, grants";

#[derive(QueryableByName)]
struct Due {
    #[diesel(sql_type = Text)]
    statement: String,
}

/// Gives the role that serves exactly the rights that it needs, and checks that row-level security holds it. Does
/// nothing for a role that both migrates and serves.
pub(super) fn settle(owner: &mut Connection, serving: &mut Connection) -> Result<(), MigrateError> {
    let role = current_role(serving)?;
    if current_role(owner)? == role {
        return Ok(());
    }
    // At once, so that another server of the role misses no right meanwhile.
    let mut refused = None;
    let settled = owner.transaction(|owner| {
        for Due { statement } in due(owner, &role)? {
            if let Err(error) = diesel::sql_query(&statement).execute(owner) {
                refused = Some(MigrateError::Grant { statement, reason: error.to_string() });
                return Err(RollbackTransaction);
            }
        }
        Ok(())
    });
    if let Some(refused) = refused {
        return Err(refused);
    }
    settled.map_err(failed)?;
    // A right that everybody has, or a role of which this one is a member, cannot be taken from this one alone.
    if let Some(due) = due(owner, &role).map_err(failed)?.pop() {
        let reason = "it has no effect, because of a right of PUBLIC or of another role".to_owned();
        return Err(MigrateError::Grant { statement: due.statement, reason });
    }
    if serving.has_walls().map_err(failed)? { Ok(()) } else { Err(MigrateError::NotHeld { role }) }
}

/// Lists the statements that would give a role exactly the rights that it needs.
pub(super) fn statements_due(owner: &mut Connection, role: &str) -> QueryResult<Vec<String>> {
    Ok(due(owner, role)?.into_iter().map(|due| due.statement).collect())
}

fn due(owner: &mut Connection, role: &str) -> QueryResult<Vec<Due>> {
    diesel::sql_query(format!("WITH {NEEDS}{DUE}")).bind::<Text, _>(role).load(owner)
}

fn current_role(connection: &mut Connection) -> Result<String, MigrateError> {
    diesel::select(sql::<Text>("current_user::text")).get_result(connection).map_err(failed)
}

fn failed(error: diesel::result::Error) -> MigrateError {
    MigrateError::Failed(error.into())
}
