DROP TABLE tenant_tasks;
DROP TABLE legal_holds;
DROP TABLE retention_rules;
