"""Keeps a run from revoking the key that it runs with, and sends lines as they are."""

import os
import uuid

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    parameters = case.path_parameters
    if case.method == "DELETE" and parameters and parameters.get("id") == os.environ["MASS_KEY_ID"]:
        parameters["id"] = str(uuid.uuid4())


@schemathesis.serializer("application/x-ndjson", "text/csv", "application/toml")
def lines(context, value):
    return value if isinstance(value, bytes) else str(value).encode()
