"""Keeps a run from ending the key that it runs with, or the user who made the key, from suspending the tenants that stand by,
and sends lines as they are."""

import os
import uuid

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    parameters = case.path_parameters
    if case.method in ("DELETE", "PATCH") and parameters and parameters.get("id") in os.environ["MASS_KEPT_IDS"].split():
        parameters["id"] = str(uuid.uuid4())
    if case.method == "POST" and parameters and parameters.get("tenant") in ("neighbour", "playground"):
        parameters["tenant"] = f"tenant-{uuid.uuid4()}"


@schemathesis.serializer("application/x-ndjson", "text/csv", "application/toml")
def lines(context, value):
    return value if isinstance(value, bytes) else str(value).encode()
