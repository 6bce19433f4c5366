"""RESULTS.md and its pictures: nothing in them but what results.json holds."""

import statistics

from . import plot

NOT_MEASURED = "not measured"


class Results:
    def __init__(self, results):
        self.raw = results

    def values(self, value, case, **which):
        """A value of every round; `value` may name a member of a member."""
        first, _, second = value.partition(".")
        fit = lambda point: point["case"] == case and all(point.get(name) == it for name, it in which.items())
        found = (point.get(first) for point in self.raw["points"] if fit(point))
        return [it[second] if second else it for it in found if it is not None]

    def median(self, value, case, **which):
        values = self.values(value, case, **which)
        return statistics.median(values) if values else None

    def ratios(self, value, case, ours, theirs):
        """Of each round: what a point was measured beside is what it is compared with."""
        mine, other = self.values(value, case, **ours), self.values(value, case, **theirs)
        return [one / two for one, two in zip(mine, other)] if len(mine) == len(other) else []


def middle(values):
    return statistics.median(values) if values else None


def number(value, digits=0, unit=""):
    return "–" if value is None else f"{value:,.{digits}f}{unit}"


def spread(values, digits=0):
    """A median and, in brackets, the least and the greatest."""
    if not values:
        return "–"
    shown = number(statistics.median(values), digits)
    return shown if len(values) == 1 else f"{shown} ({number(min(values), digits)} … {number(max(values), digits)})"


def table(head, rows):
    out = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return [*out, *(f"| {' | '.join(row)} |" for row in rows), ""]


# --- Targets ----------------------------------------------------------------------------------------------------------


YEAR_BARS = [
    ("indicators of one site", 50.0),
    ("indicators of all sites", 300.0),
    ("indicators of one site, hourly prices", 50.0),
    ("indicators of all sites, hourly prices", 300.0),
    ("a year by day of one series", 50.0),
    ("latest of 1,000 devices", 50.0),
]


def projection_ratio(results, database):
    copy = "\\copy" if database == "postgres" else ".import"
    return middle(results.ratios("per_second", "projection", {"database": database, "subject": "mass"},
                                 {"database": database, "subject": copy}))


