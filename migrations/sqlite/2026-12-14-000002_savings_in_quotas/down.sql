UPDATE tenant_usage SET stored_bytes = stored_bytes - coalesce(
    (SELECT sum(bytes) FROM savings_reports WHERE savings_reports.tenant_id = tenant_usage.tenant_id), 0
);
