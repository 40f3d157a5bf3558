"""Surprises that careful operators meet, each in a lab that stands by itself and knows of none
beforehand: the same command, three times at most, ends right, or one clear line names the cause."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

import homelab_lib.twin.built  # noqa: F401  (its rooms register what they play)
from contract.oracle import contract
from homelab_lib import paths
from homelab_lib.errors import BadParameter, HomelabError, Unseen
from homelab_lib.lab import load_lab
from homelab_lib.target import ssh as ssh_target
from homelab_lib.twin.machine.program import Reply
from homelab_lib.twin.surprises import known
from homelab_lib.twin.world import World
from recipes.test_own_backup_server import SECRET, bench_of
from standing import Standing, differences
from standing import standing as serve_standing

pytestmark = pytest.mark.contract

TRIES = 3
ALWAYS = {"crd-too-long"}
"""What the twin does to whoever applies from a client, as `tests/twin/test_kubernetes.py` has it:
all that we apply goes the server's way (`test_kubernetes_objects.py`)."""
LISTED = {row["id"]: row for row in contract("surprises.json")}
PLAYED = {each.name: each for each in known()}


def _off(there: Standing) -> None:
    """After phase 2, with the VMs switched off: they boot once more."""
    finished(there)
    node = there.world.machines["proxmox"]
    for vmid in (201, 202, 203):
        reply = node.run(f"qm stop {vmid}")
        there.world.clock.sleep(reply.takes_s)
        assert reply.finished().status == 0


def finished(there: Standing) -> None:
    """After phase 2."""
    assert there.run("apply", there.planned()).error is None


@dataclass(frozen=True)
class Case:
    """Where and when a surprise is met.

    Parameters
    ----------
    host
        Whom it happens to; empty for the first machine of its kind.
    options
        What is chosen about it.
    before
        What has been done in the lab.
    says
        What the clear line names, where the run can't end right by itself; empty where it has to.
    """

    host: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    before: Callable[[Standing], None] = lambda there: None
    says: str = ""


CASES = {
    "ssh-nologin": Case("k3s-gpu2", {"for_s": 90.0}),
    "agent-before-ssh": Case("k3s-gpu2", {"after_s": 30.0}, before=_off),
    "services-not-started": Case(
        "k3s-gpu2", {"units": ["k3s-agent"]}, before=_off, says="enabled and stopped: k3s-agent"
    ),
    "pve-lock-timeout": Case(options={"for_s": 60.0}),
    "stale-guest-lock": Case(options={"vmid": 202}, before=finished, says="qm unlock 202"),
    "storage-inactive-zero": Case(says="Proxmox calls it inactive"),
    "pool-lazy-import": Case(before=finished),
    "k3s-frozen": Case(before=finished, says=r"API server does not answer yet.*was refused"),
    "helm-half-release": Case(says="broken off half-way"),
    "node-password": Case("k3s-gpu2", before=finished, says="takes k3s-gpu2 for an impostor"),
    "flannel-wrong-nic": Case("k3s-gpu2", says="flannel of k3s-gpu2 is at 10.99.0.12"),
    "hub-429": Case(says="toomanyrequests"),
    "exports-drop-names": Case(says="access denied by server"),
    "nfs-stale": Case(says="Stale file handle"),
    "reservation-later": Case(options={"mac": "02:00:00:00:00:99", "interface": "lan"}),
}
"""For those that need more said than that they happen; each other one happens as it is."""


@dataclass(frozen=True)
class Late:
    """Something that is met once all is made, and found by a look at the whole house.

    Parameters
    ----------
    host
        Whom it happens to.
    says
        What the look names: the cause, and what mends it; empty where all is well.
    """

    host: str
    says: str = ""


LATE = {
    "auth-rate-limit": Late("truenas"),
    "smartctl-bitmask": Late("truenas"),
    "ups-stale": Late("truenas"),
    "restic-half-locked": Late(
        "proxmox", r"no lock was left behind|take away locks that nobody holds"
    ),
    "nvml-lost": Late("k3s-gpu1", r"still sees its card: .+NVML: Unknown Error.+delete pod"),
    "flux-gives-up": Late(
        "k3s-control", r"helmrelease tried-out is not ready: .+429 Too Many.+has stalled.+suspend"
    ),
}
KEEPER = {"pbs-gc-grace"}
"""Those of a backup server, which this lab has none of: in a lab with one."""
UPS = """\
upses:
  cellar:
    title: The UPS in the cellar
    part: PART
    feeds: [truenas]
    phase: 1
    nut: {host: truenas, driver: usbhid-ups, password: "env:NUT"}
"""