def targets(results):
    """(what, the bar in words, what was measured, digits, whether it is met)"""
    ours = {"subject": "mass", "database": "postgres", "contract": "simple"}
    theirs = ours | {"subject": "pgbench"}

    def beside_pgbench(connections):
        at = {"connections": connections}
        return middle(results.ratios("per_second", "single", ours | at, theirs | at))

    def beside_insert(connections):
        at = {"connections": connections}
        return middle(results.ratios("per_second", "single", ours | at, ours | at | {"subject": "axum + sqlx"}))

    slow = {"connections": 64, "subject": "mass"}

    def of_medians(value, one, other):
        first, second = results.median(value, **one), results.median(value, **other)
        return first / second if first is not None and second else None

    sqlite = {"case": "single", "subject": "mass", "database": "sqlite", "contract": "simple"}
    at_64 = ours | {"connections": 64}
    peaks = [peak["mib"] for peak in results.raw["peaks"]]
    growth = results.values("growth_mib", "stream")
    get = {"subject": "mass", "database": "postgres", "connections": 64}
    tail = [p99 / p50 for p99, p50 in zip(results.values("milliseconds.p99", "single", **at_64),
                                          results.values("milliseconds.p50", "single", **at_64))]
    cost = [1 - ratio for database in ("postgres", "sqlite") for ratio in [middle(results.ratios(
        "per_second", "audit", {"subject": "with the tree", "database": database},
        {"subject": "without", "database": database}))] if ratio is not None]
    asking = [ratio for database in ("postgres", "sqlite") for ratio in [middle(results.ratios(
        "per_second", "engine", {"subject": "asking one that hangs", "database": database},
        {"subject": "without an engine", "database": database}))] if ratio is not None]
    events = results.median("events", "verification")
    verification = results.median("seconds", "verification")
    batch_ratio = middle(results.ratios("per_second", "batch", {"subject": "mass", "database": "postgres"},
                                        {"subject": "\\copy", "database": "postgres"}))
    mapped = [ratio for database in ("postgres", "sqlite") for ratio in [middle(results.ratios(
        "per_second", "mapping", {"subject": "mapped", "database": database},
        {"subject": "ready", "database": database}))] if ratio is not None]
    beside = [ratio for database in ("postgres", "sqlite") for ratio in [middle(results.ratios(
        "per_second", "sending", {"subject": "beside exports", "database": database},
        {"subject": "alone", "database": database}))] if ratio is not None]
    of_export = {"database": "postgres"}
    databases = ("postgres", "sqlite")
    projector = [ratio for database in databases for ratio in [middle(results.ratios(
        "per_second", "projector", {"subject": "on", "database": database}, {"subject": "off", "database": database}))]
        if ratio is not None]
    projected = [ratio for database in databases for ratio in [projection_ratio(results, database)] if ratio is not None]
    taken_in = [middle([one / two for one, two in zip(
        results.values("per_second", "projection", subject="mass", database=database),
        results.values("ingested_by_core", "projection", subject="mass", database=database))])
        for database in databases if results.values("ingested_by_core", "projection", subject="mass", database=database)]
    sites = max(results.values("sites", "year"), default=0)

    def worst_ms(sites, question):
        values = results.values("p95", "year", subject=question, sites=sites)
        return max(values) * 1000 if values else None

    rows = [
        ("single POST, PostgreSQL, 64 connections ÷ pgbench", ">=", 1.0, beside_pgbench(64), "", 2),
        ("the same at 16", ">=", 0.8, beside_pgbench(16), "", 2),
        ("the same at 1", ">=", 0.6, beside_pgbench(1), "", 2),
        ("the same at 64 ÷ the single INSERT of axum + sqlx", ">=", 1.0, beside_insert(64), "", 2),
        ("the same at 16", ">=", 0.8, beside_insert(16), "", 2),
        ("the same at 64 ÷ pgbench, where each flush takes 2 ms more", ">=", 3.0, middle(results.ratios(
            "per_second", "slow-disk", slow, slow | {"subject": "pgbench"})), "", 2),
        ("batch of NDJSON device/1.1, rows a second ÷ `\\copy`", ">=", 0.6, batch_ratio, "", 2),
        ("the same on SQLite ÷ `.import`", ">=", 0.6, middle(results.ratios(
            "per_second", "batch", {"subject": "mass", "database": "sqlite"},
            {"subject": ".import", "database": "sqlite"})), "", 2),
        ("single POST, SQLite, 64 connections ÷ its own rate at 1", ">=", 8.0,
         of_medians("per_second", sqlite | {"connections": 64}, sqlite | {"connections": 1}), "", 2),
        ("GET by id, 64 connections ÷ axum + sqlx", ">=", 1.0,
         middle(results.ratios("per_second", "get", get, get | {"subject": "axum + sqlx"})), "", 2),
        ("p99 ÷ p50 of single POST, PostgreSQL, 64 connections", "<=", 3.0, middle(tail), "", 2),
        ("peak memory of a server, under all of it", "<=", 96.0, max(peaks, default=None), " MiB", 1),
        ("growth of memory over the streamed batch", "<=", 32.0, max(growth, default=None), " MiB", 1),
        ("server CPU of 1,000 single POSTs, PostgreSQL, 64 connections", "<=", 0.065,
         results.median("server_cpu_per_1000", "single", **at_64), " s", 3),
        ("throughput that the audit tree costs, 64 connections", "<=", 15.0,
         max(cost) * 100 if cost else None, " %", 1),
        ("throughput while every document is asked about and the engine hangs ÷ without an engine", ">=", 0.9,
         min(asking, default=None), "", 2),
        ("verifying 1,000,000 events on one core", "<=", 10.0,
         verification / events * 1e6 if verification else None, " s", 2),
        ("verifying a log in its database on one core, events a second", ">=", 50_000.0,
         min(results.values("per_second", "live", events=max(results.values("events", "live"), default=0)), default=None),
         "", 0),
        ("batch that a mapping profile makes ÷ one that needs none", ">=", 0.75, min(mapped, default=None), "", 2),
        ("export of documents ÷ `\\copy` of the same lines", ">=", 0.5, middle(results.ratios(
            "per_second", "export", of_export | {"subject": "mass"}, of_export | {"subject": "\\copy"})), "", 2),
        ("growth of memory over an export", "<=", 32.0, max(results.values("growth_mib", "export"), default=None), " MiB", 1),
        ("single POST of readings with the projector ÷ without, 64 connections", ">=", 0.9, min(projector, default=None), "", 2),
        ("projection of points ÷ a plain copy of them", ">=", 0.3, min(projected, default=None), "", 2),
        ("projected points a second ÷ those that one core, for server and database, takes in as a batch", ">=", 4.0, min(taken_in, default=None), "", 1),
        ("lag of the projection under 2,000 POSTs a second", "<=", 2.0, max(results.values("seconds", "lag"), default=None), " s", 2),
        *((f"a year of {number(sites)} sites, {question}, p95", "<=", bar, worst_ms(sites, question), " ms", 0)
          for question, bar in YEAR_BARS),
        ("energy of a year by SQL over the points ÷ by indicators, one site", ">=", 20.0,
         min(results.values("ratio", "year by hand", subject="one site"), default=None), "", 0),
        ("the same, all sites", ">=", 20.0, min(results.values("ratio", "year by hand", subject="all sites"), default=None), "", 0),
        ("peak memory of a server that answers them", "<=", 128.0, max(results.values("mib", "year"), default=None), " MiB", 1),
        ("16 connections that send beside exports ÷ alone", ">=", 0.8, min(beside, default=None), "", 2),
    ]
    return rows


