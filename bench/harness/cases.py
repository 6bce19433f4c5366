"""What is measured. Each case adds to the results what came of it, and leaves no server behind."""

import base64
import contextlib
import json
import random
import shutil
import sqlite3
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

from . import figures, machine, postgres
from .common import copied_again, in_turn
from .load import TABLE, Refused, pgbench
from .postgres import Cluster
from .server import HangingEngine, Mass, PASSWORD, Peer

PAGE = 50
COLUMNS = """tenant_id, id, contract, status, outcome, version, created_at, updated_at, created_by_kind, device_id,
    observed_at, natural_key, fingerprint, document, warnings"""
EXPORTED = """id, tenant_id, contract, status, outcome, version, created_at, updated_at, created_by_kind, created_by_id,
    correlation_id, idempotency_key, site_id, device_id, observed_at, fingerprint, natural_key, document"""
FILLED_FROM_MS = 1_767_225_600_000  # 2026-01-01


class Run:
    """What the cases share."""

    def __init__(self, plan, binaries, work, cluster, loader, secret, results):
        self.plan = plan
        self.binaries = binaries
        self.work = work
        self.cluster = cluster
        self.loader = loader
        self.secret = secret
        self.results = results
        self.case = ""
        self._names = iter(range(1, 1_000_000))

    def folder(self):
        folder = self.work / f"run-{next(self._names)}"
        folder.mkdir()
        return folder

    def mass(self, url, binary="mass", folder=None, settings=None):
        return Mass(self.binaries[binary], url, folder or self.folder(), log=self.plan.log, secret=self.secret,
                    settings=settings)

    def mass_on(self, database, binary="mass", settings=None):
        """MASS on a database of its own."""
        folder = self.folder()
        url = f"sqlite://{folder}/mass.db" if database == "sqlite" else self.cluster.create(f"mass_{folder.name[4:]}")
        return self.mass(url, binary, folder, settings)

    def database_cpu(self, database):
        """SQLite computes within the server."""
        return (lambda: 0.0) if database == "sqlite" else self.cluster.cpu_seconds

    def clear(self):
        """Gives back the disk that databases take whose servers have stopped."""
        self.cluster.drop_all()
        for folder in self.work.glob("run-*"):
            shutil.rmtree(folder)

    def rounds(self):
        return range(1, self.plan.rounds + 1)

    def add(self, case, **what):
        self.results["points"].append({"of": self.case, "case": case, **what})
        rate = what.get("per_second")
        shown = {name: value for name, value in what.items() if isinstance(value, (str, int)) or name == "seconds"}
        print(f"  {case} {shown}" + (f" {rate:,.0f}/s" if rate else ""), flush=True)

    def post(self, server, database, contract, connections, **more):
        return self.loader.post(server, self.database_cpu(database), contract, connections, self.plan.seconds,
                                self.plan.warm_up, **more)

    def note_peak(self, server, where):
        self.results["peaks"].append({"of": self.case, "where": where, "mib": server.peak_mib()})


# --- 1. Single requests -----------------------------------------------------------------------------------------------


def singles(run):
    run.cluster.create("peer")
    run.cluster.psql("peer", TABLE)
    insert_url = run.cluster.create("inserts")
    run.cluster.psql("inserts", TABLE)
    with run.mass_on("postgres") as server, Peer(
            run.binaries["peer"], database_url=server.environment["DATABASE_URL"], insert_url=insert_url,
            secret=run.secret, folder=run.folder()) as peer:
        for contract in ["simple", "enterprise"]:
            payload = run.loader.sample(contract)
            for number in run.rounds():
                for connections in run.plan.connections:
                    what = {"contract": contract, "connections": connections, "round": number}

                    def ours():
                        run.cluster.settle()
                        run.add("single", subject="mass", database="postgres", **what | run.post(
                            server, "postgres", contract, connections))

                    def theirs():
                        run.cluster.settle()
                        run.add("single", subject="pgbench", database="postgres", **what | pgbench(
                            run.cluster, run.work, payload, connections, run.plan.seconds))

                    def insert():
                        run.cluster.settle()
                        run.add("single", subject="axum + sqlx", database="postgres", **what | run.post(
                            peer, "postgres", "simple", connections, path="/insert", token=False))

                    in_turn(number, ours, theirs, *([insert] if contract == "simple" else []))
        run.note_peak(server, "single requests, PostgreSQL")


