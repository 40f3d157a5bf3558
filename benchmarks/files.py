"""Six hosts × twenty idempotent files over OpenSSH: apply, and apply again.

The hosts are OpenSSH's own servers on loopback, so that what is measured is our work and theirs
and no network's. Whole processes are timed, imports and connections included; beside the engine
pyinfra and ansible-core where they are installed, in turn, since a machine's speed drifts. Then the
engine alone, on more hosts.

Five runs in turn on two cores, hosts included (2026-11-26): first apply 0.58 s at the least and
0.66 median, second 0.37 and 0.39; pyinfra 3.10 takes 5.7 and 3.7 s, ansible-core 2.19 takes 31 and
31 s.

Run it with ``python benchmarks/files.py [RUNS]``; it needs sshd and ssh-keygen, and root or sudo
without a password.
"""

import grp
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from yardsticks import Tool, installed

from homelab_lib.control.linux.placing import LEDGER
from real.opensshd import SSHD, OpenSshd, getuser, separation_folder

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "files.json"
TEXTS = {f"{number}.conf": f"{number}\n" * 20 for number in range(20)}
HOSTS, GROWTH, RUNS = 6, (20, 60), 5
USUAL = ("LogLevel INFO", "Subsystem sftp internal-sftp")  # pyinfra needs SFTP
LAB = "benchmark"
_HEADER = """{hosts} hosts × {files} files, {runs} runs in turn [s]; cpu: the tool's and the hosts'
                    first apply                 second apply
                         min   median      cpu       min   median      cpu"""


def main(runs: int) -> None:
    """Measure, print, and keep the results."""
    if SSHD is None:
        sys.exit("this machine has no sshd (package openssh-server)")
    results = {}
    try:
        with ExitStack() as stack:
            stack.enter_context(separation_folder())
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            found = _compare(folder / "tools", HOSTS, runs, others=True)
            print(_HEADER.format(hosts=HOSTS, files=len(TEXTS), runs=runs))
            _show(found)
            results["tools"] = found
            for number in GROWTH:
                grown = _compare(folder / str(number), number, min(runs, 3), others=False)
                _show(grown)
                results[f"{number} hosts"] = grown
    finally:
        _forget()
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def _compare(
    folder: Path, hosts: int, runs: int, *, others: bool
) -> dict[str, dict[str, list[float]]]:
    """Have the tools bring the files about, twice each, in turn."""
    own = folder / "homelab"
    own.mkdir(parents=True)
    owner = f"{getuser()}:{grp.getgrgid(os.getgid()).gr_name}"
    with ExitStack() as stack:
        servers, places = [], {}
        for number in range(hosts):
            server = stack.enter_context(OpenSshd(folder / f"sshd{number}", options=USUAL))
            endpoint = server.endpoint()
            places[f"host{number}"] = {
                "port": endpoint.port,
                "identity": str(endpoint.identity_files[0]),
                "known_hosts": str(endpoint.known_hosts_files[0]),
            }
            servers.append(server.pid)
        given = {"owner": owner, "places": places, "texts": TEXTS, "lab": LAB}
        (own / "hosts.json").write_text(json.dumps(given))
        name = "homelab" if others else f"homelab, {hosts} hosts"
        tools = [Tool(name, [sys.executable, str(HERE / "apply_files.py"), str(own)], own, {})]
        if others:
            tools += installed(folder, places, TEXTS, owner)
        took: dict[str, dict[str, list[float]]] = {}
        for _ in range(runs):
            for tool in tools:
                (tool.folder / "journal.jsonl").unlink(missing_ok=True)
                for host in places:
                    shutil.rmtree(tool.folder / host, ignore_errors=True)
                for turn in ("first", "second"):
                    wall_s, cpu_s = _timed(tool, servers)
                    mine = took.setdefault(tool.name, {})
                    mine.setdefault(turn, []).append(wall_s)
                    mine.setdefault(f"{turn} cpu", []).append(cpu_s)
                assert all((tool.folder / host / "etc/19.conf").exists() for host in places)
    return took


def _show(took: dict[str, dict[str, list[float]]]) -> None:
    """A line for each tool."""
    for name, each in took.items():
        cells = [
            f"{min(each[turn]):8.2f} {statistics.median(each[turn]):8.2f} "
            f"{statistics.median(each[f'{turn} cpu']):8.2f}"
            for turn in ("first", "second")
        ]
        print(f"{name:>18}  {'  '.join(cells)}")


def _timed(tool: Tool, servers: Iterable[int]) -> tuple[float, float]:
    """How long one process took [s], and the processor time of it and of the hosts [s]."""
    environment = {**os.environ, **tool.environment}
    before = _cpu_s(servers)
    begun = time.perf_counter()
    ran = subprocess.run(tool.line, capture_output=True, text=True, env=environment)
    wall_s = time.perf_counter() - begun
    if ran.returncode:
        sys.exit(f"{tool.name} failed:\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}")
    return wall_s, _cpu_s(servers) - before


def _cpu_s(servers: Iterable[int]) -> float:
    """Processor time of our children that have ended, and of those of the hosts [s]."""
    times = os.times()
    ticks = 0
    for pid in servers:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[13]) + int(fields[14])  # of children that were waited for
    return times.children_user + times.children_system + ticks / os.sysconf("SC_CLK_TCK")


def _forget() -> None:
    """Take our lines off this machine's list of files that are ours."""
    ledger = Path(LEDGER)
    if ledger.exists() and os.access(ledger, os.W_OK):
        lines = ledger.read_text().splitlines(keepends=True)
        ledger.write_text("".join(line for line in lines if not line.startswith(f"{LAB}\t")))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
