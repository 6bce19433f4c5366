"""MASS as a process that can be killed and started again at the same address."""

import json
import os
import resource
import signal
import subprocess
import threading

from .client import Connection
from .surroundings import PATIENCE_SECONDS, free_port, held_by, until

PASSWORD = "correct horse battery staple"
EMAIL = "admin@mass.local"


class Mass:
    def __init__(self, binary, folder, database_url=None, settings=None, arguments=()):
        folder.mkdir(exist_ok=True)
        self.binary, self.folder, self.port = binary, folder, free_port()
        self.arguments = arguments
        self.process = None
        self.starts = 0
        # Only PATH is inherited, and the folder holds no .env: nobody's own settings count.
        self.environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": database_url or f"sqlite://{folder}/mass.db",
            "MASS_DATA_DIR": str(folder),
            "MASS_PORT": str(self.port),
            "MASS_ADMIN_PASSWORD": PASSWORD,
            "MASS_BCRYPT_COST": "10",
            "MASS_RATE_LIMIT_PER_MINUTE": "0",
            "MASS_AUDIT_CHECKPOINT_SECONDS": "1",
            "MASS_STREAMS_PER_CREDENTIAL": "100",
            "MASS_STREAMS_PER_TENANT": "100",
            "MASS_DATABASE_TIMEOUT_SECONDS": "5",
            "MASS_LOG": "warn",
        } | (settings or {})

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def start(self):
        """Starts, and waits until it listens."""
        with open(self.folder / "mass.log", "ab") as log:
            command = [self.binary, "serve", "--json", *self.arguments]
            self.process = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=log, text=True)
        timer = threading.Timer(PATIENCE_SECONDS, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line:
            raise RuntimeError(f"MASS did not start (status {self.process.wait()}): {self.log()[-2000:]}")
        self.starts += 1
        return json.loads(line)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        """Has it drain, and tells whether it ended as it should."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS) == 0

    @property
    def is_running(self):
        return self.process.poll() is None

    def log(self):
        return (self.folder / "mass.log").read_text(errors="replace")

    def held(self):
        return held_by(self.process.pid)

    def allow_files(self, count):
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (count, max(count, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))

    def connection(self, token=None, timeout=60):
        return Connection(self.port, token, timeout)

    def is_ready(self):
        connection = self.connection(timeout=10)
        try:
            return connection.call("GET", "/ready").status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def until_ready(self):
        until(self.is_ready, "MASS is ready")

    def log_in(self):
        connection = self.connection()
        answer = connection.call("POST", "/v1/auth/login", {"email": EMAIL, "password": PASSWORD})
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"log-in: {answer}")
        return answer.json()["access_token"]

    def new_key(self):
        """A key of the load's, which does not expire."""
        connection = self.connection(self.log_in())
        wanted = {"name": "load", "permissions": ["mass:read", "mass:write", "audit:read", "analytics:read"]}
        answer = connection.call("POST", "/v1/admin/api-keys", wanted)
        connection.close()
        if answer.status != 201:
            raise RuntimeError(f"an API key: {answer}")
        return answer.json()["token"]

    def command(self, *arguments):
        """Runs another command of the program on the same database."""
        return subprocess.run([self.binary, *arguments], env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False)
