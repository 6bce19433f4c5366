-- The bytes of a tenant's reports are added up from the index alone, whenever another report is asked for.
CREATE INDEX savings_reports_by_bytes ON savings_reports (tenant_id, bytes);
