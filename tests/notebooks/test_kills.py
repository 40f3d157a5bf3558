"""Phase 2 by papermill on a served lab, killed at random moments: it ends as if undisturbed.

Who is killed is papermill, its kernel or both, politely or not; a part of the last line of the
journal may be lost, as a power cut leaves it. The lab goes on meanwhile, as a real one would.
"""

import collections
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.target.served import vouch_for
from homelab_lib.transport.reads import reads_only
from homelab_lib.twin.built import built
from homelab_lib.twin.clock import ScaledClock
from homelab_lib.twin.faults import plain
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Reply
from homelab_lib.twin.server import serve, ssh_config
from notebooks.cli import ROOT
from standing import differences, login

pytestmark = pytest.mark.long

KILLS = 60
SPEED = 300  # simulated seconds in one
KINDS = ("kernel", "papermill", "both", "interrupt", "terminate", "terminate the kernel")
NOTEBOOK = ROOT / "runbooks" / "phase2.ipynb"
CUT_OFF = re.compile(
    r"did not end|end is not whole|does not follow|(is|are) not (what|those of) the journal"
)
"""What a record may say that was cut off by a kill or a power cut: never of what was sent."""
IN_LINE = "another run is at work"
SNAPSHOTS = re.compile(r"/var/lib/rancher/k3s/server/db(/snapshots\S*)?: ")
"""K3s makes them twice a day: who is killed often has been at it for days."""


@dataclass
class Served:
    """A lab that stands by itself, and runs on it as a person types them."""

    folder: Path
    world: object
    sent: list[tuple[str, str, bytes]]

    def command(self, *parameters: str) -> list[str]:
        # A shell's job in the background has its interrupts ignored, and hands that on.
        words = [
            "env",
            "--default-signal=INT",
            sys.executable,
            "-m",
            "papermill",
            "--engine",
            "runbook",
            "--no-progress-bar",
        ]
        config = str(self.folder / "ssh_config")
        aim = ("-p", "target", "ssh", "-p", "ssh_config", config)
        return [*words, str(NOTEBOOK), str(self.folder / "out.ipynb"), *aim, *parameters]

    def start(self, *parameters: str) -> subprocess.Popen:
        with (self.folder / "said").open("w") as said:
            return subprocess.Popen(
                self.command(*parameters),
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, *parameters: str) -> tuple[int, str]:
        status = self.start(*parameters).wait(600)
        return status, (self.folder / "said").read_text(errors="replace")

    def journals(self) -> list[Path]:
        found = self.folder.glob("reports/*/journal.jsonl")
        return sorted(found, key=lambda path: path.stat().st_mtime)

    def written_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.journals())


def _kernel(process: int) -> int | None:
    """The kernel that a papermill has started."""
    with suppress(OSError):
        for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            with suppress(OSError):
                if b"ipykernel" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
    return None


def _wait_for_the_end_of(process: int | None) -> None:
    while process is not None:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.05)


def _send(process: int | None, what: signal.Signals) -> None:
    if process is not None:
        with suppress(ProcessLookupError):
            os.kill(process, what)


def _kill(kind: str, papermill: int, kernel: int | None) -> None:
    aims = {
        "kernel": [(kernel, signal.SIGKILL)],
        "papermill": [(papermill, signal.SIGKILL)],
        "both": [(papermill, signal.SIGKILL), (kernel, signal.SIGKILL)],
        "interrupt": [(papermill, signal.SIGINT)],
        "terminate": [(papermill, signal.SIGTERM)],
        "terminate the kernel": [(kernel, signal.SIGTERM)],
    }
    for process, what in aims[kind]:
        _send(process, what)


def _tear(journal: Path, chance: random.Random) -> None:
    """Lose the end of the last line that was written, as a power cut does."""
    raw = journal.read_bytes()
    last = len(raw) - raw.rstrip(b"\n").rfind(b"\n") - 1
    if len(raw) > 2000 and last > 1:
        os.truncate(journal, len(raw) - chance.randrange(1, last))


