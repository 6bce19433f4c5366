"""Mixed load whose every acknowledged change is remembered.

A client repeats a call until it gets a definite answer, as gateways do: broken connections and 503 say nothing of what was
stored. So at the end it is known exactly what has to be there: all that was sent, once.
"""

import itertools
import json
import random
import threading
import time
from dataclasses import dataclass, field

from .client import Connection

# What a client waits for an answer at most; longer counts as a hang.
CALL_SECONDS = 60
DRAIN_SECONDS = 120
BATCH_RECORDS = 8

# How often each operation comes, in proportion.
OPERATIONS = {
    "single": 30, "keyed": 10, "batch": 10, "atomic": 4, "correct": 5, "delete": 5, "transition": 5, "refuse": 5,
    "read": 16, "list": 4, "devices": 2, "checkpoint": 2,
}
# Those that do not rely on what was stored before.
INDEPENDENT = {name: OPERATIONS[name] for name in ("single", "keyed", "batch", "atomic", "list", "devices")}


@dataclass
class Record:
    """A document that was sent, with what has to be stored of it."""

    key: str
    # Each version's id and document, the newest last.
    versions: list = field(default_factory=list)
    is_deleted: bool = False
    status: str = "pending"


class Abandoned(Exception):
    """The load is over, although a call has had no definite answer."""


