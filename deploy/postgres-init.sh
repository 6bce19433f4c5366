#!/bin/sh
# Run by the PostgreSQL container when its volume is new: makes the role that serves, if deploy/.env gives it a password
# (docs/operations.md, "Two roles"). The owner of the tables is POSTGRES_USER.
set -eu

if [ -n "${POSTGRES_SERVER_PASSWORD:-}" ]; then
    # Read from the environment, so that no other process sees it among the arguments.
    psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" <<'SQL'
\getenv password POSTGRES_SERVER_PASSWORD
CREATE ROLE mass_server LOGIN PASSWORD :'password';
SQL
fi
