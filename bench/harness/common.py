"""What the cases of several modules do."""

import csv
import re
import sqlite3
import subprocess
import time


def in_turn(number, *turns):
    """Does all of these, in an order that changes from round to round: what the machine does falls on all alike."""
    for turn in turns if number % 2 else reversed(turns):
        turn()


def sqlite3_command(database, script):
    subprocess.run(["sqlite3", "-bail", database], input=script, text=True, check=True, stdout=subprocess.DEVNULL)


def copied_again(run, server, database, table):
    """How long the database's own tool takes for the same rows of a table into one with the same key and indexes."""
    return _copy_again(run, server, table) if database == "postgres" else _import_again(server, table)


def _copy_again(run, server, table):
    database = server.environment["DATABASE_URL"].rpartition("/")[2]
    file = server.folder / "rows"
    run.cluster.psql(database, f"\\copy {table} to '{file}'")
    run.cluster.psql(database, f"CREATE TABLE copied (LIKE {table} INCLUDING ALL)")
    run.cluster.settle()
    begin = time.perf_counter()
    run.cluster.psql(database, f"\\copy copied from '{file}'")
    return time.perf_counter() - begin


def _import_again(server, table):
    """As safe from a power cut.

    .import reads text alone: the bytes of ids and fingerprints come as hexadecimal digits, columns without values not at all.
    """
    source = sqlite3.connect(server.environment["DATABASE_URL"].removeprefix("sqlite://"))
    columns = source.execute(f"SELECT name, type, pk FROM pragma_table_info('{table}')").fetchall()
    used = source.execute(f"SELECT {', '.join(f'count({name})' for name, *_ in columns)} FROM {table}").fetchone()
    empty = {name for (name, *_), count in zip(columns, used) if not count}
    columns = [column for column in columns if column[0] not in empty]
    selected = ", ".join(f"lower(hex({name}))" if kind == "BLOB" else name for name, kind, _ in columns)
    rows, target = server.folder / "rows.csv", server.folder / "imported.db"
    with open(rows, "w", newline="") as out:
        csv.writer(out).writerows(source.execute(f"SELECT {selected} FROM {table}"))
    setup = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;\n"
    declared = ", ".join(f"{name} {'TEXT' if kind == 'BLOB' else kind} NOT NULL" for name, kind, _ in columns)
    key = ", ".join(name for place, name in sorted((place, name) for name, _, place in columns) if place)
    without_rowid, = source.execute("SELECT wr FROM pragma_table_list WHERE name = ?", [table]).fetchone()
    options = "STRICT, WITHOUT ROWID" if without_rowid else "STRICT"
    created = f"CREATE TABLE {table} ({declared}, PRIMARY KEY ({key})) {options};\n"
    sqlite3_command(target, setup + created + _indexes_without(source, table, empty))
    begin = time.perf_counter()
    sqlite3_command(target, f"{setup}.import --csv {rows} {table}\n")
    took = time.perf_counter() - begin
    imported, stored = (database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                        for database in (sqlite3.connect(target), source))
    if imported != stored:
        raise RuntimeError(f".import took {imported} of {stored} rows")
    return took


def _indexes_without(source, table, columns):
    """The indexes of a table that hold anything when these columns do not."""
    names = "|".join(columns) or "(?!)"
    # That of the primary key has no text.
    found = source.execute(
        "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type = 'index' AND sql IS NOT NULL", [table])
    kept = (re.sub(rf"\s+(WHERE|AND) ({names}) IS NULL", "", sql) for (sql,) in found.fetchall())
    return "".join(f"{sql};\n" for sql in kept if not re.search(rf"\b({names})\b", sql))
