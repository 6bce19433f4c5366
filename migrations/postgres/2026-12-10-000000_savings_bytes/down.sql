DROP INDEX savings_reports_by_bytes;
