"""A host's network made by the real ifupdown2 behind a real sshd, in namespaces of their own; what
cuts us off is undone by the host.

What Proxmox itself and systemd do, stands in: see `pvesh` and ``systemd.sh``.
"""

import os
import shutil
import stat
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from shlex import quote

import pytest

from homelab_lib.control.proxmox import network as applying
from homelab_lib.control.proxmox.links import Link
from homelab_lib.control.proxmox.network import ProxmoxNetwork
from homelab_lib.errors import OutcomeUnknown, StepFailed
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.step import Runbook, Step
from homelab_lib.secret import Mask
from homelab_lib.transport.fleet import Fleet
from homelab_lib.twin.proxmox.interfaces import FILE
from real.network import _free_networks
from real.opensshd import OpenSshd, separation_folder, until

pytestmark = pytest.mark.real

HERE = Path(__file__).parent
OLD, NEW, DARK, DIRECT = "enp11s0", "enp12s0", "enp13s0", "enp14s0"
FASTER = 15.0
"""A minute of the host's is four seconds here, as in ``systemd.sh``."""


class Clock:
    """Time that passes faster."""

    def now(self):
        return time.monotonic() * FASTER

    def sleep(self, seconds):
        time.sleep(seconds / FASTER)


class Lan:
    """A host with four cards: two on a switch, one without a cable, one that leads to a NAS."""

    def __init__(self, made: ExitStack, folder: Path) -> None:
        self.made, self.folder = made, folder
        ours = f"hl{os.getpid()}i"  # beside the network of all other tests
        self.host, self.nas, switch = f"{ours}-pve", f"{ours}-nas", f"{ours}s"
        self.outer, self.inner = _free_networks()
        for space in (self.host, self.nas):
            self.ip(f"netns add {space}", undo=f"netns del {space}")
            self.ip(f"-n {space} link set lo up")
        self.ip(f"link add {switch} type bridge", undo=f"link del {switch}")
        self.ip(f"addr add {self.outer}.1/24 dev {switch}")
        self.ip(f"link set {switch} up")
        for place, card in enumerate((OLD, NEW, DARK)):
            end = f"{ours}{place}"
            self.ip(f"link add {end} type veth peer name {card} netns {self.host}",
                    undo=f"link del {end}")  # fmt: skip
            if card != DARK:
                self.ip(f"link set {end} master {switch} up")
        self.ip(f"-n {self.nas} link add eth0 type veth peer name {DIRECT} netns {self.host}")
        self.ip(f"-n {self.nas} link set eth0 mtu 9000 up")
        self.ip(f"-n {self.nas} addr add {self.inner}.1/30 dev eth0")
        self.vlans = self._knows_vlans()

    def ip(self, words: str, undo: str = "", check: bool = True) -> bool:
        done = subprocess.run(["ip", *words.split()], check=check, capture_output=True, timeout=10)
        if undo:
            self.made.callback(self.ip, undo, check=False)
        return done.returncode == 0

    def _knows_vlans(self) -> bool:
        """Whether this kernel's bridges know VLANs; not each is built so."""
        probe = f"-n {self.host} link add probe type bridge vlan_filtering 1"
        return self.ip(probe, check=False) and self.ip(f"-n {self.host} link del probe")

    @property
    def installed(self) -> str:
        """The file as the installer of Proxmox leaves it."""
        return (
            f"auto lo\niface lo inet loopback\n\niface {OLD} inet manual\n\n"
            f"iface {NEW} inet manual\n\niface {DARK} inet manual\n\niface {DIRECT} inet manual\n\n"
            f"auto vmbr0\niface vmbr0 inet static\n\taddress {self.outer}.2/24\n"
            f"\tgateway {self.outer}.1\n\tbridge-ports {OLD}\n\tbridge-stp off\n\tbridge-fd 0\n"
        )

    def sshd(self) -> OpenSshd:
        """Its sshd, with files of its own where the host's would be meant."""
        etc, units, programs = (self.folder / name for name in ("etc", "units", "programs"))
        for each in (etc, units, programs):
            each.mkdir()
        (etc / "interfaces").write_text(self.installed)
        (etc / "interfaces.d").mkdir()
        shutil.copytree("/etc/network/ifupdown2", etc / "ifupdown2")  # its own settings
        for name in ("systemd-run", "systemctl"):
            (programs / name).symlink_to(HERE / "systemd.sh")
        root = HERE.parents[1]
        python, program = quote(sys.executable), quote(f"{HERE}/pvesh.py")
        script(programs / "pvesh", f'PYTHONPATH={quote(str(root))} exec {python} {program} "$@"')
        own = shutil.which("ifreload", path="/usr/sbin:/sbin")
        say = "echo ifupdown2:3.0.0-1+pmx0"  # Debian's own has nobody's taps to lose here
        script(programs / "ifreload", f'[ "$1" != -V ] || {{ {say}; exit; }}; exec {own} "$@"')
        script(
            self.folder / "inside",
            "mount --make-rprivate /; mount -t tmpfs tmpfs /var/tmp; mount -t tmpfs tmpfs /run; "
            f"mkdir -p /run/sshd /run/network; mount --bind {etc} /etc/network; "
            f"PATH={programs}:$PATH ifreload -a; "
            'exec "$(command -v sshd || echo /usr/sbin/sshd)" "$@"',
        )
        path = f"{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return OpenSshd(
            self.folder / "sshd",
            address="0.0.0.0",
            namespace=self.host,
            environment=f"SHLVL=1 PATH={path} HOMELAB_UNITS={units}",
            program=self.folder / "inside",
        )


