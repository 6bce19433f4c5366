ALTER TABLE tenants DROP COLUMN auto_send;