def targets_table(results):
    rows = []
    for what, sign, bar, measured, unit, digits in targets(results):
        met = measured is not None and (measured >= bar if sign == ">=" else measured <= bar)
        verdict = NOT_MEASURED if measured is None else "met" if met else "**missed**"
        rows.append([what, f"{'≥' if sign == '>=' else '≤'} {bar:g}{unit}", number(measured, digits, unit), verdict])
    return table(["what", "bar", "measured", ""], rows)


# --- Sections ---------------------------------------------------------------------------------------------------------


def singles(results):
    rows = []
    for contract in ["simple", "enterprise"]:
        for database, subject in [("postgres", "mass"), ("postgres", "pgbench"), ("postgres", "axum + sqlx"), ("sqlite", "mass")]:
            for connections in connections_of(results, "single"):
                which = {"contract": contract, "database": database, "subject": subject, "connections": connections}
                rates = results.values("per_second", "single", **which)
                if not rates:
                    continue
                ratio = middle(results.ratios("per_second", "single", which, which | {"subject": "pgbench"}))
                times = (spread(results.values(f"milliseconds.{part}", "single", **which), 2) for part in ("p50", "p99"))
                cpu = (number(results.median(f"{who}_cpu_per_1000", "single", **which), 3)
                       for who in ("server", "database", "client"))
                rows.append([contract, database, subject, str(connections), spread(rates),
                             number(ratio if (subject, database) == ("mass", "postgres") else None, 2), *times, *cpu])
    head = ["contract", "database", "", "connections", "a second", "÷ pgbench", "p50, ms", "p99, ms", "CPU of server",
            "of database", "of the load generator"]
    return [*table(head, rows), "CPU: seconds for 1,000 requests. SQLite computes within the server.", ""]


def connections_of(results, case):
    return sorted({point["connections"] for point in results.raw["points"] if point["case"] == case})


def batches(results):
    rows = []
    for database, peer in [("postgres", "\\copy"), ("sqlite", ".import")]:
        ours, theirs = {"subject": "mass", "database": database}, {"subject": peer, "database": database}
        if rates := results.values("per_second", "batch", **ours):
            ratio = results.ratios("per_second", "batch", ours, theirs)
            copied = f"{spread(results.values('per_second', 'batch', **theirs))} (`{peer}`)"
            cpu = (number(results.median(f"{who}_cpu_per_1000", "batch", **ours), 3) for who in ("server", "database"))
            records = number(results.median("records", "batch", **ours))
            rows.append([database, records, spread(rates), copied, spread(ratio, 2), *cpu])
    return table(["database", "records", "MASS, rows a second", "the same rows, copied", "ratio",
                  "CPU of server, s for 1,000", "of database"], rows)


