"""The servers under test."""

import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request

from . import machine

PASSWORD = "correct horse battery staple"
START_SECONDS = 60
STOP_SECONDS = 60


class Server:
    """A process that tells on its first line where it listens."""

    def __init__(self, command, environment, folder):
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._peak = 0.0
        begin = time.perf_counter()
        with open(folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log,
                                            text=True)
        timer = threading.Timer(START_SECONDS, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line:
            tail = (folder / "log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{command[0]} did not start (status {self.process.wait()}): {tail}")
        self.said = line
        self.start_seconds = time.perf_counter() - begin

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()

    @property
    def pid(self):
        return self.process.pid

    def cpu_seconds(self):
        return machine.cpu_seconds(self.pid)

    def peak_mib(self):
        """The most memory since the start."""
        return max(self._peak, machine.memory_mib(self.pid)[1])

    def measure_peak(self):
        """Begins to measure a peak of its own: what is held now."""
        self._peak = self.peak_mib()
        machine.forget_peak(self.pid)
        return machine.memory_mib(self.pid)[0]


class HangingEngine(Server):
    """An engine that takes every question and answers none."""

    def __init__(self, binary, folder):
        command = [binary, "engine", "--port", "0", "--hang", "1"]
        super().__init__(command, {"PATH": os.environ["PATH"]}, folder)
        self.url = next(word for word in self.said.split() if word.startswith("http://"))


class Mass(Server):
    def __init__(self, binary, url, folder, *, log, secret, settings=None):
        # Only PATH is inherited, and the folder holds no .env: nobody's own settings are measured.
        environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": url,
            "MASS_DATA_DIR": str(folder),
            "MASS_PORT": "0",
            "MASS_ADMIN_PASSWORD": PASSWORD,
            "MASS_RATE_LIMIT_PER_MINUTE": "0",
            "MASS_LOG": log,
            "SECRET_KEY": secret,
            "ACCESS_TOKEN_EXPIRE_MINUTES": "1440",
        } | (settings or {})
        self.environment = environment
        self.binary = binary
        super().__init__([binary, "serve", "--json"], environment, folder)
        announced = json.loads(self.said)
        self.url, self.email = announced["url"].rstrip("/"), announced["admin"]["email"]
        self.address = self.url.removeprefix("http://")
        self._token = None

    @property
    def token(self):
        """The file with the administrator's access token."""
        if self._token is None:
            answer = self.post("/v1/auth/login", {"email": self.email, "password": PASSWORD})
            self._token = self.folder / "token"
            self._token.touch(mode=0o600)
            self._token.write_text(answer["access_token"])
        return self._token

    def post(self, path, body):
        return self._ask(path, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def put(self, path, text, media_type):
        headers = {"Authorization": f"Bearer {self.token.read_text()}", "Content-Type": media_type}
        return self._ask(path, text.encode(), headers, method="PUT")

    def get(self, path):
        return self._ask(path, None, {"Authorization": f"Bearer {self.token.read_text()}"})

    def _ask(self, path, body, headers, method=None):
        request = urllib.request.Request(f"{self.url}{path}", data=body, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {error.read().decode()[:500]}") from error

    def command(self, *arguments, text=""):
        """Runs another command of the program on the same database."""
        done = subprocess.run([self.binary, *arguments], env=self.environment, cwd=self.folder, input=text,
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"mass {arguments[0]}: {done.stderr}")


class Peer(Server):
    def __init__(self, binary, *, database_url, insert_url, secret, folder):
        folder.mkdir(exist_ok=True)
        key = folder / "secret"
        key.touch(mode=0o600)
        key.write_text(secret)
        command = [binary, "--database-url", database_url, "--insert-url", insert_url, "--secret-key", key]
        super().__init__(command, {"PATH": os.environ["PATH"]}, folder)
        self.address = self.said.strip().removeprefix("http://")
