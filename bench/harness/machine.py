"""The machine, and what processes take of it."""

import os
import platform
import re
import subprocess
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).resolve().parents[2]


def _first(path, pattern):
    found = re.search(pattern, Path(path).read_text(), re.MULTILINE)
    return found.group(1) if found else "unknown"


def _said(*command):
    try:
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def facts(work):
    return {
        "processor": _first("/proc/cpuinfo", r"^model name\s*: (.*)$"),
        "cores": os.cpu_count(),
        "memory_mib": int(_first("/proc/meminfo", r"^MemTotal:\s*(\d+)")) // 1024,
        "kernel": platform.release(),
        "file_system": _said("stat", "--file-system", "--format=%T", str(work)),
        "load_before": os.getloadavg()[0],
        "rustc": _said("rustc", "--version"),
        "postgres": _said("psql", "--version"),
        "sqlite3": _said("sqlite3", "--version").split(" ")[0],
    }


def commit():
    """The commit, and whether the program's own files differ from it."""
    changed = _said("git", "status", "--porcelain", "--", "Cargo.lock", "Cargo.toml", "crates", "migrations")
    return _said("git", "rev-parse", "--short=12", "HEAD") + (" with changes" if changed else "")


def _stat(pid):
    # The name, in brackets, may hold anything.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_seconds(pid):
    """What a process has computed so far, in all its threads."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS


def family_cpu_seconds(pid):
    """The same with its children: those that live, and those whose end it has seen."""
    total = sum(int(field) for field in _stat(pid)[11:15]) / TICKS
    for child in Path("/proc").glob("[0-9]*"):
        try:
            if int(_stat(child.name)[1]) == pid:
                total += cpu_seconds(child.name)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def memory_mib(pid):
    """What a process holds in memory now, and the most that it did: both in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    now, peak = (int(re.search(rf"^{name}:\s*(\d+)", status, re.MULTILINE).group(1)) for name in ("VmRSS", "VmHWM"))
    return now / 1024, peak / 1024


def forget_peak(pid):
    """Lets the most memory that a process held count anew from now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