def singles_sqlite(run):
    with run.mass_on("sqlite") as server:
        for contract in ["simple", "enterprise"]:
            for number in run.rounds():
                for connections in run.plan.connections:
                    run.add("single", subject="mass", database="sqlite", **{"contract": contract, "round": number} |
                            run.post(server, "sqlite", contract, connections))
        run.note_peak(server, "single requests, SQLite")


# --- 2. Batches -------------------------------------------------------------------------------------------------------


def batches(run):
    records = run.plan.batch_records
    file = run.work / "readings.ndjson"
    for number in run.rounds():
        for database in ["postgres", "sqlite"]:
            run.loader.readings(file, records)
            with run.mass_on(database) as server:
                database_before, server_before = run.database_cpu(database)(), server.cpu_seconds()
                result = run.loader.batch(server, file=file)
                run.add("batch", subject="mass", database=database, round=number, records=records,
                        seconds=result["seconds"], per_second=records / result["seconds"],
                        server_cpu_per_1000=(server.cpu_seconds() - server_before) / records * 1000,
                        database_cpu_per_1000=(run.database_cpu(database)() - database_before) / records * 1000)
                run.note_peak(server, f"batch of {records:,}, {database}")
                copied = copied_again(run, server, database, "mass_requests")
            run.add("batch", subject="\\copy" if database == "postgres" else ".import", database=database,
                    round=number, records=records, seconds=copied, per_second=records / copied)


MAPPING = """
contract = "device/1.1"
[read]
format = "ndjson"
[time]
from = "/at"
[members]
"device.id" = "/sensor/name"
"device.type" = "/sensor/kind"
"device.location" = "/sensor/place"
"metrics.temperature_celsius" = { from = "/fahrenheit", unit = "fahrenheit->celsius" }
"metrics.humidity_percent" = "/humidity"
"metrics.pressure_hpa" = "/pressure"
"metadata.operator" = "/by"
"metadata.batch_id" = "/run"
"metadata.notes" = "/text"
"""


def unmapped(line):
    """A reading as a logger of another form would write it."""
    reading = json.loads(line)
    device, metrics, metadata = reading["device"], reading["metrics"], reading["metadata"]
    return json.dumps({
        "at": reading["timestamp"],
        "sensor": {"name": device["id"], "kind": device["type"], "place": device["location"]},
        "fahrenheit": round(metrics["temperature_celsius"] * 1.8 + 32, 3), "humidity": metrics["humidity_percent"],
        "pressure": metrics["pressure_hpa"], "by": metadata["operator"], "run": metadata["batch_id"],
        "text": metadata["notes"],
    })


def mapping(run):
    """A batch that a mapping profile makes of another form, beside one of the same readings that needs none."""
    ready, other = run.work / "readings.ndjson", run.work / "other.ndjson"
    for number in run.rounds():
        run.loader.readings(ready, run.plan.batch_records)
        with open(ready) as lines, open(other, "w") as out:
            out.writelines(unmapped(line) + "\n" for line in lines)
        for database in ["postgres", "sqlite"]:
            def batch(subject, file, **query):
                with run.mass_on(database) as server:
                    server.put("/v1/mappings/bench", MAPPING, "application/toml")
                    before = server.cpu_seconds()
                    seconds = run.loader.batch(server, file=file, **query)["seconds"]
                    run.add("mapping", subject=subject, database=database, round=number, seconds=seconds,
                            per_second=run.plan.batch_records / seconds,
                            server_cpu_per_1000=(server.cpu_seconds() - before) / run.plan.batch_records * 1000)

            in_turn(number, lambda: batch("ready", ready),
                    lambda: batch("mapped", other, path="/v1/mass-requests/batch?map=bench"))


