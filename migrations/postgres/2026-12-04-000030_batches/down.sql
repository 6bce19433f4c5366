DROP INDEX mass_requests_by_call;
DROP INDEX mass_requests_by_batch;
ALTER TABLE mass_requests DROP COLUMN call_id, DROP COLUMN batch_id;
