"""What the cases of several modules do."""

import subprocess


def in_turn(number, *turns):
    """Does all of these, in an order that changes from round to round: what the machine does falls on all alike."""
    for turn in turns if number % 2 else reversed(turns):
        turn()


def sqlite3_command(database, script):
    subprocess.run(["sqlite3", "-bail", database], input=script, text=True, check=True, stdout=subprocess.DEVNULL)
