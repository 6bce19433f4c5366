"""A PostgreSQL cluster of this run's own, as durable as one in production: what is committed is on the disk."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

from . import machine

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "max_connections": "400",
}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _binaries():
    folders = [Path(found).parent] if (found := shutil.which("initdb")) else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "pgbench").exists():
            return folder
    raise SystemExit("bench: install the PostgreSQL server (15 or newer), with pgbench")


def slow_disk(work):
    """Builds what makes each flush take two milliseconds more; returns its path."""
    library = work / "slow_disk.so"
    command = ["cc", "-O2", "-shared", "-fPIC", "-o", library, Path(__file__).parent / "slow_disk.c", "-ldl"]
    subprocess.run(command, check=True)
    library.chmod(0o755)
    return library


class Cluster:
    """`preloaded`: a library that is put before the system's."""

    def __init__(self, work, name="postgres", preloaded=None):
        self.bin = _binaries()
        self.folder = work / name
        self.preloaded = preloaded
        self.port = free_port()
        self.databases = []
        self.folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")

    def __enter__(self):
        self._server_program("initdb", "-D", self.folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8",
                             "--no-locale")
        options = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
        try:
            self._server_program("pg_ctl", "-D", self.folder / "data", "-l", self.folder / "log", "-w", "start", "-o",
                                 f"-p {self.port} -k {self.folder} {options}")
            self.postmaster = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
            # Not a superuser, which row-level security and checks of rights pass by.
            self.psql("postgres", "CREATE ROLE mass LOGIN", user="postgres")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if (self.folder / "data" / "postmaster.pid").exists():
            self._server_program("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "stop")

    def _server_program(self, name, *arguments):
        # PostgreSQL refuses to run as root.
        user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        preload = ["env", f"LD_PRELOAD={self.preloaded}"] if self.preloaded and name == "pg_ctl" else []
        command = [*user, *preload, str(self.bin / name), *map(str, arguments)]
        done = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if name == "initdb"
                              else subprocess.DEVNULL, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{name} failed: {done.stdout or ''}")

    def url(self, database):
        return f"postgres://mass@127.0.0.1:{self.port}/{database}"

    def create(self, database):
        self.psql("postgres", f"CREATE DATABASE {database} OWNER mass", user="postgres")
        self.databases.append(database)
        return self.url(database)

    def drop_all(self):
        while self.databases:
            self.psql("postgres", f"DROP DATABASE {self.databases.pop()} WITH (FORCE)", user="postgres")

    def psql(self, database, sql, user="mass"):
        command = [self.bin / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p",
                   str(self.port), "-U", user, "-d", database, "-c", sql]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"psql: {done.stderr}")
        return done.stdout.strip()

    def settle(self):
        """Writes down what earlier points left dirty, so that no point pays for its neighbour."""
        self.psql("postgres", "CHECKPOINT", user="postgres")

    def analyse(self, url):
        """Lets the planner know what the requests of a database are like, as it would after a minute."""
        self.psql(url.rpartition("/")[2], "VACUUM ANALYZE mass_requests", user="postgres")

    def cpu_seconds(self):
        return machine.family_cpu_seconds(self.postmaster)
