"""Six hosts × twenty idempotent files, by the engine over OpenSSH: apply, and apply again.

The hosts are six of OpenSSH's own servers on loopback, so that what is measured is our work and
theirs and no network's. Whole processes are timed, imports and connections included.

Run it with ``python benchmarks/files.py``; it needs sshd and ssh-keygen, and no root.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

RESULTS = HERE / "results" / "files.json"
HOSTS, FILES = 6, 20


def apply(folder: Path) -> int:
    """One process: bring all files about, and say how many changes that took."""
    from homelab_lib.control.linux import File
    from homelab_lib.runbook.engine import Engine
    from homelab_lib.runbook.journal import Journal
    from homelab_lib.runbook.sender import Sender
    from homelab_lib.runbook.step import Runbook, Step
    from homelab_lib.secret import Mask
    from homelab_lib.target import WallClock
    from homelab_lib.transport.endpoint import Endpoint
    from homelab_lib.transport.fleet import Fleet
    from real.opensshd import getuser

    places = json.loads((folder / "places.json").read_text())
    user = getuser()
    endpoints = {
        name: Endpoint(
            name,
            "127.0.0.1",
            place["port"],
            user,
            identity_files=(place["identity"],),
            use_agent=False,
            known_hosts_files=(place["known_hosts"],),
        )
        for name, place in places.items()
    }
    group = subprocess.run(["id", "-gn"], capture_output=True, text=True, check=True).stdout.strip()
    files = [
        File(
            name,
            f"{folder}/{name}/etc/{number}.conf",
            f"{number}\n" * 20,
            owner=f"{user}:{group}",
            lab="benchmark",
        )
        for name in endpoints
        for number in range(FILES)
    ]
    mask = Mask()
    journal = Journal(folder / "journal.jsonl", mask=mask, wall=lambda: "now")
    with Fleet(endpoints, allow_changes=True) as fleet:
        sender = Sender(fleet, WallClock(), journal, mask)
        step = Step("files", "Files", ensure=lambda ctx: iter([files]))
        Engine(
            Runbook("bench", "B", (step,)), "apply", sender, trust=lambda *_: None, seal=str
        ).run_step("files")
        return len(sender.sent)


def timed(folder: Path) -> dict[str, float]:
    begun = time.perf_counter()
    line = [sys.executable, __file__, str(folder)]
    ran = subprocess.run(line, capture_output=True, text=True, check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"wall_s": time.perf_counter() - begun, "changes": int(ran.stdout), "peak_mib": peak}


def main() -> None:
    """Measure, print, and keep the results."""
    from real.opensshd import SSHD, OpenSshd, separation_folder

    if SSHD is None:
        sys.exit("this machine has no sshd (package openssh-server)")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(separation_folder())
        places = {}
        for number in range(HOSTS):
            server = stack.enter_context(OpenSshd(folder / f"sshd{number}"))
            endpoint = server.endpoint()
            places[f"host{number}"] = {
                "port": endpoint.port,
                "identity": str(endpoint.identity_files[0]),
                "known_hosts": str(endpoint.known_hosts_files[0]),
            }
        (folder / "places.json").write_text(json.dumps(places))
        results = {"first apply": timed(folder), "second apply": timed(folder)}
    for name, found in results.items():
        print(f"{name:>13}: {found['wall_s']:.2f} s, {found['changes']:.0f} changes, "
              f"{found['peak_mib']:.0f} MiB")  # fmt: skip
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    print(apply(Path(sys.argv[1]))) if len(sys.argv) > 1 else main()
