//! The tables, as both databases have them.

use diesel::{allow_tables_to_appear_in_same_query, table};

table! {
    use diesel::sql_types::{BigInt, Bool, Nullable, Text};
    use crate::columns::sql::Instant;

    tenants (id) {
        id -> Text,
        created_at -> Instant,
        credentials_version -> BigInt,
        auto_send -> Nullable<Bool>,
        quarantine -> Nullable<Bool>,
        suspended_at -> Nullable<Instant>,
        deletion_due_at -> Nullable<Instant>,
        erasing_at -> Nullable<Instant>,
        erased_at -> Nullable<Instant>,
        second_factor -> Nullable<Bool>,
    }
}

table! {
    use diesel::sql_types::{Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    users (tenant_id, id) {
        tenant_id -> Text,
        id -> Id,
        email -> Text,
        password_hash -> Text,
        roles -> Text,
        disabled_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
        deleted_at -> Nullable<Instant>,
        second_factor_at -> Nullable<Instant>,
    }
}

table! {
    use diesel::sql_types::Text;
    use crate::columns::sql::Id;

    directory (kind, key) {
        kind -> Text,
        key -> Text,
        tenant_id -> Text,
        object_id -> Id,
    }
}

table! {
    use diesel::sql_types::{Binary, Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    api_keys (tenant_id, id) {
        tenant_id -> Text,
        id -> Id,
        prefix -> Text,
        secret_hash -> Binary,
        name -> Text,
        permissions -> Text,
        addresses -> Text,
        expires_at -> Nullable<Instant>,
        last_used_at -> Nullable<Instant>,
        created_at -> Instant,
        created_by_kind -> Text,
        created_by_id -> Nullable<Id>,
        revoked_at -> Nullable<Instant>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use crate::columns::sql::Instant;

    quotas (tenant_id) {
        tenant_id -> Text,
        requests_per_day -> Nullable<BigInt>,
        stored_bytes -> Nullable<BigInt>,
        updated_at -> Instant,
        quarantine_bytes -> Nullable<BigInt>,
    }
}

table! {
    use diesel::sql_types::{Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    sessions (tenant_id, id) {
        tenant_id -> Text,
        id -> Id,
        user_id -> Id,
        created_at -> Instant,
        expires_at -> Instant,
        revoked_at -> Nullable<Instant>,
        factor_at -> Nullable<Instant>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Bool, Text};
    use crate::columns::sql::{Id, Instant};

    second_factors (tenant_id, user_id) {
        tenant_id -> Text,
        user_id -> Id,
        sealed -> Binary,
        confirmed -> Bool,
        last_step -> BigInt,
        created_at -> Instant,
    }
}

table! {
    use diesel::sql_types::{Binary, Text};
    use crate::columns::sql::Id;

    recovery_codes (tenant_id, user_id, hash) {
        tenant_id -> Text,
        user_id -> Id,
        hash -> Binary,
    }
}

table! {
    use diesel::sql_types::{Binary, Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    refresh_tokens (tenant_id, hash) {
        tenant_id -> Text,
        hash -> Binary,
        session_id -> Id,
        created_at -> Instant,
        spent_at -> Nullable<Instant>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Nullable};
    use crate::columns::sql::Instant;

    login_attempts (key) {
        key -> Binary,
        failures -> BigInt,
        failed_at -> Instant,
        succeeded_at -> Nullable<Instant>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Text};

    audit_heads (tenant_id) {
        tenant_id -> Text,
        size -> BigInt,
        frontier -> Binary,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    audit_events (tenant_id, sequence) {
        tenant_id -> Text,
        sequence -> BigInt,
        at -> Instant,
        actor_kind -> Text,
        actor_id -> Nullable<Id>,
        action -> Text,
        object_kind -> Text,
        object_id -> Nullable<Text>,
        outcome -> Text,
        event -> Text,
        leaf_hash -> Binary,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Text};

    audit_nodes (tenant_id, level, position) {
        tenant_id -> Text,
        level -> BigInt,
        position -> BigInt,
        hash -> Binary,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Text};

    audit_archived_leaves (tenant_id, sequence) {
        tenant_id -> Text,
        sequence -> BigInt,
        leaf_hash -> Binary,
    }
}

table! {
    use diesel::sql_types::{BigInt, Text};
    use crate::columns::sql::Instant;

    audit_checkpoints (tenant_id, size) {
        tenant_id -> Text,
        size -> BigInt,
        at -> Instant,
        note -> Text,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    mass_requests (tenant_id, id) {
        tenant_id -> Text,
        id -> Id,
        contract -> Text,
        status -> Text,
        outcome -> Text,
        version -> BigInt,
        created_at -> Instant,
        updated_at -> Instant,
        created_by_kind -> Text,
        created_by_id -> Nullable<Id>,
        correlation_id -> Nullable<Text>,
        idempotency_key -> Nullable<Text>,
        site_id -> Nullable<Text>,
        device_id -> Nullable<Text>,
        observed_at -> Nullable<Instant>,
        natural_key -> Nullable<Text>,
        batch_id -> Nullable<Text>,
        call_id -> Nullable<Text>,
        fingerprint -> Binary,
        document -> Text,
        warnings -> Text,
        corrects -> Nullable<Id>,
        corrected_by -> Nullable<Id>,
        deleted_at -> Nullable<Instant>,
        audit_sequence -> BigInt,
        audit_leaf_hash -> Binary,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    idempotency_keys (tenant_id, key) {
        tenant_id -> Text,
        key -> Text,
        request_id -> Id,
        contract -> Text,
        fingerprint -> Binary,
        outcome -> Text,
        status -> Text,
        version -> BigInt,
        updated_at -> Instant,
        corrected_by -> Nullable<Id>,
        created_at -> Instant,
    }
}

table! {
    use diesel::sql_types::{BigInt, Text};

    tenant_usage (tenant_id) {
        tenant_id -> Text,
        day -> BigInt,
        requests -> BigInt,
        stored_bytes -> BigInt,
    }
}

table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    deliveries (tenant_id, id) {
        tenant_id -> Text,
        id -> Id,
        request_id -> Id,
        state -> Text,
        round -> BigInt,
        attempts -> BigInt,
        created_at -> Instant,
        queued_at -> Instant,
        updated_at -> Instant,
        failure_code -> Nullable<Text>,
        failure_detail -> Nullable<Text>,
        dead_reason -> Nullable<Text>,
        call_id -> Text,
        traceparent -> Nullable<Text>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    delivery_queue (tenant_id, delivery_id) {
        tenant_id -> Text,
        delivery_id -> Id,
        due_at -> Instant,
        worker -> Nullable<Text>,
        fence -> BigInt,
        trace_flags -> Nullable<BigInt>,
    }
}

table! {
    // Of distributed databases alone: scripts/distribute.sql makes it.
    use diesel::sql_types::Text;

    delivery_turns (tenant_id) {
        tenant_id -> Text,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    recommendations (tenant_id, id) {
        tenant_id -> Text,
        id -> Id,
        request_id -> Id,
        delivery_id -> Id,
        contract -> Text,
        site_id -> Nullable<Text>,
        device_id -> Nullable<Text>,
        created_at -> Instant,
        valid -> Bool,
        model_name -> Text,
        input_fingerprint -> Binary,
        answer -> Text,
        flags -> Text,
        latency_ms -> BigInt,
        slo_ms -> Nullable<BigInt>,
    }
}

table! {
    use diesel::sql_types::{Binary, Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    mapping_profiles (tenant_id, name) {
        tenant_id -> Text,
        name -> Text,
        format -> Text,
        digest -> Binary,
        contract -> Text,
        profile -> Text,
        created_at -> Instant,
        created_by_kind -> Text,
        created_by_id -> Nullable<Id>,
        updated_at -> Instant,
        updated_by_kind -> Text,
        updated_by_id -> Nullable<Id>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    quarantined_records (tenant_id, id) {
        tenant_id -> Text,
        id -> Id,
        received_at -> Instant,
        expires_at -> Instant,
        call_id -> Text,
        created_by_kind -> Text,
        created_by_id -> Nullable<Id>,
        form -> Text,
        contract -> Nullable<Text>,
        idempotency_key -> Nullable<Text>,
        mapping -> Nullable<Text>,
        codes -> Text,
        violation_count -> BigInt,
        bytes -> BigInt,
        digest -> Nullable<Binary>,
        violations -> Text,
        record -> Binary,
    }
}

table! {
    use diesel::sql_types::{BigInt, Text};

    quarantine_usage (tenant_id) {
        tenant_id -> Text,
        bytes -> BigInt,
    }
}

table! {
    use diesel::sql_types::{BigInt, Nullable, Text};

    audit_archived_changes (tenant_id, sequence) {
        tenant_id -> Text,
        sequence -> BigInt,
        action -> Text,
        object_id -> Nullable<Text>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Nullable, Text};

    projections (tenant_id) {
        tenant_id -> Text,
        position -> BigInt,
        deletions -> BigInt,
        stopped_sequence -> Nullable<BigInt>,
        stopped_reason -> Nullable<Text>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Nullable, Text};

    sources (tenant_id, id) {
        tenant_id -> Text,
        id -> BigInt,
        site_id -> Nullable<Text>,
        device_id -> Nullable<Text>,
        device_type -> Nullable<Text>,
        location -> Nullable<Text>,
        at -> BigInt,
        accepted -> BigInt,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Text};

    projected_blocks (tenant_id, block) {
        tenant_id -> Text,
        block -> BigInt,
        requests -> Binary,
    }
}

table! {
    use diesel::sql_types::{BigInt, Double, Nullable, Text};

    series (tenant_id, id) {
        tenant_id -> Text,
        id -> BigInt,
        site_id -> Nullable<Text>,
        device_id -> Nullable<Text>,
        metric -> Text,
        kind -> Text,
        source_id -> BigInt,
        first_at -> BigInt,
        last_at -> BigInt,
        last_value -> Double,
        learned_interval -> BigInt,
    }
}

table! {
    use diesel::sql_types::{BigInt, Double, Nullable, Text};

    points (tenant_id, series_id, at, sequence) {
        tenant_id -> Text,
        series_id -> BigInt,
        at -> BigInt,
        sequence -> BigInt,
        value -> Double,
        span -> Nullable<BigInt>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Double, Text};

    hours (tenant_id, series_id, starts_at) {
        tenant_id -> Text,
        series_id -> BigInt,
        starts_at -> BigInt,
        count -> BigInt,
        sum -> Double,
        min -> Double,
        max -> Double,
        first -> Double,
        last -> Double,
        integral -> Double,
        covered -> BigInt,
        gaps -> BigInt,
        resets -> BigInt,
        above -> Double,
        below -> Double,
    }
}

table! {
    use diesel::sql_types::{BigInt, Double, Text};

    days (tenant_id, series_id, starts_at) {
        tenant_id -> Text,
        series_id -> BigInt,
        starts_at -> BigInt,
        count -> BigInt,
        sum -> Double,
        min -> Double,
        max -> Double,
        first -> Double,
        last -> Double,
        integral -> Double,
        covered -> BigInt,
        gaps -> BigInt,
        resets -> BigInt,
        above -> Double,
        below -> Double,
    }
}

table! {
    use diesel::sql_types::{BigInt, Text};

    intake (tenant_id, day) {
        tenant_id -> Text,
        day -> BigInt,
        requests -> BigInt,
        bytes -> BigInt,
    }
}

table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    savings_projects (tenant_id, id) {
        tenant_id -> Text,
        id -> Id,
        version -> BigInt,
        name -> Text,
        site_id -> Text,
        project -> Text,
        created_at -> Instant,
        created_by_kind -> Text,
        created_by_id -> Nullable<Id>,
        updated_at -> Instant,
        updated_by_kind -> Text,
        updated_by_id -> Nullable<Id>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    savings_reports (tenant_id, id) {
        tenant_id -> Text,
        id -> Id,
        project_id -> Id,
        project_version -> BigInt,
        project -> Text,
        sequence -> BigInt,
        state -> Text,
        attempts -> BigInt,
        requested_at -> Instant,
        requested_by_kind -> Text,
        requested_by_id -> Nullable<Id>,
        call_id -> Text,
        traceparent -> Nullable<Text>,
        finished_at -> Nullable<Instant>,
        failure_code -> Nullable<Text>,
        failure -> Nullable<Text>,
        as_of_sequence -> Nullable<BigInt>,
        as_of_root -> Nullable<Text>,
        bytes -> BigInt,
        document -> Nullable<Text>,
        note -> Nullable<Text>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    savings_queue (tenant_id, report_id) {
        tenant_id -> Text,
        report_id -> Id,
        due_at -> Instant,
        worker -> Nullable<Text>,
        fence -> BigInt,
    }
}

table! {
    use diesel::sql_types::{BigInt, Text};

    retention_rules (tenant_id, contract) {
        tenant_id -> Text,
        contract -> Text,
        days -> BigInt,
    }
}

table! {
    use diesel::sql_types::{Binary, Bool, Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    alert_rules (tenant_id, name) {
        tenant_id -> Text,
        name -> Text,
        kind -> Text,
        enabled -> Bool,
        digest -> Binary,
        rule -> Text,
        problem -> Nullable<Text>,
        created_at -> Instant,
        created_by_kind -> Text,
        created_by_id -> Nullable<Id>,
        updated_at -> Instant,
        updated_by_kind -> Text,
        updated_by_id -> Nullable<Id>,
    }
}

table! {
    use diesel::sql_types::{Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    legal_holds (tenant_id, id) {
        tenant_id -> Text,
        id -> Id,
        contract -> Nullable<Text>,
        reason -> Text,
        since -> Instant,
        set_by_kind -> Text,
        set_by_id -> Nullable<Id>,
    }
}

table! {
    use diesel::sql_types::{Binary, Double, Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    alerts (tenant_id, id) {
        tenant_id -> Text,
        id -> Id,
        rule -> Text,
        kind -> Text,
        severity -> Text,
        subject -> Text,
        subject_digest -> Binary,
        state -> Text,
        since -> Instant,
        opened_at -> Nullable<Instant>,
        resolved_at -> Nullable<Instant>,
        resolution -> Nullable<Text>,
        value -> Nullable<Double>,
        notified_at -> Nullable<Instant>,
        acknowledged_at -> Nullable<Instant>,
        acknowledged_by_kind -> Nullable<Text>,
        acknowledged_by_id -> Nullable<Id>,
        note -> Nullable<Text>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use crate::columns::sql::Instant;

    tenant_tasks (tenant_id, task) {
        tenant_id -> Text,
        task -> Text,
        due_at -> Instant,
        worker -> Nullable<Text>,
        fence -> BigInt,
    }
}

table! {
    use diesel::sql_types::{Binary, Bool, Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    webhooks (tenant_id, name) {
        tenant_id -> Text,
        name -> Text,
        url -> Text,
        description -> Nullable<Text>,
        enabled -> Bool,
        digest -> Binary,
        salt -> Binary,
        key_id -> Text,
        previous_salt -> Nullable<Binary>,
        previous_key_id -> Nullable<Text>,
        previous_until -> Nullable<Instant>,
        created_at -> Instant,
        created_by_kind -> Text,
        created_by_id -> Nullable<Id>,
        updated_at -> Instant,
        updated_by_kind -> Text,
        updated_by_id -> Nullable<Id>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    notifications (tenant_id, id) {
        tenant_id -> Text,
        id -> Id,
        webhook -> Text,
        news -> Text,
        alert_id -> Nullable<Id>,
        body -> Text,
        state -> Text,
        attempts -> BigInt,
        created_at -> Instant,
        queued_at -> Instant,
        updated_at -> Instant,
        failure -> Nullable<Text>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use crate::columns::sql::{Id, Instant};

    notification_queue (tenant_id, notification_id) {
        tenant_id -> Text,
        notification_id -> Id,
        due_at -> Instant,
        worker -> Nullable<Text>,
        fence -> BigInt,
    }
}

allow_tables_to_appear_in_same_query!(audit_archived_leaves, audit_events);
allow_tables_to_appear_in_same_query!(deliveries, delivery_queue, mass_requests);
allow_tables_to_appear_in_same_query!(idempotency_keys, mass_requests);
allow_tables_to_appear_in_same_query!(mass_requests, tenants);
allow_tables_to_appear_in_same_query!(quotas, tenant_usage, tenants);
allow_tables_to_appear_in_same_query!(api_keys, tenants);
allow_tables_to_appear_in_same_query!(sessions, tenants, users);