def script(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


@pytest.fixture
def lan(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    for program, package in (("ifreload", "ifupdown2"), ("ip", "iproute2"), ("sshd", "openssh")):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            pytest.skip(f"this machine has no {program} (package {package})")
    with ExitStack() as made:
        yield Lan(made, tmp_path)


@pytest.fixture
def host(lan, monkeypatch):
    """Carries a step out on the host, and looks at it."""
    monkeypatch.setattr(applying, "_APPLY_S", 5.0)
    with separation_folder(), lan.sshd() as sshd:
        sshd.address = f"{lan.outer}.2"
        sshd.vouch()
        endpoint = sshd.endpoint(name="pve", connect_timeout_s=1.0)
        with Fleet({"pve": endpoint}, allow_changes=True) as fleet:
            yield Host(lan, fleet)


class Host:
    """The host, by what the project has for it."""

    def __init__(self, lan: Lan, fleet: Fleet) -> None:
        self.lan, self.fleet = lan, fleet
        vmbr0 = Link("vmbr0", "bridge", f"{lan.outer}.2/24", "", f"{lan.outer}.1", ports=(NEW,),
                     vlan_aware=lan.vlans)  # fmt: skip
        direct = Link(DIRECT, "eth", f"{lan.inner}.2/30", mtu=9000, direct=True)
        extra = Link("vmbr1", "bridge", f"{lan.inner}.129/25")
        # What nobody speaks of would stay in the bridge: the old card is to stand by itself.
        alone = Link(OLD, "eth", "")
        self.wanted = (vmbr0, direct, extra, alone)

    def engine(self, *links: Link) -> Engine:
        mask = Mask()
        wanted = ProxmoxNetwork("pve", "pve", links)
        step = Step("bridges", "Make the bridges", ensure=lambda ctx: iter([wanted]))
        sender = Sender(self.fleet, Clock(), Journal(None, mask=mask, wall=str), mask)
        return Engine(Runbook("real", "Real", (step,)), "apply", sender,
                      trust=lambda *key: None, seal=str)  # fmt: skip

    def make(self, *links: Link):
        return self.engine(*links).run_step("bridges")

    def inside(self, *words: str) -> str:
        """What a program says there, whichever way leads to it."""
        space = ["ip", "netns", "exec", self.lan.host, *words]
        done = subprocess.run(space, capture_output=True, text=True, timeout=20, check=False)
        return done.stdout + done.stderr

    def addresses(self) -> dict[str, str]:
        rows = self.inside("ip", "-br", "-4", "addr").splitlines()
        return {row.split()[0].partition("@")[0]: " ".join(row.split()[2:]) for row in rows}

    def ports(self, bridge: str) -> set[str]:
        rows = self.inside("ip", "-br", "link", "show", "master", bridge).splitlines()
        return {row.split()[0].partition("@")[0] for row in rows}

    def mtu(self, name: str) -> str:
        return self.inside("cat", f"/sys/class/net/{name}/mtu").strip()

    @property
    def file(self) -> str:
        return (self.lan.folder / "etc" / "interfaces").read_text()


def test_bridges_and_the_direct_link_are_made_and_then_stay(host):
    made = host.make(*host.wanted)
    assert made.status == "changed"
    found = host.addresses()
    assert found["vmbr0"] == f"{host.lan.outer}.2/24"
    assert found[DIRECT] == f"{host.lan.inner}.2/30"
    assert found["vmbr1"] == f"{host.lan.inner}.129/25"
    assert (host.ports("vmbr0"), host.mtu(DIRECT)) == ({NEW}, "9000")
    whole = host.inside("ping", "-c", "1", "-W", "2", "-M", "do", "-s", "8972",
                        f"{host.lan.inner}.1")  # fmt: skip
    assert " 1 received" in whole, whole
    again = host.make(*host.wanted)
    assert (again.status, len(again.sent)) == ("already", 0)


def test_a_change_that_cuts_us_off_is_undone_by_the_host(host):
    vmbr0, *others = host.wanted
    wrong = replace(vmbr0, ports=(DARK,))
    with pytest.raises(StepFailed, match=r"(?s)not reached any more.*undoes that by itself"):
        host.make(wrong, *others)
    until("the old network is back", lambda: host.ports("vmbr0") == {OLD}, 40)
    until("and with it all that it had", lambda: "vmbr1" not in host.addresses(), 40)
    until("the direct link is bare", lambda: DIRECT not in host.addresses(), 40)
    assert host.mtu(DIRECT) == "1500"
    assert host.file == host.lan.installed
    # The way is open again, and the right network is made by the same command.
    until("it is reached", lambda: reached(host), 40)
    assert host.make(*host.wanted).status == "changed"
    assert host.ports("vmbr0") == {NEW}


def reached(host: Host) -> bool:
    try:
        host.fleet.reconnect("pve")
    except Exception:
        return False
    return True


def test_what_nobody_confirmed_is_undone_though_it_was_right(host):
    engine = host.engine(*host.wanted)
    look = engine.host("pve")
    wanted = ProxmoxNetwork("pve", "pve", host.wanted)
    for change in wanted.diff(wanted.observe(look)).changes:
        if change.rollback is not None:
            assert host.fleet.run("pve", change.rollback.arm).ok
            assert change.rollback.armed(look)
        with suppress(OutcomeUnknown):  # the card under the connection has changed
            host.fleet.run("pve", change.call)
    until("the new network is there", lambda: host.ports("vmbr0") == {NEW})
    until("the old network is back", lambda: host.ports("vmbr0") == {OLD}, 40)
    until("all of it", lambda: DIRECT not in host.addresses(), 40)
    assert host.file == host.lan.installed


def test_an_address_that_is_none_is_found_before_it_is_applied(host):
    """ifupdown2 itself would take it, with status 0."""
    vmbr0, *_ = host.wanted
    staged = host.lan.folder / "etc" / "interfaces.new"
    staged.write_text(host.lan.installed.replace(".2/24", ".999/24"))
    answer = host.fleet.run("pve", applying._applied("pve"))
    assert not answer.ok
    assert "invalid value" in answer.stdout + answer.stderr
    assert host.addresses()["vmbr0"] == vmbr0.cidr


def test_the_twin_has_the_habits_of_the_real_one(host):
    """Those that its own tests hold: what is here the real program's, is there the twin's."""
    etc = host.lan.folder / "etc" / "interfaces"

    def reload(text: str, *options: str) -> tuple[int, str]:
        etc.write_text(text)
        enter = ["nsenter", f"--target={sshd_pid(host)}", "--mount", "--net"]
        done = subprocess.run([*enter, "ifreload", "-a", *options], capture_output=True, text=True,
                              check=False, timeout=30)  # fmt: skip
        return done.returncode, done.stderr

    good = host.lan.installed
    bad = good.replace(".2/24", ".999/24")
    status, said = reload(bad)
    assert (status, "does not appear to be an IPv4" in said) == (0, True)
    assert reload(good)[0] == 1, "its own memory is spoilt"
    assert reload(good, "-u")[0] == 0
    more = (
        good
        + "\nauto vmbr7\niface vmbr7 inet static\n\taddress 198.19.7.1/24\n"
        + (f"\tbridge-ports {DARK}\n\tbridge-stp off\n\tbridge-fd 0\n")
    )
    assert reload(more)[0] == 0
    assert reload(good, "-u")[0] == 0
    assert "vmbr7" in host.addresses(), "with -u nothing is taken down"
    assert reload(good.replace(f"bridge-ports {OLD}", "bridge-ports enp99s0"))[0] == 1
    assert FILE == "/etc/network/interfaces"


def sshd_pid(host: Host) -> str:
    """A process that lives where its sshd does."""
    found = subprocess.run(["ip", "netns", "pids", host.lan.host], capture_output=True, text=True,
                           check=True)  # fmt: skip
    for pid in found.stdout.split():
        if "sshd" in Path(f"/proc/{pid}/comm").read_text():
            return pid
    raise AssertionError("no sshd in the namespace")