def reads(results):
    rows = []
    for case, name in [("health", "`GET /health`"), ("list", "a page of 50"), ("get", "by id")]:
        for database in ["postgres", "sqlite"]:
            for subject in ["mass", "axum + sqlx"]:
                for connections in connections_of(results, case):
                    which = {"database": database, "subject": subject, "connections": connections}
                    times = (number(results.median(f"milliseconds.{part}", case, **which), 2) for part in ("p50", "p99"))
                    if rates := results.values("per_second", case, **which):
                        rows.append([name, database, subject, str(connections), spread(rates), *times])
    return table(["what", "database", "", "connections", "a second", "p50, ms", "p99, ms"], rows)


def logins(results):
    rows = []
    for case, name in [("login", "log-ins, 4 connections"), ("ingestion", "single POST, 16 connections")]:
        for subject in ["alone", "beside ingestion", "beside log-ins"]:
            if rates := results.values("per_second", case, subject=subject):
                rows.append([name, subject, spread(rates, 1), *(number(results.median(f"milliseconds.{part}", case,
                             subject=subject), 2) for part in ("p50", "p99", "max"))])
    return table(["what", "", "a second", "p50, ms", "p99, ms", "max, ms"], rows)


def memory(results):
    peaks = table(["peak memory of the server", "MiB"],
                  [[peak["where"], number(peak["mib"], 1)] for peak in results.raw["peaks"]])
    streams = [[point["database"], number(point["bytes"] / 2**20), number(point["records"]), number(point["seconds"], 1),
                number(point["before_mib"], 1), number(point["growth_mib"], 1)]
               for point in results.raw["points"] if point["case"] == "stream"]
    starts = [[database, subject, spread([1000 * it for it in results.values("seconds", "start", database=database,
               subject=subject)])] for database in ("postgres", "sqlite") for subject in ("empty", "migrated")]
    return [*peaks, *table(["streamed batch", "MiB sent", "records", "seconds", "memory before, MiB", "growth, MiB"],
                           streams), *table(["start on", "database", "ms until it listens"], starts)]


def curves(results):
    points = [point for point in results.raw["points"] if point["case"] == "curve"]
    subjects = list(dict.fromkeys("last page" if it["subject"].startswith("page") and it["subject"] != "page 1"
                                  else it["subject"] for it in points))
    rows = []
    for database in ["postgres", "sqlite"]:
        for stored in sorted({point["rows"] for point in points}):
            here = {}
            for point in points:
                if point["database"] == database and point["rows"] == stored:
                    deep = point["subject"].startswith("page") and point["subject"] != "page 1"
                    text = number(point["milliseconds"]["p50"], 2)
                    here["last page" if deep else point["subject"]] = f"{text} ({point['subject']})" if deep else text
            if here:
                rows.append([database, number(stored), *(here.get(subject, "–") for subject in subjects)])
    names = {"get": "by id", "post": "single POST, 16 connections", "last page": "a deep page"}
    return table(["database", "rows stored", *(f"{names.get(subject, subject)}, p50 ms" for subject in subjects)], rows)


def engine(results):
    subjects = ("without an engine", "asking one that hangs")
    rows = [[database, *(spread(results.values("per_second", "engine", database=database, subject=subject))
             for subject in subjects), spread(results.ratios(
                 "per_second", "engine", {"database": database, "subject": subjects[1]},
                 {"database": database, "subject": subjects[0]}), 3)] for database in ("postgres", "sqlite")]
    return table(["database", "single POST, a second", "the same, each one asked about", "ratio"], rows)


def former(results):
    subjects = ("former build", "this build")
    rows = [[database, str(connections), *(spread(results.values(
        "per_second", "former", database=database, connections=connections, subject=subject)) for subject in subjects),
        spread(results.ratios(
            "per_second", "former", {"database": database, "connections": connections, "subject": subjects[1]},
            {"database": database, "connections": connections, "subject": subjects[0]}), 3)]
        for database in ("postgres", "sqlite") for connections in connections_of(results, "former")]
    return table(["database", "connections", "former build, a second", "this build", "ratio"], rows)