def _until_struck(served: Served, run: subprocess.Popen, chance: random.Random) -> bool:
    """Kill a run at a random moment; False where it had come to its end before."""
    begun, before = time.monotonic(), served.written_bytes()
    grows = chance.choice((0, chance.uniform(1, 70_000), chance.uniform(1, 70_000)))
    until_s = 40 if grows else chance.uniform(1, 16)
    kernel = None
    while run.poll() is None:
        kernel = kernel or _kernel(run.pid)
        late = time.monotonic() - begun > until_s
        if late or (grows and served.written_bytes() - before > grows):
            break
        time.sleep(0.01)
    kind = chance.choice(KINDS)
    if run.poll() is not None or (kernel is None and "kernel" in kind):
        return False
    _kill(kind, run.pid, kernel)
    try:
        run.wait(300)
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"papermill does not end ({kind})") from error
    if chance.random() < 0.5:
        _wait_for_the_end_of(kernel)
        if served.journals() and chance.random() < 0.5:
            _tear(served.journals()[-1], chance)
    return True


@pytest.fixture
def served(tmp_path, monkeypatch):
    for name in ("reports", "state"):
        monkeypatch.setenv(f"HOMELAB_{name.upper()}", str(tmp_path / name))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with _standing(tmp_path) as there:
        yield there


def _watch(machine: Machine, sent: list[tuple[str, str, bytes]]) -> None:
    """Write down what comes to a machine."""
    run = machine.run

    def watched(line: str, stdin: bytes = b"") -> Reply:
        sent.append((machine.name, plain(line), stdin))
        return run(line, stdin)

    machine.run = watched


class _standing:  # noqa: N801
    """The lab before phase 2, with a clock that runs by itself."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "home").mkdir(exist_ok=True)
        identity, key = login(folder)
        world = built(load_lab(), before_phase=2, seed=0, clock=ScaledClock(SPEED))
        self.served = Served(folder, world, [])
        for machine in world.machines.values():
            _watch(machine, self.served.sent)
        self.doors = serve(world, authorized_keys=[key])
        self.identity = identity

    def __enter__(self) -> Served:
        doors, folder = self.doors.__enter__(), self.served.folder
        hosts = folder / "known_hosts"
        hosts.write_text("".join(f"{line}\n" for line in doors.known_hosts()))
        config = ssh_config(doors, identity_file=self.identity, known_hosts_file=hosts)
        (folder / "ssh_config").write_text(config)
        vouch_for(self.served.world, folder / "certificates")
        return self.served

    def __exit__(self, *error: object) -> None:
        self.doors.__exit__(*error)


def _approve(served: Served) -> str:
    status, said = served.run("-p", "mode", "plan")
    assert status == 0, said
    (plan,) = served.folder.glob("state/homelab/homelab/plans/p*.json")
    return plan.stem


def test_sixty_random_kills_converge(served, tmp_path):
    chance = random.Random(20261126)
    approve = _approve(served)
    kills = 0
    while True:
        run = served.start("-p", "approve", approve)
        if kills < KILLS and _until_struck(served, run, chance):
            kills += 1
            continue
        status, said = run.wait(600), (served.folder / "said").read_text(errors="replace")
        if IN_LINE in said:  # an orphaned kernel goes on for a while
            time.sleep(0.3)
            continue
        assert status == 0, f"after {kills} kills: {said[-3000:]}"
        if kills >= KILLS:
            break
    status, said = served.run("-p", "mode", "verify")
    assert status == 0, said
    assert not _twice(served), "sent twice"
    *earlier, last, verified = (path.parent for path in served.journals())
    assert [_faults(last), _faults(verified)] == [[], []]
    of_the_kill = [line for folder in earlier for line in _faults(folder)]
    assert [line for line in of_the_kill if not CUT_OFF.search(line)] == []
    with _standing(tmp_path / "undisturbed") as other, pytest.MonkeyPatch.context() as patch:
        for name in ("reports", "state"):
            patch.setenv(f"HOMELAB_{name.upper()}", str(other.folder / name))
        status, said = other.run("-p", "approve", _approve(other))
        assert status == 0, said
        left = differences(served.world.state(), other.world.state())
    assert [line for line in left if not SNAPSHOTS.search(line)] == []


def _twice(served: Served) -> dict[tuple[str, str, bytes], int]:
    """Changes that were sent more than once."""
    counted = collections.Counter()
    for host, line, stdin in served.sent:
        words = shlex.split(line)
        words = words[3:] if words[:3] == ["sudo", "-n", "--"] else words
        if words and not reads_only(words):
            counted[host, line, stdin] += 1
    return {call: count for call, count in counted.items() if count > 1}


def _faults(folder: Path) -> list[str]:
    """What a record says against itself."""
    line = [sys.executable, "-m", "homelab_lib", "record", str(folder)]
    told = subprocess.run(line, env=os.environ | {"PYTHONPATH": str(ROOT)},
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    assert told.stderr == ""
    return [said for said in told.stdout.splitlines() if said.startswith("✕")]
