DROP TABLE quotas;
DROP TABLE api_keys;