class Load:
    """Clients on threads of their own. Each has its own records, so that nothing is shared but counters."""

    def __init__(self, port, token, clients=6, seed=1, pause=0.0, may_interrupt=True, operations=None, has_engine=False):
        self.port, self.token, self.pause, self.may_interrupt = port, token, pause, may_interrupt
        self.operations = operations or OPERATIONS
        # What is accepted is sent to an engine, which changes its status.
        self.has_engine = has_engine
        self.violations, self.checkpoints, self.refusals = [], [], []
        # What a case has stored beside the clients.
        self.further = []
        self.stopping = threading.Event()
        self.abandoned = threading.Event()
        self.clients = [_Client(self, f"{seed}-{number}") for number in range(clients)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        self.finish(0)

    def finish(self, seconds=DRAIN_SECONDS):
        """Has each client end with the operation that it is at."""
        self.stopping.set()
        deadline = time.monotonic() + seconds
        for client in self.clients:
            client.join(max(0.0, deadline - time.monotonic()))
        self.abandoned.set()
        for client in self.clients:
            client.join()

    def violation(self, sentence):
        if len(self.violations) < 20:
            self.violations.append(sentence)

    @property
    def records(self):
        return [*self.further, *(record for client in self.clients for record in client.records)]

    @property
    def acknowledged(self):
        """The number of documents that the server has said it stored."""
        return len(self.further) + sum(client.acknowledged for client in self.clients)

    @property
    def calls(self):
        return sum(client.calls for client in self.clients)

    @property
    def interrupted(self):
        """The number of calls that got no answer, or 503."""
        return sum(client.interrupted for client in self.clients)

    @property
    def slowest(self):
        return max(client.slowest for client in self.clients)

    def until_acknowledged(self, more, seconds=CALL_SECONDS * 2):
        """Waits until this number of further documents is stored."""
        wanted = self.acknowledged + more
        deadline = time.monotonic() + seconds
        while self.acknowledged < wanted:
            if time.monotonic() > deadline:
                raise RuntimeError(f"only {self.acknowledged} of {wanted} documents were acknowledged within {seconds} s: {self.violations}")
            time.sleep(0.005)


class _Client(threading.Thread):
    def __init__(self, load, name):
        super().__init__(daemon=True)
        self.load, self.tag = load, name
        self.random = random.Random(name)
        self.connection = Connection(load.port, load.token, CALL_SECONDS)
        self.records, self.numbers = [], itertools.count()
        self.acknowledged = self.calls = self.interrupted = 0
        self.slowest = 0.0

    def run(self):
        names, weights = zip(*self.load.operations.items())
        try:
            while not self.load.stopping.is_set():
                name, = self.random.choices(names, weights)
                getattr(self, f"do_{name}")()
                if self.load.pause:
                    time.sleep(self.load.pause)
        except Abandoned:
            self.load.violation(f"client {self.tag}: {name} never got a definite answer")
        except Exception as error:  # noqa: BLE001 - a client that ends for any reason has found something
            self.load.violation(f"client {self.tag}: {name}: {type(error).__name__}: {error}")
        finally:
            self.connection.close()

    # --- Calls ---

    def _insist(self, good, method, path, body=None, **headers):
        """Repeats a call until its answer is definite, and returns that."""
        while True:
            begin = time.monotonic()
            try:
                answer = self.connection.call(method, path, body, **headers)
            except TimeoutError:
                self.load.violation(f"{method} {path}: no answer within {CALL_SECONDS} s")
                answer = None
            except OSError as error:
                answer = None
                if not self.load.may_interrupt:
                    self.load.violation(f"{method} {path}: {type(error).__name__}: {error}")
            self.calls += 1
            self.slowest = max(self.slowest, time.monotonic() - begin)
            if answer and answer.status == 503:
                self._judge_unavailable(method, path, answer)
            elif answer:
                if answer.status not in good:
                    raise RuntimeError(f"{method} {path}: {answer.status} {answer.body[:500]!r}")
                return answer
            self._pause_after_interruption()

    def _judge_unavailable(self, method, path, answer):
        if not self.load.may_interrupt or not any(name.lower() == "retry-after" for name in answer.headers):
            self.load.violation(f"{method} {path}: 503 {answer.body[:500]!r}")

    def _pause_after_interruption(self):
        self.interrupted += 1
        if self.load.abandoned.is_set():
            raise Abandoned
        time.sleep(0.05)

    # --- Documents ---

    def _new_reading(self):
        number = next(self.numbers)
        minute = f"2026-01-{1 + number // 1440 % 28:02}T{number // 60 % 24:02}:{number % 60:02}:00Z"
        device = f"load-{self.tag}-{number // 40320}"
        document = {"mass_version": "2.0", "timestamp": minute, "device": {"id": device},
                    "metrics": {"temperature_celsius": self.random.randrange(0, 100) + 0.5, "number": number}}
        return Record(f"{device}@{minute}"), document

    def _stored(self, record, identifier, document):
        self.acknowledged += 1
        record.versions.append((identifier, document))

    def _mine(self):
        """A record of its own to which nothing has happened yet."""
        for _ in range(5):
            if self.records:
                record = self.random.choice(self.records[-200:])
                if len(record.versions) == 1 and not record.is_deleted and record.status == "pending":
                    return record
        return None

    # --- Operations ---

    def do_single(self):
        record, document = self._new_reading()
        answer = self._insist((200, 201), "POST", "/v1/mass-requests", document)
        self._stored(record, answer.json()["id"], document)
        self.records.append(record)

    def do_keyed(self):
        key = f"key-{self.tag}-{next(self.numbers)}"
        record, document = Record(key), {"payload": {"key": key, "note": "x" * self.random.randrange(0, 2000)}}
        answer = self._insist((200, 201), "POST", "/v1/mass-requests", document, Idempotency_Key=key)
        self._stored(record, answer.json()["id"], document)
        self.records.append(record)

    def do_batch(self, mode="each"):
        sent = [self._new_reading() for _ in range(BATCH_RECORDS)]
        body = "".join(json.dumps(document) + "\n" for _, document in sent).encode()
        waiting = dict(enumerate(sent))
        while waiting:
            answer = self._insist((200, 201), "POST", f"/v1/mass-requests/batch?mode={mode}", body, Content_Type="application/x-ndjson")
            lines = answer.lines()
            if not lines or "totals" not in lines[-1]:
                raise RuntimeError(f"a batch was answered whole, without totals: {lines[-1:]}")
            for line in lines[:-1]:
                if line["outcome"] in ("accepted", "duplicate"):
                    if line["index"] in waiting:
                        record, document = waiting.pop(line["index"])
                        self._stored(record, line["id"], document)
                        self.records.append(record)
                elif line["outcome"] != "unprocessed":
                    raise RuntimeError(f"a batch: {line}")
            if waiting:
                if not self.load.may_interrupt:
                    self.load.violation(f"a batch: {lines[-1]}")
                self._pause_after_interruption()

    def do_atomic(self):
        self.do_batch("atomic")

    def do_correct(self):
        record = self._mine()
        if record is None or "payload" in record.versions[0][1]:
            return
        document = record.versions[0][1] | {"metrics": {"temperature_celsius": -7.5}}
        answer = self._insist((200, 201), "POST", "/v1/mass-requests?on_conflict=correct", document)
        self._stored(record, answer.json()["id"], document)

    def do_delete(self):
        if record := self._mine():
            # 410: an earlier attempt, whose answer was lost, has done it.
            self._insist((204, 410), "DELETE", f"/v1/mass-requests/{record.versions[0][0]}")
            record.is_deleted = True

    def do_transition(self):
        if record := self._mine():
            self._insist((200,), "PATCH", f"/v1/mass-requests/{record.versions[0][0]}/status", {"status": "processing"})
            record.status = "processing"

    def do_refuse(self):
        answer = self._insist((422,), "POST", "/v1/mass-requests", {"mass_version": "2.0", "metrics": {}})
        self.load.refusals.append(answer.json()["request_id"])

    def do_read(self):
        if record := self._mine():
            identifier, document = record.versions[0]
            answer = self._insist((200,), "GET", f"/v1/mass-requests/{identifier}")
            if answer.json()["document"] != document:
                self.load.violation(f"{identifier} reads {answer.body[:500]!r}")

    def do_list(self):
        self._insist((200,), "GET", f"/v1/mass-requests?limit={self.random.choice([1, 20, 100])}")

    def do_devices(self):
        self._insist((200,), "GET", "/v1/devices?limit=20")

    def do_checkpoint(self):
        answer = self._insist((200,), "GET", "/v1/audit/checkpoint")
        self.load.checkpoints.append(answer.json()["checkpoint"])
