"""HTTP/1.1 with keep-alive, as a careful client speaks it."""

import http.client
import json
import time
from dataclasses import dataclass, field


# The server closes a connection that has been idle for 5 seconds, perhaps at the moment when the next request comes.
REUSED_WITHIN_SECONDS = 3


@dataclass
class Answer:
    status: int
    headers: dict = field(repr=False)
    body: bytes

    def json(self):
        return json.loads(self.body)

    def lines(self):
        return [json.loads(line) for line in self.body.splitlines() if line]


class Connection:
    def __init__(self, port, token=None, timeout=60):
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        self._last = 0.0

    def call(self, method, path, body=None, **headers):
        """Sends a request and reads the whole answer. OSError if there is none, TimeoutError if it takes too long."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()} | self.headers
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        if time.monotonic() - self._last > REUSED_WITHIN_SECONDS:
            self.close()
        try:
            self._http.request(method, path, body, headers)
            answer = self._http.getresponse()
            answered = Answer(answer.status, dict(answer.getheaders()), answer.read())
            self._last = time.monotonic()
            return answered
        except http.client.HTTPException as error:
            self.close()
            raise ConnectionError(f"{type(error).__name__}: {error}") from error
        except OSError:
            self.close()
            raise

    def close(self):
        self._http.close()
