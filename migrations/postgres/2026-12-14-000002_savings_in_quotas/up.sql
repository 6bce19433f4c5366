-- Savings reports count as stored bytes, too.
INSERT INTO tenant_usage (tenant_id, day, requests, stored_bytes)
SELECT tenant_id, 0, 0, sum(bytes) FROM savings_reports GROUP BY tenant_id
ON CONFLICT (tenant_id) DO UPDATE SET stored_bytes = tenant_usage.stored_bytes + excluded.stored_bytes;
