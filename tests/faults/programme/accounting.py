"""Whether what was acknowledged is there, exactly once and unchanged."""

import json
from collections import Counter
from dataclasses import dataclass, field

from .client import Connection

# The first and the last signed promises, and some between.
CHECKPOINTS = 20


@dataclass
class Account:
    acknowledged: int
    stored: int = 0
    lost: int = 0
    doubled: int = 0
    faults: list = field(default_factory=list)

    def fault(self, sentence):
        if len(self.faults) < 20:
            self.faults.append(sentence)


def balance(load, mass, may_lose=False):
    """Compares the export, the list and the audit trail with what the load was told. With `may_lose`, what is missing is counted only."""
    account = Account(load.acknowledged, faults=list(load.violations))
    connection = Connection(mass.port, load.token, 600)
    exported = _export(connection, account)
    account.stored = len(exported)
    _compare(load, exported, account, may_lose)
    _compare_list(connection, exported, account)
    events = _events(connection, account)
    connection.close()
    _compare_events(load, exported, events, account, may_lose)
    return account


def verify(load, mass, account):
    """Has the program verify the audit trail in the database, and that it extends the checkpoints that clients got."""
    arguments = []
    step = max(1, len(load.checkpoints) // CHECKPOINTS)
    for number, checkpoint in enumerate([*load.checkpoints[::step], *load.checkpoints[-1:]]):
        path = mass.folder / f"checkpoint-{number}"
        path.write_text(checkpoint)
        arguments += ["--checkpoint", path]
    done = mass.command("audit", "verify", "--live", "--tenant", "default", *arguments)
    if done.returncode != 0:
        account.fault(f"audit verify: {done.returncode}: {done.stdout[-1000:]}{done.stderr[-1000:]}")


def _export(connection, account):
    lines = connection.call("GET", "/v1/mass-requests/export").lines()
    if not lines or lines[-1].get("totals", {}).get("requests") != len(lines) - 1 or "error" in lines[-1]:
        account.fault(f"the export is cut: {lines[-1:]}")
        return {}
    exported = {line["id"]: line for line in lines[:-1]}
    if len(exported) != len(lines) - 1:
        account.fault("the export has a request twice")
    return exported


def _compare(load, exported, account, may_lose):
    due = {}
    for record in load.records:
        for place, (identifier, document) in enumerate(record.versions):
            if identifier in due:
                account.fault(f"{identifier} was given to two documents")
            due[identifier] = (record, place, document)
    for identifier, (record, place, document) in due.items():
        found = exported.pop(identifier, None) if record.is_deleted else exported.get(identifier)
        if record.is_deleted:
            if found and not may_lose:
                account.fault(f"{identifier} was deleted and is there")
        elif found is None:
            account.lost += 1
            if not may_lose:
                account.fault(f"{identifier} ({record.key}) was acknowledged and is lost")
        elif found["document"] != document:
            account.fault(f"{identifier} was sent as {document} and is {found['document']}")
        elif not may_lose:
            newer = record.versions[place + 1][0] if place + 1 < len(record.versions) else None
            status = found["status"] if load.has_engine else record.status
            if (found["corrected_by"], found["status"]) != (newer, status):
                account.fault(f"{identifier} is {found['status']}, corrected by {found['corrected_by']}, and not {record.status}, {newer}")
    for identifier in exported.keys() - due.keys():
        # Every operation was repeated until it was answered: nothing else can have been stored.
        account.doubled += 1
        account.fault(f"{identifier} is stored and was never acknowledged: {json.dumps(exported[identifier])[:300]}")


def _compare_list(connection, exported, account):
    listed, cursor = Counter(), ""
    while cursor is not None:
        page = connection.call("GET", f"/v1/mass-requests?limit=500{cursor and f'&cursor={cursor}'}").json()
        listed.update(item["id"] for item in page["items"])
        cursor = page["next_cursor"]
    if listed.keys() != exported.keys() or any(count > 1 for count in listed.values()):
        account.fault(f"the list has {listed.total()} requests, {len(listed)} different ones, and the export {len(exported)}")


def _events(connection, account):
    events = []
    for line in connection.call("GET", "/v1/audit/export").lines():
        if "event" in line:
            events.append(line["event"])
    sequences = [event["sequence"] for event in events]
    if sequences != list(range(1, len(sequences) + 1)):
        account.fault("the numbers of the audit trail have gaps")
    return events


def _compare_events(load, exported, events, account, may_lose):
    told = {action: Counter() for action in ("accepted", "corrected", "deleted", "status_changed", "payload_refused")}
    for event in events:
        if event["action"] in told:
            told[event["action"]][event["request_id"] if event["action"] == "payload_refused" else event["object"]["id"]] += 1
    account.doubled += sum(count - 1 for count in told["accepted"].values())
    if not exported.keys() <= told["accepted"].keys():
        account.fault("a request is stored of which the audit trail knows nothing")
    first, records = (lambda record: record.versions[0][0]), load.records
    expected = {
        "accepted": {identifier for record in records for identifier, _ in record.versions},
        "corrected": {first(record) for record in records if len(record.versions) > 1},
        "deleted": {first(record) for record in records if record.is_deleted},
        "status_changed": {first(record) for record in records if record.status != "pending"},
        # A refusal that nobody was told of is repeated, and then recorded under another id.
        "payload_refused": set(load.refusals) | told["payload_refused"].keys() if load.may_interrupt else set(load.refusals),
    }
    if load.has_engine:
        del expected["status_changed"]
    for action, due in expected.items():
        if twice := sum(count > 1 for count in told[action].values()):
            account.fault(f"the audit trail has events {action} twice, of {twice} requests")
        if not may_lose and (missing := due - told[action].keys()):
            account.fault(f"{len(missing)} answered requests have no event {action} in the audit trail")
        if not may_lose and (more := told[action].keys() - due):
            account.fault(f"the audit trail has events {action} of {len(more)} requests that were never answered")
