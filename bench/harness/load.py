"""Load, from our own generator and from pgbench."""

import itertools
import json
import os
import re
import subprocess
import time

_seeds = itertools.count(1)


class Refused(RuntimeError):
    """The server did not answer what the measurement is about."""


class Loader:
    def __init__(self, binary):
        self.binary = binary

    def _run(self, *arguments, patience=600):
        command = [self.binary, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=patience, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"mass-load {arguments[0]}: {done.stderr}")
        return done.stdout

    def _closed_loop(self, server, database_cpu, *arguments):
        """Runs, and adds what server and database computed for a thousand requests."""
        server_before, database_before = server.cpu_seconds(), database_cpu()
        result = json.loads(self._run(*arguments))
        server_cpu, database = server.cpu_seconds() - server_before, database_cpu() - database_before
        bad = {status: count for status, count in result["statuses"].items() if not status.startswith("2")}
        if bad or not result["requests"]:
            raise Refused(f"{' '.join(map(str, arguments))}: {result['statuses']}: {result['first_failure']}")
        thousands = result["requests_in_all"] / 1000
        result["server_cpu_per_1000"] = server_cpu / thousands
        result["database_cpu_per_1000"] = database / thousands
        result["client_cpu_per_1000"] = result["client_cpu_seconds"] / thousands
        return result

    def post(self, server, database_cpu, contract, connections, seconds, warm_up, path="/v1/mass-requests", token=True):
        return self._closed_loop(
            server, database_cpu, "post", "--address", server.address, *self._token(server, token), "--contract",
            contract, "--seed", next(_seeds), "--connections", connections, "--seconds", seconds, "--warm-up", warm_up,
            "--path", path)

    def post_readings(self, server, database_cpu, connections, seconds, warm_up, rate=None):
        """Single readings of a thousand devices; so many a second, or as many as are answered."""
        paced = [] if rate is None else ["--rate", rate]
        return self._closed_loop(
            server, database_cpu, "post-readings", "--address", server.address, "--token", server.token, "--seed",
            next(_seeds), "--connections", connections, "--seconds", seconds, "--warm-up", warm_up, *paced)

    def get(self, server, database_cpu, paths, connections, seconds, warm_up, token_of=None):
        token = [] if token_of is None else ["--token", token_of.token]
        return self._closed_loop(
            server, database_cpu, "get", "--address", server.address, *token, "--paths", paths, "--connections",
            connections, "--seconds", seconds, "--warm-up", warm_up)

    def send(self, server, database_cpu, path, bodies, connections, seconds, warm_up):
        return self._closed_loop(
            server, database_cpu, "send", "--address", server.address, "--path", path, "--bodies", bodies,
            "--connections", connections, "--seconds", seconds, "--warm-up", warm_up)

    def batch(self, server, **source):
        """Sends one batch: file=PATH, or bytes=N with notes=N."""
        arguments = [word for name, value in source.items() for word in (f"--{name}", value)]
        if "bytes" in source:
            arguments += ["--seed", next(_seeds)]
        arguments = ["batch", "--address", server.address, "--token", server.token, *arguments]
        result = json.loads(self._run(*arguments, patience=7200))
        accepted = result["last"]["totals"]["accepted"] if result["last"] else 0
        if not result["records_sent"] or accepted != result["records_sent"]:
            raise Refused(f"batch: of {result['records_sent']} records {accepted} were accepted: {result}"[:1000])
        return result

    def readings(self, path, records):
        with open(path, "wb") as file:
            subprocess.run([self.binary, "readings", "--records", str(records), "--seed", str(next(_seeds))],
                           stdout=file, check=True)

    def sample(self, contract):
        """A document, as `post` sends them."""
        return self._run("sample", "--contract", contract)

    @staticmethod
    def _token(server, wanted):
        return ["--token", server.token] if wanted else []


# One row a transaction. The payload travels with every statement and is checked as JSON, as in a real client.
INSERT = """\\set n random(1, 9000000000000000000)
INSERT INTO bench (user_id, schema_version, correlation_id, idempotency_key, payload)
VALUES (:client_id, '1.0', 'corr-' || :n, 'key-' || :n, :payload);
"""

TABLE = """CREATE TABLE bench (id bigserial PRIMARY KEY, user_id int, schema_version text, correlation_id text,
    idempotency_key text UNIQUE, payload json, created_at timestamptz DEFAULT now())"""


def pgbench(cluster, work, payload, connections, seconds, database="peer"):
    script = work / "insert.sql"
    script.write_text(INSERT)
    for old in work.glob("pgbench.*"):
        old.unlink()
    before = cluster.cpu_seconds()
    # As many threads as cores: with one, pgbench itself would be what is measured at many clients.
    command = [cluster.bin / "pgbench", "-n", "-M", "prepared", "-c", connections, "-j",
               min(connections, os.cpu_count()), "-T", max(1, round(seconds)), "-f", script, "-D",
               f"payload={payload}", "-l", "--log-prefix", work / "pgbench", "--sampling-rate", 0.2, "-h", "127.0.0.1",
               "-p", cluster.port, "-U", "mass", database]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"pgbench: {done.stderr}")
    time.sleep(0.5)  # Until the backends are gone and what they computed is told to the postmaster.
    per_second = float(re.search(r"tps = ([\d.]+)", done.stdout).group(1))
    requests = int(re.search(r"transactions actually processed: (\d+)", done.stdout).group(1))
    millis = sorted(int(line.split()[2]) / 1000 for log in work.glob("pgbench.*") for line in open(log))
    at = lambda part: millis[min(int(len(millis) * part), len(millis) - 1)] if millis else 0.0
    return {
        "connections": connections,
        "per_second": per_second,
        "milliseconds": {"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p999": at(0.999), "max": at(1)},
        "database_cpu_per_1000": (cluster.cpu_seconds() - before) / (requests / 1000),
    }
