"""A clock that jumps, by libfaketime: the wall clock of MASS alone; its steady clock goes on, as on a real machine."""

from datetime import datetime, timedelta
from urllib.parse import urlencode

from .load import Record
from .surroundings import faketime_library, until

HOUR, DAY = 3600, 86400
JUMPS = [HOUR, -2 * HOUR, 30 * DAY, -30 * DAY, 0]


def clock_jumps(run, database):
    folder = run.folder()
    offset = folder / "offset"
    _jump(offset, 0)
    settings = {
        "LD_PRELOAD": str(faketime_library()),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with run.mass(database, settings, arguments=["--with-engine"]) as mass:
        with run.load(mass, mass.new_key(), may_interrupt=False) as load:
            for jump in JUMPS:
                token = mass.log_in()
                load.until_acknowledged(50)
                _jump(offset, jump)
                load.until_acknowledged(50)
                _assert_work_goes_on(mass, load, token, jump)
            steps = ", ".join(_told(jump) for jump in JUMPS)
            return run.settle("the clock jumps", database, f"to {steps} of the right time", mass, load)


def _jump(offset, seconds):
    beside = offset.with_suffix(".new")
    beside.write_text(f"{seconds:+d}\n")
    beside.rename(offset)


def _told(jump):
    if jump == 0:
        return "0"
    unit, name = (DAY, "d") if abs(jump) >= DAY else (HOUR, "h")
    return f"{jump // unit:+d} {name}".replace("-", "−")


def _assert_work_goes_on(mass, load, token, jump):
    """Log-ins, the figures and the signatures go on by the new clock."""
    connection = mass.connection(token)
    status = connection.call("GET", "/v1/mass-requests?limit=1").status
    # A token lives for 15 minutes: it has expired if the clock went on, and must not have if it went back.
    if status not in (200, 401):
        load.violation(f"after a jump to {_told(jump)} a token is answered {status}")
    connection = mass.connection(mass.log_in())
    if connection.call("GET", "/v1/auth/me").status != 200:
        load.violation(f"after a jump to {_told(jump)} a new token is refused")
    reading = {"mass_version": "2.0", "timestamp": "2025-01-01T00:00:00Z", "device": {"id": f"clock-{load.acknowledged}"},
               "metrics": {"temperature_celsius": 20.5}}
    connection = mass.connection(load.token)
    answer = connection.call("POST", "/v1/mass-requests", reading).json()
    identifier, created = answer["id"], datetime.fromisoformat(answer["created_at"])
    load.further.append(Record(reading["device"]["id"], [(identifier, reading)], status="done"))
    sent = connection.call("POST", f"/v1/mass-requests/{identifier}/send")
    if sent.status not in (200, 201, 202):
        load.violation(f"after a jump to {_told(jump)} nothing can be sent: {sent}")
    after = f"after a jump to {_told(jump)}"
    bounds = urlencode({"created_from": created.isoformat(), "created_to": (created + timedelta(seconds=1)).isoformat()})
    found = connection.call("GET", f"/v1/mass-requests?device_id={reading['device']['id']}&{bounds}").json()["items"]
    if [item["id"] for item in found] != [identifier]:
        load.violation(f"{after} a request is not found by the time of its creation, {created}: {identifier}")
    until(lambda: connection.call("GET", f"/v1/devices/{reading['device']['id']}").status == 200, f"figures go on {after}")
    until(lambda: connection.call("GET", f"/v1/mass-requests/{identifier}").json()["status"] == "done", f"the engine is asked {after}")
