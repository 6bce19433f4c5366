"""Analytics: what the projection costs and how fast it is, and how fast figures of a year are read."""

import hashlib
import json
import sqlite3
import statistics
import threading
import time

from .common import copied_again, in_turn

OFF = {"MASS_ANALYTICS": "false"}
POINTS_OF_READING = 3
RATE = 2_000

HOUR = 3_600_000_000
YEAR_FROM = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z, in microseconds
HOURS = 365 * 24
YEAR = "from=2025-01-01T00:00:00Z&to=2026-01-01T00:00:00Z"
POINT_COLUMNS = "tenant_id, series_id, at, sequence, value, span"


# --- What the projection costs, and how fast it is --------------------------------------------------------------------


def projection(run):
    costs(run)
    lags(run)
    rates(run)


def costs(run):
    """Single readings with the projector and without, in turns."""
    for database in ["postgres", "sqlite"]:
        with run.mass_on(database) as on, run.mass_on(database, settings=OFF) as off:
            for number in run.rounds():
                turns = [lambda subject=subject, server=server: run.add(
                    "projector", subject=subject, database=database, round=number,
                    **run.loader.post_readings(server, run.database_cpu(database), 64, run.plan.seconds, run.plan.warm_up))
                    for subject, server in [("on", on), ("off", off)]]
                in_turn(number, *turns)


def lags(run):
    """How many seconds the projection is behind while readings come at a steady rate, and until it has caught up."""
    for database in ["postgres", "sqlite"]:
        with run.mass_on(database) as server:
            for number in run.rounds():
                ended, lag = threading.Event(), []
                watching = threading.Thread(target=watch, args=(server, ended, lag))
                watching.start()
                try:
                    sent = run.loader.post_readings(server, run.database_cpu(database), 16, run.plan.seconds * 3,
                                                    run.plan.warm_up, rate=RATE)
                finally:
                    begin = time.perf_counter()
                    while position(server)["behind"]:
                        time.sleep(0.02)
                    caught_up = time.perf_counter() - begin
                    ended.set()
                    watching.join()
                run.add("lag", subject="mass", database=database, round=number, sent_per_second=sent["per_second"],
                        seconds=max(lag, default=0.0), caught_up_after=caught_up)


def position(server):
    return server.get("/v1/sites?limit=1")["as_of"]


def watch(server, ended, lag):
    """Tells how old the newest event is that figures follow from, several times a second."""
    heads = []  # (when, the log's size then)
    while not ended.wait(0.05):
        at = position(server)
        now = time.perf_counter()
        heads.append((now, at["head"]))
        while len(heads) > 1 and heads[1][1] <= at["sequence"]:
            heads.pop(0)
        # Of the events behind the position, the oldest came after the last head that is covered.
        lag.append(0.0 if not at["behind"] else now - heads[0][0])


def rates(run):
    """The projection of stored readings, beside a plain copy of the points that come of it."""
    records = run.plan.batch_records
    file = run.work / "readings.ndjson"
    for number in run.rounds():
        for database in ["postgres", "sqlite"]:
            run.loader.readings(file, records)
            with run.mass_on(database, settings=OFF) as server:
                points = records * POINTS_OF_READING
                cpu = lambda: server.cpu_seconds() + run.database_cpu(database)()
                before = cpu()
                run.loader.batch(server, file=file)
                # What one core takes in: server and database both work on each reading.
                intake = points / (cpu() - before)
                if database == "postgres":
                    run.cluster.analyse(server.environment["DATABASE_URL"])
                    run.cluster.settle()
                begin = time.perf_counter()
                server.command("analytics", "rebuild")
                seconds = time.perf_counter() - begin
                run.add("projection", subject="mass", database=database, round=number, points=points, seconds=seconds,
                        per_second=points / seconds, ingested_by_core=intake)
                copied = copied_again(run, server, database, "points")
            run.add("projection", subject="\\copy" if database == "postgres" else ".import", database=database,
                    round=number, points=points, seconds=copied, per_second=points / copied)


# --- Figures of a year ------------------------------------------------------------------------------------------------

TARIFF = "tariff=0.11"

# The time in seconds after which a question that takes long is not asked again, once it was asked five times.
PATIENCE = 30

