ALTER TABLE savings_reports DROP COLUMN failure_code;
