"""Runs the blocks of docs/clients.md that are in Python, and tests what they leave behind.

The requests of the blocks in other languages, which nothing here can run, are sent as they stand there.
"""

import json
import os
import re
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import httpx

URL = os.environ["MASS_URL"]
HEADERS = {"Authorization": f"Bearer {os.environ['MASS_TOKEN']}"}


def load_documented():
    path = Path(__file__).resolve().parents[1] / "documented"
    spec = spec_from_loader("documented", SourceFileLoader("documented", str(path)))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


documented = load_documented()


def run_python() -> None:
    page: dict = {}
    for number, block in enumerate(documented.blocks("python"), 1):
        exec(compile(block, f"docs/clients.md, block {number} in Python", "exec"), page)

    assert page["sent"].status_code == 201
    assert page["stored"].document.to_dict()["metrics"]["humidity_percent"] == 57.33
    assert any(warning.pointer == "/timestamp" for warning in page["stored"].warnings)

    assert page["refused"].status_code == 422
    refused = page["refused"].parsed
    assert refused.type_ == "/problems/contract-violation"
    assert [(each.pointer, each.code) for each in refused.violations] == [("/metrics/humidity_percent", "range")]

    assert page["batch"].totals.accepted == 2
    assert [line.outcome.value for line in page["streamed"][:-1]] == ["accepted"] * 3

    listed = list(page["requests"](limit=2))
    assert len(listed) == 6 and listed[-1].id == page["sent"].parsed.id, listed

    assert page["readings"]["temperature_celsius"].tolist() == [4.4]
    assert [(row[0], row[2]) for row in page["hourly"].fetchall()] == [("lga-asos-2", 4.4)]
    assert Path("hourly.parquet").stat().st_size > 0


def get(path: str, query: dict | None = None) -> dict:
    answer = httpx.get(f"{URL}/{path.lstrip('/')}", params=query, headers=HEADERS)
    answer.raise_for_status()
    return answer.json()


def send_grafana_requests() -> None:
    [target] = documented.blocks("text")
    times = {"${__from:date:iso}": "2013-01-01T00:00:00.000Z", "${__to:date:iso}": "2013-01-02T00:00:00.000Z"}
    for macro, time in times.items():
        assert macro in target
        target = target.replace(macro, time)
    [item] = get(target.strip())["items"]
    assert item["device_id"] == "lga-asos-2" and item["observed_at"] and item["status"] == "pending"
    assert item["document"]["metrics"]["temperature_celsius"] == 4.4


def send_excel_requests() -> None:
    [query] = documented.blocks("powerquery")
    [(path, wanted)] = re.findall(r'RelativePath = "([^"]+)", Query = \[([^\]]+)\]', query)
    parameters = dict(re.findall(r'(\w+) = "([^"]*)"', wanted))
    answer = httpx.get(f"{URL}/{path}", params=parameters, headers=HEADERS)
    answer.raise_for_status()
    [request, last] = [json.loads(line) for line in answer.text.splitlines()]
    assert last == {"totals": {"requests": 1}} and request["corrected_by"] is None
    [columns] = re.findall(r"each \[corrected_by\] = null\), \{([^}]+)\}", query)
    assert set(re.findall(r'"(\w+)"', columns)) <= set(request)
    [names] = re.findall(r'"metrics", \{([^}]+)\}', query)
    assert set(re.findall(r'"(\w+)"', names)) == set(request["document"]["metrics"])


if __name__ == "__main__":
    run_python()
    send_grafana_requests()
    send_excel_requests()