def _host(there: Standing, kind: str) -> str:
    lab = there.world.lab
    if kind == "vm":
        return next(iter(lab.vms))
    if kind == "cluster":
        return next(iter(lab.clusters.values())).first_server
    return next(name for name, host in lab.hosts.items() if host.os.kind == kind)


def commands(there: Standing) -> list[HomelabError | None]:
    """The same command up to three times; where a plan goes only so far, the rest is approved."""
    told: list[HomelabError | None] = []
    digest = ""
    while len([error for error in told if not isinstance(error, Unseen)]) < TRIES:
        if not digest:
            planned = there.run("plan")
            if planned.error is not None:
                told.append(planned.error)
                there.world.clock.sleep(60)
                continue
            digest = planned.digest
        ran = there.run("apply", digest)
        told.append(ran.error)
        if ran.error is None:
            break
        if isinstance(ran.error, Unseen):
            digest = ""
        there.world.clock.sleep(60)  # nobody types faster
    return told


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What is there after a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch, serve_standing(folder, patch) as there:
        finished(there)
        return there.world.state()


@pytest.mark.parametrize("name", sorted(PLAYED.keys() - LATE.keys() - KEEPER))
def test_it_ends_right_or_one_clear_line_names_the_cause(tmp_path, monkeypatch, whole, name):
    case = CASES.get(name, Case())
    with serve_standing(tmp_path / "lab", monkeypatch) as there:
        case.before(there)
        there.world.surprise(name, case.host or _host(there, PLAYED[name].on), **case.options)
        told = commands(there)
        for error in filter(None, told):
            assert isinstance(error, HomelabError)
            assert "Traceback" not in str(error)
            assert error.where or error.fix, "it says where, or what to do"
        if case.says:
            assert re.search(case.says, "\n".join(map(str, told)))
        if told[-1] is None:
            assert there.run("verify").error is None
            assert differences(there.world.state(), whole) == []


def test_what_happens_to_a_house_that_stands_is_named_by_a_look(tmp_path, monkeypatch):
    """What does no harm is no finding; of the others each is one, and nothing else is."""
    lab = tmp_path / "lab"
    shutil.copytree(paths.data(), lab, ignore=shutil.ignore_patterns("examples"))
    (lab / "power.yaml").write_text(UPS.replace("PART", next(iter(load_lab().catalog.upses))))
    with serve_standing(tmp_path, monkeypatch, path=str(lab), runbook="health") as there:
        monkeypatch.setattr(ssh_target.SshTarget, "secret", lambda _, name: there.secret(name))
        monkeypatch.setattr(ssh_target.SshTarget, "public_key", lambda _, name: there.key)
        assert there.found() == [], "\n".join(there.found())
        for name, late in LATE.items():
            if not late.says:
                there.world.surprise(name, late.host)
        assert there.found() == []
        for name, late in LATE.items():
            if late.says:
                there.world.surprise(name, late.host)
        there.world.clock.sleep(3600)  # a lock that is younger may be somebody's
        told = there.found()
    expected = [late.says for late in LATE.values() if late.says]
    assert [each for each in expected if not any(re.search(each, line) for line in told)] == []
    assert [line for line in told if not any(re.search(each, line) for each in expected)] == []


@dataclass(frozen=True)
class Said:
    """What a program of a machine says for a while in place of doing anything.

    Parameters
    ----------
    host, begins
        Where, and the words that its calls begin with.
    status, text
        How it ends, and what it prints.
    for_s
        How long from the first call on [s].
    says
        What the clear line names where that lasts; empty where it passes.
    """

    host: str
    begins: tuple[str, ...]
    status: int
    text: str
    for_s: float = 1e9
    says: str = ""


