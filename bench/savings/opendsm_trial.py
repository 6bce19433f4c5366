"""Runs OpenDSM's hourly model on pilots; prints a line of JSON per site and variant. Called by `run`, in a virtual
environment with OpenDSM."""

import json
import math
import sys
import warnings
from pathlib import Path

import pandas as pd
from opendsm import eemeter

warnings.filterwarnings("ignore")
NAMES = ["end", "temperature_c", "humidity", "pressure", "it", "other", "observed", "facility", "inlet"]


def dew_point(temperature, humidity):
    """Magnus's formula, in °C."""
    gamma = math.log(max(humidity, 1.0) / 100) + 17.62 * temperature / (243.12 + temperature)
    return 243.12 * gamma / (17.62 - gamma)


def series(folder, site, kind):
    file = folder / f"pilot-{site}-{kind}.csv"
    frame = pd.read_csv(file if file.exists() else f"{file}.gz", header=0, names=NAMES)
    frame.index = pd.to_datetime(frame.pop("end"), utc=True) - pd.Timedelta(hours=1)
    frame["temperature"] = frame.temperature_c * 1.8 + 32
    frame["dew"] = [dew_point(*pair) for pair in zip(frame.temperature_c, frame.humidity)]
    return frame


def trial(folder, site, extra):
    before, after, without = (series(folder, site, kind) for kind in ("baseline", "retrofit", "counterfactual"))
    columns = ["temperature", "observed", *extra]
    settings = {"supplemental_time_series_columns": extra} if extra else None
    model = eemeter.HourlyModel(settings=settings)
    model.fit(eemeter.HourlyBaselineData(before[columns], is_electricity_data=True), ignore_disqualification=True)
    data = eemeter.HourlyReportingData(after[columns], is_electricity_data=True)
    found = model.predict(data, ignore_disqualification=True)
    predicted = found.predicted.reindex(after.index)
    known = predicted.notna()
    truth = (without.observed - after.observed)[known].sum()
    error = (predicted - after.observed)[known].sum() - truth
    # The model's own uncertainty of hours, as if they were independent, which is how its users add them up.
    half = math.sqrt((found.predicted_unc.reindex(after.index)[known] ** 2).sum())
    return {"error_percent": 100 * error / abs(truth), "half_percent": 100 * half / abs(truth),
            "covered": bool(abs(error) <= half)}


def main():
    folder = Path(sys.argv[1])
    for site in sys.argv[2:]:
        for subject, extra in (("OpenDSM", []), ("OpenDSM with IT load and dew point", ["it", "dew"])):
            print(json.dumps({"site": site, "subject": subject, **trial(folder, site, extra)}), flush=True)


main()