def slow_disk(results):
    rows = []
    for connections in connections_of(results, "slow-disk"):
        at = {"connections": connections}
        for subject in ["mass", "former build", "pgbench"]:
            if rates := results.values("per_second", "slow-disk", **at, subject=subject):
                ratio = results.ratios("per_second", "slow-disk", at | {"subject": subject}, at | {"subject": "pgbench"})
                rows.append([str(connections), subject, spread(rates), spread(ratio, 2) if subject != "pgbench" else "–"])
    return table(["connections", "", "a second", "÷ pgbench"], rows)


def mapping(results):
    rows = [[database, *(spread(results.values("per_second", "mapping", database=database, subject=subject))
             for subject in ("ready", "mapped")), spread(results.ratios(
                 "per_second", "mapping", {"database": database, "subject": "mapped"},
                 {"database": database, "subject": "ready"}), 3)] for database in ("postgres", "sqlite")]
    return table(["database", "records that need no mapping, a second", "mapped records", "ratio"], rows)


def export(results):
    rows = []
    for database in ("postgres", "sqlite"):
        of = {"database": database}
        rows.append([
            database, *(spread(results.values("per_second", "export", subject=subject, **of)) for subject in ("mass", "\\copy")),
            spread(results.ratios("per_second", "export", of | {"subject": "mass"}, of | {"subject": "\\copy"}), 2),
            spread(results.values("growth_mib", "export", **of), 1),
            spread(results.ratios("per_second", "sending", of | {"subject": "beside exports"}, of | {"subject": "alone"}), 2)])
    return table(["database", "documents a second", "\\copy", "ratio", "memory, MiB", "rate of 16 that send beside it ÷ alone"], rows)


def projection(results):
    rows = []
    for database in ("postgres", "sqlite"):
        of = {"database": database}
        copy = "\\copy" if database == "postgres" else ".import"
        rows.append([
            database, spread(results.ratios("per_second", "projector", of | {"subject": "on"}, of | {"subject": "off"}), 2),
            spread(results.values("seconds", "lag", **of), 2), spread(results.values("caught_up_after", "lag", **of), 2),
            spread(results.values("per_second", "projection", subject="mass", **of)),
            spread(results.values("per_second", "projection", subject=copy, **of)),
            spread(results.ratios("per_second", "projection", of | {"subject": "mass"}, of | {"subject": copy}), 2)])
    return table(["database", "single POST with ÷ without it", "lag at 2,000 POSTs a second, s", "caught up after, s",
                  "points a second", "plain copy", "ratio"], rows)


def figures(results):
    rows = []
    for database in ("postgres", "sqlite"):
        for question, _ in YEAR_BARS:
            for sites in sorted(set(results.values("sites", "year", database=database, subject=question))):
                of = {"database": database, "subject": question, "sites": sites}
                rows.append([database, number(sites), question, *(
                    spread([it * 1000 for it in results.values(quantile, "year", **of)], 1) for quantile in ("p50", "p95"))])
    out = table(["database", "sites", "question", "p50, ms", "p95, ms"], rows)
    rows = [[database, what, *(spread(results.values(value, "year by hand", database=database, subject=what), digits)
                               for value, digits in (("seconds", 2), ("ours", 3), ("ratio", 0)))]
            for database in ("postgres", "sqlite") for what in ("one site", "all sites")]
    return out + table(["database", "energy of a year of", "SQL over the points, s", "indicators, s", "ratio"], rows)


def audit(results):
    rows = [[database, *(spread(results.values("per_second", "audit", database=database, subject=subject))
             for subject in ("with the tree", "without")), spread(results.ratios(
                 "per_second", "audit", {"database": database, "subject": "with the tree"},
                 {"database": database, "subject": "without"}), 3)] for database in ("postgres", "sqlite")]
    seconds = results.values("seconds", "verification")
    out = table(["database", "single POST with the tree, a second", "without it", "ratio"], rows)
    if seconds:
        events, size = (results.median(it, "verification") for it in ("events", "bytes"))
        out += [f"`mass audit verify` of {number(events)} events ({number(size / 2**20)} MiB): {spread(seconds, 2)} s.", ""]
    for database in ("postgres", "sqlite"):
        for size in sorted(set(results.values("events", "live", database=database))):
            rates = results.values("per_second", "live", database=database, events=size)
            out += [f"`mass audit verify --live` of {number(size)} events on {database}: {spread(rates)} events a second.",
                    ""]
    return out


