"""PostgreSQL servers that can be killed, stopped, cloned and promoted; what they commit is on the disk."""

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from .surroundings import Impossible, children, free_port, gone, until

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "on",
    "max_connections": "150",
    "shared_buffers": "64MB",
    "max_wal_senders": "4",
    "wal_level": "replica",
    # What nobody waits for stays in memory for long, so that a kill loses it.
    "wal_writer_delay": "10s",
    "wal_writer_flush_after": "1GB",
    # Minutes of a soak show what hours do.
    "autovacuum_naptime": "10s",
}


def _programs():
    folders = [Path(found).parent] if (found := shutil.which("initdb")) else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))
    for folder in folders:
        if all((folder / name).exists() for name in ("initdb", "postgres", "psql", "pg_basebackup")):
            return folder
    raise Impossible("install the PostgreSQL server (15 or newer), with pg_basebackup")


def _identity():
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise Impossible("PostgreSQL needs a user that is not root: make one called postgres")


class Postgres:
    def __init__(self, folder, settings=None, data=None):
        self.programs, self.identity = _programs(), _identity()
        self.folder, self.port = folder, free_port()
        self.data = data or folder / "data"
        self.settings = SETTINGS | (settings or {})
        self.process = None
        folder.mkdir(exist_ok=True)
        if self.identity:
            os.chown(folder, self.identity["user"], self.identity["group"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.thaw()
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()

    def _run(self, name, *arguments):
        command = [str(self.programs / name), *map(str, arguments)]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, **self.identity)
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {done.stdout}{done.stderr}")
        return done.stdout

    def create(self, *options):
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", *options)
        self.start()
        return self

    def clone(self, primary_port, name):
        """Becomes a streaming replica of the server at this port."""
        self._run("pg_basebackup", "-D", self.data, "-h", "127.0.0.1", "-p", primary_port, "-U", "postgres", "-X", "stream", "-c", "fast",
                  "--write-recovery-conf", "-d", f"application_name={name}")
        self.start()
        return self

    def start(self):
        """Starts, and waits until it answers."""
        self.launch()
        until(self.answers, "PostgreSQL starts")

    def launch(self):
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        command = [self.programs / "postgres", "-D", self.data, "-k", self.folder, "-p", str(self.port), *options]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self.identity)

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended: {self.last_lines()}")
        try:
            return self.psql("SELECT 1") == "1"
        except RuntimeError:
            return False

    def last_lines(self):
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def psql(self, sql, database="postgres"):
        command = [self.programs / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port),
                   "-U", "postgres", "-d", database, "-c", sql]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"psql: {done.stderr}")
        return done.stdout.strip()

    def new_database(self, name):
        self.psql(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, database, port=None):
        return f"postgres://postgres@127.0.0.1:{port or self.port}/{database}"

    def _family(self):
        """Its processes. Stops the first, so that it starts no more."""
        self.process.send_signal(signal.SIGSTOP)
        return [self.process.pid, *children(self.process.pid)]

    def kill(self):
        """Kills all its processes, with what they have not written yet."""
        family = self._family()
        for pid in family:
            _send(pid, signal.SIGKILL)
        self.process.wait()
        # The next server refuses to start beside them.
        until(lambda: all(gone(pid) for pid in family), "PostgreSQL's processes end")

    def freeze(self):
        for pid in self._family():
            _send(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in [*children(self.process.pid), self.process.pid]:
            _send(pid, signal.SIGCONT)

    def promote(self):
        self.psql("SELECT pg_promote()")
        until(lambda: self.psql("SELECT pg_is_in_recovery()") == "f", "the replica takes over")


def _send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
