//! The tables that a tenant's erasure empties.

/// The tables of tenants' data, in an order in which no row is deleted before those that refer to it. A table that is added is
/// named here, or in [`KEPT_TABLES`].
///
/// Events come first: rows without their events are none that a verification misses, and events without their rows would be.
pub const ERASED_TABLES: &[&str] = &[
    "audit_events",
    "delivery_queue",
    "recommendations",
    "deliveries",
    "idempotency_keys",
    "mass_requests",
    "quarantined_records",
    "quarantine_usage",
    "mapping_profiles",
    "savings_queue",
    "savings_reports",
    "savings_projects",
    "points",
    "hours",
    "days",
    "series",
    "sources",
    "projected_blocks",
    "projected_requests",
    "intake",
    "projections",
    "audit_archived_changes",
    "recovery_codes",
    "second_factors",
    "refresh_tokens",
    "sessions",
    "api_keys",
    "directory",
    "users",
    "notification_queue",
    "notifications",
    "webhooks",
    "alerts",
    "alert_rules",
    "retention_rules",
    "legal_holds",
    "quotas",
    "tenant_usage",
];

/// The tables of tenants' data whose rows stay: hashes and signatures of the audit log, and the task of the erasure.
pub const KEPT_TABLES: &[&str] =
    &["audit_heads", "audit_nodes", "audit_archived_leaves", "audit_checkpoints", "tenant_tasks"];