def micro(results):
    return ["```text", results.raw["micro"].strip(), "```", ""] if results.raw.get("micro") else []


def savings(results):
    subjects = ["MASS", "OpenDSM", "OpenDSM with IT load and dew point"]
    points = [point for point in results.raw["points"] if point["case"] == "savings"]
    rows = []
    for site in dict.fromkeys(point["site"] for point in points):
        of = {point["subject"]: point for point in points if point["site"] == site}
        cells = [f"{it['error_percent']:+.1f} ± {it['half_percent']:.1f}{'' if it['covered'] else ', misses the truth'}"
                 if it else "–" for it in map(of.get, subjects)]
        rows.append([site, *cells, of.get("MASS", {}).get("reasons", "").split("(")[0] or "–"])
    costs = [[point["site"], f"{point['seconds']:.1f} s", f"{point['mebibytes']:.0f} MiB"]
             for point in results.raw["points"] if point["case"] == "savings-cost"]
    return [*table(["site", *(f"{subject}, error in % of the saving" for subject in subjects), "first remark of MASS"], rows),
            "A report of both years with its placebo battery, by the method alone on one core; the aims are 5 s and 128 MiB.", "",
            *table(["site", "time", "most memory of the process"], costs)]


def console(results):
    rows = []
    for point in (point for point in results.raw["points"] if point["case"] == "console"):
        digits = 3 if point["unit"] == "" else 1
        shown = f"{point['median']:,.{digits}f} ({point['least']:,.{digits}f}–{point['greatest']:,.{digits}f}) {point['unit']}"
        rows.append([point["what"], f"{point['bar']:g}" if point.get("bar") is not None else "–", shown.strip()])
    return table(["what", "aim", "measured"], rows)


SECTIONS = [
    ("Single requests", ["singles", "singles-sqlite"], singles,
     "A closed loop: each connection sends its next document when the last one is answered. Every document differs. "
     "pgbench (`-M prepared`, as many clients, as many threads as cores) inserts one row a transaction with the same "
     "payload into a table with one unique index beside its key, in the same cluster."),
    ("Single requests on a slow disk", ["slow-disk"], slow_disk,
     "Each flush of PostgreSQL takes two milliseconds more (`bench/harness/slow_disk.c`). The former build is the one that "
     "`--former` names; in the measurement that stands here, it is the same build with flushes at the commits."),
    ("Batches", ["batches"], batches,
     "One batch of device/1.1 as NDJSON into an empty database, against copying the rows that it left into a table with "
     "the same indexes."),
    ("Mapping", ["mapping"], mapping,
     "The same readings in turns: as device/1.1, and as lines of another form with Fahrenheit, through a mapping profile that "
     "the server keeps."),
    ("Export", ["export"], export,
     "All documents as NDJSON in one answer, from a database that holds nothing else; \\copy writes the same members to nowhere."),
    ("Projection", ["projection"], projection,
     "Readings of a thousand devices, three points each. `mass analytics rebuild` from nothing, beside a plain copy of the "
     "points that came of it into a table with the same key."),
    ("Figures of a year", ["figures"], figures,
     "A point a minute of one series of each site, and hours and days of four, filled in by SQL. The price of energy is one "
     "tariff or, where it says so, a series that differs from hour to hour. One question after the other."),
    ("Savings", ["savings"], savings,
     "Simulated pilots whose true saving is known: a year before the retrofit predicts the year after it. Beside the error "
     "stands the half-width that each method gives, at 90 % confidence. Where MASS claims the supported hours alone "
     "(`SupportPartial`), error and saving are those of these hours. The pilots' files are not part of the repository; "
     "`bench/savings/run FOLDER` repeats it with them."),
    ("The console", ["console"], console,
     "`mass demo` in a headless Chromium without a graphics processor, so that drawing is software; `bench/console/run` "
     "repeats it, and takes frames, marks and layout shifts from Chromium's trace. The charts are the console's own, with "
     "values made for the measurement."),
    ("Reading", ["reads"], reads,
     "`bench/peers/axum-sqlx` verifies the same token, reads the same row of the same table and answers the same JSON."),
    ("Logging in", ["logins"], logins, "With the default cost of bcrypt, 12, on PostgreSQL."),
    ("Memory and start", ["starts", "stream"], memory,
     "Each server of the run tells the most memory that it held (`VmHWM`). A start on an empty database makes its tables "
     "and hashes the first administrator's password."),
    ("What more rows cost", ["curves"], curves, "One connection, but for sending."),
    ("The audit trail", ["audit-cost", "verification", "live-verification"], audit,
     "The same commit, built with and without the tree (the feature `bench-without-tree`), each on a database of its own."),
    ("A hanging engine", ["engine"], engine,
     "enterprise/1.1 at 64 connections, with `MASS_AUTO_SEND=true` and an engine that takes each question and answers none."),
    ("Beside an earlier build", ["former"], former,
     "Single POST of simple/1.0 by this build, without keeping figures up to date, and by the one that `--former` names, in turns."),
    ("Micro-benchmarks", ["micro"], micro, ""),
]