def export(run):
    """All documents in one answer beside \\copy of the same, what it adds to the memory, and what those who send notice.

    Figures are not kept meanwhile: they would be behind by as many documents as are stored here at once.
    """
    file, documents = run.work / "readings.ndjson", run.plan.events
    run.loader.readings(file, documents)
    for database in ["postgres", "sqlite"]:
        with run.mass_on(database, settings=figures.OFF) as server:
            run.loader.batch(server, file=file)
            if database == "postgres":
                run.cluster.analyse(server.environment["DATABASE_URL"])
            for number in run.rounds():
                what = {"database": database, "round": number, "documents": documents}

                def ours():
                    before = server.measure_peak()
                    size, seconds = exported(server)
                    growth = machine.memory_mib(server.pid)[1] - before
                    run.add("export", subject="mass", bytes=size, seconds=seconds, per_second=documents / seconds,
                            growth_mib=growth, **what)

                def theirs():
                    seconds = copied_out(run, server)
                    run.add("export", subject="\\copy", seconds=seconds, per_second=documents / seconds, **what)

                in_turn(number, ours, *([theirs] if database == "postgres" else []))
                run.add("sending", subject="alone", database=database, round=number,
                        **run.post(server, database, "simple", 16))
                enough, beside = threading.Event(), {}
                with Beside(lambda: export_until(server, enough), beside):
                    try:
                        sent = run.post(server, database, "simple", 16)
                    finally:
                        enough.set()
                run.add("sending", subject="beside exports", database=database, round=number, **sent)


def exported(server):
    """Bytes and seconds of an export of device readings."""
    request = urllib.request.Request(f"{server.url}/v1/mass-requests/export?contract=device/1.1", headers={
        "Authorization": f"Bearer {server.token.read_text()}", "Accept": "application/x-ndjson"})
    size, buffer, begin = 0, memoryview(bytearray(1 << 20)), time.perf_counter()
    with urllib.request.urlopen(request, timeout=600) as response:
        while count := response.readinto(buffer):
            size += count
    return size, time.perf_counter() - begin


def export_until(server, enough):
    while not enough.is_set():
        exported(server)


def copied_out(run, server):
    """How long \\copy takes to write the columns that a line of an export shows."""
    database = server.environment["DATABASE_URL"].rpartition("/")[2]
    columns = " ".join(EXPORTED.split())
    query = f"SELECT {columns} FROM mass_requests WHERE contract = 'device/1.1' ORDER BY id"
    begin = time.perf_counter()
    run.cluster.psql(database, f"\\copy ({query}) to '/dev/null'")
    return time.perf_counter() - begin


# --- 3. Reading, logging in -------------------------------------------------------------------------------------------


def ids_of(server, count):
    """The ids of the latest requests."""
    ids, cursor = [], ""
    while cursor is not None and len(ids) < count:
        page = server.get("/v1/mass-requests?limit=500" + (f"&cursor={cursor}" if cursor else ""))
        ids += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    return ids[:count]


def write_paths(run, name, paths):
    file = run.work / name
    file.write_text("\n".join(paths) + "\n")
    return file


def reads(run):
    for database in ["postgres", "sqlite"]:
        with run.mass_on(database) as server:
            cpu = run.database_cpu(database)
            run.loader.post(server, cpu, "simple", 16, run.plan.seconds, 0)
            if database == "postgres":
                # Else the peer's statement, with the index that the planner takes for best on a new table, would lose at once.
                run.cluster.analyse(server.environment["DATABASE_URL"])
            ids = ids_of(server, 5000)
            random.Random(1).shuffle(ids)
            by_id = write_paths(run, "by-id", [f"/v1/mass-requests/{id}" for id in ids])
            plan = (run.plan.seconds, run.plan.warm_up)
            for case, paths in [("health", ["/health"]), ("list", [f"/v1/mass-requests?limit={PAGE}"])]:
                file = write_paths(run, case, paths)
                for number in run.rounds():
                    run.add(case, subject="mass", database=database, round=number,
                            **run.loader.get(server, cpu, file, 16, *plan, token_of=server))
            if database == "sqlite":
                for number in run.rounds():
                    run.add("get", subject="mass", database=database, round=number,
                            **run.loader.get(server, cpu, by_id, 64, *plan, token_of=server))
            else:
                beside_peer(run, server, by_id)
            run.note_peak(server, f"reads, {database}")


def beside_peer(run, server, by_id):
    cpu, plan = run.cluster.cpu_seconds, (run.plan.seconds, run.plan.warm_up)
    url = server.environment["DATABASE_URL"]
    with Peer(run.binaries["peer"], database_url=url, insert_url=url, secret=run.secret, folder=run.folder()) as peer:
        for number in run.rounds():
            for connections in run.plan.connections[1:3]:
                turns = [lambda subject=subject, one=one: run.add(
                    "get", subject=subject, database="postgres", round=number,
                    **run.loader.get(one, cpu, by_id, connections, *plan, token_of=server))
                    for subject, one in [("mass", server), ("axum + sqlx", peer)]]
                in_turn(number, *turns)


