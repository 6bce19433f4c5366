"""One run of the programme: what is started, and what comes out of each case."""

import itertools
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

from . import accounting
from .load import Load
from .mass import Mass
from .postgres import Postgres

# The short form runs in the gate; the long one is the programme.
PLANS = {
    "short": {"kills": 10, "pause": 0.02, "cuts": 4, "frozen_seconds": 7, "slow_clients": 60, "slow_kinds": 2, "idle_connections": 200, "calm_seconds": 1.0},
    "full": {"kills": 100, "pause": 0.0, "cuts": 60, "frozen_seconds": 20, "slow_clients": 400, "slow_kinds": 3, "idle_connections": 10_000, "calm_seconds": 5.0},
}


@dataclass
class Outcome:
    """A line of the table."""

    case: str
    database: str
    done: str
    account: accounting.Account
    calls: int
    interrupted: int
    slowest: float
    # Of the program that was tried.
    commit: str
    notes: list = field(default_factory=list)

    @property
    def faults(self):
        return self.account.faults


class Run:
    def __init__(self, binary, plan, work):
        self.binary, self.plan, self.work = binary, plan, work
        self._names = itertools.count()
        self._shared = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._shared:
            self._shared.__exit__()

    def folder(self):
        folder = self.work / f"case-{next(self._names)}"
        folder.mkdir(mode=0o755)
        return folder

    @property
    def postgres(self):
        """The PostgreSQL server that cases share; each has a database of its own there."""
        if self._shared is None:
            self._shared = Postgres(self.folder() / "postgres").create()
        return self._shared

    def database_url(self, database):
        """The address of an empty database. None is an SQLite file in the data folder."""
        return self.postgres.new_database(f"mass_{next(self._names)}") if database == "postgres" else None

    def mass(self, database, settings=None, **options):
        url = self.database_url(database)
        return Mass(self.binary, self.folder() / "data", url, settings, **options)

    def load(self, mass, token, port=None, **options):
        return Load(port or mass.port, token, pause=self.plan["pause"], **options)

    @contextmanager
    def loaded(self, database, settings=None, **options):
        """A fresh server under load."""
        with self.mass(database, settings) as mass, self.load(mass, mass.new_key(), **options) as load:
            load.until_acknowledged(30)
            yield mass, load

    def settle(self, case, database, done, mass, load, notes=(), may_lose=False):
        """Ends the load, counts, stops the server and verifies the audit trail."""
        mass.until_ready()
        # What a fault leaves behind often shows at the next calls only.
        load.until_acknowledged(50)
        load.finish()
        commit = mass.connection().call("GET", "/version").json()["commit"]
        account = accounting.balance(load, mass, may_lose)
        if not mass.stop():
            account.fault(f"MASS ended with {mass.process.returncode} after SIGTERM")
        if not may_lose:
            accounting.verify(load, mass, account)
        for word in ("panicked", "500 Internal"):
            if word in mass.log():
                account.fault(f"MASS's log: {word}: {mass.log()[:2000]}")
        return Outcome(case, database, done, account, load.calls, load.interrupted, load.slowest, commit, list(notes))

    def calm(self):
        time.sleep(self.plan["calm_seconds"])
