"""Receives what MASS tells a webhook, and verifies that MASS has said it (Standard Webhooks).

    MASS_WEBHOOK_SECRET=whsec_… python3 webhook-receiver.py [PORT]

Prints one line of JSON for each notification. Needs nothing but Python.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

# What is older or newer than this may be a copy that somebody sends again.
TOLERANCE_SECONDS = 300
LONGEST_BODY = 1 << 20

KEY = base64.b64decode(os.environ["MASS_WEBHOOK_SECRET"].removeprefix("whsec_"))
seen = {}


def is_genuine(headers, body):
    message_id, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not sent_at.isdigit() or abs(time.time() - int(sent_at)) > TOLERANCE_SECONDS:
        return False
    signed = f"{message_id}.{sent_at}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
    # While a secret is rotated there are two signatures.
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(expected, signature) for signature in given)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("content-length", "0"))
        body = self.rfile.read(length) if length <= LONGEST_BODY else b""
        genuine = is_genuine(self.headers, body)
        self.send_response(204 if genuine else 400)
        self.end_headers()
        message_id = self.headers.get("webhook-id", "")
        # MASS sends a notification again if it has not heard that it was taken: the id tells it apart.
        if genuine and message_id not in seen:
            seen[message_id] = time.time()
            print(json.dumps(json.loads(body)), flush=True)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = HTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8080), Receiver)
    print(f"listening on port {server.server_port}", flush=True)
    server.serve_forever()
