"""Clients that are slow, and clients that do nothing."""

import socket
import time

from .surroundings import PATIENCE_SECONDS, allow_files, open_at, waiting_at

# Beside the connections of a case: files of the database, of the log, of the load.
FURTHER_FILES = 500
ENOUGH = 0.9
# Fewer than wait to be accepted at most.
AT_ONCE = 500

LONG_ANSWER = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: mass\r\n\r\n"
HEAD = b"GET /health HTTP/1.1\r\nHost: mass\r\nX-Slow: " + b"x" * 10_000
BODY_HEAD = b"POST /v1/mass-requests HTTP/1.1\r\nHost: mass\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n\r\n"


class _Slow:
    """A connection on which a byte is sent now and then, and nothing is read."""

    def __init__(self, mass, at_once, later):
        self.socket = socket.socket()
        # Little is on its way to a client that does not read.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(PATIENCE_SECONDS)
        self.socket.connect(("127.0.0.1", mass.port))
        self.socket.sendall(at_once)
        self.socket.setblocking(False)
        self.later = iter(later)

    def go_on(self):
        for byte in self.later:
            try:
                self.socket.send(bytes([byte]))
            except OSError:
                self.later = iter(b"")
            break


def slow_clients(run, database):
    """Slow readers and writers are dropped in time, take little memory, and nobody else notices them."""
    count = run.plan["slow_clients"]
    allow_files(count + FURTHER_FILES)
    settings = {"MASS_WRITE_TIMEOUT_SECONDS": "2", "MASS_MAX_CONNECTIONS_PER_ADDRESS": "0"}
    with run.loaded(database, settings, may_interrupt=False) as (mass, load):
        before = mass.held()
        body_head = BODY_HEAD % load.token.encode()
        kinds = [(LONG_ANSWER, b""), (b"", HEAD), (body_head, b" " * 9_000)][:run.plan["slow_kinds"]]
        slow = [_Slow(mass, *kinds[number % len(kinds)]) for number in range(count)]
        seconds, peak = _watch(mass, [connection.socket for connection in slow], lambda: [connection.go_on() for connection in slow])
        _judge_memory(load, before, peak, count)
        for connection in slow:
            connection.socket.close()
        return run.settle("clients are slow", database, f"{count}: readers that stop, heads {'and bodies ' if len(kinds) > 2 else ''}byte by byte", mass, load,
                          [f"all dropped within {seconds:.0f} s", f"{peak - before['memory']:.0f} MiB more memory"])


def idle_connections(run, database):
    """Connections that say nothing cost little, hinder nobody, and are closed."""
    count = run.plan["idle_connections"]
    allow_files(count + FURTHER_FILES)
    settings = {"MASS_MAX_CONNECTIONS": str(count + FURTHER_FILES), "MASS_MAX_CONNECTIONS_PER_ADDRESS": "0"}
    with run.loaded(database, settings, may_interrupt=False) as (mass, load):
        mass.allow_files(count + 2 * FURTHER_FILES)
        before = mass.held()
        idle = _open_silent(mass, count)
        open_at_once = _most_open(mass, idle)
        if open_at_once < count * ENOUGH:
            load.violation(f"only {open_at_once:,} of {count:,} connections were open at once: this machine is too slow or too busy to try it")
        acknowledged = load.acknowledged
        seconds, peak = _watch(mass, idle, lambda: None)
        if load.acknowledged == acknowledged:
            load.violation("nothing was stored beside the idle connections")
        _judge_memory(load, before, peak, count)
        for connection in idle:
            connection.close()
        return run.settle("connections are idle", database, f"{count:,} connections", mass, load,
                          [f"{open_at_once:,} open at once", f"closed by the server {seconds:.0f} s later",
                           f"{(peak - before['memory']) * 1024 / count:.1f} KiB each"])


def _open_silent(mass, count):
    """Connections that are being established, as fast as the server accepts them: the last has to be open before the first is
    closed, and one that finds no room to wait in is only tried again a second later."""
    connections = []
    for number in range(count):
        while number % AT_ONCE == 0 and waiting_at(mass.port):
            time.sleep(0.001)
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(("127.0.0.1", mass.port))
        connections.append(connection)
    return connections


def _most_open(mass, connections):
    """The most that are open at once, seen until they become fewer."""
    most, ports = 0, _ports(connections)
    while (now := open_at(mass.port, ports)) >= most and now < len(ports):
        most = now
        time.sleep(0.05)
    return max(most, now)


def _ports(connections):
    return [connection.getsockname()[1] for connection in connections]


def _watch(mass, connections, step):
    """Waits until the server has closed all of these. Returns how long that took, and the most memory."""
    begin, peak, ports = time.monotonic(), 0, _ports(connections)
    while left := open_at(mass.port, ports):
        step()
        peak = max(peak, mass.held()["memory"])
        if time.monotonic() - begin > PATIENCE_SECONDS:
            raise RuntimeError(f"{left} connections of {len(ports)} are still open after {PATIENCE_SECONDS} s")
        time.sleep(0.2)
    return time.monotonic() - begin, peak


def _judge_memory(load, before, peak, count):
    # What a connection may hold by docs/operations.md, and as much again for what a page of memory has beside it.
    allowed = before["memory"] + count * 64 / 1024 + 64
    if peak > allowed:
        load.violation(f"{peak:.0f} MiB of memory, {before['memory']:.0f} before: more than {allowed:.0f} MiB")