KUBECTL = ("k3s", "kubectl")
OTHERS = {
    "cluster-file-system-starts": Said(
        "mini", ("pvesh",), 111, "ipcc_send_rec[1] failed: Connection refused\n", 60
    ),
    "no-quorum": Said(
        "mini", ("qm", "create"), 255, "cluster not ready - no quorum?\n", says="no quorum"
    ),
    "pool-suspended": Said(
        "mini", ("qm", "create"), 255, "zfs error: cannot create 'x': pool I/O is suspended\n",
        says="pool I/O is suspended",
    ),
    "disk-full": Said(
        "mini", ("sh", "-c"), 1, "dd: error writing 'x': No space left on device\n",
        says="No space left on device",
    ),
    "disk-fails": Said(
        "mini", ("stat",), 1, "stat: cannot statx '/x': Input/output error\n",
        says="Input/output error",
    ),
    "webhook-starts": Said(
        "play", (*KUBECTL, "apply"), 1,
        'Error from server (InternalError): failed calling webhook "mutate.x": failed to call '
        'webhook: Post "https://x.svc:443/": no endpoints available for service "x"\n', 50,
    ),
    "server-too-busy": Said(
        "play", KUBECTL, 1, "Unable to connect to the server: net/http: TLS handshake timeout\n", 50
    ),
    "clock-behind": Said(
        "play", KUBECTL, 1, "Unable to connect to the server: tls: failed to verify certificate: "
        "x509: certificate has expired or is not yet valid\n", says="is not yet valid",
    ),
    "out-of-memory": Said("play", (*KUBECTL, "get"), 137, "Killed\n", says="Killed"),
}  # fmt: skip
"""Of the kinds above, by what programs say: in a small lab, for they are many."""


@pytest.mark.parametrize("name", OTHERS)
def test_what_a_program_says_passes_or_is_named(tmp_path, monkeypatch, name):
    case, met = OTHERS[name], list[float]()
    lab = str(paths.data() / "examples" / "minipc")
    with serve_standing(tmp_path / "lab", monkeypatch, path=lab) as there:
        clock = there.world.clock

        def instead(call, go):
            if call.argv[: len(case.begins)] != case.begins:
                return None
            met.append(clock.now())
            over = clock.now() >= met[0] + case.for_s
            return None if over else Reply(case.status, stderr=case.text)

        def play(machine):
            if machine.name == case.host and instead not in machine.instead:
                machine.instead.append(instead)

        there.world.up_hooks.append(play)
        for machine in there.world.machines.values():
            play(machine)
        told = commands(there)
        assert met, "it has to happen"
        assert all(error is None or error.where or error.fix for error in told)
        if case.says:
            assert re.search(case.says, str(told[-1]))
        else:
            assert told[-1] is None
            assert there.run("verify").error is None


def test_each_that_is_listed_is_played():
    assert LISTED.keys() - PLAYED.keys() == ALWAYS
    assert LATE.keys() | KEEPER <= PLAYED.keys()


def test_room_that_comes_a_day_late_on_a_backup_server_is_told_with_its_date(monkeypatch):
    """Garbage collection leaves what was touched within 24 h 5 min: a second run removes it."""
    monkeypatch.setenv("PBS_TOKEN", SECRET)
    bench, _, server = bench_of(looks=[4])
    assert bench.stops() == ("", "")
    bench.world.surprise("pbs-gc-grace", "keeper")
    assert (server.ran["house"].state, server.ran["house"].removed_bytes) == ("OK", 0)
    for minutes in (0, 23 * 60):
        bench.world.clock.sleep(60.0 * minutes)
        with pytest.raises(HomelabError) as told:
            bench.step("datastores-keeper", "apply")
        words = " ".join(str(told.value).split())
        assert re.search(r"90% are taken, 40% by .+ after \d{4}-\d\d-\d\d \d\d:\d\d UTC", words)
        assert "give it more room" not in words
    bench.world.clock.sleep(3 * 86_400)
    assert server.ran["house"].pending_bytes == 0
    assert bench.step("datastores-keeper", "apply")
    assert not any("garbage-collection" in line for line in bench.wire.sent)


def test_a_surprise_that_no_room_plays_is_refused_by_name():
    with pytest.raises(BadParameter, match="plays the surprise 'cellar-floods'"):
        World(load_lab(None)).surprise("cellar-floods", "truenas")


def test_a_surprise_for_nobody_is_refused():
    with pytest.raises(BadParameter, match="the lab has no machine 'nas2'"):
        World(load_lab(None)).surprise("ssh-nologin", "nas2")
