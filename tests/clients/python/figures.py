"""Computes figures of a small pilot with DuckDB, from the export alone, and compares them with those of the server.

The SQL follows docs/analytics.md and shares nothing with the program: how long a value holds, hours, energies, coverage, and
the indicators of the site.
"""

import json
import math
import os
import random
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
import httpx

URL = os.environ["MASS_URL"]
HEADERS = {"Authorization": f"Bearer {os.environ['MASS_TOKEN']}"}
WEATHER = Path(__file__).resolve().parents[2] / "data" / "import" / "weather-lga-2013.csv"

BEGIN = datetime(2025, 6, 14, tzinfo=timezone.utc)
SITE = "pilot"


def spelled(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def readings() -> list[dict]:
    """Three days of a meter, a reading every five minutes: with outages, a reading apart, and in no order."""
    found = []
    for number in range(3 * 288):
        if 100 <= number < 104 or 400 <= number < 520 or number in (600, 601, 602):
            continue
        it_power = 600 + 150 * math.sin(number / 46) + number % 7
        metrics = {"it_power_kw": round(it_power, 3), "facility_power_kw": round(it_power * 1.28 + 90, 3)}
        found.append((BEGIN + timedelta(minutes=5 * number), metrics))
    found.append((BEGIN + timedelta(days=4, minutes=7), {"it_power_kw": 610, "facility_power_kw": 860}))
    random.Random(7).shuffle(found)
    device = {"id": "main-meter", "site_id": SITE}
    return [
        {"mass_version": "2.0", "timestamp": spelled(at), "device": device, "metrics": metrics} for at, metrics in found
    ]


def post(body: bytes, media_type: str, query: str = "") -> int:
    """Sends records. Returns how many are stored."""
    headers = HEADERS | {"Content-Type": media_type, "Accept": "application/json"}
    answer = httpx.post(f"{URL}/v1/mass-requests/batch{query}", content=body, headers=headers, timeout=60)
    answer.raise_for_status()
    totals = answer.json()["totals"]
    return totals["accepted"] + totals["duplicate"]


def get(path: str, **query: str) -> dict:
    answer = httpx.get(f"{URL}{path}", params=query, headers=HEADERS, timeout=60)
    answer.raise_for_status()
    return answer.json()


def wait_until_projected() -> None:
    while get("/v1/sites")["as_of"]["behind"] > 0:
        time.sleep(0.1)


def export() -> None:
    headers = HEADERS | {"Accept": "application/x-ndjson"}
    with httpx.stream("GET", f"{URL}/v1/mass-requests/export", headers=headers) as answer, open("all.ndjson", "wb") as file:
        answer.raise_for_status()
        for part in answer.iter_bytes():
            file.write(part)


# A value of a device holds until the next one, for three learned intervals at most. The learned interval is the lower median of
# the last 16 distances, an hour until there are three of them, and a day at most.
HOURS = """
    CREATE TABLE points AS
        SELECT document ->> '$.device.id' AS device, (document ->> '$.timestamp')::TIMESTAMPTZ AS taken,
            metric, (document -> '$.metrics' ->> metric)::DOUBLE AS value
        FROM (SELECT document, unnest(json_keys(document, '$.metrics')) AS metric FROM exported
              WHERE corrected_by IS NULL AND document ->> '$.mass_version' IS NOT NULL)
        WHERE value IS NOT NULL;
    CREATE TABLE distances AS
        SELECT *, epoch_us(taken - lag(taken) OVER series) AS distance, lead(taken) OVER series AS next
        FROM points WINDOW series AS (PARTITION BY device, metric ORDER BY taken);
    CREATE TABLE learned AS
        SELECT *, list_sort(list_filter(list(distance) OVER (
            PARTITION BY device, metric ORDER BY taken ROWS BETWEEN 15 PRECEDING AND CURRENT ROW
        ), lambda x: x IS NOT NULL)) AS known FROM distances;
    CREATE TABLE segments AS
        SELECT device, metric, taken, value, CASE WHEN next IS NULL THEN taken ELSE least(next, taken + to_microseconds(
            least(3 * CASE WHEN len(known) < 3 THEN 3600000000 ELSE least(known[(len(known) + 1) // 2], 86400000000) END,
                  7 * 86400000000)
        )) END AS until
        FROM learned;
    CREATE TABLE parts AS
        SELECT device, metric, value, hour, taken >= hour AND taken < hour + INTERVAL 1 HOUR AS is_within,
            greatest(0, epoch_us(least(until, hour + INTERVAL 1 HOUR)) - epoch_us(greatest(taken, hour))) AS covered
        FROM (SELECT *, unnest(generate_series(
            time_bucket(INTERVAL 1 HOUR, taken), time_bucket(INTERVAL 1 HOUR, greatest(taken, until - to_microseconds(1))),
            INTERVAL 1 HOUR
        )) AS hour FROM segments);
    CREATE TABLE hours AS
        SELECT device, metric, hour, count(*) FILTER (is_within) AS count,
            coalesce(avg(value) FILTER (is_within), sum(value * covered) / sum(covered)) AS mean,
            min(value) AS min, max(value) AS max, sum(value * covered) / 3600000000 AS integral,
            sum(covered) / 3600000000 AS coverage
        FROM parts GROUP BY ALL;
"""


def compute() -> duckdb.DuckDBPyConnection:
    database = duckdb.connect()
    database.sql("SET TimeZone = 'UTC'")
    columns = {"corrected_by": "VARCHAR", "document": "JSON"}
    database.read_json("all.ndjson", columns=columns, format="newline_delimited").filter("document IS NOT NULL").create("exported")
    database.sql(HOURS)
    return database


def is_near(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)


def compare_hours(database: duckdb.DuckDBPyConnection, device: str, metric: str, begin: str, end: str) -> int:
    rows = database.execute(
        "SELECT hour, count, coverage, mean, min, max, integral FROM hours WHERE device = ? AND metric = ? ORDER BY hour",
        [device, metric],
    ).fetchall()
    aggregates = ["mean", "min", "max"] + (["sum"] if metric.endswith("_kw") else [])
    for column, aggregate in enumerate(aggregates):
        query = {"from": begin, "to": end, "device_id": device, "metric": metric, "aggregate": aggregate}
        [series] = get("/v1/analytics/series", **query)["series"]
        assert [bucket["begin"] for bucket in series["buckets"]] == [spelled(row[0]) for row in rows], (metric, aggregate)
        for bucket, row in zip(series["buckets"], rows, strict=True):
            assert bucket["count"] == row[1] and is_near(bucket["coverage"], row[2]), (metric, bucket, row)
            assert is_near(bucket["value"], row[3 + column]), (metric, aggregate, bucket, row)
    return len(rows)


def compare_indicators(database: duckdb.DuckDBPyConnection) -> None:
    period = {"from": spelled(BEGIN), "to": spelled(BEGIN + timedelta(days=3))}
    [site] = get("/v1/analytics/kpis", site_id=SITE, **period)["items"]
    energies = database.execute(
        "SELECT metric, sum(integral), sum(coverage) / 72 FROM hours WHERE device = 'main-meter' AND hour < ? GROUP BY ALL",
        [BEGIN + timedelta(days=3)],
    ).fetchall()
    energies = {metric: (energy, coverage) for metric, energy, coverage in energies}
    (it_energy, coverage), (facility_energy, _) = energies["it_power_kw"], energies["facility_power_kw"]
    kpis = site["kpis"]
    assert 0.5 < coverage < 0.9, coverage
    assert is_near(kpis["it_energy_kwh"]["value"], it_energy), (kpis["it_energy_kwh"], it_energy)
    assert is_near(kpis["facility_energy_kwh"]["value"], facility_energy), (kpis["facility_energy_kwh"], facility_energy)
    assert is_near(kpis["pue"]["value"], facility_energy / it_energy), kpis["pue"]
    assert is_near(kpis["pue"]["coverage"], coverage), (kpis["pue"], coverage)
    costs = get("/v1/analytics/kpis", site_id=SITE, tariff="0.17", **period)["items"][0]["kpis"]["cost"]
    assert is_near(costs["value"], facility_energy * 0.17), costs


if __name__ == "__main__":
    sent = readings()
    assert post("".join(f"{json.dumps(reading)}\n" for reading in sent).encode(), "application/x-ndjson") == len(sent)
    # Some of its rows are wrong on purpose.
    assert post(WEATHER.read_bytes(), "text/csv", "?contract=device/1.1") == 155
    wait_until_projected()
    export()
    database = compute()
    end = spelled(BEGIN + timedelta(days=5))
    hours = sum(compare_hours(database, "main-meter", metric, spelled(BEGIN), end) for metric in ("it_power_kw", "facility_power_kw"))
    hours += compare_hours(database, "lga-asos-1", "temperature_celsius", "2013-01-01T00:00:00Z", "2013-02-01T00:00:00Z")
    assert hours > 200, hours
    compare_indicators(database)
