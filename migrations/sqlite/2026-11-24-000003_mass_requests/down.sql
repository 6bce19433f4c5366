DROP TABLE idempotency_keys;
DROP TABLE mass_requests;
