"""Connections that break, and a database that hangs."""

import time

from .mass import Mass
from .proxy import Proxy

CUT_EVERY_SECONDS = 1.0


def cut_connections(run, database):
    """Clients' connections are reset every second, and those to PostgreSQL, too, in turn."""
    url = run.database_url(database)
    proxies = []
    if url:
        proxies.append(Proxy(run.postgres.port))
        url = url.replace(f":{run.postgres.port}/", f":{proxies[0].port}/")
    with Mass(run.binary, run.folder() / "data", url) as mass:
        proxies.append(Proxy(mass.port))
        with run.load(mass, mass.new_key(), proxies[-1].port) as load:
            for number in range(run.plan["cuts"]):
                time.sleep(CUT_EVERY_SECONDS)
                proxies[number % len(proxies)].cut()
            of = "of clients and of PostgreSQL, in turn" if url else "of clients"
            cut = sum(proxy.cut_connections for proxy in proxies)
            outcome = run.settle("connections are cut every second", database, f"all connections {of}, {run.plan['cuts']} times", mass, load,
                                 [f"{cut} connections"])
    for proxy in proxies:
        proxy.__exit__()
    return outcome


def frozen_postgres(run, database):
    """PostgreSQL stops as a whole with its connections open, as a machine does that loses its disk or its network."""
    seconds = run.plan["frozen_seconds"]
    with run.loaded(database, {"MASS_DATABASE_TIMEOUT_SECONDS": "3"}) as (mass, load):
        run.postgres.freeze()
        try:
            notes = _while_frozen(mass, load, seconds)
        finally:
            run.postgres.thaw()
        return run.settle("PostgreSQL stands still (`SIGSTOP`)", database, f"for {seconds} s", mass, load, notes)


def _while_frozen(mass, load, seconds):
    deadline = time.monotonic() + seconds
    connection = mass.connection()
    probes = refused = 0
    while time.monotonic() < deadline:
        if connection.call("GET", "/health").status != 200:
            load.violation("/health fails while PostgreSQL stands still")
        probes += 1
        refused += connection.call("GET", "/ready").status == 503
        time.sleep(0.2)
    if not refused:
        load.violation("/ready never noticed that PostgreSQL stands still")
    return [f"`/health` was 200 at {probes} of {probes} probes"]
