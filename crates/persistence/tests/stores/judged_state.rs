//! The rule that the cache of group commit relies on: a change of a tenant's settings, quotas, usage or natural keys appends
//! to its audit log in the same transaction.

use diesel::connection::SimpleConnection;
use mass_admin_service::{QuotaChange, SettingsChange};
use mass_domain::audit::{Action, Object};
use mass_domain::tenancy::{Quotas, TenantSettings};

use crate::databases::{DatabaseLocation, TestDatabase};
use crate::fixtures::{Vary, act, at, deletion, reading, simple, tenant};

/// Settings, quotas, usage, and natural keys with their current versions.
const STATE: [&str; 4] = [
    "SELECT coalesce(CAST(auto_send AS text), '-') AS line FROM tenants WHERE id = 'default'",
    "SELECT coalesce(CAST(requests_per_day AS text), '-') || ' ' || coalesce(CAST(stored_bytes AS text), '-') AS line
        FROM quotas WHERE tenant_id = 'default'",
    "SELECT CAST(day AS text) || ' ' || CAST(requests AS text) || ' ' || CAST(stored_bytes AS text) AS line
        FROM tenant_usage WHERE tenant_id = 'default'",
    "SELECT natural_key || ' ' || CASE WHEN corrected_by IS NULL THEN 'current' ELSE 'superseded' END AS line
        FROM mass_requests WHERE tenant_id = 'default' AND natural_key IS NOT NULL ORDER BY id",
];

/// Fails each transaction of a store that changes the state and does not move the log's head.
const GUARD: &str = "
    CREATE FUNCTION test_state_changes_with_the_log() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
    DECLARE
        tenant text := CASE
            WHEN TG_TABLE_NAME = 'tenants' THEN to_jsonb(NEW) ->> 'id'
            WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ->> 'tenant_id'
            ELSE to_jsonb(NEW) ->> 'tenant_id'
        END;
    BEGIN
        IF current_setting('mass.beside_the_ports', true) IS DISTINCT FROM 'on' AND NOT EXISTS (
            SELECT FROM audit_heads WHERE tenant_id = tenant AND xmin = pg_current_xact_id()::xid
        ) THEN
            RAISE EXCEPTION '% changed without an event', TG_TABLE_NAME;
        END IF;
        RETURN NULL;
    END
    $$;
    CREATE CONSTRAINT TRIGGER test_settings AFTER UPDATE OF auto_send ON tenants
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION test_state_changes_with_the_log();
    CREATE CONSTRAINT TRIGGER test_quotas AFTER INSERT OR UPDATE OR DELETE ON quotas
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION test_state_changes_with_the_log();
    CREATE CONSTRAINT TRIGGER test_usage AFTER INSERT OR UPDATE OR DELETE ON tenant_usage
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION test_state_changes_with_the_log();
    CREATE CONSTRAINT TRIGGER test_keys
        AFTER INSERT OR UPDATE OF natural_key, corrected_by, deleted_at OR DELETE ON mass_requests
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION test_state_changes_with_the_log();";

/// Guards a database on PostgreSQL, where the cache is used: in all tests of stores, so that no transaction of theirs is
/// left out.
pub(crate) fn guard(place: &DatabaseLocation) {
    if let DatabaseLocation::Postgres(_) = place {
        place.execute(GUARD);
    }
}

on_both!(every_change_of_judged_state_appends_to_the_log);

async fn every_change_of_judged_state_appends_to_the_log(db: TestDatabase) {
    let state = || STATE.map(|query| db.place.lines(query));
    let size = || db.place.lines("SELECT CAST(size AS text) AS line FROM audit_heads WHERE tenant_id = 'default'");
    let mut before = (state(), size());
    let mut step = |name: &str| {
        let after = (state(), size());
        assert_ne!(after.0, before.0, "{name} changed nothing");
        assert_ne!(after.1, before.1, "{name} appended nothing");
        before = after;
    };
    let settings = TenantSettings { auto_send: Some(false), ..TenantSettings::default() };
    db.settings().update(&tenant(), SettingsChange { settings, act: act(at(1)) }).await.unwrap();
    step("settings");
    let quotas = Quotas { requests_per_day: Some(100), ..Quotas::default() };
    db.quotas().update(&tenant(), QuotaChange { quotas, act: act(at(1)) }).await.unwrap();
    step("quotas");
    db.stored(reading("dev-1", 20)).await;
    step("a natural key");
    db.stored(simple(1)).await;
    step("usage");
    let correction = db.stored(reading("dev-1", 21).correcting()).await;
    step("a correction");
    assert!(db.mass().store_all_or_none(&tenant(), vec![reading("dev-2", 20)]).await.unwrap()[0].is_ok());
    step("all or none");
    let refused = act(at(1)).refused(&tenant(), Action::PayloadRefused, Object::MassRequest(simple(2).id));
    db.mass().accept(&tenant(), Vec::new(), vec![refused], None).await.unwrap().unwrap();
    step("a refused document");
    db.mass().delete(&tenant(), correction.summary.id, deletion()).await.unwrap();
    step("a deletion");
}

#[tokio::test]
async fn the_guard_fails_a_change_without_an_event() {
    let db = TestDatabase::postgres().await;
    let id = db.stored(reading("dev-1", 20)).await.summary.id;
    let DatabaseLocation::Postgres(database) = &db.place else { panic!("not on PostgreSQL") };
    for (table, change) in [
        ("tenants", "UPDATE tenants SET auto_send = true WHERE id = 'default'".to_owned()),
        ("quotas", "INSERT INTO quotas VALUES ('default', 1, 1, now())".to_owned()),
        ("tenant_usage", "UPDATE tenant_usage SET requests = 9 WHERE tenant_id = 'default'".to_owned()),
        ("mass_requests", format!("UPDATE mass_requests SET natural_key = 'other' WHERE id = '{id}'")),
    ] {
        let error = database.guarded_connection().batch_execute(&change).unwrap_err().to_string();
        assert!(error.contains(&format!("{table} changed without an event")), "{error}");
    }
}
