-- Whether what a tenant sends is sent on to the engine without being asked to; NULL where it is as the server is configured.
-- It stands where accepting a document looks anyway.
ALTER TABLE tenants ADD COLUMN auto_send INTEGER;
