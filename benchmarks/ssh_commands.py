"""Commands per second over SSH, against OpenSSH's own server on loopback.

Each command is `true` on a connection that is kept. Loopback has no delay of its own, so this is
what we, sshd and the shell cost; a network's round trips (two for a command) come on top.

Run it with ``python benchmarks/ssh_commands.py``; it needs sshd and ssh-keygen, and no root.
"""

import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import paramiko

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from homelab_lib.transport import login
from homelab_lib.transport.command import read
from homelab_lib.transport.ssh import Connection
from real.opensshd import SSHD, OpenSshd, separation_folder

RESULTS = Path(__file__).with_name("results") / "ssh_commands.json"
COMMANDS = 200  # per host
HOSTS = (1, 6)


def dial_with_nagle(endpoint):
    """As `login.dial`, with small packets held back until the last one is acknowledged."""
    link = login.dial(endpoint)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
    return link


def latencies(connection: Connection) -> list[float]:
    """How long each of `COMMANDS` commands took, one after the other [s]."""
    taken = []
    for _ in range(COMMANDS):
        begun = time.perf_counter()
        assert connection.run(read("true")).ok
        taken.append(time.perf_counter() - begun)
    return taken


def measure(servers: list[OpenSshd], nodelay: bool) -> dict:
    """All hosts side by side, each with a connection and a thread of its own."""
    dial = login.dial if nodelay else dial_with_nagle
    with ExitStack() as opened, mock.patch("homelab_lib.transport.ssh.dial", dial):
        connections = [Connection(server.endpoint()) for server in servers]
        for connection in connections:
            opened.callback(connection.close)
            connection.run(read("true"))  # logs in
        begun = time.perf_counter()
        with ThreadPoolExecutor(len(connections)) as pool:
            taken = [one for host in pool.map(latencies, connections) for one in host]
        elapsed_s = time.perf_counter() - begun
    return {
        "hosts": len(servers),
        "tcp_nodelay": nodelay,
        "per_second_per_host": round(COMMANDS / elapsed_s, 1),
        "per_second": round(COMMANDS * len(servers) / elapsed_s, 1),
        "median_ms": round(1000 * statistics.median(taken), 2),
        "p95_ms": round(1000 * statistics.quantiles(taken, n=20)[-1], 2),
    }


def main() -> None:
    if SSHD is None:
        sys.exit("this machine has no sshd (package openssh-server)")
    with ExitStack() as started:
        folder = Path(started.enter_context(tempfile.TemporaryDirectory()))
        started.enter_context(separation_folder())
        quiet = ["LogLevel ERROR"]
        servers = [
            started.enter_context(OpenSshd(folder / f"host{n}", options=quiet))
            for n in range(max(HOSTS))
        ]
        rows = [measure(servers[:hosts], nodelay) for hosts in HOSTS for nodelay in (True, False)]
    print("hosts  TCP_NODELAY  commands/s per host  commands/s in all  median ms  p95 ms")
    for row in rows:
        hosts, nodelay, per_host, in_all, median, p95 = row.values()
        set_ = "yes" if nodelay else "no"
        print(f"{hosts:5}  {set_:>11}  {per_host:19}  {in_all:17}  {median:9}  {p95:6}")
    told = subprocess.run(["ssh", "-V"], capture_output=True, text=True).stderr
    versions = {
        "openssh": told.split(",")[0],
        "paramiko": paramiko.__version__,
        "python": platform.python_version(),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    record = {"cores": os.cpu_count(), "commands": COMMANDS, "versions": versions, "rows": rows}
    RESULTS.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