def logins(run):
    """How many log in, and whether those who send notice."""
    users = [f"user-{number}@example.test" for number in range(4)]
    with run.mass_on("postgres") as server:
        for user in users:
            server.command("create-user", "--email", user, "--role", "viewer", "--password-stdin", text=PASSWORD)
        bodies = write_paths(run, "logins", [json.dumps({"email": user, "password": PASSWORD}) for user in users])
        plan = (run.plan.seconds, run.plan.warm_up)
        idle = lambda: 0.0

        def log_in():
            return run.loader.send(server, idle, "/v1/auth/login", bodies, len(users), *plan)

        for number in run.rounds():
            run.add("login", subject="alone", round=number, **log_in())
            run.add("ingestion", subject="alone", round=number, **run.post(server, "postgres", "simple", 16))
            beside = {}
            with Beside(log_in, beside):
                ingested = run.post(server, "postgres", "simple", 16)
            run.add("ingestion", subject="beside log-ins", round=number, **ingested)
            run.add("login", subject="beside ingestion", round=number, **beside["result"])
        run.note_peak(server, "log-ins, PostgreSQL")


class Beside:
    """Something that goes on meanwhile."""

    def __init__(self, work, into):
        self._error = None

        def guarded():
            try:
                into["result"] = work()
            except Exception as error:
                self._error = error

        self._thread = threading.Thread(target=guarded)

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._thread.join()
        if self._error:
            raise self._error


# --- 4. Memory, start -------------------------------------------------------------------------------------------------


def starts(run):
    for database in ["postgres", "sqlite"]:
        with run.mass_on(database) as server:
            run.add("start", subject="empty", database=database, seconds=server.start_seconds)
            url = server.environment["DATABASE_URL"]
        for _ in range(5):
            with run.mass(url) as server:
                run.add("start", subject="migrated", database=database, seconds=server.start_seconds)


def stream(run):
    """What a long batch adds to the memory of a server that has been at work."""
    for database in ["postgres", "sqlite"]:
        with run.mass_on(database) as server:
            run.post(server, database, "simple", 64)
            before = server.measure_peak()
            result = run.loader.batch(server, bytes=run.plan.stream_bytes, notes=2000)
            during = machine.memory_mib(server.pid)[1]
            run.add("stream", subject="mass", database=database, bytes=result["bytes_sent"], seconds=result["seconds"],
                    records=result["records_sent"], before_mib=before, growth_mib=during - before)
            run.note_peak(server, f"stream, {database}")


# --- 5. Cost curves ---------------------------------------------------------------------------------------------------


def curves(run):
    for database in ["postgres", "sqlite"]:
        folder = run.folder()
        url = f"sqlite://{folder}/mass.db" if database == "sqlite" else run.cluster.create("curve")
        with run.mass(url, folder=folder) as server:
            server.get("/v1/auth/me")  # The tenant is there, and so is the token.
        filled = 0
        for rows in run.plan.rows:
            (fill_sqlite if database == "sqlite" else fill_postgres)(run, url, filled, rows)
            filled = rows
            with run.mass(url, folder=folder) as server:
                cpu, plan = run.database_cpu(database), (run.plan.seconds, run.plan.warm_up)
                some = random.Random(1).sample(range(rows), min(rows, 5000))
                paths = {"get": [f"/v1/mass-requests/{hyphenated(number)}" for number in some]}
                # Counted from the rows of the filling: what is sent meanwhile stands before them.
                deep = min(100_000, rows // PAGE - 10)
                for page in (1, deep):
                    paths[f"page {page:,}"] = [f"/v1/mass-requests?limit={PAGE}{at(server, rows - PAGE * (page - 1))}"]
                for name, some in paths.items():
                    file = write_paths(run, "curve", some)
                    run.add("curve", subject=name, database=database, rows=rows,
                            **run.loader.get(server, cpu, file, 1, *plan, token_of=server))
                run.add("curve", subject="post", database=database, rows=rows,
                        **run.post(server, database, "simple", 16))
                run.note_peak(server, f"{rows:,} rows, {database}")
        run.clear()


def filled_id(number):
    """The id of a row of the filling: a UUID of version 7, one a millisecond."""
    return f"{FILLED_FROM_MS + number:012x}7000800000000000{0:04x}"


def hyphenated(number):
    digits = filled_id(number)
    return "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]])


def at(server, number):
    """What continues a list below a row of the filling: a cursor of the server's, with another row in it."""
    cursor = server.get("/v1/mass-requests?limit=1")["next_cursor"]
    scope = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))[:8]
    return "&cursor=" + base64.urlsafe_b64encode(scope + bytes.fromhex(filled_id(number))).decode().rstrip("=")