# The series of a site, and the value of an hour of each: of all sites the same, but for the site's number.
OF_SITE = [
    ("facility_power_kw", "power", "100.0 + {hour} % 24 + {site}"),
    ("it_power_kw", "power", "80.0 + {hour} % 12 + {site}"),
    ("hvac_power_kw", "power", "15.0 + {hour} % 12"),
    ("energy_price_usd_per_kwh", "gauge", "0.10 + ({hour} % 24) / 200.0"),
    ("energy_cost_usd_per_hour", "power", "(100.0 + {hour} % 24 + {site}) * (0.10 + ({hour} % 24) / 200.0)"),
]
OF_DEVICE = ["temperature_celsius", "humidity_percent", "pressure_hpa"]
DEVICES = 1_000
MEMBERS = "count, sum, min, max, first, last, integral, covered, gaps, resets, above, below"


def year(run):
    """A year of points, one a minute of one series of each site, and of all of its series the hours and days.

    The tables are filled by SQL with what the projection of such documents would have: to send them would take hours.
    """
    sites = run.plan.sites
    for database in ["postgres", "sqlite"]:
        with run.mass_on(database, settings=OFF) as server:
            ask = asker(run, server, database)
            tenant = ask("SELECT tenant_id FROM users")
            fill(ask, database, tenant, sites)
            if database == "postgres":
                run.cluster.settle()
            server.measure_peak()
            questions(run, server, database, sites)
            run.add("year", subject="peak", database=database, sites=sites, points=sites * HOURS * 60,
                    mib=server.peak_mib())
            by_hand(run, ask, database, tenant, sites, server)


def asker(run, server, database):
    """Runs SQL beside the server."""
    if database == "postgres":
        name = server.environment["DATABASE_URL"].rpartition("/")[2]
        return lambda sql: run.cluster.psql(name, sql)
    file = server.environment["DATABASE_URL"].removeprefix("sqlite://")

    def ask(sql):
        connection = sqlite3.connect(file, isolation_level=None)
        rows = connection.execute(sql).fetchall()
        connection.close()
        return "\n".join("|".join(map(str, row)) for row in rows)
    return ask


