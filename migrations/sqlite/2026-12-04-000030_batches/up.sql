-- The batch that the sender names in the document, and the id of the call or import that brought a batch: by either a wrong
-- import is found again. What was stored before has neither.
ALTER TABLE mass_requests ADD COLUMN batch_id TEXT;
ALTER TABLE mass_requests ADD COLUMN call_id TEXT;
CREATE INDEX mass_requests_by_batch ON mass_requests (tenant_id, batch_id, id) WHERE batch_id IS NOT NULL;
CREATE INDEX mass_requests_by_call ON mass_requests (tenant_id, call_id, id) WHERE call_id IS NOT NULL;
