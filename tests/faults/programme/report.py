"""The tables of docs/reliability.md, which runs alone write."""

import shlex
import time

from .surroundings import ROOT

PAGE = ROOT / "docs" / "reliability.md"


def write_rows(name, header, rows, command, commit):
    """Replaces the rows of the same first two cells in a table of the page, and adds what is new."""
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
    before, rest = PAGE.read_text().split(begin)
    table, after = rest.split(end)
    kept = {}
    for line in table.splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == len(header) + 1:
            kept[tuple(cells[:2])] = cells
    command = [word for word in command if word != "--write"]
    run = f"`{shlex.join(command)}`, {time.strftime('%Y-%m-%d', time.gmtime())}, commit {commit}"
    for cells in rows:
        kept[tuple(cells[:2])] = [*cells, run]
    lines = [[*header, "run"], ["---"] * (len(header) + 1), *kept.values()]
    PAGE.write_text(before + begin + "".join(f"| {' | '.join(cells)} |\n" for cells in lines) + end + after)


FAULTS = ["fault", "database", "what was done", "documents acknowledged", "lost", "doubled", "calls", "of them without an answer, or 503",
          "longest call", "found"]


def fault_row(outcome):
    account = outcome.account
    found = "; ".join([*outcome.notes, *(f"**{fault}**" for fault in outcome.faults)]).replace("|", "\\|").replace("\n", " ")
    name = {"sqlite": "SQLite", "postgres": "PostgreSQL"}[outcome.database]
    return [outcome.case, name, outcome.done, f"{account.acknowledged:,}", str(account.lost), str(account.doubled), f"{outcome.calls:,}",
            f"{outcome.interrupted:,}", f"{outcome.slowest:.1f} s", found or "–"]
