ALTER TABLE idempotency_keys ADD CONSTRAINT idempotency_keys_tenant_id_request_id_fkey
    FOREIGN KEY (tenant_id, request_id) REFERENCES mass_requests;
ALTER TABLE audit_events ADD CONSTRAINT audit_events_with_text_tenant_id_fkey
    FOREIGN KEY (tenant_id) REFERENCES audit_heads;
ALTER TABLE mass_requests ADD CONSTRAINT mass_requests_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants;