def identifier(*names):
    """The id of a source or a series: it follows from the names."""
    text = json.dumps(names, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def fill(ask, database, tenant, sites, hours_only=False):
    # The library's generate_series is not in every build of SQLite.
    numbers = {
        "postgres": "SELECT generate_series(0::bigint, {count} - 1) AS n",
        "sqlite": "WITH RECURSIVE counted (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted LIMIT {count}) "
                  "SELECT n FROM counted",
    }[database]
    last = YEAR_FROM + HOURS * HOUR - 60_000_000
    for site in range(sites):
        hours = numbers.format(count=HOURS)
        source = identifier(f"site-{site}", None)
        ask(f"INSERT INTO sources VALUES ('{tenant}', {source}, 'site-{site}', NULL, NULL, NULL, {last}, 1)")
        for metric, kind, value in OF_SITE:
            series = identifier(f"site-{site}", None, metric)
            value = value.format(hour="n", site=site)
            ask(f"INSERT INTO series VALUES ('{tenant}', {series}, 'site-{site}', NULL, '{metric}', '{kind}', {source}, "
                f"{YEAR_FROM}, {last}, 1.0, 60000000)")
            ask(f"INSERT INTO hours (tenant_id, series_id, starts_at, {MEMBERS}) SELECT '{tenant}', {series}, "
                f"{YEAR_FROM} + n * {HOUR}, 60, 60 * v, v, v, v, v, v, {HOUR}, 0, 0, 0.0, 0.0 "
                f"FROM (SELECT n, {value} AS v FROM ({hours}) AS numbers) AS hour_values")
            ask(f"INSERT INTO days (tenant_id, series_id, starts_at, {MEMBERS}) SELECT tenant_id, series_id, "
                f"starts_at / {24 * HOUR} * {24 * HOUR}, sum(count), sum(sum), min(min), max(max), min(first), max(last), "
                f"sum(integral), sum(covered), 0, 0, 0.0, 0.0 FROM hours WHERE series_id = {series} "
                f"AND starts_at < {last // (24 * HOUR) * 24 * HOUR} GROUP BY 1, 2, 3")
            if metric == OF_SITE[0][0] and not hours_only:
                at = numbers.format(count=HOURS * 60)
                value = OF_SITE[0][2].format(hour="(n / 60)", site=site)
                ask(f"INSERT INTO points (tenant_id, series_id, at, sequence, value) SELECT '{tenant}', {series}, "
                    f"{YEAR_FROM} + n * 60000000, 1, {value} FROM ({at}) AS numbers")
    for device in range(DEVICES):
        names = f"site-{device % sites}", f"device-{device:04}"
        source = identifier(*names)
        ask(f"INSERT INTO sources VALUES ('{tenant}', {source}, '{names[0]}', '{names[1]}', "
            f"'rack-sensor', 'Hall 1', {last}, 1)")
        for metric in OF_DEVICE:
            ask(f"INSERT INTO series VALUES ('{tenant}', {identifier(*names, metric)}, '{names[0]}', '{names[1]}', "
                f"'{metric}', 'gauge', {source}, {YEAR_FROM}, {last}, 20.0, 60000000)")
    if database == "postgres":
        ask("VACUUM ANALYZE")


def questions(run, server, database, sites):
    one = lambda number: f"site_id=site-{number % sites}"
    asked = {
        "indicators of one site": lambda number: [f"/v1/analytics/kpis?{YEAR}&{TARIFF}&{one(number)}"],
        "indicators of all sites": lambda number: [f"/v1/analytics/kpis?{YEAR}&{TARIFF}"],
        "indicators of one site, hourly prices": lambda number: [f"/v1/analytics/kpis?{YEAR}&{one(number)}"],
        "indicators of all sites, hourly prices": lambda number: [f"/v1/analytics/kpis?{YEAR}"],
        "a year by day of one series": lambda number: [
            f"/v1/analytics/series?metric=facility_power_kw&step=day&{YEAR}&{one(number)}"],
        # In pages, as whoever shows them all would read them.
        "latest of 1,000 devices": lambda number: [f"/v1/devices?limit=500", "next"],
    }
    for question, paths in asked.items():
        seconds = []
        for number in range(run.plan.questions):
            if number >= 5 and sum(seconds) > PATIENCE:
                break
            begin = time.perf_counter()
            cursor = None
            for path in paths(number):
                answer = server.get(path if path != "next" else f"/v1/devices?limit=500&cursor={cursor}")
                cursor = answer.get("next_cursor")
            seconds.append(time.perf_counter() - begin)
        run.add("year", subject=question, database=database, sites=sites, asked=len(seconds),
                p50=statistics.median(seconds), p95=statistics.quantiles(seconds, n=20)[-1])


def by_hand(run, ask, database, tenant, sites, server):
    """The energy of a year from the points, by SQL as somebody would write it by hand: each value holds until the next
    one, for three minutes at most. Beside it all indicators at once."""
    series = identifier("site-0", None, OF_SITE[0][0])
    for what, where, query in [("one site", f"AND series_id = {series}", "&site_id=site-0"), ("all sites", "", "")]:
        least = {"postgres": "least", "sqlite": "min"}[database]
        sql = (f"SELECT sum(value * {least}(next - at, 180000000)) / {HOUR}.0 FROM (SELECT value, at, lead(at) OVER "
               f"(PARTITION BY series_id ORDER BY at) AS next FROM points WHERE tenant_id = '{tenant}' {where} "
               f"AND at >= {YEAR_FROM} AND at < {YEAR_FROM + HOURS * HOUR}) AS readings")
        begin = time.perf_counter()
        energy = float(ask(sql))
        seconds = time.perf_counter() - begin
        begin = time.perf_counter()
        answer = server.get(f"/v1/analytics/kpis?{YEAR}&{TARIFF}{query}")
        ours = time.perf_counter() - begin
        found = sum(item["kpis"]["facility_energy_kwh"]["value"] for item in answer["items"])
        # Of the last point nobody knows for how long it holds.
        if abs(found - energy) > energy / 1e4:
            raise RuntimeError(f"energy of {what}: {found} instead of {energy}")
        run.add("year by hand", subject=what, database=database, sites=sites, seconds=seconds, ours=ours,
                ratio=seconds / ours)