CURVES = {
    "MASS, simple": ("mass", "postgres", "simple"),
    "MASS, enterprise": ("mass", "postgres", "enterprise"),
    "pgbench, simple": ("pgbench", "postgres", "simple"),
    "pgbench, enterprise": ("pgbench", "postgres", "enterprise"),
    "MASS on SQLite, simple": ("mass", "sqlite", "simple"),
}
PICTURES = [
    ("throughput.svg", "per_second", "Single POST: throughput", "requests a second"),
    ("p99.svg", "milliseconds.p99", "Single POST: p99", "ms"),
]


def pictures(results, folder):
    """Throughput and p99 over connections, where there are any."""
    out = []
    for file, value, title, unit in PICTURES:
        series = {}
        for name, (subject, database, contract) in CURVES.items():
            for connections in connections_of(results, "single"):
                values = results.values(value, "single", subject=subject, database=database, contract=contract,
                                        connections=connections)
                if values:
                    point = (connections, statistics.median(values), min(values), max(values))
                    series.setdefault(name, []).append(point)
        if series:
            log_y = value != "per_second"
            (folder / file).write_text(plot.lines(title, "connections", unit, series, log_y=log_y))
            out += [f"![{title}]({file})", ""]
    return out


def heading(raw):
    out = ["# Results of the benchmarks", "",
           f"`{raw['command']}` repeats this on an idle machine; [results.json](results.json) holds every value. A number "
           "is the median of the rounds, with the least and the greatest in brackets; a ratio is the median of the ratios "
           "within a round.", ""]
    if any(case["size"] == "quick" for case in raw["cases"].values()):
        out += ["**A quick run: it shows that the bench works. Its numbers are no result.**", ""]
    facts = [(name.replace("_", " "), f"{value:,.2f}" if isinstance(value, float) else str(value))
             for name, value in raw.get("machine", {}).items()]
    out += table(["", ""], [["commit", raw["commit"]], ["at", raw["at"]], ["`MASS_LOG`", raw["log"]], *facts])
    others = [[name, f"`{case['command']}`", case["commit"], case["at"]] for name, case in raw["cases"].items()
              if case["at"] != raw["at"]]
    return out + (table(["measured earlier", "by", "commit", "at"], others) if others else [])


def write(raw, folder):
    results = Results(raw)
    out = heading(raw)
    out += ["## Targets", "", *targets_table(results),
            "[Decision 13](../docs/decisions/0013-ingestion-profile.md) tells why what is missed is missed.", "",
            *pictures(results, folder)]
    for title, cases, section, words in SECTIONS:
        out += [f"## {title}", "", *([words, ""] if words else [])]
        for case in cases:
            if case in raw["failures"]:
                out += [f"`{case}` is not measured, or not whole: {raw['failures'][case].splitlines()[0][:300]}", ""]
        if any(point["of"] in cases for point in raw["points"]) or "micro" in cases:
            out += section(results)
    (folder / "RESULTS.md").write_text("\n".join(out).rstrip() + "\n")
