DROP TABLE recovery_codes;
DROP TABLE second_factors;
ALTER TABLE tenants DROP COLUMN second_factor;
ALTER TABLE sessions DROP COLUMN factor_at;
ALTER TABLE users DROP COLUMN second_factor_at;
