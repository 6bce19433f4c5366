PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE __diesel_schema_migrations (
       version VARCHAR(50) PRIMARY KEY NOT NULL,
       run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
INSERT INTO __diesel_schema_migrations VALUES('20261124000001','2026-11-29 06:52:45');
INSERT INTO __diesel_schema_migrations VALUES('20261124000002','2026-11-29 06:52:45');
INSERT INTO __diesel_schema_migrations VALUES('20261124000003','2026-11-29 06:52:45');
INSERT INTO __diesel_schema_migrations VALUES('20261125000000','2026-11-29 06:52:45');
INSERT INTO __diesel_schema_migrations VALUES('20261125000001','2026-11-29 06:52:45');
INSERT INTO __diesel_schema_migrations VALUES('20261125000002','2026-11-29 06:52:45');
INSERT INTO __diesel_schema_migrations VALUES('20261125000010','2026-11-29 06:52:45');
INSERT INTO __diesel_schema_migrations VALUES('20261125000011','2026-11-29 06:52:45');
INSERT INTO __diesel_schema_migrations VALUES('20261126000000','2026-11-29 06:52:45');
INSERT INTO __diesel_schema_migrations VALUES('20261127000000','2026-11-29 06:52:45');
INSERT INTO __diesel_schema_migrations VALUES('20261128000000','2026-11-29 06:52:45');
INSERT INTO __diesel_schema_migrations VALUES('20261129000000','2026-11-29 06:52:45');
INSERT INTO __diesel_schema_migrations VALUES('20261129000001','2026-11-29 06:52:45');
INSERT INTO __diesel_schema_migrations VALUES('20261130000000','2026-11-29 06:52:45');
INSERT INTO __diesel_schema_migrations VALUES('20261201000000','2026-11-29 06:52:45');
CREATE TABLE tenants (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL
, credentials_version INTEGER NOT NULL DEFAULT 0, auto_send INTEGER) STRICT;
INSERT INTO tenants VALUES('system','2026-11-29T06:52:45.000000Z',0,NULL);
INSERT INTO tenants VALUES('default','2026-11-29T06:52:45.389305Z',0,NULL);
CREATE TABLE users (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    email TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    roles TEXT NOT NULL,
    disabled_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT;
INSERT INTO users VALUES('default',X'01a22613dbcd7d80b5bd9c0708e03905','admin@mass.local','hmac-sha384:-:$2b$10$FjCGJibRa/SyxGOnCzzF/uLSprYpXC8DVz.J5GxoCo1HAuePDElmu','operator,admin,platform_admin',NULL,'2026-11-29T06:52:45.389305Z','2026-11-29T06:52:45.389305Z');
INSERT INTO users VALUES('default',X'01a22613de5177f8a6ad4b8e2d1f14e9','operator@example.test','hmac-sha384:-:$2b$10$.Vnfa163rwYoINRJiwe4pOZuPPPtbaRpDVTOwo.1lLjpv32.AjWP.','operator',NULL,'2026-11-29T06:52:46.033024Z','2026-11-29T06:52:46.033024Z');
CREATE TABLE audit_heads (
    tenant_id TEXT NOT NULL PRIMARY KEY REFERENCES tenants (id),
    size INTEGER NOT NULL
, frontier BLOB NOT NULL DEFAULT x'') STRICT;
INSERT INTO audit_heads VALUES('default',12,X'75fe46dd89d448c4b607c061a7eeadba068a039167f05153d64c1d9f29932e45195dab01628d68dd4800c37a72e127435937a8bc5af7efbc8d4dcfb3c3115ae9');
INSERT INTO audit_heads VALUES('system',2,X'd6a766603be0282bbaa379f9b12baf6ae439982d66dc1c068158edde4d642e41');
CREATE TABLE mass_requests (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    contract TEXT NOT NULL,
    status TEXT NOT NULL,
    outcome TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by_id BLOB,
    correlation_id TEXT,
    idempotency_key TEXT,
    site_id TEXT,
    device_id TEXT,
    observed_at TEXT,
    natural_key TEXT,
    fingerprint BLOB NOT NULL,
    document TEXT NOT NULL,
    warnings TEXT NOT NULL,
    corrects BLOB,
    corrected_by BLOB,
    deleted_at TEXT, audit_sequence INTEGER NOT NULL DEFAULT 0, audit_leaf_hash BLOB NOT NULL DEFAULT x'',
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, corrects) REFERENCES mass_requests (tenant_id, id),
    -- Deferred, since the older version gives way before the newer one is there.
    FOREIGN KEY (tenant_id, corrected_by) REFERENCES mass_requests (tenant_id, id) DEFERRABLE INITIALLY DEFERRED
) STRICT;
INSERT INTO mass_requests VALUES('default',X'01a22613de5e75589000a72c1f5a663b','device/1.1','pending','accepted',1,'2026-11-29T06:52:46.046682Z','2026-11-29T06:52:46.046682Z','api_key',X'01a22613de5975309b7ba7601a8719d4',NULL,'older-0',NULL,'dev-0','2026-11-29T00:00:00.000000Z','dev-0@2026-11-29T00:00:00Z',X'94d30d1eb423fb2607fa8160b299989eb0a72cab5ba63a9b84c6459d56de1490','{"device":{"id":"dev-0","location":"Hall 2","type":"rack-sensor"},"mass_version":"1.1","metadata":{"batch_id":"2026-01","operator":"facility-team"},"metrics":{"humidity_percent":45,"pressure_hpa":1013.25,"temperature_celsius":22.5},"timestamp":"2026-11-29T00:00:00Z"}','[]',NULL,NULL,NULL,6,X'cfddba8299d09c8452d5888085249fe9b455876b70e35136a7dff91ba35bd0e3');
INSERT INTO mass_requests VALUES('default',X'01a22613de6574c08c5cdc996e84c37f','device/1.1','processing','accepted',2,'2026-11-29T06:52:46.053243Z','2026-11-29T06:52:46.086639Z','api_key',X'01a22613de5975309b7ba7601a8719d4',NULL,'older-1',NULL,'dev-1','2026-11-29T01:00:00.000000Z','dev-1@2026-11-29T01:00:00Z',X'33aaeff05362986ec07df5df4e9930ce8f134ec712873b1c8b01feaafe1bce18','{"device":{"id":"dev-1","location":"Hall 2","type":"rack-sensor"},"mass_version":"1.1","metadata":{"batch_id":"2026-01","operator":"facility-team"},"metrics":{"humidity_percent":45,"pressure_hpa":1013.25,"temperature_celsius":22.5},"timestamp":"2026-11-29T01:00:00Z"}','[]',NULL,NULL,NULL,7,X'f28d202a6ee7ee761ec007d224dcd391c9f67c92016939d42b7b20a6dc8e4150');
INSERT INTO mass_requests VALUES('default',X'01a22613de78776aab88a9214b44d436','device/1.1','pending','accepted',2,'2026-11-29T06:52:46.072498Z','2026-11-29T06:52:46.098637Z','api_key',X'01a22613de5975309b7ba7601a8719d4',NULL,NULL,NULL,NULL,NULL,NULL,X'e65068afcd53c40562aa1b3305145dd526430ccdfb093bf856fb78b7ade017a2','','[]',NULL,NULL,'2026-11-29T06:52:46.098637Z',8,X'dc6749365d98e01e031dfce74bc9b679a3b10ecf76d92ab0c073b0c5a8db0d83');
INSERT INTO mass_requests VALUES('default',X'01a22613de7f7263b8b548fad5152ca1','device/1.1','pending','accepted',1,'2026-11-29T06:52:46.079075Z','2026-11-29T06:52:46.079075Z','api_key',X'01a22613de5975309b7ba7601a8719d4',NULL,'older-3',NULL,'dev-3','2026-11-29T03:00:00.000000Z','dev-3@2026-11-29T03:00:00Z',X'c8285dd5e219932705247dd91b124594fe7a25b60d86fed5ff0c85bc15e102ad','{"device":{"id":"dev-3","location":"Hall 2","type":"rack-sensor"},"mass_version":"1.1","metadata":{"batch_id":"2026-01","operator":"facility-team"},"metrics":{"humidity_percent":45,"pressure_hpa":1013.25,"temperature_celsius":22.5},"timestamp":"2026-11-29T03:00:00Z"}','[]',NULL,NULL,NULL,9,X'f4fa0ae18cf934c5e823184bcdf60b764b7af916e664f51f0b31a1c24f56bc62');
CREATE TABLE idempotency_keys (
    tenant_id TEXT NOT NULL,
    key TEXT NOT NULL,
    request_id BLOB NOT NULL,
    contract TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    outcome TEXT NOT NULL,
    status TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated_at TEXT NOT NULL,
    corrected_by BLOB,
    created_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, key),
    FOREIGN KEY (tenant_id, request_id) REFERENCES mass_requests (tenant_id, id)
) STRICT;
INSERT INTO idempotency_keys VALUES('default','older-0',X'01a22613de5e75589000a72c1f5a663b','device/1.1',X'94d30d1eb423fb2607fa8160b299989eb0a72cab5ba63a9b84c6459d56de1490','accepted','pending',1,'2026-11-29T06:52:46.046682Z',NULL,'2026-11-29T06:52:46.046682Z');
INSERT INTO idempotency_keys VALUES('default','older-1',X'01a22613de6574c08c5cdc996e84c37f','device/1.1',X'33aaeff05362986ec07df5df4e9930ce8f134ec712873b1c8b01feaafe1bce18','accepted','pending',1,'2026-11-29T06:52:46.053243Z',NULL,'2026-11-29T06:52:46.053243Z');
INSERT INTO idempotency_keys VALUES('default','older-2',X'01a22613de78776aab88a9214b44d436','device/1.1',X'e65068afcd53c40562aa1b3305145dd526430ccdfb093bf856fb78b7ade017a2','accepted','pending',1,'2026-11-29T06:52:46.072498Z',NULL,'2026-11-29T06:52:46.072498Z');
INSERT INTO idempotency_keys VALUES('default','older-3',X'01a22613de7f7263b8b548fad5152ca1','device/1.1',X'c8285dd5e219932705247dd91b124594fe7a25b60d86fed5ff0c85bc15e102ad','accepted','pending',1,'2026-11-29T06:52:46.079075Z',NULL,'2026-11-29T06:52:46.079075Z');
CREATE TABLE directory (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    object_id BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT;
INSERT INTO directory VALUES('email','admin@mass.local','default',X'01a22613dbcd7d80b5bd9c0708e03905');
INSERT INTO directory VALUES('email','operator@example.test','default',X'01a22613de5177f8a6ad4b8e2d1f14e9');
INSERT INTO directory VALUES('api_key','5z7f30ngcmq1','default',X'01a22613de5975309b7ba7601a8719d4');
CREATE TABLE sessions (
    tenant_id TEXT NOT NULL,
    id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    revoked_at TEXT,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
) STRICT;
INSERT INTO sessions VALUES('default',X'01a22613ddf47dea999088e1146dc24d',X'01a22613dbcd7d80b5bd9c0708e03905','2026-11-29T06:52:45.940918Z','2026-12-13T06:52:45.940918Z',NULL);
CREATE TABLE refresh_tokens (
    tenant_id TEXT NOT NULL,
    hash BLOB NOT NULL,
    session_id BLOB NOT NULL,
    created_at TEXT NOT NULL,
    spent_at TEXT,
    PRIMARY KEY (tenant_id, hash),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE
) STRICT;
INSERT INTO refresh_tokens VALUES('default',X'ee4bff71d45065b87b9a80c12b1d475ed88b92ac1d23bd94932d7af903c59c42',X'01a22613ddf47dea999088e1146dc24d','2026-11-29T06:52:45.940918Z',NULL);
CREATE TABLE login_attempts (
    key BLOB NOT NULL PRIMARY KEY,
    failures INTEGER NOT NULL,
    failed_at TEXT NOT NULL,
    succeeded_at TEXT
) STRICT;
INSERT INTO login_attempts VALUES(X'b3b0574188c3c68f9170536e681c94a572182b2fa2f99aeab265ba71d9a3e76f',0,'2026-11-29T06:52:45.944573Z','2026-11-29T06:52:45.944573Z');
INSERT INTO login_attempts VALUES(X'c16c2b8bd10ba0c498740f73bc0c4d09157e607b87ebc82d8bc21e44aeff8bcf',0,'2026-11-29T06:52:45.814011Z',NULL);
INSERT INTO login_attempts VALUES(X'ffb54abd46e117828632c3767655e6b1c25f5c1f3d53f5e97f2b6825f407b29b',0,'2026-11-29T06:52:45.944573Z','2026-11-29T06:52:45.944573Z');
CREATE TABLE api_keys (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    prefix TEXT NOT NULL,
    secret_hash BLOB NOT NULL,
    name TEXT NOT NULL,
    permissions TEXT NOT NULL,
    addresses TEXT NOT NULL,
    expires_at TEXT,
    last_used_at TEXT,
    created_at TEXT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by_id BLOB,
    revoked_at TEXT,
    PRIMARY KEY (tenant_id, id)
) STRICT;
INSERT INTO api_keys VALUES('default',X'01a22613de5975309b7ba7601a8719d4','5z7f30ngcmq1',X'b56cfbf4a27f148d71d8a8c53e3f82a7e7f5befb221187d66d41ce0411506c93','gateway','mass:read,mass:write','',NULL,'2026-11-29T06:52:46.045675Z','2026-11-29T06:52:46.041865Z','user',X'01a22613dbcd7d80b5bd9c0708e03905',NULL);
CREATE TABLE quotas (
    tenant_id TEXT NOT NULL PRIMARY KEY REFERENCES tenants (id),
    requests_per_day INTEGER,
    stored_bytes INTEGER,
    updated_at TEXT NOT NULL
) STRICT;
CREATE TABLE tenant_usage (
    tenant_id TEXT NOT NULL PRIMARY KEY REFERENCES tenants (id),
    -- The day of UTC, counted from 1970-01-01, of which the requests are counted.
    day INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL
) STRICT;
INSERT INTO tenant_usage VALUES('default',20786,4,801);
CREATE TABLE IF NOT EXISTS "audit_events" (
    tenant_id TEXT NOT NULL REFERENCES audit_heads (tenant_id),
    sequence INTEGER NOT NULL,
    at TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id BLOB,
    action TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    object_id TEXT,
    outcome TEXT NOT NULL,
    event TEXT NOT NULL,
    leaf_hash BLOB NOT NULL,
    PRIMARY KEY (tenant_id, sequence)
) STRICT;
INSERT INTO audit_events VALUES('default',1,'2026-11-29T06:52:45.389305Z','system',NULL,'tenant_created','tenant','default','success','{"action":"tenant_created","actor":{"kind":"system"},"at":"2026-11-29T06:52:45.389305Z","object":{"id":"default","kind":"tenant"},"outcome":"success","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22613-db4e-7437-8ec9-b62ddb3cf257","sequence":1,"tenant_id":"default"}',X'0cf47dece18a473cf631456d8e6e9b6e5216df52d03ab6a024710c08c03e5eec');
INSERT INTO audit_events VALUES('default',2,'2026-11-29T06:52:45.389305Z','system',NULL,'user_created','user','01a22613-dbcd-7d80-b5bd-9c0708e03905','success','{"action":"user_created","actor":{"kind":"system"},"at":"2026-11-29T06:52:45.389305Z","detail":{"roles":["operator","admin","platform_admin"]},"object":{"id":"01a22613-dbcd-7d80-b5bd-9c0708e03905","kind":"user"},"outcome":"success","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22613-db4e-7437-8ec9-b62ddb3cf257","sequence":2,"tenant_id":"default"}',X'f1661e0f57f2bbe6c6e27380e7e9ef9075c179691b2de2824516fa8f1abeaa0b');
INSERT INTO audit_events VALUES('system',1,'2026-11-29T06:52:45.418091Z','system',NULL,'started','server',NULL,'success','{"action":"started","actor":{"kind":"system"},"at":"2026-11-29T06:52:45.418091Z","detail":{"configuration":{"ACCESS_TOKEN_EXPIRE_MINUTES":"15","DATABASE_URL":"(SQLite at data/mass.db)","MASS_ADDRESS_RATE_LIMIT_PER_MINUTE":"60","MASS_ADMIN_EMAIL":"admin@mass.local","MASS_ADMIN_PASSWORD":"(set, not shown)","MASS_ALLOW_REGISTRATION":"false","MASS_AUDIT_CHECKPOINT_SECONDS":"60","MASS_AUDIT_KEY":"(set, not shown)","MASS_AUDIT_NAME":"mass.local","MASS_AUTO_SEND":"false","MASS_BCRYPT_COST":"10","MASS_BODY_LIMIT_BYTES":"1048576","MASS_CORS_ORIGINS":"","MASS_DATA_DIR":"data","MASS_ENGINE_ALLOWED_HOSTS":"","MASS_ENGINE_CONCURRENCY":"4","MASS_ENGINE_DEADLINE_SECONDS":"86400","MASS_ENGINE_LEASE_SECONDS":"30","MASS_ENGINE_TIMEOUT_MS":"10000","MASS_ENGINE_TOKEN":"(not set)","MASS_ENGINE_URL":"(not set)","MASS_ENV":"development","MASS_HOST":"127.0.0.1","MASS_LOG":"info","MASS_LOG_FORMAT":"pretty","MASS_MIGRATION_DATABASE_URL":"(DATABASE_URL)","MASS_PASSWORD_PEPPER":"(not set)","MASS_PORT":"0","MASS_RATE_LIMIT_PER_MINUTE":"6000","MASS_STATEMENT_CACHE":"true","MASS_TENANT":"default","MASS_TENANT_RATE_LIMIT_PER_MINUTE":"60000","MASS_TOKEN_ALGORITHM":"HS256","MASS_TRUSTED_PROXIES":"","OTEL_EXPORTER_OTLP_ENDPOINT":"(not set)","OTEL_EXPORTER_OTLP_METRICS_ENDPOINT":"(not set)","OTEL_EXPORTER_OTLP_TRACES_ENDPOINT":"(not set)","OTEL_SDK_DISABLED":"false","SECRET_KEY":"(set, not shown)","SECRET_KEY_PREVIOUS":"(not set)"}},"object":{"kind":"server"},"outcome":"success","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22613-dbea-77a9-97e7-fa9959e6bad5","sequence":1,"tenant_id":"system"}',X'f4396165c9f43cc4394be561db20df6315ef08998e5e0520a4aaf12ec1487763');
INSERT INTO audit_events VALUES('default',3,'2026-11-29T06:52:45.940918Z','user',X'01a22613dbcd7d80b5bd9c0708e03905','logged_in','session','01a22613-ddf4-7dea-9990-88e1146dc24d','success','{"action":"logged_in","actor":{"address":"127.0.0.1","id":"01a22613-dbcd-7d80-b5bd-9c0708e03905","kind":"user"},"at":"2026-11-29T06:52:45.940918Z","object":{"id":"01a22613-ddf4-7dea-9990-88e1146dc24d","kind":"session"},"outcome":"success","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22613-dd75-70a8-962d-53e69187a028","sequence":3,"span_id":"6a8ebad2025dc5c1","tenant_id":"default","trace_id":"cae5764139a2aaf74d5033c7ea33f6db"}',X'db24078b9a4ba8bdea525943e15a0ad524047921b665380cfff0fa3828a1d406');
INSERT INTO audit_events VALUES('default',4,'2026-11-29T06:52:46.033024Z','user',X'01a22613dbcd7d80b5bd9c0708e03905','user_created','user','01a22613-de51-77f8-a6ad-4b8e2d1f14e9','success','{"action":"user_created","actor":{"address":"127.0.0.1","id":"01a22613-dbcd-7d80-b5bd-9c0708e03905","kind":"user"},"at":"2026-11-29T06:52:46.033024Z","detail":{"roles":["operator"]},"object":{"id":"01a22613-de51-77f8-a6ad-4b8e2d1f14e9","kind":"user"},"outcome":"success","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22613-ddfc-727c-8c6d-16dade3e19be","sequence":4,"span_id":"236731dba9f6ae32","tenant_id":"default","trace_id":"5a4df3eb972ecb3b2091519a97ca7297"}',X'097a8a6c2fe79506ea531e9f2d6a723e6117d77b11a724ed2cf0a43878e87619');
INSERT INTO audit_events VALUES('default',5,'2026-11-29T06:52:46.041865Z','user',X'01a22613dbcd7d80b5bd9c0708e03905','api_key_created','api_key','01a22613-de59-7530-9b7b-a7601a8719d4','success','{"action":"api_key_created","actor":{"address":"127.0.0.1","id":"01a22613-dbcd-7d80-b5bd-9c0708e03905","kind":"user"},"at":"2026-11-29T06:52:46.041865Z","detail":{"addresses":[],"expires_at":null,"name":"gateway","permissions":["mass:read","mass:write"],"prefix":"5z7f30ngcmq1"},"object":{"id":"01a22613-de59-7530-9b7b-a7601a8719d4","kind":"api_key"},"outcome":"success","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22613-de57-74f0-a5d5-5f1430de4071","sequence":5,"span_id":"7ea5ed1ac0024a17","tenant_id":"default","trace_id":"27a857975718381c1ec0dccabd28ec56"}',X'74b31533f7cf2c2f2e79d3bf2dfd6e14af2924e545edb679e7c4d1276abab869');
INSERT INTO audit_events VALUES('default',6,'2026-11-29T06:52:46.046682Z','api_key',X'01a22613de5975309b7ba7601a8719d4','accepted','mass_request','01a22613-de5e-7558-9000-a72c1f5a663b','success','{"action":"accepted","actor":{"address":"127.0.0.1","id":"01a22613-de59-7530-9b7b-a7601a8719d4","kind":"api_key"},"at":"2026-11-29T06:52:46.046682Z","contract":"device/1.1","input":"sha256:94d30d1eb423fb2607fa8160b299989eb0a72cab5ba63a9b84c6459d56de1490","object":{"id":"01a22613-de5e-7558-9000-a72c1f5a663b","kind":"mass_request"},"outcome":"success","output":"sha256:94d30d1eb423fb2607fa8160b299989eb0a72cab5ba63a9b84c6459d56de1490","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22613-de5d-77e6-a9bc-68cb59fd9f6a","sequence":6,"span_id":"9dabb120d4776f3e","tenant_id":"default","trace_id":"b273740c9ad35f5c957bedc3ca2642a2"}',X'cfddba8299d09c8452d5888085249fe9b455876b70e35136a7dff91ba35bd0e3');
INSERT INTO audit_events VALUES('default',7,'2026-11-29T06:52:46.053243Z','api_key',X'01a22613de5975309b7ba7601a8719d4','accepted','mass_request','01a22613-de65-74c0-8c5c-dc996e84c37f','success','{"action":"accepted","actor":{"address":"127.0.0.1","id":"01a22613-de59-7530-9b7b-a7601a8719d4","kind":"api_key"},"at":"2026-11-29T06:52:46.053243Z","contract":"device/1.1","input":"sha256:33aaeff05362986ec07df5df4e9930ce8f134ec712873b1c8b01feaafe1bce18","object":{"id":"01a22613-de65-74c0-8c5c-dc996e84c37f","kind":"mass_request"},"outcome":"success","output":"sha256:33aaeff05362986ec07df5df4e9930ce8f134ec712873b1c8b01feaafe1bce18","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22613-de64-76ae-bfee-e6d660f4b3bd","sequence":7,"span_id":"6d57729458632405","tenant_id":"default","trace_id":"b18d916c5b737a649146e5ba9fac8671"}',X'f28d202a6ee7ee761ec007d224dcd391c9f67c92016939d42b7b20a6dc8e4150');
INSERT INTO audit_events VALUES('default',8,'2026-11-29T06:52:46.072498Z','api_key',X'01a22613de5975309b7ba7601a8719d4','accepted','mass_request','01a22613-de78-776a-ab88-a9214b44d436','success','{"action":"accepted","actor":{"address":"127.0.0.1","id":"01a22613-de59-7530-9b7b-a7601a8719d4","kind":"api_key"},"at":"2026-11-29T06:52:46.072498Z","contract":"device/1.1","input":"sha256:e65068afcd53c40562aa1b3305145dd526430ccdfb093bf856fb78b7ade017a2","object":{"id":"01a22613-de78-776a-ab88-a9214b44d436","kind":"mass_request"},"outcome":"success","output":"sha256:e65068afcd53c40562aa1b3305145dd526430ccdfb093bf856fb78b7ade017a2","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22613-de6e-70ee-92ba-e26f093d5f49","sequence":8,"span_id":"ba801a99cfbce8a4","tenant_id":"default","trace_id":"262ee436840b91f75078c778ad1472a2"}',X'dc6749365d98e01e031dfce74bc9b679a3b10ecf76d92ab0c073b0c5a8db0d83');
INSERT INTO audit_events VALUES('default',9,'2026-11-29T06:52:46.079075Z','api_key',X'01a22613de5975309b7ba7601a8719d4','accepted','mass_request','01a22613-de7f-7263-b8b5-48fad5152ca1','success','{"action":"accepted","actor":{"address":"127.0.0.1","id":"01a22613-de59-7530-9b7b-a7601a8719d4","kind":"api_key"},"at":"2026-11-29T06:52:46.079075Z","contract":"device/1.1","input":"sha256:c8285dd5e219932705247dd91b124594fe7a25b60d86fed5ff0c85bc15e102ad","object":{"id":"01a22613-de7f-7263-b8b5-48fad5152ca1","kind":"mass_request"},"outcome":"success","output":"sha256:c8285dd5e219932705247dd91b124594fe7a25b60d86fed5ff0c85bc15e102ad","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22613-de7e-72cd-8e2d-81531764bd3c","sequence":9,"span_id":"a69e202d4c653403","tenant_id":"default","trace_id":"bccc13283d89b86bd43b9b87689c033d"}',X'f4fa0ae18cf934c5e823184bcdf60b764b7af916e664f51f0b31a1c24f56bc62');
INSERT INTO audit_events VALUES('default',10,'2026-11-29T06:52:46.086639Z','user',X'01a22613dbcd7d80b5bd9c0708e03905','status_changed','mass_request','01a22613-de65-74c0-8c5c-dc996e84c37f','success','{"action":"status_changed","actor":{"address":"127.0.0.1","id":"01a22613-dbcd-7d80-b5bd-9c0708e03905","kind":"user"},"at":"2026-11-29T06:52:46.086639Z","contract":"device/1.1","detail":{"from":"pending","to":"processing"},"object":{"id":"01a22613-de65-74c0-8c5c-dc996e84c37f","kind":"mass_request"},"outcome":"success","output":"sha256:33aaeff05362986ec07df5df4e9930ce8f134ec712873b1c8b01feaafe1bce18","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22613-de83-7413-b571-5410a027a291","sequence":10,"span_id":"1bfeb8ee8d2482e9","tenant_id":"default","trace_id":"3d5a5e25e84690c04f2c633f9f9c3f31"}',X'c5d51c046ae6c021b7df5813695270c70c4c4ef9dab6300803e1562ff952216a');
INSERT INTO audit_events VALUES('default',11,'2026-11-29T06:52:46.098637Z','user',X'01a22613dbcd7d80b5bd9c0708e03905','deleted','mass_request','01a22613-de78-776a-ab88-a9214b44d436','success','{"action":"deleted","actor":{"address":"127.0.0.1","id":"01a22613-dbcd-7d80-b5bd-9c0708e03905","kind":"user"},"at":"2026-11-29T06:52:46.098637Z","contract":"device/1.1","object":{"id":"01a22613-de78-776a-ab88-a9214b44d436","kind":"mass_request"},"outcome":"success","output":"sha256:e65068afcd53c40562aa1b3305145dd526430ccdfb093bf856fb78b7ade017a2","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22613-de91-7751-84d4-1d382cff17d1","sequence":11,"span_id":"ae866f17cc6c9b04","tenant_id":"default","trace_id":"c9f9deab9fb792f339bacb2aa71bf717"}',X'f24d72ad22c1094654b232096a50474503a58e29de62912205f250557205c8a9');
INSERT INTO audit_events VALUES('default',12,'2026-11-29T06:52:46.105927Z','user',X'01a22613dbcd7d80b5bd9c0708e03905','payload_refused','mass_request','01a22613-de99-72ae-81b9-dd0a1b178c0e','refused','{"action":"payload_refused","actor":{"address":"127.0.0.1","id":"01a22613-dbcd-7d80-b5bd-9c0708e03905","kind":"user"},"at":"2026-11-29T06:52:46.105927Z","contract":"device/1.1","detail":{"code":"contract-violation","violation_count":4,"violations":[{"code":"required","pointer":"/timestamp","stage":"structural"},{"code":"required","pointer":"/device","stage":"structural"},{"code":"required","pointer":"/metrics","stage":"structural"},{"code":"required","pointer":"/metadata","stage":"structural"}]},"input":"sha256:8671c01c9f2fb49a12fb434e7d8f3add46eb271f5aed64d73438084e113775ed","object":{"id":"01a22613-de99-72ae-81b9-dd0a1b178c0e","kind":"mass_request"},"outcome":"refused","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22613-de97-722d-a9fd-3434aa2da625","sequence":12,"span_id":"b7991286406834cc","tenant_id":"default","trace_id":"fbcf6241a5aa4bd120f9ffd8edbe1612"}',X'6153bf2f8232cd276e03ee98182772607e39087d45ffc9f471a0ca8b2cfe1e2e');
INSERT INTO audit_events VALUES('system',2,'2026-11-29T06:52:46.130865Z','system',NULL,'stopped','server',NULL,'success','{"action":"stopped","actor":{"kind":"system"},"at":"2026-11-29T06:52:46.130865Z","object":{"kind":"server"},"outcome":"success","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22613-deb2-73f6-a3dd-053142b99a50","sequence":2,"tenant_id":"system"}',X'cc79bdc2d926a8636efe4a04187a70f3c2b460910109ec8d56a851ac1d5dc2f4');
CREATE TABLE audit_nodes (
    tenant_id TEXT NOT NULL REFERENCES audit_heads (tenant_id),
    level INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (tenant_id, level, position)
) STRICT;
CREATE TABLE audit_archived_leaves (
    tenant_id TEXT NOT NULL REFERENCES audit_heads (tenant_id),
    sequence INTEGER NOT NULL,
    leaf_hash BLOB NOT NULL,
    PRIMARY KEY (tenant_id, sequence)
) STRICT;
CREATE TABLE audit_checkpoints (
    tenant_id TEXT NOT NULL REFERENCES audit_heads (tenant_id),
    size INTEGER NOT NULL,
    at TEXT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (tenant_id, size)
) STRICT;
INSERT INTO audit_checkpoints VALUES('default',2,'2026-11-29T06:52:45.447096Z',replace('mass.local/default\n2\nW3gdJGF+I10dEeddmFtah4R0j4z2M3r9DoPe9WwsGE4=\n\n— mass.local BMtmVeij0IgTwgilcPN/vvIEmD9/1+XKeKmNXItP99ddYc3IcBlfPnXP3e+0Lrjmmc/JePZu+0rdFT0vwKT4tBfbcAc=\n','\n',char(10)));
INSERT INTO audit_checkpoints VALUES('system',1,'2026-11-29T06:52:45.450589Z',replace('mass.local/system\n1\n9DlhZcn0PMQ5S+Vh2yDfYxXvCJmOXgUgpKrxLsFId2M=\n\n— mass.local BMtmVaOrd5UpIuq60LungAEqh3j/iPXHmRhA0FJ4jLPsH1hM1TAL2mktAsX/9HCE3jgXLLrN6kEi2Ub//DBTCSh+tQk=\n','\n',char(10)));
CREATE TABLE deliveries (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    request_id BLOB NOT NULL,
    state TEXT NOT NULL,
    round INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    queued_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    failure_code TEXT,
    failure_detail TEXT,
    dead_reason TEXT,
    call_id TEXT NOT NULL,
    traceparent TEXT,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, request_id) REFERENCES mass_requests (tenant_id, id)
) STRICT;
CREATE TABLE recommendations (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    request_id BLOB NOT NULL,
    delivery_id BLOB NOT NULL,
    contract TEXT NOT NULL,
    site_id TEXT,
    device_id TEXT,
    created_at TEXT NOT NULL,
    valid INTEGER NOT NULL,
    model_name TEXT NOT NULL,
    input_fingerprint BLOB NOT NULL,
    answer TEXT NOT NULL,
    flags TEXT NOT NULL,
    latency_ms INTEGER NOT NULL,
    slo_ms INTEGER,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, request_id) REFERENCES mass_requests (tenant_id, id),
    FOREIGN KEY (tenant_id, delivery_id) REFERENCES deliveries (tenant_id, id)
) STRICT;
CREATE TABLE IF NOT EXISTS "delivery_queue" (
    tenant_id TEXT NOT NULL,
    delivery_id BLOB NOT NULL,
    due_at TEXT NOT NULL,
    worker TEXT,
    fence INTEGER NOT NULL,
    trace_flags INTEGER,
    PRIMARY KEY (tenant_id, delivery_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX mass_requests_standing ON mass_requests (tenant_id, contract, natural_key)
    WHERE natural_key IS NOT NULL AND corrected_by IS NULL;
CREATE UNIQUE INDEX mass_requests_versions ON mass_requests (tenant_id, contract, natural_key, fingerprint)
    WHERE natural_key IS NOT NULL;
CREATE INDEX mass_requests_by_status ON mass_requests (tenant_id, status, id) WHERE deleted_at IS NULL;
CREATE INDEX mass_requests_by_contract ON mass_requests (tenant_id, contract, id) WHERE deleted_at IS NULL;
CREATE INDEX mass_requests_by_site ON mass_requests (tenant_id, site_id, id) WHERE site_id IS NOT NULL;
CREATE INDEX mass_requests_by_device ON mass_requests (tenant_id, device_id, id) WHERE device_id IS NOT NULL;
CREATE INDEX mass_requests_by_observed ON mass_requests (tenant_id, observed_at, id) WHERE observed_at IS NOT NULL;
CREATE INDEX mass_requests_by_correlation ON mass_requests (tenant_id, correlation_id, id)
    WHERE correlation_id IS NOT NULL;
CREATE INDEX sessions_by_user ON sessions (tenant_id, user_id);
CREATE INDEX sessions_by_end ON sessions (tenant_id, expires_at);
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (tenant_id, session_id);
CREATE INDEX login_attempts_by_age ON login_attempts (failed_at);
CREATE UNIQUE INDEX api_keys_by_prefix ON api_keys (tenant_id, prefix);
CREATE INDEX audit_events_by_object ON audit_events (tenant_id, object_kind, object_id, sequence);
CREATE INDEX audit_events_by_actor ON audit_events (tenant_id, actor_id, sequence) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_events_by_action ON audit_events (tenant_id, action, sequence) WHERE action <> 'accepted';
CREATE INDEX audit_events_refused ON audit_events (tenant_id, sequence) WHERE outcome = 'refused';
CREATE TRIGGER audit_heads_grow BEFORE UPDATE ON audit_heads WHEN NEW.size < OLD.size OR NEW.tenant_id <> OLD.tenant_id
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_heads_stay BEFORE DELETE ON audit_heads
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_events_keep BEFORE UPDATE ON audit_events WHEN length(OLD.leaf_hash) > 0
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_events_stay BEFORE DELETE ON audit_events WHEN NOT EXISTS (
    SELECT 1 FROM audit_archived_leaves AS leaf
    WHERE leaf.tenant_id = OLD.tenant_id AND leaf.sequence = OLD.sequence AND leaf.leaf_hash = OLD.leaf_hash
)
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_nodes_keep BEFORE UPDATE ON audit_nodes
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_nodes_stay BEFORE DELETE ON audit_nodes
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_archived_leaves_keep BEFORE UPDATE ON audit_archived_leaves
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_archived_leaves_stay BEFORE DELETE ON audit_archived_leaves
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_checkpoints_keep BEFORE UPDATE ON audit_checkpoints
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_checkpoints_stay BEFORE DELETE ON audit_checkpoints
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER users_changed AFTER UPDATE ON users
WHEN (OLD.tenant_id, OLD.id, OLD.email, OLD.roles, OLD.disabled_at)
    IS NOT (NEW.tenant_id, NEW.id, NEW.email, NEW.roles, NEW.disabled_at)
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id = OLD.tenant_id;
END;
CREATE TRIGGER sessions_changed AFTER UPDATE ON sessions
WHEN (OLD.tenant_id, OLD.id, OLD.user_id, OLD.revoked_at) IS NOT (NEW.tenant_id, NEW.id, NEW.user_id, NEW.revoked_at)
    OR NEW.expires_at < OLD.expires_at
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id = OLD.tenant_id;
END;
CREATE TRIGGER api_keys_changed AFTER UPDATE ON api_keys
WHEN (OLD.tenant_id, OLD.id, OLD.prefix, OLD.secret_hash, OLD.permissions, OLD.addresses, OLD.expires_at, OLD.revoked_at)
    IS NOT (NEW.tenant_id, NEW.id, NEW.prefix, NEW.secret_hash, NEW.permissions, NEW.addresses, NEW.expires_at, NEW.revoked_at)
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id = OLD.tenant_id;
END;
CREATE TRIGGER users_removed AFTER DELETE ON users
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id = OLD.tenant_id;
END;
CREATE TRIGGER sessions_removed AFTER DELETE ON sessions
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id = OLD.tenant_id;
END;
CREATE TRIGGER api_keys_removed AFTER DELETE ON api_keys
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id = OLD.tenant_id;
END;
CREATE UNIQUE INDEX recommendations_by_delivery ON recommendations (tenant_id, delivery_id);
CREATE INDEX recommendations_by_request ON recommendations (tenant_id, request_id, id);
CREATE INDEX recommendations_by_model ON recommendations (tenant_id, model_name, id);
CREATE INDEX recommendations_by_site ON recommendations (tenant_id, site_id, id) WHERE site_id IS NOT NULL;
CREATE INDEX recommendations_by_device ON recommendations (tenant_id, device_id, id) WHERE device_id IS NOT NULL;
CREATE INDEX recommendations_flagged ON recommendations (tenant_id, id) WHERE NOT valid;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
CREATE UNIQUE INDEX deliveries_by_request ON deliveries (tenant_id, request_id) WHERE length(tenant_id) > 0;
CREATE INDEX deliveries_by_state ON deliveries (tenant_id, state, id) WHERE length(tenant_id) > 0;
CREATE INDEX delivery_queue_by_tenant ON delivery_queue (tenant_id, due_at) WHERE length(tenant_id) > 0;
COMMIT;