DOCUMENT = ('{"device":{"id":"dev-%s","location":"Hall 2","type":"rack-sensor"},"mass_version":"1.1","metadata":'
            '{"batch_id":"b-1","notes":"%s","operator":"ana"},"metrics":{"humidity_percent":45,"pressure_hpa":1013.2,'
            '"temperature_celsius":22.5},"timestamp":"2026-01-01T00:00:00Z"}')


def fill_postgres(run, url, begin, end):
    database = url.rpartition("/")[2]
    document = (DOCUMENT % ("' || n % 100 || '", "' || n || '"))
    time_of = f"to_timestamp(({FILLED_FROM_MS} + n) / 1000.0)"
    run.cluster.psql(database, f"""INSERT INTO mass_requests ({COLUMNS})
        SELECT 'default', (lpad(to_hex({FILLED_FROM_MS} + n), 12, '0') || '70008000000000000000')::uuid, 'device/1.1',
            CASE n % 20 WHEN 0 THEN 'done' ELSE 'pending' END, 'accepted', 1, {time_of}, {time_of}, 'system',
            'dev-' || n % 100, {time_of}, n::text, sha256(n::text::bytea), '{document}', '[]'
        FROM generate_series({begin}::bigint, {end - 1}) AS n""")
    run.cluster.analyse(url)
    run.cluster.settle()


