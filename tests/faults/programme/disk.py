"""A disk that is full, and has room again."""

from .mass import Mass
from .postgres import Postgres
from .surroundings import SmallDisk, until

REFUSALS = 10
PROBES = 10
TABLES = "the disk of the tables"


def full_disk(run, database):
    folder = run.folder()
    if database == "sqlite":
        with SmallDisk(folder / "disk", 40) as disk, Mass(run.binary, folder / "disk" / "data") as mass:
            return _full(run, database, mass, lambda: None, {"the disk": disk})
    with SmallDisk(folder / "tables", 120) as tables, SmallDisk(folder / "log", 40) as log, \
            Postgres(folder / "postgres", {"max_wal_size": "16MB"}, tables.folder / "postgres") as postgres:
        postgres.create("--wal-segsize=1", "--waldir", log.folder / "wal")
        with Mass(run.binary, folder / "data", postgres.new_database("mass")) as mass:
            return _full(run, database, mass, lambda: _revive(postgres), {TABLES: tables, "that of the write-ahead log": log})


def _revive(postgres):
    """PostgreSQL ends where it cannot write its log even in recovery; its supervisor starts it again."""
    if postgres.process.poll() is not None:
        postgres.launch()
    until(postgres.answers, "PostgreSQL recovers")


def _full(run, database, mass, revive, disks):
    """What is stored must stay, what is refused must be said to be, and all must go on by itself."""
    with run.load(mass, mass.new_key()) as load:
        load.until_acknowledged(30)
        for name, disk in disks.items():
            disk.fill()
            refused = load.interrupted + REFUSALS
            until(lambda: load.interrupted >= refused or load.violations, f"it is noticed that {name} is full")
            # Between two attempts to write its log, PostgreSQL recovers, and is ready for a moment.
            until(lambda: not mass.is_ready(), f"/ready tells that {name} is full")
            if name == TABLES and any(mass.is_ready() for _ in range(PROBES)):
                load.violation(f"/ready is 200 while {name} is full")
            if mass.connection().call("GET", "/health").status != 200:
                load.violation(f"/health fails when {name} is full")
            disk.empty()
            revive()
            mass.until_ready()
            load.until_acknowledged(50)
        return run.settle("the disk is full, and has room again", database, " and ".join(disks), mass, load)
