DROP TABLE logins;
DROP TABLE users;
DROP TABLE tenants;