def fill_sqlite(_run, url, begin, end):
    database = sqlite3.connect(url.removeprefix("sqlite://"))
    instant = lambda n: time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime((FILLED_FROM_MS + n) // 1000)) + \
        f".{n % 1000:03}000Z"
    rows = (("default", bytes.fromhex(filled_id(n)), "device/1.1", "done" if n % 20 == 0 else "pending", "accepted", 1,
             instant(n), instant(n), "system", f"dev-{n % 100}", instant(n), str(n), n.to_bytes(32, "big"),
             DOCUMENT % (n % 100, n), "[]") for n in range(begin, end))
    database.executemany(f"INSERT INTO mass_requests ({COLUMNS}) VALUES ({', '.join('?' * 15)})", rows)
    database.commit()
    database.execute("ANALYZE")
    database.close()


# --- 6. The audit trail -----------------------------------------------------------------------------------------------


def audit_cost(run):
    """The same build with and without the tree."""
    for database in ["postgres", "sqlite"]:
        with run.mass_on(database) as with_tree, run.mass_on(database, "without-tree") as without:
            for number in run.rounds():
                turns = [lambda subject=subject, server=server: run.add(
                    "audit", subject=subject, database=database, round=number,
                    **run.post(server, database, "simple", 64))
                    for subject, server in [("with the tree", with_tree), ("without", without)]]
                in_turn(number, *turns)


def former(run):
    """Single requests beside an earlier build (`--former`), each on databases of its own. Without figures, which the case
    `projection` measures, and which a build before them does not have."""
    for database in ["postgres", "sqlite"]:
        with run.mass_on(database, settings=figures.OFF) as now, run.mass_on(database, "former") as before:
            for connections in [1, 64]:
                for number in run.rounds():
                    turns = [lambda subject=subject, server=server: run.add(
                        "former", subject=subject, database=database, round=number,
                        **run.post(server, database, "simple", connections))
                        for subject, server in [("this build", now), ("former build", before)]]
                    in_turn(number, *turns)


def slow_disk(run):
    """Single requests and pgbench where each flush of the database takes two milliseconds more. `--former` adds an earlier
    build, or one without what is to be judged."""
    usual = run.cluster
    with Cluster(run.work, "slow-postgres", postgres.slow_disk(run.work)) as run.cluster, contextlib.ExitStack() as servers:
        run.cluster.create("peer")
        run.cluster.psql("peer", TABLE)
        payload = run.loader.sample("simple")
        builds = {"mass": "mass"} | ({"former build": "former"} if "former" in run.binaries else {})
        running = {subject: servers.enter_context(run.mass_on("postgres", binary)) for subject, binary in builds.items()}
        for connections in [1, 16, 64]:
            for number in run.rounds():
                what = {"connections": connections, "round": number}
                ours = [lambda subject=subject, server=server: run.add(
                    "slow-disk", subject=subject, **what | run.post(server, "postgres", "simple", connections))
                    for subject, server in running.items()]
                in_turn(number, *ours, lambda: run.add("slow-disk", subject="pgbench", **what | pgbench(
                    run.cluster, run.work, payload, connections, run.plan.seconds)))
    run.cluster = usual


def engine(run):
    """Whether those who send notice that the engine, which is asked about every document, hangs."""
    with HangingEngine(run.binaries["mass"], run.folder()) as hanging:
        settings = {"MASS_ENGINE_URL": hanging.url, "MASS_AUTO_SEND": "true"}
        for database in ["postgres", "sqlite"]:
            with run.mass_on(database) as without, run.mass_on(database, settings=settings) as asking:
                for number in run.rounds():
                    turns = [lambda subject=subject, server=server: run.add(
                        "engine", subject=subject, database=database, round=number,
                        **run.post(server, database, "enterprise", 64))
                        for subject, server in [("without an engine", without), ("asking one that hangs", asking)]]
                    in_turn(number, *turns)


def verification(run):
    """`mass audit verify` of a long export, on one core."""
    events = run.plan.events
    export, key = run.work / "export.ndjson", run.work / "key"
    generator = [run.binaries["audit-export"], "--events", str(events), "--export", export, "--key", key]
    subprocess.run(generator, check=True)
    pinned = ["taskset", "--cpu-list", "0"] if shutil.which("taskset") else []
    for number in run.rounds():
        begin = time.perf_counter()
        command = [*pinned, run.binaries["mass"], "audit", "verify", export, "--key", key]
        done = subprocess.run(command, cwd=run.work, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - begin
        if done.returncode != 0:
            raise Refused(f"mass audit verify: {done.stderr or done.stdout}")
        run.add("verification", subject="mass", round=number, events=events, seconds=seconds,
                per_second=events / seconds, bytes=export.stat().st_size)


def live_verification(run):
    """`mass audit verify --live` of logs that grow, on one core: of each event its request and its document, too."""
    pinned = ["taskset", "--cpu-list", "0"] if shutil.which("taskset") else []
    file = run.work / "readings.ndjson"
    for database in ["sqlite", "postgres"]:
        with run.mass_on(database) as server:
            stored = 0
            for events in [10**power for power in range(4, 10) if 10**power <= run.plan.events]:
                run.loader.readings(file, events - stored)
                run.loader.batch(server, file=file)
                stored = events
                for number in run.rounds():
                    seconds = timed_verification(run, server, pinned)
                    run.add("live", subject="mass", database=database, round=number, events=events, seconds=seconds,
                            per_second=events / seconds)


def timed_verification(run, server, pinned):
    command = [*pinned, run.binaries["mass"], "audit", "verify", "--live", "--tenant", "default"]
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=server.folder, env=server.environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Refused(f"mass audit verify --live: {done.stderr or done.stdout}"[:1000])
    return time.perf_counter() - begin


# --- 7. Micro-benchmarks ----------------------------------------------------------------------------------------------


def micro(run):
    manifest = Path(__file__).parents[1] / "Cargo.toml"
    command = ["cargo", "bench", "--quiet", "--locked", "--manifest-path", manifest, "--package", "mass-micro"]
    if run.plan.quick:
        command += ["--", "--max-time", "0.1"]
    run.results["micro"] = subprocess.run(command, check=True, capture_output=True, text=True).stdout


CASES = {
    "singles": singles,
    "singles-sqlite": singles_sqlite,
    "batches": batches,
    "mapping": mapping,
    "export": export,
    "reads": reads,
    "logins": logins,
    "starts": starts,
    "stream": stream,
    "curves": curves,
    "audit-cost": audit_cost,
    "engine": engine,
    "former": former,
    "slow-disk": slow_disk,
    "verification": verification,
    "live-verification": live_verification,
    "projection": figures.projection,
    "figures": figures.year,
    "micro": micro,
}

