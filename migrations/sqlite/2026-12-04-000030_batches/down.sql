DROP INDEX mass_requests_by_call;
DROP INDEX mass_requests_by_batch;
ALTER TABLE mass_requests DROP COLUMN call_id;
ALTER TABLE mass_requests DROP COLUMN batch_id;
