"""What grows under steady load, and should not."""

import sqlite3
import statistics
import time
from dataclasses import dataclass

from .surroundings import held_by

SAMPLES = 180
# Tables with more rows than that are judged by the bytes of a row, others by their size: queues, heads of logs.
MANY_ROWS = 2_000
MIB = 1 << 20


@dataclass
class Quantity:
    """A quantity that has to stay flat. `allowed` says how much it may be at the end, of what it was after a third of the time."""

    name: str
    unit: str
    allowed: object
    values: list


def slightly_more(absolute, share):
    return lambda before: before * (1 + share) + absolute


class Endurance:
    """Samples a server and its database until the time is over."""

    def __init__(self, mass, load, postgres=None, database=None):
        self.mass, self.load, self.postgres, self.database = mass, load, postgres, database
        self.quantities = {}
        self.samples = 0

    def watch(self, seconds):
        end = time.monotonic() + seconds
        pause = max(1.0, seconds / SAMPLES)
        while (left := end - time.monotonic()) > 0 and not self.load.violations:
            self._sample()
            time.sleep(min(pause, left))

    def judged(self):
        """Each quantity with its median of the second third of the time, that of the last third, and what is allowed."""
        rows = []
        for quantity in self.quantities.values():
            third = len(quantity.values) // 3
            # A table that has had many rows for a part of the time is in two quantities: one of them says little.
            if third == 0 or len(quantity.values) < self.samples * 0.6:
                continue
            before = statistics.median(quantity.values[third:2 * third])
            after = statistics.median(quantity.values[2 * third:])
            rows.append((quantity.name, quantity.unit, before, after, quantity.allowed(before)))
        return rows

    def _note(self, name, unit, allowed, value):
        self.quantities.setdefault(name, Quantity(name, unit, allowed, [])).values.append(value)

    def _sample(self):
        self.samples += 1
        held = self.mass.held()
        self._note("memory", "MiB", slightly_more(8, 0.10), held["memory"])
        self._note("open handles", "", slightly_more(8, 0), held["handles"])
        self._note("threads", "", slightly_more(4, 0), held["threads"])
        if self.postgres:
            self._sample_postgres()
        else:
            self._sample_sqlite()

    def _sample_sqlite(self):
        path = self.mass.folder / "mass.db"
        self._note("size of the write-ahead log", "MiB", slightly_more(4, 0.5), path.with_name("mass.db-wal").stat().st_size / MIB)
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as connection:
            pages, = connection.execute("PRAGMA page_count").fetchone()
            size, = connection.execute("PRAGMA page_size").fetchone()
            free, = connection.execute("PRAGMA freelist_count").fetchone()
            requests, = connection.execute("SELECT count(*) FROM mass_requests").fetchone()
        connection.close()
        if requests > MANY_ROWS:
            self._note("bytes of the file per request", "", slightly_more(0, 0.15), pages * size / requests)
        self._note("free pages of the file", "%", slightly_more(5, 0), 100 * free / pages)

    def _sample_postgres(self):
        held = held_by(self.postgres.process.pid)
        self._note("PostgreSQL's main process: memory", "MiB", slightly_more(8, 0.10), held["memory"])
        backends = self.postgres.psql(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{self.database}'")
        self._note("connections to PostgreSQL", "", slightly_more(4, 0), int(backends))
        tables = self.postgres.psql(
            "SELECT relname, pg_total_relation_size(relid), n_live_tup, n_dead_tup FROM pg_stat_user_tables ORDER BY relname", self.database)
        for line in tables.splitlines():
            name, size, live, dead = line.split("|")
            size, live, dead = int(size), int(live), int(dead)
            if live > MANY_ROWS:
                self._note(f"{name}: bytes per row, with indexes", "", slightly_more(0, 0.15), size / live)
                self._note(f"{name}: dead rows", "%", slightly_more(10, 0), 100 * dead / (live + dead))
            elif size > MIB / 4:
                self._note(f"{name}: size, with indexes", "MiB", slightly_more(1, 0.25), size / MIB)
