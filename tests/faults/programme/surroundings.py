"""What the run needs of the machine."""

import os
import random
import re
import resource
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

# Every wait in this programme is for something that comes within moments; beyond this it never will.
PATIENCE_SECONDS = 120


class Impossible(RuntimeError):
    """The machine lacks something; the sentence says what to do."""


def free_port():
    """A port that nobody has, and that the system gives to no connection before its server starts."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(10_000, max(first, 12_000))
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def until(met, what, seconds=PATIENCE_SECONDS):
    """Waits until `met()` is true, and returns what it returned."""
    deadline = time.monotonic() + seconds
    while not (found := met()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {seconds} s in vain: {what}")
        time.sleep(0.02)
    return found


def allow_files(count):
    """Lets this process, and those that it starts, open this number of files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
            return
        except (ValueError, PermissionError):
            raise Impossible(f"{count} open files are needed, and the limit is {hard}: raise it (ulimit -Hn)") from None
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def faketime_library():
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")) + sorted(Path("/usr").glob("lib*/faketime/libfaketimeMT.so.1"))
    if not found:
        raise Impossible("clock jumps need libfaketime: install the package faketime")
    return found[0]


def keep_mounts_private():
    """Begins this program anew where its mounts end with it, however it ends; only root can."""
    mark = "MASS_FAULTS_MOUNTS"
    if os.geteuid() == 0 and mark not in os.environ and shutil.which("unshare"):
        os.execvpe("unshare", ["unshare", "--mount", sys.executable, *sys.argv], os.environ | {mark: "private"})


class SmallDisk:
    """A file system of a few MiB, in memory, with a file that takes what is left when it is to be full."""

    def __init__(self, folder, mebibytes):
        self.folder = folder
        folder.mkdir()
        self._run("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=777", "tmpfs", str(folder))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Lazily: a process that was killed a moment ago may still hold a file.
        self._run("umount", "--lazy", str(self.folder))

    def fill(self):
        """Takes all the room, however much others write meanwhile."""
        with open(self.folder / "ballast", "ab", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(b"x" * 65536)
            except OSError:
                pass

    def empty(self):
        (self.folder / "ballast").unlink()

    def _run(self, *command):
        prefixes = [[]] if os.geteuid() == 0 else [["sudo", "-n"]]
        for prefix in prefixes:
            try:
                done = subprocess.run([*prefix, *command], capture_output=True, text=True, check=False)
            except FileNotFoundError:
                continue
            if done.returncode == 0:
                return
        raise Impossible("a full disk needs a small file system of its own: run as root, or where sudo -n may mount")


def gone(pid):
    """Tells whether a process has ended; a zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def children(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def held_by(pid):
    """Memory in MiB, open handles and threads of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    memory, threads = (int(re.search(rf"^{name}:\s*(\d+)", status, re.MULTILINE).group(1)) for name in ("VmRSS", "Threads"))
    return {"memory": memory / 1024, "handles": len(os.listdir(f"/proc/{pid}/fd")), "threads": threads}


def waiting_at(port):
    """The number of connections that the server at the port has not accepted yet."""
    with open("/proc/net/tcp") as table:
        for line in table:
            _, local, _, state, queues, *_ = line.split()
            if state == "0A" and local.endswith(f":{port:04X}"):
                return int(queues.split(":")[1], 16)
    return 0


def open_at(port, clients):
    """The number of connections from these ports that the server at the port has not closed."""
    established, close_wait = "01", "08"
    wanted, count = {f"{client:04X}" for client in clients}, 0
    with open("/proc/net/tcp") as table:
        for line in table:
            _, local, remote, state, *_ = line.split()
            count += state in (established, close_wait) and local.endswith(f":{port:04X}") and remote[-4:] in wanted
    return count
