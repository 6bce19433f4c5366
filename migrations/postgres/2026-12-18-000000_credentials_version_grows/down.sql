DROP TRIGGER credentials_version_grows ON tenants;
DROP FUNCTION credentials_version_only_grows();
