#!/usr/bin/env python3
"""Simulates the pilot of these tests: a year before a retrofit, half a year after it, and the same half year without it.

The same script gives the same bytes again (Python 3.9 or later, standard library alone):

    python3 tests/data/pilots/make.py

Weather: seasons, days, and a slow disturbance; vapour follows the temperature. IT load: hours, weekends, a slow drift.
Plant: a direct-expansion unit whose efficiency falls with the outdoor temperature, an air-side economiser below 14 °C,
and a fan. The retrofit slows the fan by load and lowers the condensing temperature. Nothing here was fitted to any site.
"""

import gzip
import io
import math
import pathlib
import random
from datetime import datetime, timedelta, timezone

FOLDER = pathlib.Path(__file__).parent
FIRST = datetime(2024, 1, 1, tzinfo=timezone.utc)
WEEKS_BEFORE, WEEKS_AFTER = 52, 26
HEADER = (
    "end,outdoor_temperature_celsius,relative_humidity_percent,pressure_hpa,it_kwh,cooling_kwh,hvac_kwh,facility_kwh,"
    "inlet_temperature_celsius\n"
)


def drives(hours):
    """Yields weather and IT load of each hour."""
    source = random.Random(20240101)
    weather = load = pressure = 0.0
    for hour in range(hours):
        weather = 0.985 * weather + 0.65 * source.gauss(0, 1)
        load = 0.95 * load + 0.5 * source.gauss(0, 1)
        pressure = 0.99 * pressure + 0.5 * source.gauss(0, 1)
        season = -math.cos(2 * math.pi * (hour / 8766 - 0.05))
        daily = math.sin(2 * math.pi * ((hour % 24) - 9) / 24)
        temperature = 15 + 9 * season + 4 * daily + weather
        humidity = min(98, max(15, 66 - 14 * daily - 1.2 * weather + 6 * math.sin(hour / 40)))
        weekend = (FIRST + timedelta(hours=hour)).weekday() >= 5
        it = 90 + 5 * daily - (4 if weekend else 0) + load + 3 * math.sin(hour / 1500)
        yield round(temperature, 1), round(humidity), round(1012 + pressure), round(it, 1)


def plant(temperature, humidity, it, retrofit):
    """Returns cooling and HVAC energy of an hour in kWh."""
    wet = temperature - (100 - humidity) / 7
    free = min(1.0, max(0.0, (19 - temperature) / 10))
    heat = it * (1 - 0.9 * free) + 0.15 * max(0.0, temperature - 20)
    condensing = temperature + (9 if retrofit else 11) + 0.05 * max(0.0, wet - 20)
    efficiency = min(8.0, 0.32 * 285 / max(8.0, condensing + 4))
    cooling = heat / efficiency
    fan = 5.5 * (0.45 + 0.55 * (it / 100) ** 2.5 if retrofit else 1.0)
    return cooling, cooling + fan


def write(name, rows):
    text = io.StringIO()
    text.write(HEADER)
    for row in rows:
        text.write(",".join(row) + "\n")
    packed = gzip.compress(text.getvalue().encode(), compresslevel=9, mtime=0)
    # The header of gzip names the system that wrote it.
    (FOLDER / f"pilot-own-{name}.csv.gz").write_bytes(packed[:9] + b"\xff" + packed[10:])


def series(values, first, retrofit, seed):
    noise = random.Random(seed)
    for number, (temperature, humidity, pressure, it) in values:
        cooling, hvac = plant(temperature, humidity, it, retrofit)
        # The noise of the meter; the same with the retrofit and without, so that the truth has none.
        hvac *= 1 + 0.005 * noise.gauss(0, 1)
        end = first + timedelta(hours=number + 1)
        facility = it * 1.06 + hvac + 2
        numbers = (temperature, humidity, pressure, it, cooling, hvac, facility, 23.0)
        yield (end.strftime("%Y-%m-%dT%H:%M:%SZ"), *(f"{value:.2f}".rstrip("0").rstrip(".") for value in numbers))


def main():
    before = WEEKS_BEFORE * 168
    values = list(enumerate(drives(before + WEEKS_AFTER * 168)))
    write("baseline", series(values[:before], FIRST, False, 1))
    write("retrofit", series(values[before:], FIRST, True, 2))
    write("counterfactual", series(values[before:], FIRST, False, 2))


main()
