"""Processes that are killed under load."""

import random

from .load import INDEPENDENT, OPERATIONS
from .mass import Mass
from .postgres import Postgres
from .proxy import Proxy
from .surroundings import until

# A moment of the load's choosing: within a transaction, within its commit, within an answer.
LONGEST_WAIT = 0.15


def _wait(load, dice):
    load.until_acknowledged(dice.randrange(3, 20))
    load.stopping.wait(dice.random() * LONGEST_WAIT)


def kills_of_mass(run, database):
    kills, dice = run.plan["kills"], random.Random(19)
    with run.loaded(database) as (mass, load):
        for _ in range(kills):
            _wait(load, dice)
            mass.kill()
            mass.start()
        return run.settle("MASS is killed (`kill -9`)", database, f"{kills} kills", mass, load)


def kills_of_postgres(run, database):
    kills, dice = run.plan["kills"], random.Random(19)
    # Enough of them that commits share flushes.
    with run.loaded(database, clients=16) as (mass, load):
        for _ in range(kills):
            _wait(load, dice)
            run.postgres.kill()
            run.postgres.start()
            mass.until_ready()
        return run.settle("PostgreSQL is killed (`kill -9`)", database, f"{kills} kills of all its processes", mass, load)


def synchronous_failover(run, database):
    """The primary is lost at a moment when the replica lags: nothing that was acknowledged may depend on the primary."""
    with _Pair(run, synchronous=True) as pair, pair.loaded() as (mass, load):
        pair.fall_behind(load)
        pair.fail_over()
        return run.settle("failover to a synchronous replica", database, "the replica lags, then the primary is killed", mass, load)


def asynchronous_failover(run, database):
    """What an asynchronous replica has not got is lost, and the audit trail says so."""
    with _Pair(run, synchronous=False) as pair, pair.loaded() as (mass, load):
        before = load.acknowledged
        pair.fall_behind(load)
        kept = pair.checkpoint(mass, load)
        behind = load.acknowledged - before
        pair.fail_over()
        outcome = run.settle("failover to an asynchronous replica", database,
                             "the replica lags, then the primary is killed", mass, load, may_lose=True)
        said = mass.command("audit", "verify", "--live", "--tenant", "default", "--checkpoint", kept)
        if said.returncode != 2:
            outcome.account.fault(f"the cut audit trail verifies: {said.returncode}: {said.stdout}{said.stderr}")
        if mass.command("audit", "verify", "--live", "--tenant", "default").returncode != 0:
            outcome.account.fault("what is left of the audit trail does not verify")
        if not outcome.account.lost:
            outcome.account.fault("nothing was lost, so that this shows nothing")
        outcome.notes.append(f"the replica was {behind} documents behind; a kept checkpoint shows the cut")
        return outcome


class _Pair:
    """A primary and its streaming replica, behind an address that follows the primary."""

    def __init__(self, run, synchronous):
        self.run, folder = run, run.folder()
        self.primary = Postgres(folder / "primary", {"synchronous_standby_names": "replica"} if synchronous else {})
        self.replica = Postgres(folder / "replica")
        self.synchronous, self.folder = synchronous, folder

    def __enter__(self):
        self.primary.create()
        # The replica's stream can be held, and the server's connections can be led elsewhere.
        self.stream = Proxy(self.primary.port)
        self.address = Proxy(self.primary.port)
        self.replica.clone(self.stream.port, "replica")
        state = "sync" if self.synchronous else "async"
        try:
            until(lambda: self.primary.psql("SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'") == state, "the replica streams")
        except RuntimeError as error:
            senders = self.primary.psql("SELECT pid, application_name, state, sync_state, sent_lsn, flush_lsn FROM pg_stat_replication")
            raise RuntimeError(f"{error}\nsenders: {senders}\nprimary: {self.primary.last_lines()}\nreplica: {self.replica.last_lines()}") from error
        return self

    def __exit__(self, *_):
        for part in (self.replica, self.primary, self.stream, self.address):
            part.__exit__()

    def loaded(self):
        self.primary.new_database("mass")
        mass = Mass(self.run.binary, self.folder / "data", self.primary.url("mass", self.address.port),
                    {"MASS_DATABASE_TIMEOUT_SECONDS": "3"})
        return _Loaded(self.run, mass, OPERATIONS if self.synchronous else INDEPENDENT)

    def fall_behind(self, load):
        """Holds the stream while the load goes on: with a synchronous replica, nothing may be acknowledged any more."""
        self.stream.hold()
        if self.synchronous:
            load.stopping.wait(1)
            before = load.acknowledged
            load.stopping.wait(5)
            if load.acknowledged != before:
                load.violation(f"{load.acknowledged - before} documents were acknowledged while the synchronous replica was away")
        else:
            load.until_acknowledged(200)

    def checkpoint(self, mass, load):
        answer = mass.connection(load.token).call("GET", "/v1/audit/checkpoint")
        kept = self.folder / "kept"
        kept.write_text(answer.json()["checkpoint"])
        return kept

    def fail_over(self):
        self.primary.kill()
        self.stream.cut()
        self.replica.promote()
        self.address.target_port = self.replica.port
        self.address.cut()


class _Loaded:
    def __init__(self, run, mass, operations):
        self.run, self.mass, self.operations = run, mass, operations

    def __enter__(self):
        self.mass.start()
        self.load = self.run.load(self.mass, self.mass.new_key(), operations=self.operations)
        self.load.__enter__()
        self.load.until_acknowledged(30)
        return self.mass, self.load

    def __exit__(self, *_):
        self.load.__exit__()
        self.mass.__exit__()
