-- The code of the reason for which a report has failed; NULL for those that failed before there were codes.
ALTER TABLE savings_reports ADD COLUMN failure_code text;
